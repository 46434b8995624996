"""A scan whose items come and go while others search it.

New items are appended to a small scan of their own, removed ones are marked, and `compact` builds
one scan of what is left. A search reads one unchanging state from beginning to end; a change makes
the next state and puts it in place in one step. So readers never wait, not even for a compaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError
from lightrec.search.filters import EVERYTHING, BatchFilter, Filter
from lightrec.search.reference_scan import check_codes
from lightrec.search.row_mask import RowMask
from lightrec.search.scan import Scan, ScanMaker
from lightrec.search.top_k import TopK, TopKBatch, best_first, checked_k, checked_threads


@dataclass(frozen=True)
class _Part:
    """Some of the items, searched by themselves.

    Attributes:
        codes: (n, B) uint8.
        scan: Searches them; it knows them by their places 0 .. n - 1.
        live: Those that have not been removed.
        first: The row of the first item, where rows follow each other.
        rows: (n,) int32 ascending, where they do not.
        translated: Masks of all rows as masks of places, with the version that each was made of.
    """

    codes: np.ndarray
    scan: Scan
    live: RowMask
    first: int
    rows: np.ndarray | None = None
    translated: WeakKeyDictionary[RowMask, tuple[int, RowMask]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def rows_of(self, places: np.ndarray) -> np.ndarray:
        """Row numbers, int64."""
        return places + self.first if self.rows is None else self.rows[places].astype(np.int64)

    def all_rows(self) -> np.ndarray:
        """(n,) int64."""
        return self.rows_of(np.arange(len(self.codes)))

    def find(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of some ascending rows are here, (n,) bool, and the places of those, int32."""
        if self.rows is None:
            here = (rows >= self.first) & (rows < self.first + len(self.codes))
            return here, (rows[here] - self.first).astype(np.int32)
        places = np.searchsorted(self.rows, rows)
        here = np.zeros(len(rows), np.bool_)
        inside = places < len(self.rows)
        here[inside] = self.rows[places[inside]] == rows[inside]
        return here, places[here].astype(np.int32)

    def mask(self, wanted: RowMask | None) -> RowMask | None:
        """The live items that a mask of all rows permits; None where that is every item."""
        if wanted is None:
            return None if self.live.count == len(self.codes) else self.live
        version, mask = self.translated.get(wanted, (-1, self.live))
        if version != wanted.version:
            version = wanted.version  # before it is read: if it changes meanwhile, it is read again
            mask = self._translate(wanted)
            self.translated[wanted] = version, mask
        return mask

    def _translate(self, wanted: RowMask) -> RowMask:
        if self.rows is None:
            here = wanted.part(self.first, self.first + len(self.codes))
        else:
            here = RowMask(wanted.contains(self.rows))
        return here.both(self.live)

    def places(self, rows: np.ndarray | None) -> np.ndarray | None:
        """Places of the rows that are here; None stays None."""
        return None if rows is None else self.find(rows)[1]

    def filter(self, wanted: Filter) -> Filter:
        """A filter of rows as one of places."""
        return Filter(
            self.places(wanted.exclude), self.places(wanted.allow), self.mask(wanted.mask)
        )

    def batch_filter(self, wanted: BatchFilter) -> BatchFilter:
        """The filters of many queries likewise."""
        lists = wanted.exclude_rows
        queries = np.repeat(np.arange(wanted.num_queries), np.diff(wanted.exclude_indptr))
        here, places = self.find(lists)
        counts = np.bincount(queries[here], minlength=wanted.num_queries)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return BatchFilter(indptr, places, self.places(wanted.allow), self.mask(wanted.mask))


@dataclass(frozen=True)
class _State:
    """All there is at one moment: parts in ascending order of rows."""

    parts: tuple[_Part, ...]
    num_rows: int


