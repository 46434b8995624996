"""Brute force over float vectors: what a search by codes is measured against."""

from __future__ import annotations

import numpy as np

from lightrec.errors import ArgumentError
from lightrec.native import KERNELS
from lightrec.search.top_k import TopK, best_first, checked_k


class FloatScan:
    """Scores every item by its float vector; compiled, in one pass without a place for the scores.

    Keeps its own copy of the vectors, 4 bytes a number.

    Args:
        vectors: (N, D) float32, finite; N below 2^31.

    Raises:
        ArgumentError: The vectors have another shape or dtype, or are not finite.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        if vectors.ndim != 2 or vectors.dtype != np.float32 or vectors.shape[1] < 1:
            raise ArgumentError(f"vectors must be (N, D) float32, not {vectors.shape}")
        self._width = vectors.shape[1]
        self._kernel = self._vectors = None
        if KERNELS is not None:
            self._kernel = KERNELS.FloatScan(np.ascontiguousarray(vectors))
        elif np.isfinite(vectors).all():
            self._vectors = vectors.copy()
        else:
            raise ArgumentError("item vectors hold values that are not finite")

    def top_k(self, query: np.ndarray, k: int) -> TopK:
        """The k best rows, by score descending, then row ascending; fewer where there are fewer.

        Args:
            query: (D,) float32.
            k: Results wanted, at least 1.

        Raises:
            ArgumentError: k is less than 1, or the query does not fit, is not finite or so large
                that scores could be infinite.
        """
        fits = query.shape == (self._width,) and query.dtype == np.float32
        if not fits:
            raise ArgumentError(f"query must be ({self._width},) float32, not {query.shape}")
        k = checked_k(k)
        if self._kernel is not None:
            return TopK(*self._kernel.top_k(np.ascontiguousarray(query), k))
        if not np.isfinite(query).all():
            raise ArgumentError("the query is not finite")
        assert self._vectors is not None
        with np.errstate(over="ignore", invalid="ignore"):
            scores = self._vectors @ query
        if not np.isfinite(scores).all():
            raise ArgumentError("scores by float vectors are too large to add up")
        return best_first(np.arange(len(scores)), scores, k)
