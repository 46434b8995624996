"""Exact top-k over item codes: what a scan is, and which one serves."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError
from lightrec.native import KERNELS, available_cores
from lightrec.search.filters import BatchFilter, Filter
from lightrec.search.reference_scan import ReferenceScan, check_batch, check_codes
from lightrec.search.score_table import check_shape
from lightrec.search.top_k import TopK, TopKBatch, checked_k


class Scan(Protocol):
    """Searches a fixed set of item codes, exactly as `ReferenceScan` does, only faster.

    An item's score is `((t[0, c0] + t[1, c1]) + t[2, c2]) + ...` in float32; results are ordered by
    score descending, then row ascending; -0.0 counts as 0.0. Safe to share between threads.
    """

    @property
    def num_items(self) -> int:
        """N, the items searched."""
        ...

    def top_k(self, table: np.ndarray, k: int, rows: Filter | None = None) -> TopK:
        """The k best rows of one query.

        Args:
            table: (B, W) float32 score table.
            k: Results wanted, at least 1; fewer are returned where fewer rows are left.
            rows: Which rows may be returned, all when None.

        Raises:
            ArgumentError: k is less than 1, the table does not fit or holds values that are not
                finite, or the filter holds rows out of range.
        """
        ...

    def top_k_batch(
        self, tables: np.ndarray, k: int, rows: BatchFilter | None = None, *, threads: int = 0
    ) -> TopKBatch:
        """The k best rows of each of many queries; equal to `top_k` one by one, and faster.

        Args:
            tables: (Q, B, W) float32 score tables.
            k: Results wanted for each query, at least 1.
            rows: Which rows each query may return, all when None.
            threads: Threads to use, 0 for all available cores; the answer does not depend on it.

        Raises:
            ArgumentError: As for `top_k`, or the filter is for another number of queries.
        """
        ...


class PortableScan:
    """The compiled scan that assumes nothing of the processor.

    Keeps its own packed copy of the codes: N * B bytes, plus a sample of at most 4,096 items.

    Args:
        codes: (N, B) uint8, every code below num_codewords; N below 2^31.
        num_codewords: W, 1 to 256.

    Raises:
        ArgumentError: The codes do not fit, or the compiled kernels are not installed.
    """

    def __init__(self, codes: np.ndarray, num_codewords: int) -> None:
        if KERNELS is None:
            raise ArgumentError("PortableScan needs the compiled kernels; use make_scan")
        check_codes(codes, num_codewords)
        self._kernel = KERNELS.Scan(np.ascontiguousarray(codes), num_codewords)
        self._num_items = len(codes)
        self._table_shape = (codes.shape[1], num_codewords)

    @property
    def num_items(self) -> int:
        """N, the items searched."""
        return self._num_items

    def top_k(self, table: np.ndarray, k: int, rows: Filter | None = None) -> TopK:
        """The k best rows of one query; see `Scan.top_k`."""
        check_shape(table, self._table_shape)
        table = np.ascontiguousarray(table)
        if rows is None:
            return TopK(*self._kernel.top_k(table, checked_k(k)))
        return TopK(*self._kernel.top_k(table, checked_k(k), rows.exclude, rows.allow))

    def top_k_batch(
        self, tables: np.ndarray, k: int, rows: BatchFilter | None = None, *, threads: int = 0
    ) -> TopKBatch:
        """The k best rows of each query; see `Scan.top_k_batch`."""
        check_shape(tables, (-1, *self._table_shape))
        check_batch(rows, len(tables))
        if threads < 0:
            raise ArgumentError(f"threads must not be negative: {threads}")
        found = self._kernel.top_k_batch(
            np.ascontiguousarray(tables),
            checked_k(k),
            None if rows is None else rows.exclude_indptr,
            None if rows is None else rows.exclude_rows,
            None if rows is None else rows.allow,
            threads or available_cores(),
        )
        return TopKBatch(*found)


def make_scan(item_codes: ItemCodes) -> Scan:
    """The fastest scan that can run here: compiled, or numpy where there are no kernels."""
    if KERNELS is None:
        return ReferenceScan(item_codes.codes, item_codes.num_codewords)
    return PortableScan(item_codes.codes, item_codes.num_codewords)
