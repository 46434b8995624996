"""Users of a live tower: what a query by vector is worth, where nobody has fitted the user.

Every user is held out once, with a fifth of all, of everything that comes after the teacher: codes,
codebooks and maps are made for the others. Then the held-out users' teacher vectors query: as they
are (`identity`), or through a map learned from fitted users (`linear`, `mlp`), at several widths.
`identity, codebooks refitted` fits the codebooks once more to the other users' vectors as they are,
on their candidates. Rows are means over all users. Validation pairs of split 0 only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from lightrec.codes.coded_users import CodedUsers, UserForm, users_in_form
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.refit_to_users import refit_codebooks_to_users
from lightrec.codes.user_fit_task import Effort
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer, Scorer
from lightrec.experiments.best import chosen_teacher
from lightrec.experiments.fold_in import HeldUsers, parted_by_users
from lightrec.experiments.parts import Part, teacher_of, validation_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.runner import Row, Runner, command_for
from lightrec.factors import Factors
from lightrec.run.stages import quantize
from lightrec.run_config import RunConfig, load_config
from lightrec.serving.user_map import map_vectors
from lightrec.training.loop import Surroundings

NAME = "live_users"
DATA = ("citeulike-t",)
FOLDS = 5
MAPPED: dict[str, tuple[UserForm, int]] = {
    "linear, 128 numbers": ("linear", 128),
    "linear, 64 numbers": ("linear", 64),
    "linear, 32 numbers": ("linear", 32),
    "mlp, 128 numbers": ("mlp", 128),
}
VARIANTS = ("float", "identity", "identity, codebooks refitted", *MAPPED)
REFITS = 3  # of the codebooks under identity


def run(
    data: Sequence[str] | None = None,
    *,
    root: Path | str | None = None,
    stale: bool = False,
    progress: bool = False,
) -> Path:
    """Measures what is missing and writes `experiments/results/live_users.json`.

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
        teacher = cache(
            lambda part=part, chosen=chosen: (
                teacher_of(part, config, chosen, surroundings).fitted.factors
            )
        )
        order = np.random.default_rng(config.seed).permutation(part.pairs.num_users)
        folds = [
            _Fold(teacher, *parted_by_users(part, np.sort(order[fold::FOLDS])), config)
            for fold in range(FOLDS)
        ]
        for variant in VARIANTS:
            stage = {
                "data": name,
                "split": 0,
                "variant": variant,
                "teacher": [chosen.config.model_dump(), chosen.epochs],
                "config": config.without_teacher(),
                "folds": FOLDS,
            }
            measure = partial(_measured, variant, folds)
            runner.rows.append(runner.cell(stage, part.digest, measure))
            runner.write()
    return runner.write()


def _measured(variant: str, folds: Sequence[_Fold]) -> Row:
    """Validation metrics, means over the users of all folds."""
    found = [fold.measure(variant) for fold in folds]
    row: Row = {"data": folds[0].held.part.data, "split": 0, "seed": folds[0].config.seed}
    row |= {"model": "lightrec", "variant": variant, "width": found[0].width}
    row["users"] = sum(each.users for each in found)
    for name in ("recall@100", "ndcg@100", "ndcg"):
        total = sum(each.users * each.means[name] for each in found)
        row[f"{name}_validation"] = total / row["users"]
    return row


@dataclass(frozen=True)
class _Found:
    """What the users of a fold get, as many as have validation pairs."""

    means: Mapping[str, float]
    users: int
    width: int


class _Fold:
    """A teacher whose users are known but for some; codes are made once."""

    def __init__(
        self, teacher: Callable[[], Factors], held: HeldUsers, others: Part, config: RunConfig
    ) -> None:
        self.held, self.others, self.config = held, others, config
        self.teacher = teacher
        self.known = cache(self._known)
        self.codes = cache(self._codes)

    def measure(self, variant: str) -> _Found:
        """Validation metrics of the users held out."""
        part = self.held.part
        scorer, width = self._scorer(variant, self.teacher().users[self.held.rows])
        means = evaluate_ranking(scorer, part.pairs, part.sought).means
        return _Found(means, int((part.sought.user_degrees() > 0).sum()), width)

    def _scorer(self, variant: str, vectors: np.ndarray) -> tuple[Scorer, int]:
        if variant == "float":
            return FloatScorer(vectors, self.teacher().items), vectors.shape[1]
        if variant in MAPPED:
            form, width = MAPPED[variant]
            made = self._mapped(form, width)
            assert made.query_map is not None  # mapped users have one
            return CodeScorer(
                made.item_codes, map_vectors(made.query_map, vectors)
            ), made.item_codes.width
        codes: ItemCodes = self.codes()
        for _ in range(REFITS if variant != "identity" else 0):
            known = self.known()
            books = refit_codebooks_to_users(
                known.users,
                known,
                codes,
                self.others.pairs,
                self.config.users.fit,
                effort=Effort(self.config.seed),
            )
            codes = ItemCodes(codes.codes, books)
        return CodeScorer(codes, vectors), codes.width

    def _mapped(self, form: UserForm, width: int) -> CodedUsers:
        known = self.known()
        return users_in_form(
            form,
            known,
            self.codes(),
            self.others.pairs,
            self.config.users.model_copy(update={"codeword_width": width}),
            Effort(self.config.seed),
        )

    def _known(self) -> Factors:
        """The teacher without the users held out."""
        users, items = self.teacher().users, self.teacher().items
        rest = np.setdiff1d(np.arange(len(users)), self.held.rows)
        return Factors(users[rest], items)

    def _codes(self) -> ItemCodes:
        return quantize(self.others.pairs, self.known(), self.config, "metric")
