"""Which rows a search may return: some excluded, or only some allowed, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightrec.errors import ArgumentError
from lightrec.search.row_mask import RowMask, ascending_rows


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
            exclude=None if exclude is None else ascending_rows(exclude, num_items, "exclude"),
            allow=None if allow is None else ascending_rows(allow, num_items, "allow"),
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
        given = () if exclude is None else exclude
        lists = [ascending_rows(rows, num_items, "exclude") for rows in given]
        indptr = np.zeros(num_queries + 1, np.int64)
        if lists:
            np.cumsum([len(rows) for rows in lists], out=indptr[1:])
        return cls(
            exclude_indptr=indptr,
            exclude_rows=np.concatenate(lists) if lists else np.empty(0, np.int32),
            allow=None if allow is None else ascending_rows(allow, num_items, "allow"),
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


EVERYTHING = Filter()
"""Every row may be returned."""
