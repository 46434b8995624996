"""Which rows of a table become pairs: merged duplicates and minimum counts, as array operations."""

from __future__ import annotations

from dataclasses import dataclass
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
        ArgumentError: a minimum is less than 1.
    """

    rating_above: float | None = None
    min_pairs_per_user: int = 1
    min_pairs_per_item: int = 1

    def __post_init__(self) -> None:
        if self.min_pairs_per_user < 1 or self.min_pairs_per_item < 1:
            raise ArgumentError("min_pairs_per_user and min_pairs_per_item must be at least 1")


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
    keys = user_rows.astype(np.int64) * (int(item_rows.max()) + 1) + item_rows
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    first = np.ones(len(keys), dtype=np.bool_)
    first[1:] = sorted_keys[1:] != sorted_keys[:-1]
    if not first.all() and (timestamps is not None or ratings is not None):
        # Sorting by several keys is slow: only here, where something has to be chosen.
        order = _by_preference(keys, timestamps, ratings)
    return order[first].astype(np.int64, copy=False)


def _by_preference(
    keys: npt.NDArray[np.int64],
    timestamps: npt.NDArray[Any] | None,
    ratings: npt.NDArray[np.float64] | None,
) -> npt.NDArray[np.int64]:
    """Positions sorted by pair, the row to keep first."""
    least_to_most_important = [-values for values in (ratings, timestamps) if values is not None]
    return np.lexsort([*least_to_most_important, keys])


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
