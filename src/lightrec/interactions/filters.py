"""Which rows of a table become pairs: merged duplicates and minimum counts, as array operations."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from lightrec.errors import ArgumentError

Rows = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class PairFilter:
    """Which pairs count, once duplicates are merged.

    Attributes:
        rating_above: keep pairs rated strictly higher; None keeps all. The paper: 3.
        min_pairs_per_user: drop users with fewer pairs (once, after the rating). The paper: 3.
        min_pairs_per_item: drop items with fewer pairs (once, after the users).

    Raises:
        ArgumentError: a minimum is no whole number or less than 1, or `rating_above` is no number.
    """

    rating_above: float | None = None
    min_pairs_per_user: int = 1
    min_pairs_per_item: int = 1

    def __post_init__(self) -> None:
        above, minima = self.rating_above, (self.min_pairs_per_user, self.min_pairs_per_item)
        if above is not None and (not isinstance(above, Real) or np.isnan(float(above))):
            raise ArgumentError(f"rating_above must be a number, not {above!r}")
        if not all(isinstance(minimum, Integral) and minimum >= 1 for minimum in minima):
            raise ArgumentError(
                "min_pairs_per_user and min_pairs_per_item must be whole numbers, at least 1"
            )


def merge_duplicates(
    user_rows: Rows,
    item_rows: Rows,
    timestamps: npt.NDArray[Any] | None = None,
    ratings: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.int64]:
    """One position per distinct pair, sorted by user, then item.

    Of several rows of a pair the latest stays; among equally late rows (or without times) the one
    rated highest; among those the first.

    Args:
        user_rows: integers (n,).
        item_rows: integers (n,).
        timestamps: numbers (n,), if known.
        ratings: float64 (n,), if known.

    Returns:
        Positions of the rows that stay, int64 (pairs,).
    """
    if not len(user_rows):
        return np.zeros(0, dtype=np.int64)
    pairs = user_rows.astype(np.int64) * (int(item_rows.max()) + 1) + item_rows
    order = np.argsort(pairs)
    last = _last_of_each(pairs[order])
    if not last.all():
        # Sorting by several values is slow: only rows of pairs that occur again are sorted so.
        again = ~last
        again[1:] |= ~last[:-1]
        rows = order[again]
        values = [value[rows] for value in (ratings, timestamps) if value is not None]
        order[again] = rows[np.lexsort([-rows, *values, pairs[rows]])]
    return order[last].astype(np.int64, copy=False)


def _last_of_each(ascending: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Marks the last of every run of equal numbers."""
    last = np.ones(len(ascending), dtype=np.bool_)
    last[:-1] = ascending[1:] != ascending[:-1]
    return last


def in_groups_of_at_least(rows: Rows, minimum: int) -> npt.NDArray[np.bool_]:
    """Which pairs belong to a user (or item) with at least `minimum` pairs, bool (n,).

    Args:
        rows: the user (or item) row of every pair, integers (n,).
        minimum: the least number of pairs.
    """
    if minimum <= 1 or not len(rows):
        return np.ones(len(rows), dtype=np.bool_)
    mask: npt.NDArray[np.bool_] = np.bincount(rows)[rows] >= minimum
    return mask
