"""Codebooks fitted to the users, for users that are vectors fitted to the codes.

A score table has B W numbers for a user to fit, a vector only D: the codebooks decide which tables
vectors can make. Those of the quantiser reproduce the item vectors; these reproduce what the
users' own tables came out as, or, in alternation with the vectors, the teacher's scores where the
rankings are decided. The codes stay as they are.

A constant added to one book of a user's table changes no ranking, so tables are compared less
their mean in each book, where a codeword counts as often as items use it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_fit_task import (
    Effort,
    FitTask,
    UserBlock,
    UserFitConfig,
    kernel_for,
    require_finite,
)
from lightrec.errors import ArgumentError
from lightrec.factors import Factors
from lightrec.interactions.history import History

CONJUGATE_GRADIENT_STEPS = 10
RIDGE = 0.3  # of the mean diagonal: holds back codewords that the candidates hardly speak of
TOLERANCE = 1e-6  # of the preconditioned squared residual, relative to the first
MOST_USERS = 20_000  # whose candidates are held at once, 9 KB each with the default settings
_USERS_AT_ONCE = 1_024  # whose tables are held at once: 4 MB at 4 x 256


def codebooks_for_users(tables: np.ndarray, item_codes: ItemCodes, width: int) -> np.ndarray:
    """The codebooks of a given width whose score tables come closest to the users' own.

    Closest in the sum over users and books of the squared differences, weighted by the number of
    items that use a codeword: the leading right singular vectors of the centred and weighted
    tables. They are scaled so that the squared norms of an item's codewords add up to 1 on average.

    Args:
        tables: (M, B, W) float32, from `fit_tables`.
        item_codes: The codes; their codebooks are not read.
        width: D of the codebooks to make. Past the rank of the tables, dimensions are zero.

    Returns:
        (B, W, D) float32; codewords that no item uses are zero.

    Raises:
        ArgumentError: The shape, dtype or width does not fit, or a table is not finite.
    """
    _require_tables(tables, item_codes)
    if width < 1:
        raise ArgumentError(f"width must be at least 1, not {width}")
    usage = Usage.of(item_codes)
    size = usage.counts.size
    gram = np.zeros((size, size))
    for begin in range(0, len(tables), _USERS_AT_ONCE):
        rows = usage.weighted(tables[begin : begin + _USERS_AT_ONCE])
        gram += rows.T @ rows
    values, vectors = np.linalg.eigh(gram)
    kept = np.flatnonzero(values > size * np.finfo(np.float32).eps * values[-1])[::-1][:width]
    codebooks = np.zeros((size, width))
    codebooks[:, : len(kept)] = vectors[:, kept] * usage.inverse_roots[:, None]
    squared = float(usage.counts.ravel() @ (codebooks**2).sum(axis=1)) / max(
        item_codes.num_items, 1
    )
    codebooks /= np.sqrt(squared) if squared > 0.0 else 1.0
    return codebooks.reshape(*usage.counts.shape, width).astype(np.float32)


def vectors_for_tables(tables: np.ndarray, item_codes: ItemCodes) -> np.ndarray:
    """The vectors whose score tables come closest to given ones, by the same measure.

    Args:
        tables: (M, B, W) float32.
        item_codes: Codes, and the codebooks that the vectors are to go with.

    Returns:
        (M, D) float32, where `fit_vectors` may start.

    Raises:
        ArgumentError: The shape or dtype does not fit, or a table is not finite.
    """
    _require_tables(tables, item_codes)
    usage = Usage.of(item_codes)
    inverse = np.linalg.pinv(usage.weighted_codebooks(item_codes))
    vectors = np.empty((len(tables), item_codes.width), np.float32)
    for begin in range(0, len(tables), _USERS_AT_ONCE):
        block = slice(begin, begin + _USERS_AT_ONCE)
        vectors[block] = usage.weighted(tables[block]) @ inverse.T
    return vectors


def level_codebooks(
    item_codes: ItemCodes, vectors: np.ndarray, users: np.ndarray, items: np.ndarray
) -> ItemCodes:
    """The codes with codebooks whose scores are on the teacher's level.

    Fitting leaves a constant a user open, which changes no ranking. One vector added to all
    codewords of the first book changes nothing but that constant; here it is the one that brings
    the mean of a user's scores over the catalogue closest to the teacher's. Scores then mean what
    the teacher's do, and a new item can be encoded from a vector of the teacher's space.

    Args:
        item_codes: Codes, and codebooks of width D.
        vectors: (n, D) float32, users among these codebooks.
        users: (n, T) float32, the same users of the teacher.
        items: (N, T) float32, the teacher's items.

    Returns:
        The same codes with codebooks (B, W, D) float32, of which the first is another.
    """
    wanted = users.astype(np.float64) @ items.mean(axis=0, dtype=np.float64)
    counts = Usage.of(item_codes).counts
    mean = np.einsum("bw,bwd->d", counts, item_codes.codebooks) / max(item_codes.num_items, 1)
    wide = vectors.astype(np.float64)
    added = np.linalg.lstsq(wide, wanted - wide @ mean, rcond=None)[0]
    codebooks = item_codes.codebooks.copy()
    codebooks[0] += added.astype(np.float32)
    return ItemCodes(item_codes.codes, codebooks)


def refit_codebooks_to_users(
    vectors: np.ndarray,
    teacher: Factors,
    item_codes: ItemCodes,
    seen: History | None,
    config: UserFitConfig | None = None,
    *,
    user_rows: np.ndarray | None = None,
    effort: Effort | None = None,
) -> np.ndarray:
    """Codebooks that bring the users' scores closest to the teacher's, on each user's candidates.

    Minimises over the codebooks, the codes and the vectors p_u held,

        sum_u sum_j w_j (p_u . y_j + a_u - t_uj)^2 + ridge |change of the codebooks|^2,

    y_j being the decoded item (Eq. 1), a_u a free intercept, and j running over the candidates that
    `fit_vectors` would pick now. It takes a few steps of conjugate gradients; no matrix is formed.

    Args:
        vectors: (n, D) float32, the users that the codebooks are fitted to.
        teacher: P1 (M, T) and q (N, T) of the paper.
        item_codes: Codes, and codebooks of width D to start from.
        seen: Pairs that are left out, M users by N items; None for none.
        config: What the candidates are; the defaults when None. Its rounds are not read.
        user_rows: (n,) rows of the vectors' users; all when None. At most 20,000 users drawn
            from them are used.
        effort: Seed of the catalogue sample and of that draw, threads, and whether to show a bar.

    Returns:
        (B, W, D) float32.

    Raises:
        ArgumentError: A shape, dtype or row does not fit, or a value is not finite.
    """
    effort = effort or Effort()
    rows = np.arange(len(teacher.users)) if user_rows is None else user_rows
    if vectors.shape != (len(rows), item_codes.width) or vectors.dtype != np.float32:
        raise ArgumentError(
            f"vectors must be ({len(rows)}, {item_codes.width}) float32, "
            f"not {vectors.shape} {vectors.dtype}"
        )
    require_finite("vectors", vectors)
    if len(rows) > MOST_USERS:
        drawn = np.sort(np.random.default_rng(effort.seed).permutation(len(rows))[:MOST_USERS])
        rows, vectors = rows[drawn], vectors[drawn]
    task = FitTask.of(teacher, item_codes, seen, config, user_rows=rows, rounds=1, effort=effort)
    step = _CodebookStep(task, vectors)
    present = item_codes.codebooks.reshape(-1, item_codes.width)
    fitted = present + step.solve(present)
    return np.ascontiguousarray(fitted.reshape(item_codes.codebooks.shape), dtype=np.float32)


@dataclass(frozen=True)
class Usage:
    """How often each codeword is used, and tables weighted by it.

    Attributes:
        counts: (B, W) float64, the number of items with a codeword.
    """

    counts: np.ndarray

    @classmethod
    def of(cls, item_codes: ItemCodes) -> Usage:
        """Counts the codewords."""
        words = item_codes.num_codewords
        columns = [np.bincount(column, minlength=words) for column in item_codes.codes.T]
        return cls(np.array(columns, dtype=np.float64))

    @property
    def inverse_roots(self) -> np.ndarray:
        """(B W,) one by the root of each count; 0 where it is 0."""
        roots = np.sqrt(self.counts).ravel()
        inverse: np.ndarray = np.zeros_like(roots)
        np.divide(1.0, roots, out=inverse, where=roots > 0.0)
        return inverse

    def weighted(self, tables: np.ndarray) -> np.ndarray:
        """Tables (n, B, W) less their means per book, times the roots of the counts: (n, B W)."""
        items = max(float(self.counts[0].sum()), 1.0)  # every item has one codeword of each book
        means = np.einsum("nbw,bw->nb", tables.astype(np.float64), self.counts) / items
        scaled = (tables - means[:, :, None]) * np.sqrt(self.counts)
        return np.asarray(scaled.reshape(len(tables), -1))

    def weighted_codebooks(self, item_codes: ItemCodes) -> np.ndarray:
        """Codebooks as columns of tables, weighted likewise: (B W, D)."""
        return self.weighted(item_codes.codebooks.transpose(2, 0, 1)).T


@dataclass(frozen=True)
class _BlockCandidates:
    """Users of a block, their vectors and their candidates in compressed rows."""

    vectors: np.ndarray
    indptr: np.ndarray
    rows: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


class _CodebookStep:
    """The least-squares problem of the codebooks: all its products go through score tables."""

    def __init__(self, task: FitTask, vectors: np.ndarray) -> None:
        self.task, self.fit = task, kernel_for(task.item_codes)
        self.shape = task.item_codes.codebooks.shape[:2]
        self.blocks = [
            part
            for block in task.blocks("candidates")
            for part in self._candidates(block, vectors[block.place])
        ]

    def solve(self, present: np.ndarray) -> np.ndarray:
        """The change of the codebooks, (B W, D) float64."""
        diagonal = self._diagonal()
        ridge = RIDGE * float(diagonal.mean())

        def apply(change: np.ndarray) -> np.ndarray:
            return np.asarray(ridge * change - self._residuals(change, with_targets=False))

        right_side = self._residuals(present, with_targets=True)
        return _conjugate_gradients(apply, diagonal + max(ridge, 1e-30), right_side)

    def _candidates(self, block: UserBlock, vectors: np.ndarray) -> list[_BlockCandidates]:
        indptr, rows, targets, weights = self.fit.candidates(
            **block.settings,
            tables=self.task.item_codes.score_tables(np.ascontiguousarray(vectors)),
        )
        parts = []
        for begin in range(0, len(vectors), _USERS_AT_ONCE):
            own = indptr[begin : begin + _USERS_AT_ONCE + 1]
            place = slice(own[0], own[-1])
            parts.append(
                _BlockCandidates(
                    vectors[begin : begin + _USERS_AT_ONCE],
                    own - own[0],
                    rows[place],
                    targets[place],
                    weights[place],
                )
            )
        return parts

    def _diagonal(self) -> np.ndarray:
        """About the diagonal of the system: each codeword's weight times users' mean squares."""
        codes = self.task.item_codes
        by_item = np.zeros(codes.num_items)
        squares = np.zeros(codes.width)
        for block in self.blocks:
            by_item += np.bincount(block.rows, block.weights, minlength=codes.num_items)
            squares += (block.vectors.astype(np.float64) ** 2).sum(axis=0)
        words = [np.bincount(c, by_item, minlength=codes.num_codewords) for c in codes.codes.T]
        return np.outer(np.concatenate(words), squares / max(self.task.num_users, 1))

    def _residuals(self, codebooks: np.ndarray, *, with_targets: bool) -> np.ndarray:
        """Users' residual tables, each times the user's vector, added up: (B W, D) float64."""
        flat = codebooks.astype(np.float32)
        total = np.zeros(codebooks.shape)
        for block in self.blocks:
            residuals = self.fit.residual_tables(
                indptr=block.indptr,
                rows=block.rows,
                targets=block.targets if with_targets else None,
                weights=block.weights,
                tables=(block.vectors @ flat.T).reshape(-1, *self.shape),
                threads=self.task.effort.cores,
            )
            total += residuals.reshape(len(residuals), -1).T @ block.vectors
        return total


def _conjugate_gradients(
    apply: Callable[[np.ndarray], np.ndarray], diagonal: np.ndarray, right_side: np.ndarray
) -> np.ndarray:
    """A few steps from zero towards `apply(x) = right_side`, preconditioned by the diagonal."""
    solution, residual = np.zeros_like(right_side), right_side
    preconditioned = residual / diagonal
    left = float(np.vdot(residual, preconditioned))
    enough, direction = TOLERANCE * left, preconditioned
    for _ in range(CONJUGATE_GRADIENT_STEPS):
        if left <= enough:
            break
        applied = apply(direction)
        length = left / float(np.vdot(direction, applied))
        solution = solution + length * direction
        residual = residual - length * applied
        preconditioned = residual / diagonal
        before, left = left, float(np.vdot(residual, preconditioned))
        direction = preconditioned + (left / before) * direction
    return solution


def _require_tables(tables: np.ndarray, item_codes: ItemCodes) -> None:
    expected = item_codes.codebooks.shape[:2]
    if tables.ndim != 3 or tables.shape[1:] != expected or tables.dtype != np.float32:
        raise ArgumentError(
            f"tables must be (M, {expected[0]}, {expected[1]}) float32, "
            f"not {tables.shape} {tables.dtype}"
        )
    require_finite("tables", tables)
