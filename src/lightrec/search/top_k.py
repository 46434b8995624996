"""What a search returns, and the one order of results: score descending, row ascending."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np

from lightrec.errors import ArgumentError


@dataclass(frozen=True)
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


def checked_k(k: int) -> int:
    """`k` as an int.

    Raises:
        ArgumentError: k is less than 1.
    """
    if (k := operator.index(k)) < 1:
        raise ArgumentError(f"k must be at least 1, not {k}")
    return k
