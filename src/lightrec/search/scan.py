"""Exact top-k over item codes: what a scan is, and which one serves."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError
from lightrec.native import KERNELS, available_cores
from lightrec.search.codeword_order import neighbourly_labels, paired_codebooks
from lightrec.search.filters import BatchFilter, Filter
from lightrec.search.mapped_memory import give_back
from lightrec.search.reference_scan import ReferenceScan, check_batch, check_codes
from lightrec.search.score_table import check_shape
from lightrec.search.top_k import TopK, TopKBatch, checked_k, checked_threads

Layout = Literal["flat", "tiles", "cells"]
"""How `BoundScan` lays items out."""
LAYOUTS: dict[str, dict[Layout, int]] = {
    "avx2": {"flat": 0, "cells": 12_000},
    "avx512vbmi": {"flat": 0, "tiles": 20_000, "cells": 500_000},
}
"""The layouts that instructions know, and from how many items on each is taken."""


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
        """The k best rows of each of many queries, equal to `top_k` one by one, on many threads.

        Args:
            tables: (Q, B, W) float32 score tables.
            k: Results wanted for each query, at least 1.
            rows: Which rows each query may return, all when None.
            threads: Threads to use at most, 0 for all available cores; fewer where there is little
                to do. The answer does not depend on it.

        Raises:
            ArgumentError: As for `top_k`, or the filter is for another number of queries.
        """
        ...


class CompiledScan:
    """What the compiled scans have in common."""

    def __init__(self, kernel: Any, codes: np.ndarray, num_codewords: int) -> None:  # noqa: ANN401
        self.kernel = kernel
        self._num_items = len(codes)
        self._table_shape = (codes.shape[1], num_codewords)

    @property
    def num_items(self) -> int:
        """N, the items searched."""
        return self._num_items

    @property
    def memory(self) -> int:
        """Bytes that the scan keeps for itself, its own copy of the codes included."""
        return int(self.kernel.memory())

    def num_scored(self, table: np.ndarray, k: int) -> int:
        """How many items' exact scores a query looks at; the others are known not to matter."""
        check_shape(table, self._table_shape)
        return int(self.kernel.num_scored(np.ascontiguousarray(table), checked_k(k)))

    def top_k(self, table: np.ndarray, k: int, rows: Filter | None = None) -> TopK:
        """The k best rows of one query; see `Scan.top_k`."""
        check_shape(table, self._table_shape)
        table = np.ascontiguousarray(table)
        if rows is None:
            return TopK(*self.kernel.top_k(table, checked_k(k)))
        mask = mask_arguments(rows, self._num_items)
        return TopK(*self.kernel.top_k(table, checked_k(k), rows.exclude, rows.allow, *mask))

    def top_k_batch(
        self, tables: np.ndarray, k: int, rows: BatchFilter | None = None, *, threads: int = 0
    ) -> TopKBatch:
        """The k best rows of each query; see `Scan.top_k_batch`."""
        check_shape(tables, (-1, *self._table_shape))
        check_batch(rows, len(tables))
        threads = checked_threads(threads)
        found = self.kernel.top_k_batch(
            np.ascontiguousarray(tables),
            checked_k(k),
            None if rows is None else rows.exclude_indptr,
            None if rows is None else rows.exclude_rows,
            None if rows is None else rows.allow,
            threads or available_cores(),
            *mask_arguments(rows, self._num_items),
        )
        return TopKBatch(*found)


def mask_arguments(
    rows: Filter | BatchFilter | None, num_items: int
) -> tuple[np.ndarray | None, int]:
    """A filter's mask as the kernels take it: its words, and how many rows it permits."""
    if rows is None or rows.mask is None:
        return None, 0
    rows.mask.check(num_items)
    return rows.mask.words, rows.mask.count


