"""Codes fitted again to the users that were fitted to them: does alternation gain anything?

The default preset fits codes to the teacher's vectors, and then users to the codes. Here every item
is then encoded anew, for the users' score tables as they stand, by coordinate descent over

    sum_u w_uj (sum_b T_u[b, c_b] + a_u - t_uj)^2 + v mean_u (sum_b T_u[b, c_b] + a_u - t_uj)^2.

The first sum runs over the users who have item j among their candidates (the teacher's best items
and their own false positives, weighed as in the users' fit), the second over all of them, with the
weight of the catalogue sample; a_u is the user's intercept. It is a metric of the item's own, and
no approximation of any. Then users are fitted to the new codes; again, if asked. Validation pairs
of split 0 only.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from lightrec.codes.coded_users import UserForm, users_in_form
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.refit_codebooks import refit_codebooks
from lightrec.codes.user_fit import fit_tables
from lightrec.codes.user_fit_task import Effort, FitTask, kernel_for
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer
from lightrec.experiments.best import chosen_teacher
from lightrec.experiments.parts import Part, teacher_of, validation_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.runner import Row, Runner, command_for
from lightrec.run.stages import quantize
from lightrec.run_config import RunConfig, load_config
from lightrec.teachers.fit import FittedTeacher
from lightrec.training.loop import Surroundings

NAME = "refitted_codes"
DATA = ("citeulike-t",)
TIMES = (0, 1, 2)
"""How often codes are fitted to users' tables."""
FORMS: tuple[UserForm, ...] = ("fitted", "table")
SWEEPS = 2
"""Over the codebooks of an item, at most."""


def run(
    data: Sequence[str] | None = None,
    *,
    root: Path | str | None = None,
    stale: bool = False,
    progress: bool = False,
) -> Path:
    """Measures what is missing and writes `experiments/results/refitted_codes.json`.

    Args:
        data: Public data sets, split 0 of each; those of `DATA` when None.
        root: The data folder; by default the one that LIGHTREC_DATA names.
        stale: Measures cells of an older source again.
        progress: Shows progress bars when standard error is a terminal.

    Returns:
        The result file.
    """
    runner = Runner(NAME, command_for(NAME, DATA), sources_of(NAME), stale=stale)
    surroundings = Surroundings(progress=progress)
    config = load_config("default")
    for name in data or DATA:
        part = validation_part(name, root)
        chosen = chosen_teacher(runner, part, config, surroundings)
        trial = _Trial(part, config, chosen, surroundings)
        for times in TIMES:
            for form in FORMS:
                stage = {
                    "data": name,
                    "split": 0,
                    "times": times,
                    "variant": form,
                    "teacher": [chosen.config.model_dump(), chosen.epochs],
                    "config": config.without_teacher(),
                }
                measure = partial(trial.measure, times, form)
                runner.rows.append(runner.cell(stage, part.digest, measure))
                runner.write()
    return runner.write()


class _Trial:
    """One data set; the teacher and its codes are made once."""

    def __init__(
        self, part: Part, config: RunConfig, chosen: FittedTeacher, surroundings: Surroundings
    ) -> None:
        self.part, self.config = part, config
        self.effort = Effort(config.seed, progress=surroundings.progress)
        self.factors = cache(lambda: teacher_of(part, config, chosen, surroundings).fitted.factors)
        self.codes = cache(self._codes)

    def measure(self, times: int, form: UserForm) -> Row:
        """Validation metrics of users in a form, fitted to codes that were refitted so often."""
        part, codes = self.part, self.codes(times)
        made = users_in_form(
            form, self.factors(), codes, part.pairs, self.config.users, self.effort
        )
        scorer = CodeScorer(made.item_codes, made.values)
        means = evaluate_ranking(scorer, part.pairs, part.sought).means
        row: Row = {"data": part.data, "split": 0, "seed": self.config.seed, "times": times}
        row |= {"model": f"refitted {times} times", "variant": form}
        row["items_changed"] = float((codes.codes != self.codes(0).codes).any(axis=1).mean())
        for metric in ("recall@20", "recall@100", "ndcg@100", "ndcg"):
            row[f"{metric}_validation"] = means[metric]
        return row

    def _codes(self, times: int) -> ItemCodes:
        """The default preset's codes, refitted so many times."""
        factors, seen, fit = self.factors(), self.part.pairs, self.config.users.fit
        if times == 0:
            return quantize(seen, factors, self.config, "metric")
        codes = self.codes(times - 1)
        tables = fit_tables(factors, codes, seen, fit, effort=self.effort)
        task = FitTask.of(factors, codes, seen, fit, user_rows=None, rounds=1, effort=self.effort)
        found = refit_codes(task, tables)
        return ItemCodes(found, refit_codebooks(factors.items, ItemCodes(found, codes.codebooks)))


