"""Ids of a table in the type of a model's: a CSV file holds text where Parquet holds integers."""

from __future__ import annotations

import polars as pl

from lightrec.errors import InputError
from lightrec.interactions.id_map import IdMap


def typed(ids: pl.Series, known: IdMap, what: str) -> pl.Series:
    """Ids in the type of the model's ids.

    Args:
        ids: (n,) text or integers.
        known: The model's ids.
        what: `user` or `item`, for the error message.

    Raises:
        InputError: The model's ids are integers and an id is not the canonical spelling of one.
    """
    if ids.dtype == known.series.dtype:
        return ids
    if known.dtype_name == "str":
        return ids.cast(pl.String)
    numbers = ids.cast(pl.Int64, strict=False)
    for given, number in zip(ids, numbers, strict=True):
        if number is None or str(number) != given:
            raise InputError(
                f"{what} id {given!r}: the model's {what} ids are "
                "integers; correct the id, or remove its row"
            )
    return numbers
