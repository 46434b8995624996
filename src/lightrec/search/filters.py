"""Which rows a search may return: some excluded, or only some allowed, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from lightrec.errors import ArgumentError


class RowMask:
    """One bit a row: which rows may be returned, for large parts of a catalogue.

    It may change between searches, and while others search: what they find is right for the mask
    before or after, row by row. `version` rises with every change, once it is made.

    Args:
        mask: (N,) bool.

    Raises:
        ArgumentError: `mask` is no (N,) array of bool.
    """

    def __init__(self, mask: np.ndarray) -> None:
        if mask.ndim != 1 or mask.dtype != np.bool_:
            raise ArgumentError(f"a mask must be (N,) bool, not {mask.shape} {mask.dtype}")
        self.num_rows = len(mask)
        padded = np.zeros(-(-len(mask) // 64) * 64, np.bool_)
        padded[: len(mask)] = mask
        self.words = np.packbits(padded, bitorder="little").view("<u8").astype(np.uint64)
        self.count = int(np.count_nonzero(mask))
        self.version = 0
        self._changing = Lock()

    @classmethod
    def of_rows(cls, num_rows: int, rows: np.ndarray) -> RowMask:
        """The mask that permits these rows, integers from 0 to num_rows - 1, and no others."""
        mask = np.zeros(num_rows, np.bool_)
        mask[rows] = True
        return cls(mask)

    @classmethod
    def _of_words(cls, num_rows: int, words: np.ndarray) -> RowMask:
        """The mask of (ceil(N / 64),) uint64, which it keeps; bits past the last row are 0."""
        made = cls(np.empty(0, np.bool_))
        made.num_rows, made.words = num_rows, words
        made.count = int(np.bitwise_count(words).sum())
        return made

    def copy(self) -> RowMask:
        """A mask of its own with the same rows."""
        return RowMask._of_words(self.num_rows, self.words.copy())

    def both(self, other: RowMask) -> RowMask:
        """A new mask of what this one and another permit.

        Raises:
            ArgumentError: The other one is for another number of rows.
        """
        other.check(self.num_rows)
        return RowMask._of_words(self.num_rows, self.words & other.words)

    def part(self, begin: int, end: int) -> RowMask:
        """A new mask of the rows from `begin` up to `end`, which count from 0 in it."""
        first, shift = begin // 64, np.uint64(begin % 64)
        num_words = -(-(end - begin) // 64)
        words = np.zeros(num_words + 1, np.uint64)
        here = self.words[first : first + num_words + 1]
        words[: len(here)] = here
        if shift:
            words[:-1] = words[:-1] >> shift | words[1:] << (np.uint64(64) - shift)
        if tail := (end - begin) % 64:
            words[num_words - 1] &= (np.uint64(1) << np.uint64(tail)) - np.uint64(1)
        return RowMask._of_words(end - begin, words[:-1])

    def extended(self, num_rows: int, permitted: bool) -> RowMask:
        """A new mask of num_rows rows, for a catalogue that has grown.

        Args:
            num_rows: At least as many as now.
            permitted: Whether the rows that come on top may be returned.

        Raises:
            ArgumentError: There would be fewer rows than now.
        """
        if num_rows < self.num_rows:
            raise ArgumentError(f"a mask of {self.num_rows} rows does not shrink to {num_rows}")
        return RowMask(np.append(self.to_bool(), np.full(num_rows - self.num_rows, permitted)))

    def set(self, rows: np.ndarray | Sequence[int], permitted: bool) -> None:
        """Lets rows be returned from now on, or no longer.

        Args:
            rows: Row numbers in any order, repetitions allowed.
            permitted: Whether they may be returned.

        Raises:
            ArgumentError: A row is not a whole number from 0 to num_rows - 1.
        """
        wanted = _normalised(rows, self.num_rows, "rows")
        with self._changing:
            changed = wanted[self._bits(wanted) != permitted]
            bits = np.uint64(1) << (changed % 64).astype(np.uint64)
            np.bitwise_xor.at(self.words, changed // 64, bits)
            self.count += len(changed) if permitted else -len(changed)
            self.version += 1

    def contains(self, rows: np.ndarray) -> np.ndarray:
        """Whether each of some rows may be returned.

        Args:
            rows: (n,) of any integer type.

        Returns:
            (n,) bool.

        Raises:
            ArgumentError: A row lies outside 0 .. num_rows - 1.
        """
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.num_rows:
            raise ArgumentError(f"rows must lie in 0..{self.num_rows - 1}")
        return self._bits(rows)

    def _bits(self, rows: np.ndarray) -> np.ndarray:
        bits: np.ndarray = self.words[rows // 64] >> (rows % 64).astype(np.uint64)
        return (bits & np.uint64(1)).astype(np.bool_)

    def to_bool(self) -> np.ndarray:
        """(N,) bool."""
        little = self.words.astype("<u8").view(np.uint8)
        return np.unpackbits(little, bitorder="little")[: self.num_rows].astype(np.bool_)

    def check(self, num_rows: int) -> None:
        """Checks that it is for a catalogue of so many items.

        Raises:
            ArgumentError: It is for another number of rows.
        """
        if self.num_rows != num_rows:
            raise ArgumentError(f"the mask is for {self.num_rows} rows, not {num_rows} items")


@dataclass(frozen=True)
class Filter:
    """Rows that one query may or may not return; build it with `Filter.of`.

    Attributes:
        exclude: (n,) int32, ascending without repetition: rows never returned. Other integers, and
            lists of them, become that.
        allow: (n,) int32 likewise: nothing else is returned. None allows every row.
        mask: Nothing is returned that it does not permit. A list suits a few rows, a mask many.

    Raises:
        ArgumentError: Rows are no one-dimensional list of integers, or the mask is no `RowMask`.
    """

    exclude: np.ndarray | None = None
    allow: np.ndarray | None = None
    mask: RowMask | None = None

    def __post_init__(self) -> None:
        _make_plain(self, "exclude", np.int32, "exclude rows")
        _make_plain(self, "allow", np.int32, "allow rows")
        _check_mask(self.mask)

    @classmethod
    def of(
        cls,
        num_items: int,
        *,
        exclude: np.ndarray | Sequence[int] | None = None,
        allow: np.ndarray | Sequence[int] | None = None,
        mask: RowMask | None = None,
    ) -> Filter:
        """A filter from row numbers in any order, repetitions allowed.

        Args:
            num_items: Items of the catalogue.
            exclude: Rows never returned.
            allow: The only rows that may be returned.
            mask: Nothing is returned that it does not permit.

        Raises:
            ArgumentError: A row is not a whole number from 0 to num_items - 1, or the mask is for
                another number of rows.
        """
        if mask is not None:
            mask.check(num_items)
        return cls(
            exclude=None if exclude is None else _normalised(exclude, num_items, "exclude"),
            allow=None if allow is None else _normalised(allow, num_items, "allow"),
            mask=mask,
        )

    def check(self, num_items: int) -> None:
        """Checks a filter that was not built by `Filter.of`.

        Raises:
            ArgumentError: Rows are not ascending without repetition, or out of range, or the mask
                is for another number of rows.
        """
        if self.mask is not None:
            self.mask.check(num_items)
        for what, rows in (("exclude", self.exclude), ("allow", self.allow)):
            if rows is None or len(rows) == 0:
                continue
            if rows[0] < 0 or (np.diff(rows) <= 0).any():
                raise ArgumentError(f"{what} rows must be ascending, without repetition, from 0 on")
            if rows[-1] >= num_items:
                raise ArgumentError(f"{what} rows hold {rows[-1]}, but there are {num_items} items")


@dataclass(frozen=True)
class BatchFilter:
    """Filters of many queries: each excludes rows of its own, all share the allowed rows.

    Attributes:
        exclude_indptr: (Q + 1,) int64; query q excludes `exclude_rows[indptr[q] : indptr[q + 1]]`.
        exclude_rows: int32, ascending without repetition within a query. Other integers, and lists
            of them, become what is wanted.
        allow: (n,) int32, ascending without repetition, or None: every row.
        mask: Nothing is returned that it does not permit.

    Raises:
        ArgumentError: `exclude_indptr` and `exclude_rows` do not belong together, rows are no
            one-dimensional list of integers, or the mask is no `RowMask`.
    """

    exclude_indptr: np.ndarray
    exclude_rows: np.ndarray
    allow: np.ndarray | None = None
    mask: RowMask | None = None

    def __post_init__(self) -> None:
        _make_plain(self, "exclude_indptr", np.int64, "exclude_indptr")
        _make_plain(self, "exclude_rows", np.int32, "exclude_rows")
        _make_plain(self, "allow", np.int32, "allow rows")
        _check_mask(self.mask)
        indptr, num_rows = self.exclude_indptr, len(self.exclude_rows)
        whole = len(indptr) > 0 and indptr[0] == 0 and indptr[-1] == num_rows
        if not whole or (np.diff(indptr) < 0).any():
            raise ArgumentError(
                f"exclude_indptr must rise from 0 to the {num_rows} rows of exclude_rows"
            )

    @classmethod
    def of(
        cls,
        num_items: int,
        num_queries: int,
        *,
        exclude: Sequence[np.ndarray] | None = None,
        allow: np.ndarray | Sequence[int] | None = None,
        mask: RowMask | None = None,
    ) -> BatchFilter:
        """Filters from row numbers in any order, repetitions allowed.

        Args:
            num_items: Items of the catalogue.
            num_queries: Q.
            exclude: For each query the rows it must not return.
            allow: The only rows that any query may return.
            mask: Nothing is returned that it does not permit.

        Raises:
            ArgumentError: A row is out of range, or `exclude` does not hold Q arrays.
        """
        if exclude is not None and len(exclude) != num_queries:
            raise ArgumentError(f"exclude has {len(exclude)} lists for {num_queries} queries")
        lists = [_normalised(rows, num_items, "exclude") for rows in exclude or []]
        indptr = np.zeros(num_queries + 1, np.int64)
        if lists:
            np.cumsum([len(rows) for rows in lists], out=indptr[1:])
        return cls(
            exclude_indptr=indptr,
            exclude_rows=np.concatenate(lists) if lists else np.empty(0, np.int32),
            allow=None if allow is None else _normalised(allow, num_items, "allow"),
            mask=mask,
        )

    def check(self, num_items: int) -> None:
        """Checks that the filters are for a catalogue of so many items.

        Raises:
            ArgumentError: As for `Filter.check`; the order within the excluded rows is not checked.
        """
        Filter(allow=self.allow, mask=self.mask).check(num_items)
        rows = self.exclude_rows
        if len(rows) and not 0 <= rows.min() <= rows.max() < num_items:
            raise ArgumentError(f"exclude rows must lie in 0..{num_items - 1}")

    @property
    def num_queries(self) -> int:
        """Q."""
        return len(self.exclude_indptr) - 1

    def of_query(self, query: int) -> Filter:
        """The filter of one query."""
        begin, end = self.exclude_indptr[query : query + 2]
        return Filter(exclude=self.exclude_rows[begin:end], allow=self.allow, mask=self.mask)


def _make_plain(filter_: Filter | BatchFilter, name: str, dtype: type, what: str) -> None:
    """Makes a field an array as the kernels read it, in place, where that loses nothing."""
    given = getattr(filter_, name)
    if given is None and name != "exclude_indptr" and name != "exclude_rows":
        return
    if type(given) is np.ndarray and given.ndim == 1 and given.dtype == dtype:
        if not given.flags.c_contiguous:
            object.__setattr__(filter_, name, given.copy())
        return
    object.__setattr__(filter_, name, _plain(given, dtype, what))


def _plain(given: object, dtype: type, what: str) -> np.ndarray:
    try:
        array = np.asarray(given)
    except ValueError:  # lists of different lengths
        raise ArgumentError(f"{what} must be a list of row numbers") from None
    if array.ndim == 1 and array.size == 0:
        return np.empty(0, dtype)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ArgumentError(
            f"{what} must be a list of row numbers, not {array.shape} {array.dtype}"
        )
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    if array.min() < least or array.max() > most:
        raise ArgumentError(f"{what} hold numbers that no item has: {array.min()} to {array.max()}")
    return np.ascontiguousarray(array, dtype)


def _check_mask(mask: RowMask | None) -> None:
    if mask is not None and not isinstance(mask, RowMask):
        raise ArgumentError(f"mask must be a RowMask, not {type(mask).__name__}")


def _normalised(rows: np.ndarray | Sequence[int], num_items: int, what: str) -> np.ndarray:
    array = np.asarray(rows)
    if array.size == 0:
        return np.empty(0, np.int32)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ArgumentError(
            f"{what} must be a list of row numbers, not {array.shape} {array.dtype}"
        )
    unique = np.unique(array)
    if unique[0] < 0 or unique[-1] >= num_items:
        outside = unique[0] if unique[0] < 0 else unique[-1]
        raise ArgumentError(f"{what} holds row {outside}; rows go from 0 to {num_items - 1}")
    return unique.astype(np.int32)


EVERYTHING = Filter()
"""Every row may be returned."""
