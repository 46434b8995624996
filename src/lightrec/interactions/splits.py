"""Training and test pairs over the same users and items.

Splits are functions of the pairs, as numbered, and of the seed alone.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions.cell_values import Timestamps
from lightrec.interactions.history import row_starts
from lightrec.interactions.interactions import Interactions
from lightrec.interactions.random_streams import random_stream

logger = logging.getLogger("lightrec")

TIME_LEAK = (
    "leave-last-out trains on some users' pairs that are later than other users' test pairs; "
    "prefer the time split to estimate what a deployed model would do"
)


@dataclass(frozen=True, eq=False)
class Split:
    """Disjoint pairs to train on and to test on.

    Attributes:
        train: pairs to train on.
        test: pairs to test on, over the same users and items.
        notes: what to know when reading results, one sentence each.
    """

    train: Interactions
    test: Interactions
    notes: tuple[str, ...] = ()

    @cached_property
    def cold_users(self) -> int:
        """Number of users with a test pair but no training pair."""
        return _count_cold(self.train.user_rows, self.test.user_rows)

    @cached_property
    def cold_items(self) -> int:
        """Number of items with a test pair but no training pair."""
        return _count_cold(self.train.item_rows, self.test.item_rows)

    def describe(self) -> str:
        """Sizes, cold users and items, and notes, as a few lines of text."""
        lines = [
            f"{len(self.train):,} pairs to train on, {len(self.test):,} to test on",
            f"  {self.cold_users:,} users and {self.cold_items:,} items of the test pairs have no "
            "training pair",
        ]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def paper_split(interactions: Interactions, seed: int, train_share: float = 0.8) -> Split:
    """Splits every user's pairs at random: `round(train_share * n)` of n pairs are for training.

    Rounds as Python's `round` does (halves to even), which gives the paper's number of training
    pairs on CiteULike (Table 1: 107,154).

    Args:
        interactions: all pairs.
        seed: of the per-user shuffles.
        train_share: in (0, 1).

    Raises:
        ArgumentError: the share is out of range.
    """
    _check_share(train_share, "train_share")
    order = random_stream(seed, "paper split").random(len(interactions))
    degrees = interactions.history().user_degrees()
    wanted = np.rint(train_share * degrees).astype(np.int64)
    in_train = _rank_within_user(interactions, order) < wanted[interactions.user_rows]
    return Split(interactions.select(in_train), interactions.select(~in_train))


def validation_split(train: Interactions, seed: int, share: float = 0.1) -> Split:
    """Holds out a uniform share of the training pairs, but never a user's only pair left.

    Like drawing pairs one by one without replacement, skipping a pair when it is the last that its
    user would have, until `round(share * n)` are drawn (or none can be).

    Args:
        train: the training pairs.
        seed: of the draw.
        share: in (0, 1).

    Raises:
        ArgumentError: the share is out of range.
    """
    _check_share(share, "share")
    order = random_stream(seed, "validation split").random(len(train))
    last_of_user = _rank_within_user(train, -order) == 0
    candidates = np.flatnonzero(~last_of_user)
    drawn = candidates[np.argsort(order[candidates], kind="stable")][: round(share * len(train))]
    held_out = np.zeros(len(train), dtype=np.bool_)
    held_out[drawn] = True
    return Split(train.select(~held_out), train.select(held_out))


def time_split(interactions: Interactions, test_share: float = 0.2) -> Split:
    """Cuts at one moment for everybody: the latest pairs are for testing.

    The way to measure what a model trained today would do tomorrow. Pairs at the very moment of the
    cut stay in training, so that the test part never exceeds its share.

    Args:
        interactions: all pairs, with timestamps.
        test_share: in (0, 1).

    Raises:
        InputError: there are no timestamps, or so many equal ones that one part would be empty.
        ArgumentError: the share is out of range.
    """
    _check_share(test_share, "test_share")
    times = _timestamps(interactions, "a split by time")
    num_train = len(times) - round(test_share * len(times))
    if not 0 < num_train < len(times):
        raise InputError(f"{len(times)} pairs are too few for a test share of {test_share}")
    cut = np.partition(times, num_train - 1)[num_train - 1]
    later = times > cut
    if not later.any():
        raise InputError(
            f"no pair is later than the cut ({cut}): too many pairs share the latest time; choose "
            "a larger test share, or the paper's split (--by paper)"
        )
    notes = (f"the cut is at {cut}; later pairs are for testing",)
    return Split(interactions.select(~later), interactions.select(later), notes)


def leave_last_out(interactions: Interactions, n: int = 1) -> Split:
    """Tests on each user's latest n pairs, but keeps at least one pair of every user for training.

    Among pairs of equal time those with the larger item row count as later. Warns that time leaks
    across users.

    Args:
        interactions: all pairs, with timestamps.
        n: pairs per user to test on, at least 1.

    Raises:
        InputError: there are no timestamps.
        ArgumentError: n is less than 1.
    """
    if n < 1:
        raise ArgumentError(f"n must be at least 1, not {n}")
    times = _timestamps(interactions, "leave-last-out")
    logger.warning(TIME_LEAK)
    degrees = interactions.history().user_degrees()[interactions.user_rows]
    rank = _rank_within_user(interactions, times)
    in_train = (rank < degrees - n) | (rank == 0)
    return Split(interactions.select(in_train), interactions.select(~in_train), (TIME_LEAK,))


def _rank_within_user(
    interactions: Interactions, values: npt.NDArray[np.float64] | Timestamps
) -> npt.NDArray[np.int64]:
    """Place of every pair among its user's pairs by ascending value, int64 (pairs,), from 0."""
    users = interactions.user_rows
    order = np.lexsort([values, users])
    ranks = np.empty(len(users), dtype=np.int64)
    ranks[order] = np.arange(len(users)) - row_starts(users, len(interactions.users))[users]
    return ranks


def _timestamps(interactions: Interactions, what: str) -> Timestamps:
    if interactions.timestamps is None:
        raise InputError(
            f"{what} needs timestamps, and the table has none; name the column with "
            "--timestamp-column NAME or ColumnNames(timestamp=NAME), or use the paper's split "
            "(--by paper)"
        )
    return interactions.timestamps


def _check_share(share: float, name: str) -> None:
    if not 0 < share < 1:
        raise ArgumentError(f"{name} must lie between 0 and 1, not {share}")


def _count_cold(train_rows: npt.NDArray[np.int32], test_rows: npt.NDArray[np.int32]) -> int:
    return len(np.setdiff1d(test_rows, train_rows))
