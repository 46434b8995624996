"""Finds vectors that hold NaN, infinity or too large a number, in little memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

BLOCK = 16_384


def first_row_not_finite(vectors: np.ndarray) -> int | None:
    """The first row of an (n, D) matrix with a NaN or an infinity; None where all are finite."""
    return _first_unsound_row(vectors, np.isfinite)


def first_row_beyond(vectors: np.ndarray, limit: float) -> int | None:
    """The first row of an (n, D) matrix with a NaN or a magnitude above `limit`; None without."""
    return _first_unsound_row(vectors, lambda block: np.abs(block) <= limit)


def _first_unsound_row(
    vectors: np.ndarray, sound: Callable[[np.ndarray], np.ndarray]
) -> int | None:
    for start in range(0, len(vectors), BLOCK):
        rows = sound(vectors[start : start + BLOCK]).all(axis=1)
        if not rows.all():
            return start + int(np.argmin(rows))
    return None
