"""Top-k by scoring everything in numpy: slow, obvious, and what every other scan must answer."""

from __future__ import annotations

import numpy as np

from lightrec.errors import ArgumentError
from lightrec.search.filters import EVERYTHING, BatchFilter, Filter
from lightrec.search.score_table import check_tables
from lightrec.search.top_k import TopK, TopKBatch, best_first, checked_k, checked_threads


class ReferenceScan:
    """Searches item codes by definition.

    Args:
        codes: (N, B) uint8, every code below num_codewords.
        num_codewords: W, 1 to 256.

    Raises:
        ArgumentError: The codes do not fit.
    """

    def __init__(self, codes: np.ndarray, num_codewords: int) -> None:
        check_codes(codes, num_codewords)
        self._codes = codes
        self._num_codewords = num_codewords

    @property
    def num_items(self) -> int:
        """N, the items searched."""
        return len(self._codes)

    def top_k(self, table: np.ndarray, k: int, rows: Filter | None = None) -> TopK:
        """The k best rows of one query; see `lightrec.search.scan.Scan.top_k`."""
        k = checked_k(k)
        num_codebooks = self._codes.shape[1]
        check_tables(table, (num_codebooks, self._num_codewords))
        scores = table[0][self._codes[:, 0]]
        for book in range(1, num_codebooks):
            scores = scores + table[book][self._codes[:, book]]

        rows = rows or EVERYTHING
        rows.check(self.num_items)
        kept = np.full(self.num_items, rows.allow is None)
        if rows.allow is not None:
            kept[rows.allow] = True
        if rows.exclude is not None:
            kept[rows.exclude] = False
        if rows.mask is not None:
            kept &= rows.mask.to_bool()
        candidates = np.flatnonzero(kept)
        return best_first(candidates, scores[candidates], k)

    def top_k_batch(
        self, tables: np.ndarray, k: int, rows: BatchFilter | None = None, *, threads: int = 0
    ) -> TopKBatch:
        """The k best rows of each query; see `lightrec.search.scan.Scan.top_k_batch`."""
        checked_threads(threads)  # one is enough for a reference
        check_tables(tables, (-1, self._codes.shape[1], self._num_codewords))
        check_batch(rows, len(tables))
        found = [
            self.top_k(table, k, None if rows is None else rows.of_query(query))
            for query, table in enumerate(tables)
        ]
        return TopKBatch.stacked(found, min(checked_k(k), self.num_items))


def check_codes(codes: np.ndarray, num_codewords: int) -> None:
    """Checks what a scan is built from.

    Raises:
        ArgumentError: A shape, dtype or index does not fit.
    """
    if codes.ndim != 2 or codes.dtype != np.uint8 or codes.shape[1] == 0:
        raise ArgumentError(f"codes must be (N, B) uint8, not {codes.shape} {codes.dtype}")
    if not 1 <= num_codewords <= 256:
        raise ArgumentError(f"a codebook has 1 to 256 codewords, not {num_codewords}")
    if codes.size and int(codes.max()) >= num_codewords:
        raise ArgumentError(
            f"codes hold the index {int(codes.max())}, but there are {num_codewords} codewords"
        )


def check_batch(rows: BatchFilter | None, num_queries: int) -> None:
    """Checks that a batch filter belongs to the queries.

    Raises:
        ArgumentError: It was made for another number of queries.
    """
    if rows is not None and rows.num_queries != num_queries:
        raise ArgumentError(f"the filter is for {rows.num_queries} queries, not {num_queries}")
