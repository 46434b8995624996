"""The columns of an items table that travel in a model."""

from __future__ import annotations

import polars as pl

from lightrec.artifact.verify import can_keep
from lightrec.errors import InputError
from lightrec.interactions import Interactions


def item_columns(pairs: Interactions, items_table: pl.DataFrame | None) -> pl.DataFrame:
    """Popularity and the columns of the items table, in row order.

    Columns of structures have no place in a model folder; `nested_columns` names them.

    Args:
        pairs: The interactions, whose items are the catalogue.
        items_table: Has a column `item_id`; None for no further columns.

    Raises:
        InputError: The table has a column `popularity`.
    """
    columns = pl.DataFrame({"popularity": pairs.history().item_degrees()})
    if items_table is None:
        return columns
    if "popularity" in items_table.columns:
        raise InputError(
            "the items table has a column 'popularity', which is the model's own; rename it"
        )
    # A text file's ids are text; the same ids in a Parquet file may be numbers.
    ids = pl.DataFrame({"item_id": pairs.items.series})
    known = items_table.with_columns(
        pl.col("item_id").cast(pairs.items.series.dtype),
        pl.col(pl.Categorical, pl.Enum).cast(pl.String),
    )
    described = ids.join(known, on="item_id", how="left", maintain_order="left")
    nested = nested_columns(items_table)
    return columns.hstack(described.drop("item_id", *nested))


def nested_columns(items_table: pl.DataFrame) -> list[str]:
    """Names of the columns that a model cannot keep: structures, and lists of such."""
    schema = items_table.schema.items()
    return [name for name, dtype in schema if dtype.is_nested() and not can_keep(dtype)]


def check_catalogue(pairs: Interactions, items_table: pl.DataFrame) -> None:
    """Refuses items that given interactions do not know: their catalogue is fixed.

    Raises:
        InputError: There are some.
    """
    ids = items_table["item_id"].cast(pairs.items.series.dtype)
    unknown = int((pairs.items.find(ids) < 0).sum())
    if unknown:
        raise InputError(
            f"{unknown:,} items of the items table are not in the catalogue of the interactions; "
            "give the same table to Interactions.from_table(..., items=...)"
        )