@dataclass(frozen=True)
class _Wanted:
    """What users want of an item: rows of users, their weights, and the scores less intercepts."""

    users: np.ndarray
    weights: np.ndarray
    scores: np.ndarray


def refit_codes(task: FitTask, tables: np.ndarray) -> np.ndarray:
    """Every item's codes, fitted to users' score tables.

    Args:
        task: All users of a teacher, the codes to start from, and what candidates are.
        tables: (M, B, W) float32, fitted to these codes.

    Returns:
        (N, B) uint8.
    """
    num_users, num_books, num_words = tables.shape
    candidates = _Candidates(task, tables)
    flat = tables.reshape(num_users, -1)
    squares = (flat.T @ flat) / num_users  # how all users together see words beside each other
    of_vectors = (flat.T @ task.teacher.users) / num_users
    level = (flat.T @ candidates.intercepts.astype(np.float32)) / num_users
    weight = task.config.catalogue_weight * num_users / task.item_codes.num_items
    found = task.item_codes.codes.copy()
    for item, wanted in enumerate(candidates.by_item()):
        own = tables[wanted.users]
        products = of_vectors @ task.teacher.items[item] - level
        codes = found[item].astype(np.intp)
        for book in np.tile(np.arange(num_books), SWEEPS):
            rest = [each for each in range(num_books) if each != book]
            asked = wanted.scores - sum(own[:, each, codes[each]] for each in rest)
            words = own[:, book]
            cost = wanted.weights @ words**2 - 2 * (wanted.weights * asked) @ words
            here = slice(book * num_words, (book + 1) * num_words)
            beside = sum(squares[here, each * num_words + codes[each]] for each in rest)
            everybody = np.diagonal(squares)[here] + 2 * beside - 2 * products[here]
            codes[book] = np.argmin(cost + weight * everybody)
        found[item] = codes
    return found


class _Candidates:
    """Who has which items among the candidates, and the users' intercepts there."""

    def __init__(self, task: FitTask, tables: np.ndarray) -> None:
        codes = task.item_codes.codes
        kernel = kernel_for(task.item_codes)
        self.num_items = len(codes)
        self.intercepts = np.zeros(len(tables))
        parts = []
        for block in task.blocks("candidates"):
            own = np.ascontiguousarray(tables[block.place])
            indptr, rows, targets, weights = kernel.candidates(**block.settings, tables=own)
            users = np.repeat(np.arange(len(own)), np.diff(indptr))
            scores = sum(own[users, book, codes[rows, book]] for book in range(codes.shape[1]))
            missing = np.bincount(users, weights * (targets - scores), minlength=len(own))
            total = np.bincount(users, weights, minlength=len(own))
            self.intercepts[block.place] = missing / np.maximum(total, 1e-12)
            users += block.place.start
            parts.append((users, rows, targets - self.intercepts[users], weights))
        self._users, self._rows, self._scores, self._weights = map(
            np.concatenate, zip(*parts, strict=True)
        )

    def by_item(self) -> Iterator[_Wanted]:
        """What is wanted of every item, in row order."""
        order = np.argsort(self._rows, kind="stable")
        starts = np.searchsorted(self._rows[order], np.arange(self.num_items + 1))
        for begin, end in itertools.pairwise(starts):
            mine = order[begin:end]
            yield _Wanted(self._users[mine], self._weights[mine], self._scores[mine])
