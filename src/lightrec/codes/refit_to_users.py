"""Codebooks refitted to the users: what is fitted in alternation with the users' vectors.

In place of the users' own tables (`user_codebooks`), these codebooks reproduce the teacher's scores
where the rankings are decided. The codes stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightrec.codes.conjugate_gradients import conjugate_gradients
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

        preconditioner = diagonal + max(ridge, 1e-30)
        return conjugate_gradients(
            apply,
            self._residuals(present, with_targets=True),
            precondition=lambda residual: residual / preconditioner,
            steps=CONJUGATE_GRADIENT_STEPS,
            tolerance=TOLERANCE,
        )

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
