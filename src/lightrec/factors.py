"""The teacher as everything downstream sees it: two matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightrec.errors import ArgumentError


@dataclass(frozen=True)
class Factors:
    """User and item vectors whose inner product is the score.

    Attributes:
        users: (M, D) float32, P1 of the paper.
        items: (N, D) float32, q of the paper.

    Raises:
        ArgumentError: The widths differ or a value is not finite.
    """

    users: np.ndarray
    items: np.ndarray

    def __post_init__(self) -> None:
        for name, matrix in (("users", self.users), ("items", self.items)):
            if matrix.ndim != 2 or matrix.dtype != np.float32:
                raise ArgumentError(
                    f"{name} must be a float32 matrix, not {matrix.shape} {matrix.dtype}"
                )
            if not np.isfinite(matrix).all():
                row = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
                raise ArgumentError(f"{name} row {row} holds a value that is not finite")
        if self.users.shape[1] != self.items.shape[1]:
            raise ArgumentError(
                f"users are {self.users.shape[1]} wide and items {self.items.shape[1]}: "
                "their inner product is the score, so the widths must agree"
            )

    @property
    def width(self) -> int:
        """D."""
        return int(self.users.shape[1])
