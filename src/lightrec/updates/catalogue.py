"""A model with items taken out or put in; whoever stays keeps codes, codebooks and scores."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import polars as pl

from lightrec.artifact.contents import FloatArray, Model
from lightrec.artifact.verify import POPULARITY
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


def with_items(model: Model, ids: pl.Series, made: NewItems) -> Model:
    """The model with items put behind its own; their columns are empty, their popularity 0.

    Args:
        model: The model.
        ids: (n,) ids of the model's type that it does not know.
        made: What is kept of them.
    """
    codes, floats = model.item_codes, model.float_items
    return replace(
        model,
        item_codes=ItemCodes(np.concatenate([codes.codes, made.codes]), codes.codebooks),
        item_ids=IdMap(pl.concat([model.item_ids.series, ids.alias(model.item_ids.series.name)])),
        item_columns=_extended(model.item_columns, len(ids)),
        history=None if model.history is None else _with_more_items(model.history, len(ids)),
        float_items=None if floats is None else _appended(floats, made.float_vectors),
        digest=None,
    )


def described(model: Model, columns: pl.DataFrame) -> tuple[Model, np.ndarray]:
    """The model with what an items table tells of its items.

    Args:
        model: The model.
        columns: Item columns by `item_id`, of the type of the model's ids. Items and columns that
            the model lacks, and `popularity`, are passed over; an empty cell changes nothing.

    Returns:
        The model, and the rows of the items for which something changed.

    Raises:
        InputError: A column of the model cannot take the values given.
    """
    known = model.item_columns
    told = told_columns(model, columns)
    rows = pl.DataFrame({ITEM: model.item_ids.series})
    rows = rows.join(columns.select(ITEM, *told), on=ITEM, how="left", maintain_order="left")
    changed = np.zeros(len(known), np.bool_)
    for name in told:
        given, held = _cast(rows[name], known.schema[name], rows[ITEM]), known[name]
        merged = given.zip_with(given.is_not_null(), held)
        changed |= merged.ne_missing(held).to_numpy()
        known = known.with_columns(merged.alias(name))
    return replace(model, item_columns=known, digest=None), np.flatnonzero(changed)


def told_columns(model: Model, columns: pl.DataFrame) -> list[str]:
    """Names of the model's columns that an items table tells of."""
    return [
        name
        for name in model.item_columns.columns
        if name in columns.columns and name not in (ITEM, POPULARITY)
    ]


def text_columns(model: Model) -> list[str]:
    """Names of the model's columns that hold text: what looks like a number stays as written."""
    return [name for name, dtype in model.item_columns.schema.items() if dtype == pl.String]


def _cast(values: pl.Series, dtype: pl.DataType, ids: pl.Series) -> pl.Series:
    """The values as the model's column has them; never others: 9.9 does not become 9."""
    example = ""
    with contextlib.suppress(pl.exceptions.PolarsError):
        cast = values.cast(dtype, strict=False)
        other = cast.cast(values.dtype).ne_missing(values)
        if not other.any():
            return cast
        row = int(other.arg_max() or 0)
        example = f" (item {ids[row]!r} has {values[row]!r})"
    raise InputError(
        f"items table, column {values.name!r}: {values.dtype} values{example} where the model has "
        f"{dtype}; give values of that type, or leave the column out"
    )


def _with_more_items(history: History, num_new: int) -> History:
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


def _extended(known: pl.DataFrame, num_new: int) -> pl.DataFrame:
    """The table of item columns with rows for new items."""
    rows = {name: pl.Series(name, [None] * num_new, dtype=d) for name, d in known.schema.items()}
    rows[POPULARITY] = pl.Series([0] * num_new, dtype=pl.Int64)
    return pl.concat([known, pl.DataFrame(rows, schema=known.schema)])