class PortableScan(CompiledScan):
    """The compiled scan that assumes nothing of the processor, for any number of codebooks.

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
        kernel = KERNELS.PortableScan(np.ascontiguousarray(codes), num_codewords)
        super().__init__(kernel, codes, num_codewords)


class BoundScan(CompiledScan):
    """The fast scan of four-byte items: exact scores only where eight-bit bounds let them matter.

    Flat, it keeps 4 bytes an item in the order of the rows and reads them all. In tiles and cells
    it keeps 7 bytes an item, and what half-empty tiles cost, items that share their first codeword
    and nearly their second side by side, and skips whole ones whose bound fails: tiles of up to 64
    items, which AVX-512 VBMI alone knows, or cells of as many as share what they share. Any of them
    borrows the codes given, which it reads for lists of allowed or of few excluded rows; they may
    lie in a mapped file, and must not change.

    Args:
        codes: (N, 4) uint8, or (N, 8) where W is at most 16 and two codes make a byte; every code
            below num_codewords; N below 2^31.
        num_codewords: W, 1 to 256.
        labels: (4, 256) uint8 from `BoundScan.labels`; any permutations answer the same, good ones
            faster. The codewords' own order when None.
        instruction_set: `avx2` or `avx512vbmi`; the best that the processor has when None.
        layout: `flat`, `tiles` or `cells`; by the number of items when None.

    Raises:
        ArgumentError: The codes do not fit, or the processor or the installation lacks what is
            needed; `BoundScan.available` tells.
    """

    def __init__(
        self,
        codes: np.ndarray,
        num_codewords: int,
        labels: np.ndarray | None = None,
        *,
        instruction_set: str | None = None,
        layout: Layout | None = None,
    ) -> None:
        if KERNELS is None or not BoundScan.available():
            raise ArgumentError("BoundScan needs the compiled kernels and AVX2; use make_scan")
        check_codes(codes, num_codewords)
        if labels is None:
            labels = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
        self.instruction_set: str = instruction_set or KERNELS.instruction_set()
        layouts = LAYOUTS.get(self.instruction_set, {})
        if layout is not None and layout not in layouts:
            known = " or ".join(repr(each) for each in layouts)
            raise ArgumentError(
                f"layout must be {known} with {self.instruction_set}, not {layout!r}"
            )
        self.layout: Layout = layout or _fastest_layout(len(codes), self.instruction_set)
        kernel = KERNELS.BoundScan(
            np.ascontiguousarray(codes),
            num_codewords,
            np.ascontiguousarray(labels),
            self.instruction_set,
            self.layout,
        )
        super().__init__(kernel, codes, num_codewords)

    @staticmethod
    def available() -> bool:
        """Whether the kernels are installed and the processor has what they need."""
        return KERNELS is not None and KERNELS.instruction_set() != "portable"

    @staticmethod
    def fits(num_codebooks: int, num_codewords: int) -> bool:
        """Whether items of this shape have four bytes."""
        return num_codebooks == 4 or (num_codebooks == 8 and num_codewords <= 16)

    @staticmethod
    def labels(codebooks: np.ndarray) -> np.ndarray:
        """(4, 256) uint8, numbers under which near codewords are neighbours.

        Args:
            codebooks: (B, W, D) float32 of a shape that `fits`.
        """
        return neighbourly_labels(codebooks if len(codebooks) == 4 else paired_codebooks(codebooks))


def _fastest_layout(num_items: int, instruction_set: str) -> Layout:
    layouts = LAYOUTS.get(instruction_set, {"flat": 0})
    return max(
        (layout for layout in layouts if layouts[layout] <= num_items), key=layouts.__getitem__
    )


class ScanMaker:
    """Makes scans of codes that share their codebooks: the fastest that can run here.

    Args:
        codebooks: (B, W, D) float32.
    """

    def __init__(self, codebooks: np.ndarray) -> None:
        self._num_codewords = codebooks.shape[1]
        bounded = BoundScan.available() and BoundScan.fits(*codebooks.shape[:2])
        self._labels = BoundScan.labels(codebooks) if bounded else None

    def __call__(self, codes: np.ndarray) -> Scan:
        """A scan of (N, B) uint8 codes."""
        if KERNELS is None:
            return ReferenceScan(codes, self._num_codewords)
        scan: Scan
        if self._labels is not None:
            scan = BoundScan(codes, self._num_codewords, self._labels)
        else:
            scan = PortableScan(codes, self._num_codewords)
        give_back(codes)  # read whole to make the scan; from now on here and there, for lists
        return scan


def make_scan(item_codes: ItemCodes) -> Scan:
    """The fastest scan that can run here: compiled, or numpy where there are no kernels."""
    return ScanMaker(item_codes.codebooks)(item_codes.codes)
