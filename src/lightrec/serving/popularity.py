"""The most popular items: the answer where a query holds nothing to go by."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from lightrec.search.filters import Filter
from lightrec.search.top_k import TopK


class PopularityRanking:
    """Ranks items by how often they occur in training.

    Args:
        popularity: (N,) integers.
    """

    def __init__(self, popularity: np.ndarray) -> None:
        self._popularity = popularity
        self.scores: np.ndarray = popularity.astype(np.float32)
        """(N,) float32, which above 2^24 may be equal where the integers differ."""

    def top_k(self, k: int, rows: Filter) -> TopK:
        """The k most popular of the rows that the filter leaves; equally popular ones by row."""
        kept = np.ones(len(self.scores), np.bool_)
        if rows.allow is not None:
            kept[:] = False
            kept[rows.allow] = True
        if rows.exclude is not None:
            kept[rows.exclude] = False
        if rows.mask is not None:
            kept &= rows.mask.to_bool()
        best = self._order[kept[self._order]][:k]
        return TopK(best, self.scores[best])

    @cached_property
    def _order(self) -> np.ndarray:
        order: np.ndarray = np.argsort(-self._popularity.astype(np.int64), kind="stable")
        return order
