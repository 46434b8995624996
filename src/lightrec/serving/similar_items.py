"""Items like an item: cosine similarity of decoded vectors, computed exactly from the codes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.native import KERNELS
from lightrec.search.filters import Filter
from lightrec.search.scan import mask_arguments
from lightrec.search.top_k import TopK, best_first, checked_k

_ITEMS_AT_ONCE = 1 << 18


class SimilarItems:
    """Finds the nearest items by cosine similarity.

    Keeps the length of every item, 4 bytes an item, from the first request on.

    Args:
        item_codes: The catalogue.
    """

    def __init__(self, item_codes: ItemCodes) -> None:
        self._item_codes = item_codes

    def top_k(self, row: int, k: int, rows: Filter) -> TopK:
        """The k items most similar to an item.

        Args:
            row: The item's row.
            k: Results wanted, at least 1.
            rows: Which rows may be returned; without `row`, if it should not be.

        Returns:
            Scores are cosines in -1 to 1; 0 where one of the two vectors is zero.

        Raises:
            ArgumentError: k is less than 1, or the filter holds rows out of range.
        """
        k = checked_k(k)
        rows.check(self._item_codes.num_items)
        vector, length = self._item_codes.decode(np.array([row])), self._lengths[row]
        unit = np.divide(vector, length, out=np.zeros_like(vector), where=length > 0)
        table = self._item_codes.score_tables(unit)
        if self._kernel is not None:
            mask = mask_arguments(rows, self._item_codes.num_items)
            return TopK(*self._kernel.top_k(table[0], k, rows.exclude, rows.allow, *mask))
        best = TopK(np.empty(0, np.int64), np.empty(0, np.float32))
        for candidates in self._candidates(rows):
            cosines = self._cosines(table, candidates)
            best = _best(
                np.concatenate([best.rows, candidates]), np.concatenate([best.scores, cosines]), k
            )
        return best

    def _candidates(self, rows: Filter) -> Iterator[np.ndarray]:
        """Row numbers that may be returned, int64, a block at a time."""
        num_candidates = self._item_codes.num_items if rows.allow is None else len(rows.allow)
        excluded = np.empty(0, np.int32) if rows.exclude is None else rows.exclude
        for start in range(0, num_candidates, _ITEMS_AT_ONCE):
            stop = min(start + _ITEMS_AT_ONCE, num_candidates)
            block = np.arange(start, stop) if rows.allow is None else rows.allow[start:stop]
            if rows.mask is not None:
                block = block[rows.mask.contains(block)]
            yield np.setdiff1d(block, excluded, assume_unique=True).astype(np.int64)

    def _cosines(self, table: np.ndarray, rows: np.ndarray) -> np.ndarray:
        item_codes, lengths = self._item_codes, self._lengths[rows]
        codes = ItemCodes(item_codes.codes[rows], item_codes.codebooks)
        products = codes.scores(table)[0]
        cosines: np.ndarray = np.divide(
            products, lengths, out=np.zeros_like(products), where=lengths > 0
        )
        return cosines.clip(-1, 1)

    @cached_property
    def _kernel(self) -> Any:  # noqa: ANN401 (the compiled class has no type)
        """The compiled scan; None where there is none."""
        if KERNELS is None:
            return None
        codes = np.ascontiguousarray(self._item_codes.codes)
        return KERNELS.CosineScan(codes, self._lengths, self._item_codes.num_codewords)

    @cached_property
    def _lengths(self) -> np.ndarray:
        """(N,) float32."""
        lengths = np.empty(self._item_codes.num_items, np.float32)
        for start in range(0, len(lengths), _ITEMS_AT_ONCE):
            block = slice(start, start + _ITEMS_AT_ONCE)
            lengths[block] = np.linalg.norm(self._item_codes.decode(block), axis=1)
        return lengths


def _best(rows: np.ndarray, scores: np.ndarray, k: int) -> TopK:
    """As `best_first`, but sorts only what can be among the k best."""
    if len(rows) > k:
        bar = np.partition(scores, len(rows) - k)[len(rows) - k]
        rows, scores = rows[scores >= bar], scores[scores >= bar]
    return best_first(rows, scores, k)
