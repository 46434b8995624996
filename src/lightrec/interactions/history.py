"""Which items each user has interacted with, as compressed sparse rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lightrec.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class History:
    """User-item pairs in compressed sparse rows.

    Attributes:
        indptr: int64 (num_users + 1,); the pairs of user `u` are `indptr[u]:indptr[u + 1]`.
        item_rows: int32 (pairs,); ascending and unique within a user.
        num_items: size of the catalogue; every item row is smaller.

    Raises:
        ArgumentError: the arrays do not describe such pairs.
    """

    indptr: npt.NDArray[np.int64]
    item_rows: npt.NDArray[np.int32]
    num_items: int

    def __post_init__(self) -> None:
        indptr, items = self.indptr, self.item_rows
        if indptr.ndim != 1 or indptr.dtype != np.int64 or not len(indptr):
            raise ArgumentError("indptr must be int64 of shape (num_users + 1,)")
        if items.ndim != 1 or items.dtype != np.int32:
            raise ArgumentError("item_rows must be int32 of shape (pairs,)")
        if indptr[0] != 0 or indptr[-1] != len(items) or (np.diff(indptr) < 0).any():
            raise ArgumentError("indptr must ascend from 0 to the number of pairs")
        if len(items) and (items.min() < 0 or items.max() >= self.num_items):
            raise ArgumentError(f"item_rows must lie in 0..{self.num_items - 1}")
        ascends = np.ones(len(items) + 1, dtype=np.bool_)
        ascends[1:-1] = items[1:] > items[:-1]
        ascends[indptr] = True  # a user's first item need not follow the previous user's last
        if not ascends.all():
            raise ArgumentError("item_rows must ascend without repeats within each user")

    @classmethod
    def from_pairs(
        cls,
        user_rows: npt.NDArray[np.integer[Any]],
        item_rows: npt.NDArray[np.integer[Any]],
        num_users: int,
        num_items: int,
    ) -> History:
        """Builds the history from pairs in any order; repeated pairs are merged.

        Args:
            user_rows: integers (n,) in 0..num_users-1.
            item_rows: integers (n,) in 0..num_items-1.
            num_users: number of users, also those without a pair.
            num_items: size of the catalogue.

        Raises:
            ArgumentError: the lengths differ or a row number is out of range.
        """
        users = np.asarray(user_rows, dtype=np.int64)
        items = np.asarray(item_rows, dtype=np.int64)
        if users.shape != items.shape or users.ndim != 1:
            raise ArgumentError("user_rows and item_rows must be of one length")
        if len(users):
            if users.min() < 0 or users.max() >= num_users:
                raise ArgumentError(f"user_rows must lie in 0..{num_users - 1}")
            if items.min() < 0 or items.max() >= num_items:
                raise ArgumentError(f"item_rows must lie in 0..{num_items - 1}")
        keys = users * num_items + items
        if not (keys[1:] > keys[:-1]).all():
            keys = np.unique(keys)
        divisor = max(num_items, 1)
        indptr = row_starts(keys // divisor, num_users)
        return cls(indptr, (keys % divisor).astype(np.int32), num_items)

    def __len__(self) -> int:
        return len(self.item_rows)

    @property
    def num_users(self) -> int:
        """Number of users, also those without a pair."""
        return len(self.indptr) - 1

    def of(self, user_row: int) -> npt.NDArray[np.int32]:
        """One user's item rows, int32 (degree,), ascending; a view, not a copy.

        Raises:
            ArgumentError: there is no such user row.
        """
        if not 0 <= user_row < self.num_users:
            raise ArgumentError(f"user row {user_row} is not in 0..{self.num_users - 1}")
        return self.item_rows[self.indptr[user_row] : self.indptr[user_row + 1]]

    def user_rows(self) -> npt.NDArray[np.int32]:
        """The user row of every pair, int32 (pairs,)."""
        return np.repeat(np.arange(self.num_users, dtype=np.int32), self.user_degrees())

    def user_degrees(self) -> npt.NDArray[np.int64]:
        """Number of pairs of every user, int64 (num_users,)."""
        return np.diff(self.indptr)

    def item_degrees(self) -> npt.NDArray[np.int64]:
        """Number of pairs of every item, int64 (num_items,)."""
        return np.bincount(self.item_rows, minlength=self.num_items).astype(np.int64, copy=False)


def row_starts(user_rows: npt.NDArray[np.integer[Any]], num_users: int) -> npt.NDArray[np.int64]:
    """Where each user's pairs start in a list sorted by user, int64 (num_users + 1,)."""
    starts = np.zeros(num_users + 1, dtype=np.int64)
    np.cumsum(np.bincount(user_rows, minlength=num_users), out=starts[1:])
    return starts