class ChangingScan:
    """Searches item codes that are added and removed meanwhile; many readers, one writer at a time.

    Every item has a row number for good: those given at the start count from 0, those added later
    go on from there, and the numbers of removed items are not used again. The answers are those of
    a scan made anew from all items but the removed ones, at a moment during the search. A mask may
    be for more rows than there are: extend it (`RowMask.extended`), then add.

    Args:
        item_codes: The items at the start; their codebooks are those of all later ones.
    """

    def __init__(self, item_codes: ItemCodes) -> None:
        self._make = ScanMaker(item_codes.codebooks)
        self._shape = item_codes.codebooks.shape[:2]
        self._writing = Lock()
        codes = item_codes.codes
        self._state = _State((self._part(codes, 0),), len(codes))

    @property
    def num_items(self) -> int:
        """Rows given out so far, those of removed items included."""
        return self._state.num_rows

    @property
    def num_live(self) -> int:
        """Items that can be found."""
        return sum(part.live.count for part in self._state.parts)

    def add(self, codes: np.ndarray) -> np.ndarray:
        """Adds items; searches that begin after this returns find them.

        The cost is that of all items added since the last `compact`, so add many at once.

        Args:
            codes: (n, B) uint8, encoded with the codebooks of the others.

        Returns:
            (n,) int64, their row numbers.

        Raises:
            ArgumentError: The codes do not fit.
        """
        check_codes(codes, self._shape[1])
        if codes.shape[1] != self._shape[0]:
            raise ArgumentError(
                f"codes have {codes.shape[1]} codebooks, the other items {self._shape[0]}"
            )
        with self._writing:
            parts, num_rows = self._state.parts, self._state.num_rows
            if num_rows + len(codes) >= 1 << 31:
                raise ArgumentError("a scan holds fewer than 2^31 items; compaction keeps numbers")
            if len(parts) == 1:
                added = self._part(codes.copy(), num_rows)
            else:
                added = self._part(np.concatenate([parts[1].codes, codes]), parts[1].first)
                gone = np.flatnonzero(~parts[1].live.to_bool())
                added.live.set(gone, False)
            self._state = _State((parts[0], added), num_rows + len(codes))
        return np.arange(num_rows, num_rows + len(codes))

    def remove(self, rows: np.ndarray | Sequence[int]) -> None:
        """Removes items; searches that begin after this returns do not find them.

        Args:
            rows: Row numbers in any order; those of removed items are passed over.

        Raises:
            ArgumentError: A row number was never given out.
        """
        with self._writing:
            state = self._state
            wanted = Filter.of(state.num_rows, exclude=rows).exclude
            assert wanted is not None
            parts = []
            for part in state.parts:
                live = part.live.copy()  # a search that has begun keeps the state it began with
                live.set(part.find(wanted)[1], False)
                parts.append(replace(part, live=live))
            self._state = _State(tuple(parts), state.num_rows)

    def compact(self) -> None:
        """Makes one scan of what is left, as fast as one made anew.

        Where items have gone, those left keep their row numbers, in 4 bytes each. Takes as long as
        making one; others search meanwhile, changes wait.
        """
        with self._writing:
            parts, num_rows = self._state.parts, self._state.num_rows
            kept = [part.live.to_bool() for part in parts]
            codes = np.concatenate(
                [part.codes[live] for part, live in zip(parts, kept, strict=True)]
            )
            rows = np.concatenate(
                [part.all_rows()[live] for part, live in zip(parts, kept, strict=True)]
            )
            whole = self._part(codes, 0)
            if len(rows) < num_rows:
                whole = replace(whole, rows=rows.astype(np.int32))
            self._state = _State((whole,), num_rows)

    def top_k(self, table: np.ndarray, k: int, rows: Filter | None = None) -> TopK:
        """The k best rows of one query; see `lightrec.search.scan.Scan.top_k`."""
        state, k, rows = self._state, checked_k(k), rows or EVERYTHING
        _check(rows, state.num_rows)
        found = []
        for part in state.parts:
            best = part.scan.top_k(table, k, part.filter(rows))
            found.append(TopK(part.rows_of(best.rows), best.scores))
        return reduce(lambda one, other: _better(one, other, k), found)

    def top_k_batch(
        self, tables: np.ndarray, k: int, rows: BatchFilter | None = None, *, threads: int = 0
    ) -> TopKBatch:
        """The k best rows of each query; see `lightrec.search.scan.Scan.top_k_batch`."""
        state, k, threads = self._state, checked_k(k), checked_threads(threads)
        if rows is None:
            rows = BatchFilter.of(state.num_rows, len(tables))
        _check(rows, state.num_rows)
        batches = [
            part.scan.top_k_batch(tables, k, part.batch_filter(rows), threads=threads)
            for part in state.parts
        ]
        found = []
        for query in range(len(tables)):
            of_parts = [
                TopK(part.rows_of(best.rows), best.scores)
                for part, best in zip(
                    state.parts, (batch.of(query) for batch in batches), strict=True
                )
            ]
            found.append(reduce(lambda one, other: _better(one, other, k), of_parts))
        return TopKBatch.stacked(found, min(k, state.num_rows))

    def _part(self, codes: np.ndarray, first: int) -> _Part:
        return _Part(codes, self._make(codes), RowMask(np.ones(len(codes), np.bool_)), first)


def _check(rows: Filter | BatchFilter, num_rows: int) -> None:
    """Checks a filter whose mask may be for more rows than there are."""
    if rows.mask is not None and rows.mask.num_rows > num_rows:
        rows = replace(rows, mask=None)
    rows.check(num_rows)


def _better(one: TopK, other: TopK, k: int) -> TopK:
    """The k best of two answers."""
    rows = np.concatenate([one.rows, other.rows])
    return best_first(rows, np.concatenate([one.scores, other.scores]), k)
