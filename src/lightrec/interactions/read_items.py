"""The items table: one row an item, with whatever is known about it."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from lightrec.errors import InputError
from lightrec.interactions.cell_values import ids_of
from lightrec.interactions.columns import ITEM, ColumnNames, find_column
from lightrec.interactions.item_sequences import as_sequence
from lightrec.interactions.read_tables import Table, TableSource, open_table

_INTEGER = r"^-?(0|[1-9][0-9]{0,17})$"
_DECIMAL = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
_DIGITS = 15
"""Of a decimal, so that a double holds it."""


def read_items(
    source: TableSource, item_column: str | None = None, *, as_text: Collection[str] = ()
) -> pl.DataFrame:
    """Reads an items table: a catalogue with columns such as title, category or price.

    Args:
        source: a path or table, as in `open_table`.
        item_column: the table's name of the id column; by default `item_id` or a known alias.
        as_text: names of columns of a text file that stay text whatever their cells look like.

    Returns:
        The table with its id column first and called `item_id` (String or Int64, unique), and
        RecBole's type suffixes removed from the other names. Text columns of text files become
        numbers where every cell is a plainly written number (`12`, `9.90`; not `007` or `1E5`) of
        at most 18 digits, or 15 of a decimal (`1.10` and `1.1` are one number then), and lists
        where they are declared as sequences (`item_sequences`).

    Raises:
        InputError: no id column, an id missing or twice, two columns of one name, or an unreadable
            file.
    """
    table = open_table(source)
    found = find_column(table.names, ITEM, item_column, table.label, required=True) or ITEM
    frame = table.read()
    ids = ids_of(frame, found, table)
    if ids.n_unique() != len(ids):
        row = int((~ids.is_first_distinct()).arg_max() or 0)
        raise InputError(
            f"{table.place(row)}, column {found!r}: item {ids[row]!r} occurs again; keep one row "
            "for each item"
        )
    columns = {ITEM: ids}
    for column in frame.drop(found):
        name = column.name.split(":", 1)[0]
        if name in columns:
            raise InputError(f"{table.label}: two columns would be called {name!r}; rename one")
        stays = table.text is None or name in as_text
        columns[name] = column if stays else _values(column, table)
    return pl.DataFrame(columns)


def read_catalogue(
    source: TableSource, names: ColumnNames | None, *, as_text: Collection[str] = ()
) -> pl.DataFrame:
    """Reads an items table that goes with a table of interactions.

    Args:
        source: as for `read_items`.
        names: of the interactions' columns: where the items table has a column of the name given
            there for the item ids, it is taken for the ids here too.
        as_text: as for `read_items`.

    Raises:
        InputError: as for `read_items`.
    """
    table = open_table(source)
    named = names.item_id if names is not None and names.item_id in table.names else None
    return read_items(table, named, as_text=as_text)


def _values(column: pl.Series, table: Table) -> pl.Series:
    """Cells of a text file as lists, numbers or text."""
    sequences = as_sequence(column, table)
    return _as_number(column.alias("cells")) if sequences is None else sequences


def _as_number(column: pl.Series) -> pl.Series:
    """A text column as integers or decimals where every cell is one, plainly written."""
    if column.null_count() == len(column):
        return column
    if column.str.contains(_INTEGER).all():
        return column.cast(pl.Int64)
    if column.str.contains(_DECIMAL).all():
        digits = column.str.count_matches("[0-9]").max()
        return column.cast(pl.Float64) if int(digits or 0) <= _DIGITS else column  # type: ignore[arg-type]
    return column
