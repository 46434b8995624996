"""Conjugate gradients: symmetric positive definite systems, solved without a matrix.

Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems", 1952. All three
least-squares problems of this package take a few of these steps from zero: codebooks to items,
codebooks to users, and users to codes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SMALLEST_CURVATURE = 1e-300
"""Along a direction, where rounding leaves none: a step then has a length all the same."""

Map = Callable[[np.ndarray], np.ndarray]


def product(one: np.ndarray, other: np.ndarray) -> float:
    """The inner product of two arrays of one shape, accumulated in float64."""
    return float(np.vdot(np.asarray(one, np.float64), np.asarray(other, np.float64)))


def conjugate_gradients(
    apply: Map,
    right_side: np.ndarray,
    *,
    precondition: Map,
    steps: int,
    tolerance: float,
    inner: Callable[[np.ndarray, np.ndarray], float] = product,
) -> np.ndarray:
    """Steps from zero towards the solution of `apply(x) = right_side`.

    Args:
        apply: A symmetric positive definite linear map on arrays of the right side's shape.
        right_side: Of any shape.
        precondition: About the inverse of `apply`, symmetric and positive definite too.
        steps: The most that are made.
        tolerance: Where to stop: the residual's squared norm, in the preconditioner, as a share of
            the first one.
        inner: The inner product; what it adds up in which order decides the last bits.

    Returns:
        The solution so far, of the right side's shape and dtype.
    """
    solution, residual = np.zeros_like(right_side), right_side
    preconditioned = precondition(residual)
    size = inner(residual, preconditioned)
    enough, direction = tolerance * size, preconditioned
    for _ in range(steps):
        if size <= enough:
            break
        applied = apply(direction)
        length = size / max(inner(direction, applied), SMALLEST_CURVATURE)
        solution = solution + length * direction
        residual = residual - length * applied
        preconditioned = precondition(residual)
        before, size = size, inner(residual, preconditioned)
        direction = preconditioned + (size / before) * direction
    return solution
