"""What each ingredient of training through the codes adds or costs, one change at a time.

Two regimes: `paper` starts from random codebooks and a BPR teacher of 32 numbers, with the preset
`paper`; `best` from the codes and the teacher of the default preset, which takes no gradient step.
Learning rate and epochs are chosen for each variant on the validation pairs of split 0; then the
variant is trained on all training pairs and measured on test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.evaluation.judging import value_of
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer
from lightrec.experiments.parts import Part, teacher_of, test_part, validation_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.rows import coded_sizes, ranking_row
from lightrec.experiments.runner import Row, Runner, command_for
from lightrec.experiments.teacher_cache import description_of, fitted_teacher
from lightrec.run_config import RunConfig, load_config
from lightrec.settings import merged, validated
from lightrec.stages import FittedStudent, fit_student, quantize
from lightrec.teachers.factors import Factors
from lightrec.training.loop import Surroundings

NAME = "training_study"
DATA = ("citeulike-t", "gowalla")
LEARNING_RATES = (5e-4, 1e-3, 2e-3, 4e-3)
MOST_EPOCHS = {"gowalla": 8}
"""So that a variant takes minutes; validation chooses below the cap."""
Changes = Mapping[str, Any]
NO_RECURRENCE = {"recurrence": "none"}
TRAINED_ITEMS = {"items": "trained"}
PAPER: dict[str, tuple[str, Changes]] = {
    "the paper's": ("", {}),
    "f(q)": ("similarity", {"similarity": "selector"}),
    "inner product": ("similarity", {"similarity": "dot"}),
    "scaled inner product": ("similarity", {"similarity": "scaled_dot"}),
    "bilinear": ("similarity", {"similarity": "bilinear"}),
    "bilinear, the authors'": ("similarity", {"similarity": "plain_bilinear"}),
    "x": ("recurrence", NO_RECURRENCE),
    "x - W y": ("recurrence", {"recurrence": "subtract_w"}),
    "W1 x - W2 y": ("recurrence", {"recurrence": "w_subtract_w"}),
    "x, Frobenius": ("diversity", NO_RECURRENCE | {"diversity": "frobenius"}),
    "x, von Neumann": ("diversity", NO_RECURRENCE | {"diversity": "von_neumann"}),
    "x, log-det": ("diversity", NO_RECURRENCE | {"diversity": "log_det"}),
    "hard": ("selection", {"selection": "hard"}),
    "joint": ("selection", {"selection": "joint"}),
    "identity straight-through": (
        "selection",
        TRAINED_ITEMS | {"selection": "identity_straight_through"},
    ),
    "T from 2 to .2": ("selection", {"temperature": 2.0, "final_temperature": 0.2}),
    "revived every 2 epochs": ("selection", {"revive_every": 2}),
    "no distillation": ("distillation", {"embedding_distillation": 0.0}),
    "IP-KD": (
        "distillation",
        {"embedding_distillation": 0.0, "inner_product_distillation": 2.0},
    ),
    "R-KD": ("distillation", {"embedding_distillation": 0.0, "ranking_distillation": 0.1}),
    "E-KD on positives and negatives alike": (
        "popularity",
        {"distillation_on_positives": 1 / 6},
    ),
    "softmax, T = .5": ("loss", {"loss": "softmax", "loss_temperature": 0.5}),
    "20 negatives": ("negatives", {"num_negatives": 20}),
    "trained items": ("items", TRAINED_ITEMS),
    "joint learning": ("items", TRAINED_ITEMS | {"float_ranking_loss": 1.0}),
    "from residual k-means": ("start", {"start": "rvq"}),
    "from additive quantisation, hard": ("start", {"start": "aq", "selection": "hard"}),
}
"""Variants of the paper's regime: the ingredient, and what it changes in the student."""
BEST_STUDENT: Changes = {
    "start": "metric",
    "selection": "joint",
    "refresh_every": 0,
    "user_form": "free",
    "loss": "softmax",
    "loss_temperature": 0.1,
    "num_negatives": 64,
    "embedding_distillation": 0.0,
    "l2": 0.0,
    "epochs": 8,
    "patience": 3,
}
BEST: dict[str, tuple[str, Changes]] = {
    "no step": ("", {"epochs": 0}),
    "softmax, codes stay": ("loss", {}),
    "BPR, codes stay": ("loss", {"loss": "bpr"}),
    "codebooks only": ("users", {"user_form": "identity"}),
    "users by a linear map": ("users", {"user_form": "linear"}),
    "E-KD 1 beside": ("distillation", {"embedding_distillation": 1.0}),
    "R-KD alone": ("distillation", {"ranking_loss": 0.0, "ranking_distillation": 1.0}),
    "IP-KD alone": ("distillation", {"ranking_loss": 0.0, "inner_product_distillation": 1.0}),
    "codes chosen anew": ("selection", {"refresh_every": 1, "embedding_distillation": 1.0}),
    "hard": ("selection", {"selection": "hard", "embedding_distillation": 1.0}),
    "straight through": (
        "selection",
        {"selection": "straight_through", "embedding_distillation": 1.0},
    ),
    "identity straight-through": (
        "selection",
        TRAINED_ITEMS | {"selection": "identity_straight_through"},
    ),
}
"""Variants of the best regime likewise."""


@dataclass(frozen=True)
class Regime:
    """Where training starts from.

    Attributes:
        name: In the rows.
        config: Teacher, codes and student before any change.
        variants: By name: the ingredient, and what it changes in the student.
    """

    name: str
    config: RunConfig
    variants: Mapping[str, tuple[str, Changes]]


