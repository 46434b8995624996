"""The same id in two tables of which one holds text and the other integers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from lightrec.interactions.id_map import IdMap

_CANONICAL = r"^(0|-?[1-9][0-9]*)$"


def matching_rows(ids: IdMap, known: IdMap) -> npt.NDArray[np.int64]:
    """Rows in `known` of other ids, int64 (n,), -1 where unknown.

    A CSV file holds ids as text and Parquet may hold the same ids as integers, so an integer and
    its one canonical spelling count as the same id.

    Args:
        ids: The ids to find.
        known: Where to find them.
    """
    series = ids.series
    if ids.dtype_name == "int" and known.dtype_name == "str":
        series = series.cast(pl.String)
    elif ids.dtype_name == "str" and known.dtype_name == "int":
        canonical = series.str.contains(_CANONICAL)
        numbers = series.cast(pl.Int64, strict=False)
        rows = known.find(numbers.fill_null(0))
        usable = (canonical & numbers.is_not_null()).to_numpy()
        return np.where(usable, rows, -1)
    return known.find(series)
