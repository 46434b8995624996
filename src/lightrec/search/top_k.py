"""What a search returns, and the one order of results: score descending, row ascending."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightrec.errors import ArgumentError

MOST_ITEMS = (1 << 31) - 1
"""Of a scan, so that a row is an int32."""


@dataclass(slots=True)  # not frozen: that would double the time of making one for each query
class TopK:
    """The best rows of one query, best first; fewer than k where fewer may be returned.

    Attributes:
        rows: (n,) int64 item rows.
        scores: (n,) float32, falling; equal scores stand in ascending order of rows.
    """

    rows: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class TopKBatch:
    """The best rows of each of Q queries.

    Attributes:
        rows: (Q, n) int64, -1 past the end of a query's results.
        scores: (Q, n) float32, -inf past the end.
        counts: (Q,) int64, how many results each query has.
    """

    rows: np.ndarray
    scores: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def stacked(cls, found: Sequence[TopK], width: int) -> TopKBatch:
        """The results of Q queries, each at most `width`, as one batch (Q, width)."""
        batch = cls(
            rows=np.full((len(found), width), -1, np.int64),
            scores=np.full((len(found), width), -np.inf, np.float32),
            counts=np.array([len(best) for best in found], np.int64),
        )
        for query, best in enumerate(found):
            batch.rows[query, : len(best)] = best.rows
            batch.scores[query, : len(best)] = best.scores
        return batch

    def of(self, query: int) -> TopK:
        """The results of one query."""
        count = self.counts[query]
        return TopK(self.rows[query, :count], self.scores[query, :count])


def best_first(rows: np.ndarray, scores: np.ndarray, k: int) -> TopK:
    """The k best of scored rows, in the one order of results.

    Args:
        rows: (n,) int64, in any order.
        scores: (n,) float32, finite. -0.0 counts, and comes back, as 0.0.
        k: At least 1; all rows are returned where there are fewer.
    """
    scores = scores + np.float32(0)  # -0.0 becomes 0.0
    order = np.lexsort((rows, -scores))[:k]
    return TopK(rows[order], scores[order])


def checked_k(k: int, what: str = "k") -> int:
    """A number of results wanted, as an int; more than any scan holds counts as that.

    Raises:
        ArgumentError: It is no whole number, or less than 1.
    """
    if type(k) is int and 1 <= k <= MOST_ITEMS:
        return k
    number = whole(k, what)
    if number < 1:
        raise ArgumentError(f"{what} must be at least 1, not {number}")
    return min(number, MOST_ITEMS)


def checked_threads(threads: int) -> int:
    """A number of threads as an int; 0 stands for all available cores.

    Raises:
        ArgumentError: It is no whole number, or negative.
    """
    number = whole(threads, "threads")
    if number < 0:
        raise ArgumentError(f"threads must not be negative: {number}")
    return number


def whole(value: int, what: str) -> int:
    """An integer of whatever type as an int.

    Raises:
        ArgumentError: It is no whole number.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentError(f"{what} must be a whole number, not {value!r}") from None
