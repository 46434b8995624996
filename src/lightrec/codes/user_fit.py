"""Users fitted to the codes in closed form, without a label: Eq. 9's P2, free, one user at a time.

Few bytes an item cannot hold every score, so a user is fitted where the ranking is decided: on the
items that the teacher ranks highest, and on those that the student does (its false positives). With
the codes fixed, a user's scores are linear in the user's score table (or vector), and the best one
is a ridge regression on the teacher's scores; it is solved again in rounds, because every solution
has false positives of its own. A sample of the catalogue with a small weight holds the rest down.

A score table of its own has B W numbers for a user to fit; a vector has only D, and shares the
codebooks. Nothing here knows held-out pairs or labels: the teacher's scores are all that is learned
from, and items that a user has trained on are left out, because no ranking will show them.
"""

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
from lightrec.progress import track
from lightrec.settings import Settings

BLOCK_BYTES = 1 << 26  # of teacher scores held at once
_LEAST_SPREAD = 1e-3
_ITEMS_AT_ONCE = 16_384  # decoded together to measure how far they lie apart


class UserFitConfig(Settings):
    """What users are fitted to, and for how long."""

    candidates: int = Field(120, ge=1)
    """The teacher's best items, unseen ones, each with weight 1."""
    false_positives: int = Field(120, ge=0)
    """The student's own best items by its present scores, each with weight 1."""
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

    @property
    def rounds_of_vectors(self) -> int:
        """How many rounds the vectors of `fitted` users go through."""
        return min(self.vector_rounds, self.rounds)


def fit_tables(
    teacher_users: np.ndarray,
    teacher_items: np.ndarray,
    item_codes: ItemCodes,
    seen: History | None,
    config: UserFitConfig | None = None,
    *,
    start: np.ndarray | None = None,
    user_rows: np.ndarray | None = None,
    rounds: int | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: bool = False,
) -> np.ndarray:
    """Score tables fitted to the codes: users of the form `table`.

    A round minimises, over a user's table T', `sum_j w_j (s_j(T') - t_j)^2 + ridge |T' - T|^2`: s_j
    is the sum of the item's B entries (Eq. 2), t_j the teacher's score, j runs over the round's
    candidates, and T is the table that the round before left.

    A user's answer depends on the seed, not on `threads`; nor on the other users, but for the last
    bits of the teacher's scores, which are one matrix product for many users. With and without the
    compiled kernels it agrees to float accuracy, not to the bit: sums run in another order.

    Args:
        teacher_users: (M, T) float32, P1 of the paper.
        teacher_items: (N, T) float32, q of the paper.
        item_codes: The codes; their codebooks are needed only where `start` is None.
        seen: Pairs that are left out of every fit, M users by N items; None for none.
        config: Settings; the defaults when None.
        start: (n, B, W) float32 tables to start from; those of P1 when None.
        user_rows: (n,) the users to fit; all when None.
        rounds: Instead of `config.rounds`.
        seed: Of the catalogue sample.
        threads: Threads of the kernel, 0 for all available cores. (The teacher's scores are a
            matrix product, whose threads are numpy's.)
        progress: Whether to show a bar.

    Returns:
        (n, B, W) float32.

    Raises:
        ArgumentError: A shape, dtype or row does not fit, or a value is not finite.
    """
    task = FitTask.of(
        teacher_users, teacher_items, item_codes, seen, config, user_rows, rounds, seed, threads
    )
    tables = np.empty((task.num_users, *item_codes.codebooks.shape[:2]), np.float32)
    if start is None:
        task.require_codebooks_of_teacher_width()
    else:
        _require_start(start, tables.shape)
    fit = task.fit()
    for block in track(task.blocks(), "fitting users", total=task.num_blocks, enabled=progress):
        begun = item_codes.score_tables(block.users) if start is None else start[block.place]
        tables[block.place] = fit.fit_tables(
            **block.settings,
            catalogue=task.catalogue,
            ridge=task.config.ridge,
            start=np.ascontiguousarray(begun),
            threads=task.threads,
        )
    return tables


