"""A model with items taken out or put in; whoever stays keeps codes, codebooks and scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from lightrec.artifact.contents import FloatArray, Model
from lightrec.codes.half_precision import half_precision
from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import InputError
from lightrec.interactions.columns import ITEM
from lightrec.interactions.history import History
from lightrec.interactions.id_map import IdMap
from lightrec.updates.new_items import NewItems


def without_items(model: Model, rows: np.ndarray) -> Model:
    """The model without some items, and without the pairs that they were part of.

    Args:
        model: The model.
        rows: Item rows, without repetition.
    """
    stays = np.ones(model.num_items, np.bool_)
    stays[rows] = False
    kept = np.flatnonzero(stays)
    codes, floats = model.item_codes, model.float_items
    return replace(
        model,
        item_codes=ItemCodes(np.ascontiguousarray(codes.codes[kept]), codes.codebooks),
        item_ids=IdMap(model.item_ids.series.gather(kept)),
        item_columns=model.item_columns[kept],
        history=None if model.history is None else _without(model.history, stays),
        float_items=None if floats is None else floats[kept],
        digest=None,
    )


def with_items(
    model: Model, ids: pl.Series, made: NewItems, columns: pl.DataFrame | None = None
) -> Model:
    """The model with items put behind its own.

    Args:
        model: The model.
        ids: (n,) ids of the model's type that it does not know.
        made: What is kept of them.
        columns: Item columns by `item_id`, of the type of `ids`; what it does not tell is null.

    Raises:
        InputError: A column of the model cannot take the values given.
    """
    codes, floats = model.item_codes, model.float_items
    return replace(
        model,
        item_codes=ItemCodes(np.concatenate([codes.codes, made.codes]), codes.codebooks),
        item_ids=IdMap(pl.concat([model.item_ids.series, ids.alias(model.item_ids.series.name)])),
        item_columns=_extended(model.item_columns, ids, columns),
        history=None if model.history is None else replace_catalogue(model.history, len(ids)),
        float_items=None if floats is None else _appended(floats, made.float_vectors),
        digest=None,
    )


def replace_catalogue(history: History, num_new: int) -> History:
    """The same pairs in a catalogue of more items."""
    return History(history.indptr, history.item_rows, history.num_items + num_new)


def _without(history: History, stays: np.ndarray) -> History:
    new_rows = np.cumsum(stays) - 1
    kept = stays[history.item_rows]
    return History.from_pairs(
        history.user_rows()[kept],
        new_rows[history.item_rows[kept]],
        history.num_users,
        int(stays.sum()),
    )


def _appended(floats: FloatArray, vectors: np.ndarray | None) -> FloatArray:
    """Float16 stays float16 where the new vectors fit."""
    if vectors is None:
        raise InputError("the model keeps float items: give vectors of the new items")
    if floats.dtype == np.float16:
        narrow = half_precision(vectors)
        if narrow.dtype == np.float16:
            return np.concatenate([floats, narrow])
    return np.concatenate([floats.astype(np.float32), vectors])


def _extended(known: pl.DataFrame, ids: pl.Series, columns: pl.DataFrame | None) -> pl.DataFrame:
    """The table of item columns with rows for new items."""
    rows = pl.DataFrame({ITEM: ids})
    if columns is not None:
        told = [name for name in known.columns if name in columns.columns and name != "popularity"]
        rows = rows.join(columns.select(ITEM, *told), on=ITEM, how="left", maintain_order="left")
    rows = rows.drop(ITEM).with_columns(popularity=pl.lit(0, pl.Int64))
    added = {}
    for name, dtype in known.schema.items():
        if name not in rows.columns:
            added[name] = pl.Series(name, [None] * len(ids), dtype=dtype)
            continue
        try:
            added[name] = rows[name].cast(dtype)
        except pl.exceptions.PolarsError:
            raise InputError(
                f"items table, column {name!r}: {rows[name].dtype} values where the model has "
                f"{dtype}; give values of that type, or leave the column out"
            ) from None
    return pl.concat([known, pl.DataFrame(added, schema=known.schema)])
