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
from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.native import KERNELS, available_cores
from lightrec.progress import track
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

    def candidate_settings(self, num_items: int) -> dict[str, Any]:
        """How the kernel picks and weighs candidates in a catalogue of so many items."""
        return {
            "rank_weights": self.rank_weights(num_items),
            "false_positives": self.false_positives,
            "catalogue_weight": self.catalogue_weight / max(self.catalogue_sample, 1),  # of one
        }


@dataclass(frozen=True)
class Effort:
    """How a fit is carried out; only the seed has a say in what comes out.

    Attributes:
        seed: Of the samples that the fit draws.
        threads: Threads of the kernel, 0 for all available cores. (The teacher's scores are a
            matrix product, whose threads are numpy's.)
        progress: Shows progress bars when standard error is a terminal.

    Raises:
        ArgumentError: Seed or threads are below 0.
    """

    seed: int = 0
    threads: int = 0
    progress: bool = False

    def __post_init__(self) -> None:
        if self.seed < 0 or self.threads < 0:
            raise ArgumentError(
                f"seed ({self.seed}) and threads ({self.threads}) must be at least 0"
            )

    @property
    def cores(self) -> int:
        """Threads as the kernel takes them, at least 1."""
        return self.threads or available_cores()


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
        teacher: Whose scores are learned from; of its users, those to fit alone.
        item_codes: The codes.
        seen: Pairs left out, or None.
        rows: (n,) int64, the users' rows in `seen`.
        config: Settings.
        catalogue: (rounds, sample) int32, from `catalogue_sample`.
        effort: How the fit is carried out.
    """

    teacher: Factors
    item_codes: ItemCodes
    seen: History | None
    rows: np.ndarray
    config: UserFitConfig
    catalogue: np.ndarray
    effort: Effort

    @classmethod
    def of(
        cls,
        teacher: Factors,
        item_codes: ItemCodes,
        seen: History | None,
        config: UserFitConfig | None,
        *,
        user_rows: np.ndarray | None,
        rounds: int | None = None,
        effort: Effort | None = None,
    ) -> FitTask:
        """The task, with every argument checked; `fit_tables` says what they are."""
        config, effort = config or UserFitConfig(), effort or Effort()
        rounds = config.rounds if rounds is None else rounds
        if rounds < 1:
            raise ArgumentError(f"rounds ({rounds}) must be at least 1")
        require_codes_of(len(teacher.items), item_codes)
        num_users, num_items = len(teacher.users), item_codes.num_items
        if seen is not None and (seen.num_users, seen.num_items) != (num_users, num_items):
            raise ArgumentError(
                f"seen holds {seen.num_users} users and {seen.num_items} items, "
                f"teacher and codes {num_users} and {num_items}"
            )
        rows = _checked_user_rows(user_rows, num_users)
        if user_rows is not None:
            teacher = Factors(teacher.users[rows], teacher.items)
        catalogue = catalogue_sample(num_items, config, rounds, effort.seed)
        return cls(teacher, item_codes, seen, rows, config, catalogue, effort)

    @property
    def num_users(self) -> int:
        """n, the users to fit."""
        return len(self.rows)

    @property
    def users_per_block(self) -> int:
        """As many as fit the bound on teacher scores, at least one."""
        return max(1, BLOCK_BYTES // max(1, 4 * self.item_codes.num_items))

    def require_codebooks_of_teacher_width(self) -> None:
        """Without a start, the teacher's vectors have to have a meaning among the codebooks."""
        if self.item_codes.width != self.teacher.width:
            raise ArgumentError(
                f"codebooks are {self.item_codes.width} wide and the teacher's users "
                f"{self.teacher.width}: give start, P1 is none for these codebooks"
            )

    def blocks(self, description: str) -> Iterator[UserBlock]:
        """The users in order, block by block, under a bar that says what is being done."""
        size = self.users_per_block
        shared = self.config.candidate_settings(self.item_codes.num_items)
        shared |= {"catalogue": self.catalogue, "threads": self.effort.cores}
        begins = range(0, self.num_users, size)
        for begin in track(begins, description, enabled=self.effort.progress):
            place = slice(begin, min(begin + size, self.num_users))
            users = self.teacher.users[place]
            indptr, item_rows = self._seen_by(self.rows[place])
            with np.errstate(over="ignore", invalid="ignore"):  # the fit refuses what overflows
                scores = users @ self.teacher.items.T
            own = {"teacher_scores": scores, "seen_indptr": indptr, "seen_rows": item_rows}
            yield UserBlock(place, users, shared | own)

    def _seen_by(self, rows: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        if self.seen is None:
            return None, None
        parts = [self.seen.of(int(row)) for row in rows]
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=indptr[1:])
        return indptr, np.concatenate([np.empty(0, np.int32), *parts])


def catalogue_sample(num_items: int, config: UserFitConfig, rounds: int, seed: int) -> np.ndarray:
    """The items of the whole catalogue that every user is fitted to, anew each round.

    Args:
        num_items: N; nothing is drawn from an empty catalogue.
        config: How many items.
        rounds: How often.
        seed: Of the draw.

    Returns:
        (rounds, sample) int32 item rows, ascending in each round.
    """
    sample = config.catalogue_sample if num_items else 0
    drawn = np.random.default_rng(seed).integers(0, max(num_items, 1), (rounds, sample))
    return np.sort(drawn, axis=1).astype(np.int32)


def kernel_for(item_codes: ItemCodes) -> Any:  # noqa: ANN401 (the compiled class has no type)
    """What fits users to these codes: the compiled `UserFit`, or its numpy twin."""
    kind = NumpyUserFit if KERNELS is None else KERNELS.UserFit
    return kind(np.ascontiguousarray(item_codes.codes), item_codes.num_codewords)


def require_codes_of(num_items: int, item_codes: ItemCodes) -> None:
    """Refuses codes of another catalogue.

    Raises:
        ArgumentError: They are not as many as the teacher's items.
    """
    if num_items != item_codes.num_items:
        raise ArgumentError(
            f"the teacher has {num_items} items, there are codes of {item_codes.num_items}"
        )


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
            f"the teacher has {num_users} users"
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
