"""Users to be fitted to the codes: settings, checks, and blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from pydantic import Field

from lightrec.codes.finite_vectors import first_row_not_finite
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.numpy_user_fit import NumpyUserFit
from lightrec.errors import ArgumentError
from lightrec.interactions.history import History
from lightrec.native import KERNELS, available_cores
from lightrec.settings import Settings

BLOCK_BYTES = 1 << 26  # of teacher scores held at once


class UserFitConfig(Settings):
    """What users are fitted to, and for how long."""

    candidates: int = Field(120, ge=1)
    """The teacher's best items, unseen ones."""
    top_weight: float = Field(3.0, ge=0.0, le=1e5)
    """What the very best of them weighs more than 1: a ranking is judged by its top."""
    top_ranks: float = Field(10.0, gt=0.0)
    """Ranks after which half of that is left: an item of the teacher's rank r, from 0, weighs
    `1 + top_weight / (1 + r / top_ranks)`."""
    false_positives: int = Field(120, ge=0)
    """The student's own best items by its present scores; those that are none of the teacher's
    best weigh as one of rank `candidates`."""
    catalogue_sample: int = Field(500, ge=0)
    """Items drawn from the whole catalogue, anew each round, the same for all users."""
    catalogue_weight: float = Field(20.0, ge=0.0)
    """Weight of the whole sample."""
    ridge: float = Field(8.0, gt=0.0)
    """Penalty on the squared step that a score table takes in a round."""
    vector_ridge: float = Field(2.0, gt=0.0)
    """The same for a vector, relative to the mean squared distance of items from their mean."""
    rounds: int = Field(48, ge=1)
    """Rounds of picking candidates and fitting to them."""
    vector_rounds: int = Field(12, ge=1)
    """Most rounds for `fitted` users: they are dearer there, and bring less than to tables."""

    def rank_weights(self, num_items: int) -> np.ndarray:
        """(n + 1,) float32, weights of the teacher's n best, and of any other candidate."""
        ranks = np.arange(min(self.candidates, max(num_items, 1)) + 1, dtype=np.float64)
        ranks[-1] = self.candidates
        return (1.0 + self.top_weight / (1.0 + ranks / self.top_ranks)).astype(np.float32)

    @property
    def rounds_of_vectors(self) -> int:
        """How many rounds the vectors of `fitted` users go through."""
        return min(self.vector_rounds, self.rounds)


@dataclass(frozen=True)
class UserBlock:
    """Some of the users of a task, with what the teacher and the history say of them.

    Attributes:
        place: Where they stand among the task's users.
        users: (n, T) float32, their teacher vectors.
        settings: Arguments that every call of the fit for this block shares.
    """

    place: slice
    users: np.ndarray
    settings: dict[str, Any]


