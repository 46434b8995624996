"""Post-ranking: candidates recalled by their codes, put in order by float vectors (Table 7)."""

from __future__ import annotations

import numpy as np

from lightrec.errors import ArgumentError
from lightrec.search.top_k import TopK, best_first, checked_k


def post_rank(candidates: np.ndarray, query: np.ndarray, item_vectors: np.ndarray, k: int) -> TopK:
    """Orders candidate rows by the inner products of query and item vectors.

    Args:
        candidates: (n,) int64 item rows, in any order.
        query: (D,) float32.
        item_vectors: (N, D) of any float dtype.
        k: Results wanted, at least 1.

    Returns:
        The best candidates; scores are float32 inner products. What a candidate scores does not
        depend on the other candidates.

    Raises:
        ArgumentError: The widths differ, or a score is not finite.
    """
    if query.ndim != 1 or item_vectors.ndim != 2 or item_vectors.shape[1] != len(query):
        raise ArgumentError(
            f"query {query.shape} and item vectors {item_vectors.shape} do not belong together"
        )
    vectors = item_vectors[candidates].astype(np.float32)
    # einsum sums every row by itself; a matrix product may round by the number of rows.
    scores = np.einsum("nd,d->n", vectors, query.astype(np.float32))
    if not np.isfinite(scores).all():
        row = candidates[np.flatnonzero(~np.isfinite(scores))[0]]
        raise ArgumentError(f"the score of item row {row} by float vectors is not finite")
    return best_first(np.asarray(candidates, np.int64), scores, checked_k(k))
