"""Float vectors and score tables as a model folder keeps them."""

from __future__ import annotations

import numpy as np

SMALLEST_LARGEST = 64  # times the smallest normal number: the largest keeps 16 bits of those below


def half_precision(vectors: np.ndarray) -> np.ndarray:
    """Float16 where the numbers fit, else as they are.

    They fit where the largest has a place in float16, and is so large that what is lost below
    float16's smallest normal number does not count beside it.

    Args:
        vectors: Float32 of any shape.
    """
    largest = max(vectors.max(initial=0.0), -vectors.min(initial=0.0))  # without a copy
    limits = np.finfo(np.float16)
    fits = largest == 0 or SMALLEST_LARGEST * limits.smallest_normal <= largest <= limits.max
    return vectors.astype(np.float16) if fits else vectors
