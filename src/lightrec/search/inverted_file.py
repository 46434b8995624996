"""The inverted file of the paper (section 3.1): only the most promising cells are searched.

A cell holds the items of one first codeword. For a query, the first codebook's entries of the score
table say how promising the cells are; the `nprobe` best ones are searched exactly, the rest not at
all. That makes it approximate, unlike every other search here, and worth its loss only where a scan
of everything has nothing to prune by; `recall` measures it.
"""

from __future__ import annotations

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError
from lightrec.search.filters import EVERYTHING, Filter
from lightrec.search.reference_scan import ReferenceScan
from lightrec.search.scan import BoundScan, mask_arguments
from lightrec.search.score_table import check_tables
from lightrec.search.top_k import TopK, checked_k, whole

NPROBE = 32


class InvertedFile:
    """Searches the items of the best first codewords only. Safe to share between threads.

    Args:
        item_codes: The catalogue.
        nprobe: Cells to search, 1 to W, unless a query says otherwise; W makes it exact. None: 32,
            or all where there are fewer.

    Raises:
        ArgumentError: `nprobe` is out of range.
    """

    def __init__(self, item_codes: ItemCodes, nprobe: int | None = None) -> None:
        self._codes, self._num_codewords = item_codes.codes, item_codes.num_codewords
        self.nprobe = self._checked(min(NPROBE, self._num_codewords) if nprobe is None else nprobe)
        self._bounds: BoundScan | None = None
        if item_codes.num_codebooks == 4 and BoundScan.available():
            labels = BoundScan.labels(item_codes.codebooks)
            self._bounds = BoundScan(self._codes, self._num_codewords, labels, layout="cells")
        else:
            self._reference = ReferenceScan(self._codes, self._num_codewords)

    @property
    def num_items(self) -> int:
        """N, the items of all cells."""
        return len(self._codes)

    def top_k(
        self, table: np.ndarray, k: int, rows: Filter | None = None, *, nprobe: int | None = None
    ) -> TopK:
        """The k best rows of the cells that are searched; fewer where they hold fewer.

        Args:
            table: (B, W) float32 score table.
            k: Results wanted, at least 1.
            rows: Which rows may be returned, all when None.
            nprobe: Cells to search instead of the file's own number.

        Raises:
            ArgumentError: As for `lightrec.search.scan.Scan.top_k`, or `nprobe` is out of range.
        """
        check_tables(table, (self._codes.shape[1], self._num_codewords))
        k, rows = checked_k(k), rows or EVERYTHING
        nprobe = self.nprobe if nprobe is None else self._checked(nprobe)
        if self._bounds is not None:
            found = self._bounds.kernel.probe(
                np.ascontiguousarray(table),
                k,
                nprobe,
                rows.exclude,
                rows.allow,
                *mask_arguments(rows, self.num_items),
            )
            return TopK(*found)
        best = np.argsort(-table[0], kind="stable")[:nprobe]
        searched = np.flatnonzero(np.isin(self._codes[:, 0], best)).astype(np.int32)
        rows.check(self.num_items)
        if rows.allow is not None:
            searched = np.intersect1d(searched, rows.allow, assume_unique=True)
        return self._reference.top_k(table, k, Filter(rows.exclude, searched, rows.mask))

    def recall(self, tables: np.ndarray, k: int, nprobe: int | None = None) -> float:
        """Share of the true k best that is found.

        Args:
            tables: (Q, B, W) float32 score tables of typical queries.
            k: Results wanted.
            nprobe: Cells to search instead of the file's own number.
        """
        found = right = 0
        for table in tables:
            exact = self.top_k(table, k, nprobe=self._num_codewords).rows
            found += len(np.intersect1d(self.top_k(table, k, nprobe=nprobe).rows, exact))
            right += len(exact)
        return found / max(right, 1)

    def _checked(self, nprobe: int) -> int:
        nprobe = whole(nprobe, "nprobe")
        if not 1 <= nprobe <= self._num_codewords:
            raise ArgumentError(f"nprobe must lie in 1..{self._num_codewords}, not {nprobe}")
        return nprobe
