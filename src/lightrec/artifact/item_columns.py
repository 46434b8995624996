"""The columns of an items table that travel in a model."""

from __future__ import annotations

import numpy as np
import polars as pl

from lightrec.artifact.verify import can_keep
from lightrec.errors import InputError
from lightrec.interactions import IdMap, Interactions
from lightrec.interactions.matching_ids import matching_rows


def item_columns(
    items: IdMap, popularity: np.ndarray, items_table: pl.DataFrame | None
) -> pl.DataFrame:
    """Popularity and the columns of the items table, in row order; empty where it has no row.

    Columns of structures have no place in a model folder; `nested_columns` names them.

    Args:
        items: Ids of the N items of the catalogue.
        popularity: (N,) int64 pairs of each item.
        items_table: Has a column `item_id`; None for no further columns.

    Raises:
        InputError: The table has a column `popularity`.
    """
    columns = pl.DataFrame({"popularity": popularity})
    if items_table is None:
        return columns
    if "popularity" in items_table.columns:
        raise InputError(
            "the items table has a column 'popularity', which is the model's own; rename it"
        )
    # A text file's ids are text; the same ids in a Parquet file may be numbers.
    rows = pl.Series(matching_rows(items, IdMap(items_table["item_id"])))
    kept = items_table.drop("item_id", *nested_columns(items_table))
    kept = kept.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    return columns.hstack(kept.select(pl.all().gather(rows.set(rows < 0, None))))


def nested_columns(items_table: pl.DataFrame) -> list[str]:
    """Names of the columns that a model cannot keep: structures, and lists of such."""
    schema = items_table.schema.items()
    return [name for name, dtype in schema if dtype.is_nested() and not can_keep(dtype)]


def check_catalogue(pairs: Interactions, items_table: pl.DataFrame) -> None:
    """Refuses items that given interactions do not know: their catalogue is fixed.

    Raises:
        InputError: There are some.
    """
    rows = matching_rows(IdMap(items_table["item_id"]), pairs.items)
    unknown = int((rows < 0).sum())
    if unknown:
        raise InputError(
            f"{unknown:,} items of the items table are not in the catalogue of the interactions; "
            "give the same table to Interactions.from_table(..., items=...)"
        )
