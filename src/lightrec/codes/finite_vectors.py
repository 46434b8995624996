"""Finds vectors that hold NaN or infinity, in little memory."""

from __future__ import annotations

import numpy as np

BLOCK = 16_384


def first_row_not_finite(vectors: np.ndarray) -> int | None:
    """The first row of an (n, D) matrix with a NaN or an infinity; None where all are finite."""
    for start in range(0, len(vectors), BLOCK):
        finite = np.isfinite(vectors[start : start + BLOCK]).all(axis=1)
        if not finite.all():
            return start + int(np.argmin(finite))
    return None
