"""Float vectors and score tables as a model folder keeps them."""

from __future__ import annotations

import numpy as np


def half_precision(vectors: np.ndarray) -> np.ndarray:
    """Float16 where the numbers fit, else as they are.

    Args:
        vectors: Float32 of any shape.
    """
    fits = not vectors.size or np.abs(vectors).max() <= np.finfo(np.float16).max
    return vectors.astype(np.float16) if fits else vectors
