"""A teacher made of teachers: their scores added up, and brought back to one width.

Models of different kinds err differently, and the sum of their scores ranks better than the best
of them. The sum of inner products is the inner product of the vectors side by side; the best
approximation of that score matrix by vectors of a given width is its truncated singular value
decomposition (Eckart and Young), which costs two QR decompositions of tall matrices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lightrec.errors import ArgumentError
from lightrec.factors import Factors

TOP = 100
SAMPLED_USERS = 512


def blend(parts: Sequence[Factors], weights: Sequence[float], width: int) -> Factors:
    """Adds up the scores of several models.

    Args:
        parts: Models of the same users and items.
        weights: What each counts, in units of its own spread: the standard deviation of the scores
            of a user's hundred best items.
        width: D of the result; where the parts together are narrower, theirs.

    Returns:
        Factors whose scores are the best approximation of the weighted sum, in the mean square over
        all users and items.

    Raises:
        ArgumentError: Parts and weights do not go together.
    """
    if not parts or len(parts) != len(weights):
        raise ArgumentError(f"{len(parts)} models cannot be blended by {len(weights)} weights")
    if len({(len(part.users), len(part.items)) for part in parts}) > 1:
        raise ArgumentError("models to be blended must have the same users and items")
    scales = [
        weight / max(spread(part), 1e-30) for part, weight in zip(parts, weights, strict=True)
    ]
    users = np.hstack([part.users * np.float32(s) for part, s in zip(parts, scales, strict=True)])
    items = np.hstack([part.items for part in parts])
    return truncated(Factors(users.astype(np.float32), items), width)


def spread(factors: Factors) -> float:
    """Mean standard deviation of the scores of a user's hundred best items."""
    known = np.flatnonzero(factors.users.any(axis=1))
    rows = known[:: max(1, len(known) // SAMPLED_USERS)]
    scores = factors.users[rows] @ factors.items.T
    top = min(TOP, scores.shape[1])
    best = np.partition(scores, scores.shape[1] - top, axis=1)[:, -top:]
    return float(best.std(axis=1).mean()) if len(rows) else 0.0


def truncated(factors: Factors, width: int) -> Factors:
    """The factors of at most `width` numbers whose scores are nearest to the given ones'."""
    if factors.width <= width:
        return factors
    user_axes, user_part = np.linalg.qr(factors.users)
    item_axes, item_part = np.linalg.qr(factors.items)
    left, strengths, right = np.linalg.svd(user_part @ item_part.T, full_matrices=False)
    roots = np.sqrt(strengths[:width])
    return Factors(
        np.ascontiguousarray(user_axes @ (left[:, :width] * roots), np.float32),
        np.ascontiguousarray(item_axes @ (right[:width].T * roots), np.float32),
    )
