"""One bit a row: which rows of a catalogue a search may return."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np

from lightrec.errors import ArgumentError
from lightrec.native import KERNELS


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
        mask = np.asarray(mask)
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
    def of_rows(cls, num_rows: int, rows: np.ndarray | Sequence[int]) -> RowMask:
        """The mask that permits these rows and no others.

        Raises:
            ArgumentError: A row is not a whole number from 0 to num_rows - 1.
        """
        mask = np.zeros(num_rows, np.bool_)
        mask[_checked_rows(rows, num_rows, "rows")] = True
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
        """A new mask of the rows from `begin` up to `end`, which count from 0 in it.

        Raises:
            ArgumentError: There are no such rows.
        """
        if not 0 <= begin <= end <= self.num_rows:
            raise ArgumentError(f"there are no rows {begin} to {end} among {self.num_rows}")
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
        wanted = ascending_rows(rows, self.num_rows, "rows")
        with self._changing:
            changed = self._set(wanted, permitted)
            self.count += changed if permitted else -changed
            self.version += 1

    def _set(self, rows: np.ndarray, permitted: bool) -> int:
        """Writes the bits, and returns how many have changed."""
        if KERNELS is not None:
            return int(KERNELS.set_rows(self.words, rows, permitted))
        changed = rows[self._bits(rows) != permitted]
        bits = np.uint64(1) << (changed % 64).astype(np.uint64)
        np.bitwise_xor.at(self.words, changed // 64, bits)
        return len(changed)

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


def ascending_rows(rows: np.ndarray | Sequence[int], num_items: int, what: str) -> np.ndarray:
    """Row numbers as (n,) int32, ascending and each once.

    Raises:
        ArgumentError: They are no integers, or no rows of so many items.
    """
    return np.unique(_checked_rows(rows, num_items, what)).astype(np.int32)


def _checked_rows(rows: np.ndarray | Sequence[int], num_items: int, what: str) -> np.ndarray:
    """Row numbers as (n,) integers, in the order given."""
    try:
        array = np.asarray(rows)
    except ValueError:
        raise ArgumentError(f"{what} must be one list of row numbers") from None
    if array.size == 0:
        return np.empty(0, np.int32)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ArgumentError(
            f"{what} must be a list of row numbers, not {array.shape} {array.dtype}"
        )
    least, largest = array.min(), array.max()
    if least < 0 or largest >= num_items:
        outside = least if least < 0 else largest
        raise ArgumentError(f"{what} holds row {outside}; rows go from 0 to {num_items - 1}")
    return array