def fit_vectors(
    teacher_users: np.ndarray,
    teacher_items: np.ndarray,
    item_codes: ItemCodes,
    seen: History | None,
    config: UserFitConfig | None = None,
    *,
    start: np.ndarray | None = None,
    user_rows: np.ndarray | None = None,
    rounds: int | None = None,
    seed: int = 0,
    threads: int = 0,
    progress: bool = False,
) -> np.ndarray:
    """Vectors fitted to the codes and codebooks: users of the form `fitted`.

    As `fit_tables`, with the score `p . y_j + a`: y_j is the decoded item (Eq. 1) and `a` an
    intercept of the round, free and thrown away, since a constant does not change a ranking.

    The ridge on |p' - p|^2 is `config.vector_ridge` times the mean squared distance of decoded
    items from their mean, so that scale and level of the codebooks do not matter: to move a typical
    item's score by d then costs `vector_ridge d^2`. In a score table it costs `ridge d^2 / B`, as
    the step is spread over B entries.

    Args:
        teacher_users: (M, T) float32, P1 of the paper.
        teacher_items: (N, T) float32, q of the paper.
        item_codes: Codes and codebooks, of any width D.
        seen: Pairs that are left out of every fit, M users by N items; None for none.
        config: Settings; the defaults when None.
        start: (n, D) float32 vectors to start from; P1 when None, for which D must be T.
        user_rows: (n,) the users to fit; all when None.
        rounds: Instead of `config.rounds`.
        seed: Of the catalogue sample.
        threads: Threads of the kernel, 0 for all available cores.
        progress: Whether to show a bar.

    Returns:
        (n, D) float32.

    Raises:
        ArgumentError: A shape, dtype or row does not fit, or a value is not finite.
    """
    task = FitTask.of(
        teacher_users, teacher_items, item_codes, seen, config, user_rows, rounds, seed, threads
    )
    vectors = np.empty((task.num_users, item_codes.width), np.float32)
    if start is None:
        task.require_codebooks_of_teacher_width()
    else:
        _require_start(start, vectors.shape)
    fit = task.fit()
    ridge = vector_ridge(task.config, item_codes)
    for block in track(task.blocks(), "fitting users", total=task.num_blocks, enabled=progress):
        begun = block.users if start is None else start[block.place]
        vectors[block.place] = fit.fit_vectors(
            **block.settings,
            catalogue=task.catalogue,
            ridge=ridge,
            start=np.ascontiguousarray(begun),
            codebooks=np.ascontiguousarray(item_codes.codebooks),
            threads=task.threads,
        )
    return vectors


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
        """N."""
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
                "candidates": self.config.candidates,
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


def vector_ridge(config: UserFitConfig, item_codes: ItemCodes) -> float:
    """What a step of a vector costs for its squared length; see `fit_vectors`."""
    return max(
        config.vector_ridge * mean_squared_distance(item_codes), float(np.finfo(np.float32).tiny)
    )


def mean_squared_distance(item_codes: ItemCodes) -> float:
    """Mean squared distance of decoded items from their mean; 0 where there is no item.

    At least a little of their mean squared norm, so that equal items leave a ridge to hold on to.
    """
    total, mean = 0.0, np.zeros(item_codes.width)
    for begin in range(0, item_codes.num_items, _ITEMS_AT_ONCE):
        decoded = item_codes.decode(slice(begin, begin + _ITEMS_AT_ONCE))
        total += float(np.vdot(decoded, decoded))
        mean += decoded.sum(axis=0, dtype=np.float64)
    squared_norm = total / max(item_codes.num_items, 1)
    mean /= max(item_codes.num_items, 1)
    return max(squared_norm - float(np.vdot(mean, mean)), _LEAST_SPREAD * squared_norm)


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


def _require_start(start: np.ndarray, shape: tuple[int, ...]) -> None:
    if start.shape != shape or start.dtype != np.float32:
        raise ArgumentError(f"start must be {shape} float32, not {start.shape} {start.dtype}")
    require_finite("start", start)


def require_finite(name: str, array: np.ndarray) -> None:
    """Refuses an array with NaN or infinity, naming the first row that holds one.

    Raises:
        ArgumentError: There is one.
    """
    row = first_row_not_finite(array.reshape(len(array), prod(array.shape[1:])))
    if row is not None:
        raise ArgumentError(f"{name} row {row} holds a value that is not finite")
