"""`where`: conditions on the columns of the items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from lightrec.errors import ArgumentError


def matching_rows(columns: pl.DataFrame, where: Mapping[str, Any]) -> np.ndarray:
    """Rows that meet every condition.

    Args:
        columns: One row per item.
        where: Column name to a value, or to a list of values of which one must match. None matches
            missing values. In a column of lists any element may match.

    Returns:
        int32, ascending.

    Raises:
        ArgumentError: A column is unknown, or a value is not of the column's type.
    """
    if not isinstance(where, Mapping):
        raise ArgumentError(f"where must map column names to values, not {where!r}")
    matches = np.ones(len(columns), np.bool_)
    for name, condition in where.items():
        if name not in columns.columns:
            raise ArgumentError(
                f"where: the items have no column {name!r}; there are {', '.join(columns.columns)}"
            )
        matches &= _matches(columns[name], _listed(condition))
    return np.flatnonzero(matches).astype(np.int32)


def _matches(column: pl.Series, wanted: list[Any]) -> np.ndarray:
    present = [value for value in wanted if value is not None]
    if isinstance(column.dtype, pl.List | pl.Array):
        values = _converted(present, column, column.dtype.inner)
        rows = pl.DataFrame({"row": pl.int_range(len(column), eager=True), "element": column})
        elements = rows.explode("element")
        hits = elements.filter(pl.col("element").is_in(values))["row"].to_numpy()
        matches = np.zeros(len(column), np.bool_)
        matches[hits] = True
    else:
        values = _converted(present, column, column.dtype)
        matches = column.is_in(values).fill_null(False).to_numpy(writable=True)
    if len(present) < len(wanted):
        matches |= column.is_null().to_numpy()
    return matches


def _converted(values: list[Any], column: pl.Series, dtype: Any) -> list[Any]:  # noqa: ANN401
    """Values as the column holds them: 0.1 in a Float32 column is the float32 next to 0.1."""
    try:
        return pl.Series(values, dtype=dtype, strict=True).to_list()
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        raise ArgumentError(
            f"where: column {column.name!r} holds {dtype}; {values!r} cannot be compared with that"
        ) from None


def _listed(condition: Any) -> list[Any]:  # noqa: ANN401
    if isinstance(condition, str | bytes | Mapping) or not isinstance(condition, Iterable):
        return [condition]
    return condition.tolist() if isinstance(condition, np.ndarray) else list(condition)
