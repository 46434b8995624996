"""Post-ranking: candidates recalled by their codes, put in order by float vectors (Table 7)."""

from __future__ import annotations

import numpy as np

from lightrec.errors import ArgumentError
from lightrec.native import KERNELS
from lightrec.search.top_k import TopK, best_first, checked_k

LANES = 16  # partial sums of an inner product, which take turns over the dimensions


def post_rank(candidates: np.ndarray, query: np.ndarray, item_vectors: np.ndarray, k: int) -> TopK:
    """Orders candidate rows by the inner products of query and item vectors.

    Args:
        candidates: (n,) int64 item rows, in any order, none twice.
        query: (D,) float32.
        item_vectors: (N, D) of any float dtype; float16 is widened first. It may be memory-mapped:
            only the candidates' rows are read.
        k: Results wanted, at least 1.

    Returns:
        The best candidates; scores are float32 inner products. What a candidate scores does not
        depend on the other candidates, nor on whether the compiled kernels are installed.

    Raises:
        ArgumentError: The widths differ, a row is none of the items', or a score is not finite.
    """
    if query.ndim != 1 or item_vectors.ndim != 2 or item_vectors.shape[1] != len(query):
        raise ArgumentError(
            f"query {query.shape} and item vectors {item_vectors.shape} do not belong together"
        )
    k = checked_k(k)
    candidates = np.ascontiguousarray(candidates, np.int64)
    query = np.ascontiguousarray(query, np.float32)
    compiled = item_vectors.dtype in (np.float32, np.float16) and item_vectors.flags.c_contiguous
    if KERNELS is not None and compiled and len(query):
        return TopK(*KERNELS.post_rank(candidates, query, item_vectors, k))
    if len(candidates) and not 0 <= candidates.min() <= candidates.max() < len(item_vectors):
        raise ArgumentError("candidate rows must be rows of items")
    scores = inner_products(item_vectors[candidates].astype(np.float32), query)
    if not np.isfinite(scores).all():
        row = candidates[np.flatnonzero(~np.isfinite(scores))[0]]
        raise ArgumentError(f"the score of item row {row} by float vectors is not finite")
    return best_first(candidates, scores, k)


def inner_products(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Inner products, summed in the order of the compiled kernel.

    Args:
        vectors: (n, D) float32.
        query: (D,) float32.

    Returns:
        (n,) float32.
    """
    turns = max(1, -(-len(query) // LANES))
    products = np.zeros((len(vectors), turns * LANES), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # the caller refuses what is not finite
        products[:, : len(query)] = vectors * query
        sums = products[:, :LANES].copy()
        for turn in range(1, turns):
            sums += products[:, turn * LANES : (turn + 1) * LANES]
        while sums.shape[1] > 1:
            half = sums.shape[1] // 2
            sums = sums[:, :half] + sums[:, half:]
    return sums[:, 0]
