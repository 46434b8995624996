"""The items table of `train`, `compress`, `update`: read, and what a model cannot keep of it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from lightrec.cli.terminal import show

if TYPE_CHECKING:
    import polars as pl


def read_items_table(
    path: Path, item_column: str | None, as_text: Collection[str] = ()
) -> pl.DataFrame:
    """The table, whose id column may have the name that --item-column gives, or another.

    Args:
        path: Its file.
        item_column: The column of item ids in the table of interactions, where that was named.
        as_text: Names of columns that stay text whatever their cells look like.

    Raises:
        InputError: The table cannot be used.
    """
    from lightrec.interactions import ColumnNames
    from lightrec.interactions.read_items import read_catalogue

    return read_catalogue(path, ColumnNames(item_id=item_column), as_text=as_text)


def show_columns_left_out(items_table: pl.DataFrame | None) -> None:
    """Prints the names of the columns that a model cannot keep, where there are some."""
    from lightrec.artifact.item_columns import nested_columns

    left_out = [] if items_table is None else nested_columns(items_table)
    if left_out:
        names = ", ".join(left_out)
        show(f"  item columns left out, because their cells hold structures: {names}")
