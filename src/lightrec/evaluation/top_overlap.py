"""How much of the float model's top k the codes' top k holds."""

from __future__ import annotations

import numpy as np

from lightrec.codes.item_codes import ItemCodes

QUERIES_PER_BLOCK = 32


def top_overlap(items: np.ndarray, codes: ItemCodes, queries: np.ndarray, k: int) -> float:
    """Mean share of the float top k that is in the codes' top k.

    Args:
        items: (N, D) float32 vectors that were encoded.
        codes: Their codes.
        queries: (Q, D) float32, at least one.
        k: At most N counts.

    Returns:
        Between 0 and 1.
    """
    k = min(k, len(items))
    shares = []
    for start in range(0, len(queries), QUERIES_PER_BLOCK):
        block = queries[start : start + QUERIES_PER_BLOCK]
        exact = _top(block @ items.T, k)
        coded = _top(codes.scores(codes.score_tables(block)), k)
        pairs = zip(exact, coded, strict=True)
        shares += [len(np.intersect1d(one, other)) / k for one, other in pairs]
    return float(np.mean(shares))


def _top(scores: np.ndarray, k: int) -> np.ndarray:
    """(Q, k) columns of the k highest scores, in no order."""
    return np.argpartition(-scores, k - 1, axis=1)[:, :k]
