"""The metric of the ranking in brief, so that new items can be encoded as the catalogue was.

An item's error was measured by the matrix of its cell (`codes/ranking_metric.py`). Here a cell is
kept as its centre, the strongest directions of its matrix and the mean weight of all others: K D
(R + 1) numbers instead of K D^2. A new item belongs to the cell of the nearest centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightrec.codes.item_metric import BLOCK, ItemMetric
from lightrec.codes.residual_kmeans import weighted_means

RANK = 16
"""Directions kept of each cell's matrix."""


@dataclass(frozen=True, eq=False)
class CellMetrics:
    """K cells; the matrix of one is F F' + f I.

    Attributes:
        centres: (K, D) float32.
        factors: (K, D, R) float32 or float16, F.
        floors: (K,) float32, f, positive.
    """

    centres: np.ndarray
    factors: np.ndarray
    floors: np.ndarray

    @classmethod
    def of(cls, items: np.ndarray, metric: ItemMetric, rank: int = RANK) -> CellMetrics:
        """Shortens a metric; cells without an item are left out.

        Args:
            items: (N, D) float32, the vectors of the items that the metric measures.
            metric: Their metric.
            rank: R, at most D.
        """
        width, count = items.shape[1], len(metric.matrices)
        cells = np.zeros(len(items), np.int32) if metric.cells is None else metric.cells
        sizes = np.bincount(cells, minlength=count)
        nowhere = np.zeros((count, width), np.float32)
        used = np.flatnonzero(sizes)
        centres = weighted_means(items, np.ones(len(items)), cells, count, nowhere)[used]
        values, directions = np.linalg.eigh(metric.matrices[used].astype(np.float64))
        rank = min(rank, width)
        rest = values[:, : width - rank].mean(axis=1) if rank < width else values[:, 0] / 2
        kept = np.sqrt(np.maximum(values[:, width - rank :] - rest[:, None], 0.0))
        factors = directions[:, :, width - rank :] * kept[:, None, :]
        return cls(centres, factors.astype(np.float16), rest.astype(np.float32))

    def metric_of(self, vectors: np.ndarray) -> ItemMetric:
        """The metric of new items.

        Args:
            vectors: (n, D) float32.

        Returns:
            The cell of each, and the matrices of the cells.
        """
        cells = np.empty(len(vectors), np.int32)
        half_norms = 0.5 * (self.centres.astype(np.float64) ** 2).sum(axis=1)
        for start in range(0, len(vectors), BLOCK):
            block = vectors[start : start + BLOCK].astype(np.float64)
            cells[start : start + BLOCK] = (block @ self.centres.T - half_norms).argmax(axis=1)
        present, places = np.unique(cells, return_inverse=True)
        factors = self.factors[present].astype(np.float32)
        eye = np.eye(self.centres.shape[1], dtype=np.float32)
        matrices = factors @ factors.transpose(0, 2, 1) + self.floors[present, None, None] * eye
        return ItemMetric(places.astype(np.int32), matrices)
