"""What each ingredient of training through the codes adds or costs.

A variant changes its ingredient alone, as far as that can be: its row names the variant that it
differs from by just that (`against`), which is the regime's own unless it needs company.

Three regimes: `paper` starts from random codebooks and a BPR teacher of 32 numbers, with the preset
`paper`; `best` from the codes and the teacher of the default preset, which takes no gradient step;
`fitted` from the same codes, with the codebooks and the users that are fitted to them.

Learning rate and epochs are chosen for each variant on the validation pairs of split 0; then the
variant is trained on all training pairs, from several seeds, and measured on test. The teacher and
what is made from it have one seed: the spread is that of random codebooks, batches and negatives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from lightrec.codes.coded_users import users_in_form
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_fit_task import Effort
from lightrec.errors import DivergedError
from lightrec.evaluation.judging import value_of
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer
from lightrec.experiments.best import chosen_teacher
from lightrec.experiments.parts import Part, teacher_of, test_part, validation_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.rows import coded_sizes, ranking_row
from lightrec.experiments.runner import Row, Runner, command_for
from lightrec.factors import Factors
from lightrec.run.stages import FittedStudent, fit_student, quantize
from lightrec.run_config import RunConfig, load_config
from lightrec.settings import merged, validated
from lightrec.training.loop import Surroundings

NAME = "training_study"
DATA = ("citeulike-t", "gowalla")
LEARNING_RATES = tuple(1e-3 * 2.0**power for power in range(-6, 6))
FIRST_RATE = LEARNING_RATES.index(1e-3)
"""Where the climb over the rates begins."""
ANY_RATE = 2.5e-4
"""Of a variant that takes no step."""
SEEDS = {"citeulike-t": (0, 1, 2)}
"""Of the trainings that are measured on test; seed 0 alone elsewhere."""
MOST_EPOCHS = {"gowalla": 5}
"""As many steps as 30 epochs of citeulike-t; rows that validation stopped at the cap say so."""
Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Variant:
    """One way to train.

    Attributes:
        ingredient: What is varied.
        changes: To the student of the regime.
        against: The variant that differs in the ingredient alone; the regime's own when empty.
    """

    ingredient: str = ""
    changes: Changes = field(default_factory=dict)
    against: str = ""


NO_RECURRENCE = {"recurrence": "none"}
NO_DISTILLATION = {"embedding_distillation": 0.0}
TRAINED_ITEMS = {"items": "trained"}
IDENTITY_THROUGH = TRAINED_ITEMS | {"selection": "identity_straight_through"}
PAPER = {
    "the paper's": Variant(),
    "f(q)": Variant("similarity", {"similarity": "selector"}),
    "inner product": Variant("similarity", {"similarity": "dot"}),
    "scaled inner product": Variant("similarity", {"similarity": "scaled_dot"}),
    "bilinear": Variant("similarity", {"similarity": "bilinear"}),
    "bilinear, the authors'": Variant("similarity", {"similarity": "plain_bilinear"}),
    "x": Variant("recurrence", NO_RECURRENCE),
    "x - W y": Variant("recurrence", {"recurrence": "subtract_w"}),
    "W1 x - W2 y": Variant("recurrence", {"recurrence": "w_subtract_w"}),
    "x, Frobenius": Variant("diversity", NO_RECURRENCE | {"diversity": "frobenius"}, "x"),
    "x, von Neumann": Variant("diversity", NO_RECURRENCE | {"diversity": "von_neumann"}, "x"),
    "x, log-det": Variant("diversity", NO_RECURRENCE | {"diversity": "log_det"}, "x"),
    "hard": Variant("selection", {"selection": "hard"}),
    "joint": Variant("selection", {"selection": "joint"}),
    "T from 2 to .2": Variant("selection", {"temperature": 2.0, "final_temperature": 0.2}),
    "revived every 2 epochs": Variant("selection", {"revive_every": 2}),
    "no distillation": Variant("distillation", NO_DISTILLATION),
    "IP-KD": Variant(
        *("distillation", NO_DISTILLATION | {"inner_product_distillation": 2.0}, "no distillation")
    ),
    "R-KD": Variant(
        *("distillation", NO_DISTILLATION | {"ranking_distillation": 0.1}, "no distillation")
    ),
    "IP-KD and R-KD": Variant(
        "distillation",
        NO_DISTILLATION | {"inner_product_distillation": 2.0, "ranking_distillation": 0.1},
        "no distillation",
    ),
    "E-KD on positives and negatives alike": Variant(
        "popularity", {"distillation_on_positives": 1 / 6}
    ),
    "softmax, T = .5": Variant("loss", {"loss": "softmax", "loss_temperature": 0.5}),
    "20 negatives": Variant("negatives", {"num_negatives": 20}),
    "trained items": Variant("items", TRAINED_ITEMS),
    "joint learning": Variant(
        "items", TRAINED_ITEMS | {"float_ranking_loss": 1.0}, "trained items"
    ),
    "trained items, identity straight-through": Variant(
        "selection", IDENTITY_THROUGH, "trained items"
    ),
    "from residual k-means": Variant("start", {"start": "rvq"}),
    "hard, from additive quantisation": Variant(
        "start", {"start": "aq", "selection": "hard"}, "hard"
    ),
}
"""Variants of the paper's regime."""
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
EKD = {"embedding_distillation": 1.0}
THROUGH = {"selection": "straight_through"}
BEST = {
    "codes stay": Variant(),
    "no step": Variant("training", {"epochs": 0}),
    "BPR": Variant("loss", {"loss": "bpr"}),
    "codebooks only": Variant("users", {"user_form": "identity"}),
    "users by a linear map": Variant("users", {"user_form": "linear"}),
    "E-KD 1": Variant("distillation", EKD),
    "R-KD alone": Variant("distillation", {"ranking_loss": 0.0, "ranking_distillation": 1.0}),
    "IP-KD alone": Variant(
        "distillation", {"ranking_loss": 0.0, "inner_product_distillation": 1.0}
    ),
    "E-KD 1, hard": Variant("selection", EKD | {"selection": "hard"}, "E-KD 1"),
    "E-KD 1, straight through": Variant("selection", EKD | THROUGH, "E-KD 1"),
    "E-KD 1, straight through, trained items": Variant(
        "items",
        EKD | THROUGH | TRAINED_ITEMS,
        "E-KD 1, straight through",
    ),
    "E-KD 1, identity straight-through, trained items": Variant(
        "selection", EKD | IDENTITY_THROUGH, "E-KD 1, straight through, trained items"
    ),
    "16 negatives": Variant("negatives", {"num_negatives": 16}),
    "256 negatives": Variant("negatives", {"num_negatives": 256}),
    "E-KD 1 on positives and negatives alike": Variant(
        "popularity", EKD | {"distillation_on_positives": 1 / 65}, "E-KD 1"
    ),
    "E-KD 1, straight through, bilinear with a bias": Variant(
        "similarity", EKD | THROUGH | {"similarity": "biased_bilinear"}, "E-KD 1, straight through"
    ),
    "E-KD 1, straight through, x": Variant(
        "recurrence", EKD | THROUGH | NO_RECURRENCE, "E-KD 1, straight through"
    ),
    "E-KD 1, straight through, joint learning": Variant(
        "items",
        EKD | THROUGH | TRAINED_ITEMS | {"float_ranking_loss": 1.0},
        "E-KD 1, straight through, trained items",
    ),
}
"""Variants of the best regime."""
FITTED = {name: BEST[name] for name in ("codes stay", "no step", "BPR", "codebooks only")}
"""Variants from fitted users: codes stay, because others would ask for users of their own."""

