"""How much of the float model's top k the codes' top k holds."""

from __future__ import annotations

import numpy as np

from lightrec.codes.item_codes import ItemCodes

BLOCK_BYTES = 64 << 20
"""Of the scores of the queries that are looked at together, of which there is one at least."""


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
    size = max(1, BLOCK_BYTES // (4 * len(items)))
    shares = []
    for start in range(0, len(queries), size):
        block = queries[start : start + size]
        exact = _top(block @ items.T, k)
        coded = _top(codes.scores(codes.score_tables(block)), k)
        pairs = zip(exact, coded, strict=True)
        shares += [len(np.intersect1d(one, other)) / k for one, other in pairs]
    return float(np.mean(shares))


def _top(scores: np.ndarray, k: int) -> np.ndarray:
    """(Q, k) columns of the k highest scores, in no order."""
    first = scores.shape[1] - k
    return np.argpartition(scores, first, axis=1)[:, first:]
