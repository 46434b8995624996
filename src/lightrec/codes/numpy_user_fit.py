"""The numpy twin of the compiled user fit: the same steps, slower, and easier to read.

It picks the same candidates and stops by the same rule, but its sums run in another order, so that
the two agree to float accuracy only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lightrec.codes.conjugate_gradients import conjugate_gradients
from lightrec.codes.score_table import score_tables
from lightrec.errors import ArgumentError

MOST_STEPS = 30  # of conjugate gradients
TOLERANCE = 1e-6  # of the preconditioned squared residual, relative to the first
LARGEST_TEACHER_SCORE = 1e30  # sums of them, and of products with weights, stay finite

Step = Callable[[int, "Candidates"], None]


@dataclass(frozen=True)
class Candidates:
    """What one round fits one user to.

    Attributes:
        rows: (n,) int32 item rows; the distinct ones first, those of the catalogue sample last.
        targets: (n,) float32, the teacher's scores.
        weights: (n,) float32.
    """

    rows: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


class NumpyUserFit:
    """Fits blocks of users to fixed codes; the arguments are those of the compiled `UserFit`.

    Args:
        codes: (N, B) uint8.
        num_codewords: W.
    """

    def __init__(self, codes: np.ndarray, num_codewords: int) -> None:
        self.num_codewords = num_codewords
        self.num_codebooks = codes.shape[1]
        # (N, B): where an item's entries stand in a flat score table
        self.entries = codes + np.arange(self.num_codebooks) * num_codewords

    def fit_tables(
        self,
        teacher_scores: np.ndarray,
        seen_indptr: np.ndarray | None,
        seen_rows: np.ndarray | None,
        catalogue: np.ndarray,
        rank_weights: np.ndarray,
        false_positives: int,
        catalogue_weight: float,
        ridge: float,
        start: np.ndarray,
        threads: int,
    ) -> np.ndarray:
        """Score tables fitted in rounds; (n, B, W) float32."""
        _require_finite_scores(teacher_scores)
        pick = _Picker(self, rank_weights, false_positives, catalogue_weight)
        tables = start.copy()
        for user, scores in enumerate(teacher_scores):
            seen = _seen_by(user, seen_indptr, seen_rows)
            best = pick.best_of_teacher(scores, seen)
            for sample in catalogue:
                chosen = pick.candidates(scores, seen, best, tables[user], sample)
                tables[user] += self._table_step(tables[user].ravel(), chosen, ridge).reshape(
                    tables[user].shape
                )
        return tables

    def fit_vectors(
        self,
        teacher_scores: np.ndarray,
        seen_indptr: np.ndarray | None,
        seen_rows: np.ndarray | None,
        catalogue: np.ndarray,
        rank_weights: np.ndarray,
        false_positives: int,
        catalogue_weight: float,
        ridge: float,
        start: np.ndarray,
        codebooks: np.ndarray,
        threads: int,
    ) -> np.ndarray:
        """Vectors fitted in rounds; (n, D) float32."""
        _require_finite_scores(teacher_scores)
        pick = _Picker(self, rank_weights, false_positives, catalogue_weight)
        words = codebooks.reshape(-1, codebooks.shape[2])
        vectors = start.copy()
        for user, scores in enumerate(teacher_scores):
            seen = _seen_by(user, seen_indptr, seen_rows)
            best = pick.best_of_teacher(scores, seen)
            for sample in catalogue:
                table = score_tables(vectors[user : user + 1], codebooks)[0]
                chosen = pick.candidates(scores, seen, best, table, sample)
                decoded = words[self.entries[chosen.rows]].sum(axis=1)
                vectors[user] += _vector_step(vectors[user], decoded, chosen, ridge)
        return vectors

    def candidates(
        self,
        teacher_scores: np.ndarray,
        seen_indptr: np.ndarray | None,
        seen_rows: np.ndarray | None,
        catalogue: np.ndarray,
        rank_weights: np.ndarray,
        false_positives: int,
        catalogue_weight: float,
        tables: np.ndarray,
        threads: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One round's candidates as (indptr, rows, targets, weights), user after user."""
        _require_finite_scores(teacher_scores)
        pick = _Picker(self, rank_weights, false_positives, catalogue_weight)
        lists = []
        for user, scores in enumerate(teacher_scores):
            seen = _seen_by(user, seen_indptr, seen_rows)
            best = pick.best_of_teacher(scores, seen)
            lists.append(pick.candidates(scores, seen, best, tables[user], catalogue[0]))
        indptr = np.zeros(len(lists) + 1, np.int64)
        np.cumsum([len(one.rows) for one in lists], out=indptr[1:])
        return (
            indptr,
            np.concatenate([np.empty(0, np.int32), *(one.rows for one in lists)]),
            np.concatenate([np.empty(0, np.float32), *(one.targets for one in lists)]),
            np.concatenate([np.empty(0, np.float32), *(one.weights for one in lists)]),
        )

    def residual_tables(
        self,
        indptr: np.ndarray,
        rows: np.ndarray,
        targets: np.ndarray | None,
        weights: np.ndarray,
        tables: np.ndarray,
        threads: int,
    ) -> np.ndarray:
        """Weighted residuals less their mean, added up at the codewords; (n, B, W) float32."""
        residuals = np.zeros_like(tables)
        for user, table in enumerate(tables):
            own = slice(indptr[user], indptr[user + 1])
            entries, weight = self.entries[rows[own]], weights[own]
            difference = -_score(table.ravel(), entries)
            if targets is not None:
                difference += targets[own]
            difference -= np.float32(_weighted_mean(difference, weight))
            residuals[user] = self._at_entries(entries, weight * difference).reshape(table.shape)
        return residuals

    def _table_step(self, table: np.ndarray, chosen: Candidates, ridge: float) -> np.ndarray:
        entries = self.entries[chosen.rows]
        residual = chosen.targets - _score(table, entries)

        def apply(direction: np.ndarray) -> np.ndarray:
            weighted = chosen.weights * _score(direction, entries)
            return np.asarray(np.float32(ridge) * direction + self._at_entries(entries, weighted))

        diagonal = np.float32(ridge) + self._at_entries(entries, chosen.weights)
        right_side = self._at_entries(entries, chosen.weights * residual)
        return _solved(apply, diagonal, right_side)

    def _at_entries(self, entries: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Each item's value added up at each of its entries; (B W,) float32."""
        spread = np.repeat(values, self.num_codebooks)
        size = self.num_codebooks * self.num_codewords
        return np.bincount(entries.ravel(), spread, minlength=size).astype(np.float32)


class _Picker:
    """Chooses what a round is fitted to."""

    def __init__(
        self,
        fit: NumpyUserFit,
        rank_weights: np.ndarray,
        false_positives: int,
        catalogue_weight: float,
    ) -> None:
        self.entries = fit.entries
        self.rank_weights = rank_weights
        self.false_positives = false_positives
        self.catalogue_weight = catalogue_weight

    def best(self, scores: np.ndarray, seen: np.ndarray, count: int) -> np.ndarray:
        """The best unseen rows, equal scores by row; best first."""
        unseen = np.setdiff1d(np.arange(len(scores)), seen, assume_unique=True)
        order = np.argsort(-scores[unseen], kind="stable")[:count]
        return unseen[order].astype(np.int32)

    def best_of_teacher(self, scores: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """As many as have weights of their own."""
        return self.best(scores, seen, len(self.rank_weights) - 1)

    def candidates(
        self,
        scores: np.ndarray,
        seen: np.ndarray,
        teachers_best: np.ndarray,
        table: np.ndarray,
        sample: np.ndarray,
    ) -> Candidates:
        own = self.best(_score(table.ravel(), self.entries), seen, self.false_positives)
        picked = np.union1d(teachers_best, own)
        sampled = sample[~np.isin(sample, seen)]
        rows = np.concatenate([picked, sampled]).astype(np.int32)
        weights = np.full(len(rows), self.catalogue_weight, np.float32)
        weights[: len(picked)] = self.rank_weights[-1]
        weights[np.searchsorted(picked, teachers_best)] = self.rank_weights[: len(teachers_best)]
        return Candidates(rows, scores[rows], weights)


def _vector_step(
    vector: np.ndarray, decoded: np.ndarray, chosen: Candidates, ridge: float
) -> np.ndarray:
    """The step of a vector; means are taken off, which profiles the free intercept out."""
    weights = chosen.weights
    total = np.float32(max(float(weights.sum(dtype=np.float64)), 1e-30))
    centred = decoded - (weights @ decoded) / total
    residual = chosen.targets - np.float32(_weighted_mean(chosen.targets, weights))
    residual -= centred @ vector

    def apply(direction: np.ndarray) -> np.ndarray:
        pulled = centred.T @ (weights * (centred @ direction))
        return np.asarray(np.float32(ridge) * direction + pulled)

    diagonal = np.float32(ridge) + weights @ centred**2
    return _solved(apply, diagonal, centred.T @ (weights * residual))


def _solved(
    apply: Callable[[np.ndarray], np.ndarray], diagonal: np.ndarray, right_side: np.ndarray
) -> np.ndarray:
    """Solves `apply(x) = right_side` from zero, preconditioned by the diagonal; (n,) float32."""
    return conjugate_gradients(
        apply,
        right_side,
        precondition=lambda residual: residual / diagonal,
        steps=MOST_STEPS,
        tolerance=TOLERANCE,
    )


def _score(table: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """Sums of the entries of a flat table, in codebook order."""
    scores: np.ndarray = table[entries[:, 0]]
    for column in entries.T[1:]:
        scores += table[column]
    return scores


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> float:
    total = float(weights.sum(dtype=np.float64))
    return float(np.dot(values.astype(np.float64), weights)) / total if total > 0.0 else 0.0


def _seen_by(user: int, indptr: np.ndarray | None, rows: np.ndarray | None) -> np.ndarray:
    if indptr is None or rows is None:
        return np.empty(0, np.int32)
    return rows[indptr[user] : indptr[user + 1]]


def _require_finite_scores(teacher_scores: np.ndarray) -> None:
    if not (np.abs(teacher_scores) <= LARGEST_TEACHER_SCORE).all():
        raise ArgumentError("teacher_scores hold values that are not finite or too large")
