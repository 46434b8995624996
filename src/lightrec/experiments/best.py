"""The default preset on public data: four bytes an item beside the float model they were made from.

Rows: `teacher`, `bpr` (D = 32, where it is asked for), then codes in the three forms of users:
`random_codes` (do the codes matter?), `start_rvq`, `start_aq`, and `lightrec`, which while the
default preset takes no gradient step equals the `start_metric` of the protocol's list.

The product chooses teacher and settings itself, on the validation pairs of split 0; that choice is
frozen and trained on all training pairs of every split. A split that a data set's own file carries
has a choice of its own, made on its own training pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lightrec.codes.coded_users import CodedUsers, UserForm, users_in_form
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.refit_codebooks import refit_codebooks
from lightrec.codes.user_fit_task import Effort
from lightrec.evaluation.scorers import CodeScorer, FloatScorer
from lightrec.experiments.parts import SOURCE_SPLIT, Part, teacher_of, test_part, validation_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.rows import coded_sizes, float_sizes, ranking_row
from lightrec.experiments.runner import Row, Runner, command_for
from lightrec.experiments.teacher_cache import CachedTeacher, description_of, fitted_teacher
from lightrec.factors import Factors
from lightrec.run.stages import quantize
from lightrec.run_config import RunConfig, load_config
from lightrec.teachers.bpr import BprConfig
from lightrec.teachers.fit import FittedTeacher
from lightrec.training.loop import Surroundings

NAME = "best"
DATA = {
    "citeulike-t": (0, 1, 2, 3, 4),
    "gowalla": (0, 1),
    "gowalla_source_split": (0,),
    "movielens-1m": (0,),
    "epinions": (0,),
    "amazon-book": (0,),
}
"""The data sets, with the splits that are measured when nothing is said."""
BPR_DATA = ("movielens-1m", "epinions", "amazon-book")
"""Where the float BPR model of 32 numbers is trained too; `main_path` has it for the others."""
BPR = BprConfig(epochs=160, evaluate_every=10, patience=2)
"""Capped, so that a run ends within an hour; validation chooses below the cap."""
CODED: tuple[tuple[str, UserForm], ...] = (
    ("random_codes", "table"),
    ("start_rvq", "identity"),
    ("start_aq", "identity"),
    ("start_aq", "table"),
    ("lightrec", "identity"),
    ("lightrec", "fitted"),
    ("lightrec", "table"),
)
CONTROLS = ("random_codes", "start_rvq", "start_aq")
"""Measured on the first split of a data set only."""


def run(
    data: Sequence[str] | None = None,
    splits: Sequence[int] | None = None,
    *,
    root: Path | str | None = None,
    stale: bool = False,
    progress: bool = False,
) -> Path:
    """Measures what is missing and writes `experiments/results/best.json`.

    Args:
        data: Public data sets; those of `DATA` when None. The ending `_source_split` stands for
            the split that a set's own file carries.
        splits: Seeds of the splits; for each data set those of `DATA` when None.
        root: The data folder; by default the one that LIGHTREC_DATA names.
        stale: Measures cells of an older source again.
        progress: Shows progress bars when standard error is a terminal.

    Returns:
        The result file.
    """
    runner = Runner(NAME, command_for(NAME, DATA), sources_of(NAME), stale=stale)
    surroundings = Surroundings(progress=progress)
    for name in data or DATA:
        chosen_on = validation_part(name, root)
        default = load_config("default")
        chosen = chosen_teacher(runner, chosen_on, default, surroundings)
        bpr = default.model_copy(update={"teacher": BPR})
        bpr_chosen = (
            chosen_teacher(runner, chosen_on, bpr, surroundings) if name in BPR_DATA else None
        )
        for split in splits or DATA.get(name, (0,)):
            part = test_part(name, split, root)
            of_split = _Split(runner, part, default, chosen, surroundings)
            of_split.measure(controls=split == 0 and not name.endswith(SOURCE_SPLIT))
            if bpr_chosen is not None and split == 0:
                of_split.measure_float("bpr", bpr, bpr_chosen)
            runner.write()
    return runner.write()


def chosen_teacher(
    runner: Runner, part: Part, config: RunConfig, surroundings: Surroundings
) -> FittedTeacher:
    """Teacher, settings and epochs, chosen on validation pairs; its vectors are not kept.

    The choice is a cell of this experiment, whichever experiment asks: it is made once.
    """
    if runner.name != NAME:
        runner = replace(runner, name=NAME, sources=sources_of(NAME), rows=[])
    stage = {
        "data": part.data,
        "split": part.split,
        "part": "validation",
        "teacher": config.teacher.model_dump(),
        "seed": config.seed,
    }

    def choose() -> Row:
        teacher = teacher_of(part, config, None, surroundings)
        return description_of(teacher.fitted) | _cost(teacher)

    nothing = Factors(np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32))
    return fitted_teacher(nothing, runner.cell(stage, part.digest, choose))


class _Split:
    """The rows of one split; what several rows need is made once."""

    def __init__(
        self,
        runner: Runner,
        part: Part,
        config: RunConfig,
        chosen: FittedTeacher,
        surroundings: Surroundings,
    ) -> None:
        self.runner, self.part, self.config = runner, part, config
        self.chosen, self.surroundings = chosen, surroundings
        self.teacher = cache(lambda: teacher_of(part, config, chosen, surroundings))
        self.codes = cache(self._codes)

    def measure(self, *, controls: bool) -> None:
        """The teacher and every coded row."""
        self.measure_float("teacher", self.config, self.chosen)
        for model, form in CODED:
            if controls or model not in CONTROLS:
                self.measure_coded(model, form)
                self.runner.write()

    def measure_float(self, model: str, config: RunConfig, chosen: FittedTeacher) -> None:
        """A float model's row."""

        def measure() -> Row:
            if model == "teacher":
                teacher = self.teacher()
            else:
                teacher = teacher_of(self.part, config, chosen, self.surroundings)
            factors = teacher.fitted.factors
            scorer = FloatScorer(factors.users, factors.items)
            told = {"seed": config.seed, "epochs": max(chosen.epochs), **float_sizes(factors)}
            return ranking_row(self.part, model, scorer, **told) | _cost(teacher)

        self.runner.test_row(self._stage(model, chosen), self.part.digest, measure)

    def measure_coded(self, model: str, form: UserForm) -> None:
        """The row of some codes with users in one form."""

        def measure() -> Row:
            users = self._users(model, form)
            codes = users.item_codes
            sizes = coded_sizes(codes, users.bytes_per_user)
            return ranking_row(
                self.part,
                model,
                CodeScorer(codes, users.values),
                variant=form,
                seed=self.config.seed,
                epochs=0,
                teacher_width=self.teacher().fitted.factors.width,
                **sizes,
            )

        settings = self.config.without_teacher()
        stage = self._stage(model, self.chosen) | {"variant": form, "config": settings}
        self.runner.test_row(stage, self.part.digest, measure)

    def _stage(self, model: str, chosen: FittedTeacher) -> dict[str, Any]:
        teacher = [chosen.config.model_dump(), chosen.epochs]
        return {
            "data": self.part.data,
            "split": self.part.split,
            "part": "test",
            "model": model,
            "teacher": teacher,
        }

    def _users(self, model: str, form: UserForm) -> CodedUsers:
        factors = self.teacher().fitted.factors
        return users_in_form(
            form,
            factors,
            self.codes(model),
            self.part.pairs,
            self.config.users,
            Effort(self.config.seed, progress=self.surroundings.progress),
        )

    def _codes(self, model: str) -> ItemCodes:
        factors = self.teacher().fitted.factors
        if model == "random_codes":
            return random_codes(factors.items, self.config)
        start = "metric" if model == "lightrec" else model.removeprefix("start_")
        return quantize(self.part.pairs, factors, self.config, start)


def random_codes(items: np.ndarray, config: RunConfig) -> ItemCodes:
    """Codes drawn without looking at the items, with the codebooks that fit them best."""
    sizes = config.codes
    rng = np.random.default_rng(config.seed)
    shape = (len(items), sizes.num_codebooks)
    drawn = rng.integers(0, sizes.num_codewords, shape).astype(np.uint8)
    nothing = np.zeros((sizes.num_codebooks, sizes.num_codewords, items.shape[1]), np.float32)
    return ItemCodes(drawn, refit_codebooks(items, ItemCodes(drawn, nothing)))


def _cost(teacher: CachedTeacher) -> Row:
    """What training took, whether or not it was now."""
    return {"seconds": round(teacher.seconds, 2), "cpu_seconds": round(teacher.cpu_seconds, 2)}