FEWER: dict[str, dict[str, tuple[str, ...]]] = {
    "gowalla": {
        "paper": (
            *("the paper's", "bilinear", "x", "hard", "joint", "no distillation", "IP-KD"),
            *("trained items", "from residual k-means"),
        ),
        "best": ("codes stay", "no step", "BPR", "E-KD 1", "E-KD 1, straight through"),
    }
}
"""Where a run takes long: what the paper speaks of most, and what either regime stands on."""


@dataclass(frozen=True)
class Regime:
    """Where training starts from.

    Attributes:
        name: In the rows.
        config: Teacher, codes and student before any change.
        variants: By name, the regime's own first.
        fitted: Whether users and codebooks are fitted to the codes before any step.
    """

    name: str
    config: RunConfig
    variants: Mapping[str, Variant]
    fitted: bool = False


def regimes() -> tuple[Regime, ...]:
    """All of them."""
    settings = load_config("default").model_dump() | {"student": dict(BEST_STUDENT)}
    best = validated(RunConfig, settings, "the study's best regime")
    return (
        Regime("paper", load_config("paper"), PAPER),
        Regime("best", best, BEST),
        Regime("fitted", best, FITTED, fitted=True),
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
            for seed in SEEDS.get(name, (0,)):
                for variant in FEWER.get(name, {}).get(regime.name, regime.variants):
                    study.measure(variant, seed)
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
        self.beginning = cache(self._beginning)

    def measure(self, variant: str, seed: int) -> None:
        """Chooses learning rate and epochs on validation (seed 0), then measures on test."""
        tried = self.regime.variants[variant]
        base = {
            "data": self.chosen_on.data,
            "split": 0,
            "regime": self.regime.name,
            "variant": variant,
        }

        def validated_at(rate: float) -> Row:
            config = self._config(tried.changes, rate)
            return self.runner.cell(
                base | {"part": "validation", "config": config.model_dump()},
                self.chosen_on.digest,
                partial(self._validated, config),
            )

        rates = LEARNING_RATES if tried.changes.get("epochs") != 0 else (ANY_RATE,)
        best = best_of_climb(rates, validated_at)
        config = self._config(tried.changes, best["learning_rate"], seed)
        told = {f"{metric}_validation": best[metric] for metric in ("recall@100", "ndcg")}
        told |= {"regime": self.regime.name, "variant": variant, "ingredient": tried.ingredient}
        told |= {"against": tried.against or next(iter(self.regime.variants))}
        told |= {"learning_rate": best["learning_rate"], "seed": seed}
        assert config.student is not None
        told["stopped_at_the_cap"] = 0 < best["epochs"] == config.student.epochs
        stage = base | {
            "part": "test",
            "model": "lightrec",
            "config": config.model_dump(),
            "student_epochs": best["epochs"],
        }
        self.runner.test_row(
            stage, self.tested_on.digest, partial(self._tested, config, best["epochs"], told)
        )

    def _config(self, changes: Changes, learning_rate: float, seed: int = 0) -> RunConfig:
        student: dict[str, Any] = {**changes, "learning_rate": learning_rate}
        if self.chosen_on.data in MOST_EPOCHS and "epochs" not in changes:
            student["epochs"] = MOST_EPOCHS[self.chosen_on.data]
        settings = merged(self.regime.config.model_dump(), {"seed": seed, "student": student})
        return validated(RunConfig, settings, f"{self.regime.name} of the training study")

    def _validated(self, config: RunConfig) -> Row:
        part = self.chosen_on
        assert config.student is not None
        told = {"learning_rate": config.student.learning_rate}
        try:
            fitted = self._fitted(part, config, None)
        except DivergedError as error:
            return {"recall@100": 0.0, "ndcg": 0.0, "epochs": 0, "diverged": str(error)} | told
        scorer = CodeScorer(fitted.item_codes, fitted.users)
        means = evaluate_ranking(scorer, part.pairs, part.sought).means
        return means | {"epochs": fitted.epochs} | told

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
            *self.beginning(validating, config.student.start),
            config,
            held_out=part.sought if epochs is None else None,
            epochs=epochs,
            surroundings=self.surroundings,
        )

    def _teacher(self, validating: bool) -> Factors:
        """Of the settings and epochs that validation chose, whichever experiment asked first."""
        config, chosen_on = self.regime.config, self.chosen_on
        chosen = chosen_teacher(self.runner, chosen_on, config, self.surroundings)
        part = chosen_on if validating else self.tested_on
        return teacher_of(part, config, chosen, self.surroundings).fitted.factors

    def _beginning(self, validating: bool, start: str) -> tuple[Factors, ItemCodes | None]:
        """The vectors and the codes that a student begins with; no codes where it draws them."""
        part = self.chosen_on if validating else self.tested_on
        teacher, config = self.teacher(validating), self.regime.config
        if start == "random":
            return teacher, None
        codes = quantize(part.pairs, teacher, config, start)
        if not self.regime.fitted:
            return teacher, codes
        effort = Effort(config.seed, progress=self.surroundings.progress)
        users = users_in_form("fitted", teacher, codes, part.pairs, config.users, effort)
        return replace(teacher, users=users.values), users.item_codes


def best_of_climb(rates: Sequence[float], validated_at: Callable[[float], Row]) -> Row:
    """The row of the best of ordered rates, as a climb finds it.

    It begins at `FIRST_RATE`, goes the way that improves on it, and ends at the first rate that
    does not: the rate chosen has a worse one on either side, or is the last of the grid. Where no
    epoch improved on the start, steps were too long: the climb goes on downwards.
    """
    place = min(FIRST_RATE, len(rates) - 1)
    best = validated_at(rates[place])
    for step in (1, -1) if best["epochs"] else (-1,):
        at, improved = place + step, False
        while 0 <= at < len(rates):
            row = validated_at(rates[at])
            if value_of(_plain(row)) > value_of(_plain(best)):
                best, improved = row, True
            elif row["epochs"] or step > 0:
                break
            at += step
        if improved:  # the other way is down
            break
    return best


def _plain(row: Row) -> dict[str, float]:
    return {name: value for name, value in row.items() if isinstance(value, float)}
