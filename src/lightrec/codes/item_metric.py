"""How an item's quantisation error is measured.

The error of item i with vector q_i and decoded vector y_i is (q_i - y_i)' H (q_i - y_i), where H
belongs to the item's cell. The identity gives squared Euclidean distance, the users' Gram matrix
gives the mean squared error of all users' scores (the first term of Eq. 9 with P2 = P1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from pydantic import Field

from lightrec.errors import ArgumentError
from lightrec.settings import Settings

BLOCK = 16_384  # items measured at once (16 MB at D = 256)


class MetricConfig(Settings):
    """How the quantiser measures an item's error."""

    kind: Literal["euclidean", "user_gram"] = "user_gram"
    """Squared distance, or the mean squared error of all users' scores."""
    identity: float = Field(0.05, gt=0, le=1)
    """Share of the identity in the users' Gram matrix."""


@dataclass(frozen=True, eq=False)
class ItemMetric:
    """A symmetric positive definite matrix per cell of items.

    Attributes:
        cells: (N,) int32, the cell of each item; None when there is one cell.
        matrices: (K, D, D) float32, one matrix per cell.
    """

    cells: np.ndarray | None
    matrices: np.ndarray

    def __post_init__(self) -> None:
        shape = self.matrices.shape
        if len(shape) != 3 or shape[1] != shape[2]:
            raise ArgumentError(f"metric matrices must be (K, D, D), not {shape}")
        if self.cells is None and shape[0] != 1:
            raise ArgumentError(f"{shape[0]} metric matrices need the items' cells")
        if self.cells is not None and len(self.cells):
            low, high = int(self.cells.min()), int(self.cells.max())
            if low < 0 or high >= shape[0]:
                raise ArgumentError(f"metric cells {low}..{high} go beyond {shape[0]} matrices")

    @classmethod
    def euclidean(cls, width: int) -> ItemMetric:
        """Squared Euclidean distance for vectors of `width` numbers."""
        return cls(None, np.eye(width, dtype=np.float32)[None])

    @classmethod
    def configured(cls, config: MetricConfig, users: np.ndarray | None, width: int) -> ItemMetric:
        """The metric that `config` asks for; Euclidean where there are no users to measure by.

        Args:
            config: Settings.
            users: (M, D) user vectors, if there are any.
            width: D.
        """
        if config.kind == "user_gram" and users is not None and len(users):
            return cls.user_gram(users, config.identity)
        return cls.euclidean(width)

    @classmethod
    def user_gram(cls, users: np.ndarray, identity: float = 0.05) -> ItemMetric:
        """The users' second moment, scaled to trace D, mixed with the identity.

        Args:
            users: (M, D) float user vectors.
            identity: Share of the identity in the mixture, so that no direction is free of cost.
        """
        width = users.shape[1]
        gram = np.zeros((width, width))
        for start in range(0, len(users), BLOCK):
            block = users[start : start + BLOCK].astype(np.float64)
            gram += block.T @ block
        return cls(None, scaled_and_mixed(gram, identity)[None])

    @property
    def width(self) -> int:
        """D."""
        return int(self.matrices.shape[1])

    def of_items(self, rows: np.ndarray) -> ItemMetric:
        """The metric of some items only, in the order of `rows`."""
        return self if self.cells is None else ItemMetric(self.cells[rows], self.matrices)

    def mean(self, weights: np.ndarray) -> np.ndarray:
        """(D, D) float64, the weighted mean of the items' matrices.

        Args:
            weights: (N,) non-negative.
        """
        if self.cells is None:
            return np.asarray(self.matrices[0], dtype=np.float64)
        shares = np.bincount(self.cells, weights=weights, minlength=len(self.matrices))
        return np.asarray(np.tensordot(shares / shares.sum(), self.matrices, axes=1))

    def groups(self, num_items: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Item rows of each cell that has items, with the cell's (D, D) matrix."""
        if self.cells is None:
            yield np.arange(num_items), self.matrices[0]
            return
        if len(self.cells) != num_items:
            raise ArgumentError(
                f"the metric has cells for {len(self.cells)} items, not {num_items}"
            )
        order = np.argsort(self.cells, kind="stable")
        bounds = np.searchsorted(self.cells[order], np.arange(len(self.matrices) + 1))
        for cell, (start, stop) in enumerate(pairwise(bounds)):
            if stop > start:
                yield order[start:stop], self.matrices[cell]

    def errors(self, difference: np.ndarray) -> np.ndarray:
        """The error of each item.

        Args:
            difference: (N, D) float32, item vectors minus decoded vectors.

        Returns:
            (N,) float32.
        """
        errors = np.empty(len(difference), dtype=np.float32)
        for members, matrix in self.groups(len(difference)):
            for start in range(0, len(members), BLOCK):
                rows = members[start : start + BLOCK]
                part = difference[rows]
                errors[rows] = np.einsum("nd,nd->n", part @ matrix, part)
        return errors


def scaled_and_mixed(moment: np.ndarray, identity: float) -> np.ndarray:
    """A second moment scaled to trace D, so that units do not matter, mixed with the identity.

    Args:
        moment: (D, D), symmetric.
        identity: Share of the identity, so that no direction is free of cost.

    Returns:
        (D, D) float32.
    """
    width = len(moment)
    scaled = moment * (width / max(float(np.trace(moment)), 1e-30))
    mixed = (1.0 - identity) * scaled + identity * np.eye(width)
    return np.asarray(mixed, dtype=np.float32)