def regimes() -> tuple[Regime, ...]:
    """Both of them."""
    best = load_config("default").model_dump() | {"student": dict(BEST_STUDENT)}
    return (
        Regime("paper", load_config("paper"), PAPER),
        Regime("best", validated(RunConfig, best, "the study's best regime"), BEST),
    )


def run(
    data: Sequence[str] | None = None,
    *,
    root: Path | str | None = None,
    stale: bool = False,
    progress: bool = False,
) -> Path:
    """Measures what is missing and writes `experiments/results/training_study.json`.

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
    for name in data or DATA:
        for regime in regimes():
            study = _Study(
                runner, regime, validation_part(name, root), test_part(name, 0, root), surroundings
            )
            for variant in regime.variants:
                study.measure(variant)
                runner.write()
    return runner.write()


class _Study:
    """One regime on one data set; teachers and starts are made once."""

    def __init__(
        self,
        runner: Runner,
        regime: Regime,
        chosen_on: Part,
        tested_on: Part,
        surroundings: Surroundings,
    ) -> None:
        self.runner, self.regime = runner, regime
        self.chosen_on, self.tested_on = chosen_on, tested_on
        self.surroundings = surroundings
        self.teacher = cache(self._teacher)
        self.start = cache(self._start)

    def measure(self, variant: str) -> None:
        """Chooses learning rate and epochs on validation, then measures on test."""
        ingredient, changes = self.regime.variants[variant]
        base = {
            "data": self.chosen_on.data,
            "split": 0,
            "regime": self.regime.name,
            "variant": variant,
        }
        tried = [
            self.runner.cell(
                base | {"part": "validation", "config": config.model_dump()},
                self.chosen_on.digest,
                partial(self._validated, config),
            )
            for config in self._configs(changes)
        ]
        best = max(tried, key=lambda row: value_of(_plain(row)))
        config = self._config(changes, best["learning_rate"])
        told = {f"{metric}_validation": best[metric] for metric in ("recall@100", "ndcg")}
        told |= {"regime": self.regime.name, "ingredient": ingredient, "variant": variant}
        told |= {"learning_rate": best["learning_rate"], "seed": config.seed}
        stage = base | {
            "part": "test",
            "model": "lightrec",
            "config": config.model_dump(),
            "student_epochs": best["epochs"],
        }
        self.runner.test_row(
            stage, self.tested_on.digest, partial(self._tested, config, best["epochs"], told)
        )

    def _configs(self, changes: Changes) -> list[RunConfig]:
        rates = LEARNING_RATES if changes.get("epochs") != 0 else LEARNING_RATES[:1]
        return [self._config(changes, rate) for rate in rates]

    def _config(self, changes: Changes, learning_rate: float) -> RunConfig:
        student: dict[str, Any] = {**changes, "learning_rate": learning_rate}
        if self.chosen_on.data in MOST_EPOCHS and "epochs" not in changes:
            student["epochs"] = MOST_EPOCHS[self.chosen_on.data]
        settings = merged(self.regime.config.model_dump(), {"student": student})
        return validated(RunConfig, settings, f"{self.regime.name} of the training study")

    def _validated(self, config: RunConfig) -> Row:
        part = self.chosen_on
        fitted = self._fitted(part, config, None)
        scorer = CodeScorer(fitted.item_codes, fitted.users)
        means = evaluate_ranking(scorer, part.pairs, part.sought).means
        assert config.student is not None
        return means | {"epochs": fitted.epochs, "learning_rate": config.student.learning_rate}

    def _tested(self, config: RunConfig, epochs: int, told: Row) -> Row:
        part = self.tested_on
        fitted = self._fitted(part, config, epochs)
        codes = fitted.item_codes
        return ranking_row(
            part,
            "lightrec",
            CodeScorer(codes, fitted.users),
            epochs=epochs,
            teacher_width=self.teacher(part is self.chosen_on).width,
            **coded_sizes(codes, 4.0 * codes.width),
            **told,
        )

    def _fitted(self, part: Part, config: RunConfig, epochs: int | None) -> FittedStudent:
        validating = part is self.chosen_on
        assert config.student is not None
        return fit_student(
            part.pairs,
            self.teacher(validating),
            self.start(validating, config.student.start),
            config,
            held_out=part.sought if epochs is None else None,
            epochs=epochs,
            surroundings=self.surroundings,
        )

    def _teacher(self, validating: bool) -> Factors:
        """Chosen on validation pairs; with these settings, trained again on all of them."""
        config, chosen_on = self.regime.config, self.chosen_on
        if validating:
            return teacher_of(chosen_on, config, None, self.surroundings).fitted.factors
        nothing = Factors(np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32))
        stage = {"data": chosen_on.data, "part": "validation", "seed": config.seed}
        stage |= {"teacher": config.teacher.model_dump()}
        told = self.runner.cell(
            stage,
            chosen_on.digest,
            lambda: description_of(teacher_of(chosen_on, config, None, self.surroundings).fitted),
        )
        again = fitted_teacher(nothing, told)
        return teacher_of(self.tested_on, config, again, self.surroundings).fitted.factors

    def _start(self, validating: bool, start: str) -> ItemCodes | None:
        part = self.chosen_on if validating else self.tested_on
        return quantize(part.pairs, self.teacher(validating), self.regime.config, start)


def _plain(row: Row) -> dict[str, float]:
    return {name: value for name, value in row.items() if isinstance(value, float)}