@dataclass(frozen=True)
class FitTask:
    """Users to be fitted, checked, and handed out in blocks of bounded memory.

    Attributes:
        teacher_users: (n, T) float32, of the users to fit alone.
        teacher_items: (N, T) float32.
        item_codes: The codes.
        seen: Pairs left out, or None.
        rows: (n,) int64, the users' rows in `seen`.
        config: Settings.
        catalogue: (rounds, sample) int32 rows of the catalogue sample, ascending in each round.
        threads: At least 1.
    """

    teacher_users: np.ndarray
    teacher_items: np.ndarray
    item_codes: ItemCodes
    seen: History | None
    rows: np.ndarray
    config: UserFitConfig
    catalogue: np.ndarray
    threads: int

    @classmethod
    def of(
        cls,
        teacher_users: np.ndarray,
        teacher_items: np.ndarray,
        item_codes: ItemCodes,
        seen: History | None,
        config: UserFitConfig | None,
        user_rows: np.ndarray | None,
        rounds: int | None,
        seed: int,
        threads: int,
    ) -> FitTask:
        """The task, with every argument checked; `fit_tables` says what they are."""
        config = config or UserFitConfig()
        rounds = config.rounds if rounds is None else rounds
        if rounds < 1 or seed < 0 or threads < 0:
            raise ArgumentError(
                f"rounds ({rounds}) must be at least 1, "
                f"seed ({seed}) and threads ({threads}) at least 0"
            )
        _require_teacher(teacher_users, teacher_items, item_codes.num_items)
        num_users, num_items = len(teacher_users), item_codes.num_items
        if seen is not None and (seen.num_users, seen.num_items) != (num_users, num_items):
            raise ArgumentError(
                f"seen holds {seen.num_users} users and {seen.num_items} items, "
                f"teacher and codes {num_users} and {num_items}"
            )
        rows = _checked_user_rows(user_rows, num_users)
        sample = config.catalogue_sample if num_items else 0
        drawn = np.random.default_rng(seed).integers(0, max(num_items, 1), (rounds, sample))
        return cls(
            teacher_users if user_rows is None else teacher_users[rows],
            teacher_items,
            item_codes,
            seen,
            rows,
            config,
            np.sort(drawn, axis=1).astype(np.int32),
            threads or available_cores(),
        )

    @property
    def num_users(self) -> int:
        """n, the users to fit."""
        return len(self.rows)

    @property
    def num_blocks(self) -> int:
        """Number of blocks."""
        return -(-self.num_users // self.users_per_block)

    @property
    def users_per_block(self) -> int:
        """As many as fit the bound on teacher scores, at least one."""
        return max(1, BLOCK_BYTES // max(1, 4 * self.item_codes.num_items))

    def require_codebooks_of_teacher_width(self) -> None:
        """Without a start, the teacher's vectors have to have a meaning among the codebooks."""
        if self.item_codes.width != self.teacher_users.shape[1]:
            raise ArgumentError(
                f"codebooks are {self.item_codes.width} wide and teacher_users "
                f"{self.teacher_users.shape[1]}: give start, P1 is none for these codebooks"
            )

    def fit(self) -> Any:  # noqa: ANN401 (the compiled class has no type)
        """The compiled fit, or its numpy twin."""
        kind = NumpyUserFit if KERNELS is None else KERNELS.UserFit
        return kind(np.ascontiguousarray(self.item_codes.codes), self.item_codes.num_codewords)

    def blocks(self) -> Iterator[UserBlock]:
        """The users in order, block by block."""
        size = self.users_per_block
        rank_weights = self.config.rank_weights(self.item_codes.num_items)
        for begin in range(0, self.num_users, size):
            place = slice(begin, min(begin + size, self.num_users))
            users = self.teacher_users[place]
            indptr, item_rows = self._seen_by(self.rows[place])
            with np.errstate(over="ignore", invalid="ignore"):  # the fit refuses what overflows
                scores = users @ self.teacher_items.T
            settings = {
                "teacher_scores": scores,
                "seen_indptr": indptr,
                "seen_rows": item_rows,
                "rank_weights": rank_weights,
                "false_positives": self.config.false_positives,
                "catalogue_weight": self.weight_of_one,
            }
            yield UserBlock(place, users, settings)

    @property
    def weight_of_one(self) -> float:
        """The weight of one item of the catalogue sample."""
        return self.config.catalogue_weight / max(self.config.catalogue_sample, 1)

    def _seen_by(self, rows: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        if self.seen is None:
            return None, None
        parts = [self.seen.of(int(row)) for row in rows]
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=indptr[1:])
        return indptr, np.concatenate([np.empty(0, np.int32), *parts])


def _require_teacher(users: np.ndarray, items: np.ndarray, num_items: int) -> None:
    for name, matrix in (("teacher_users", users), ("teacher_items", items)):
        if matrix.ndim != 2 or matrix.dtype != np.float32:
            raise ArgumentError(
                f"{name} must be a float32 matrix, not {matrix.shape} {matrix.dtype}"
            )
        require_finite(name, matrix)
    if users.shape[1] != items.shape[1]:
        raise ArgumentError(
            f"teacher_users {users.shape} and teacher_items {items.shape} must have the same width"
        )
    if len(items) != num_items:
        raise ArgumentError(f"teacher_items has {len(items)} rows, there are codes of {num_items}")


def _checked_user_rows(user_rows: np.ndarray | None, num_users: int) -> np.ndarray:
    if user_rows is None:
        return np.arange(num_users)
    if user_rows.ndim != 1 or user_rows.dtype.kind not in "iu":
        raise ArgumentError(
            f"user_rows must be (n,) integers, not {user_rows.shape} {user_rows.dtype}"
        )
    if len(user_rows) and not 0 <= int(user_rows.min()) <= int(user_rows.max()) < num_users:
        raise ArgumentError(
            f"user_rows reach from {user_rows.min()} to {user_rows.max()}, "
            f"teacher_users has {num_users} rows"
        )
    return user_rows.astype(np.int64)


def require_finite(name: str, array: np.ndarray) -> None:
    """Refuses an array with NaN or infinity, naming the first row that holds one.

    Raises:
        ArgumentError: There is one.
    """
    row = first_row_not_finite(array.reshape(len(array), prod(array.shape[1:])))
    if row is not None:
        raise ArgumentError(f"{name} row {row} holds a value that is not finite")
