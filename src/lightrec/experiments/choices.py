"""How the presets were chosen: every variant that was tried, measured on validation pairs only.

Each variant changes something in the preset `trained` (the random ones start from the student of
the paper preset); nothing here ever sees a test pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightrec.codes.additive_quantization import AdditiveQuantizationConfig
from lightrec.codes.item_metric import MetricConfig
from lightrec.encoder.student_config import StudentConfig
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer, Scorer
from lightrec.experiments.parts import Part, teacher_of, validation_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.runner import Row, Runner, command_for
from lightrec.run.stages import fit_student, student_start
from lightrec.run_config import RunConfig, load_config
from lightrec.settings import Settings
from lightrec.training.loop import Surroundings

NAME = "choices"
DATA = ("citeulike-t",)
RANDOM: dict[str, Any] = load_config("paper").model_dump()["student"]
AUTHORS: dict[str, Any] = {
    "embedding_distillation": 0.0,
    "inner_product_distillation": 0.2,
    "distillation_on_positives": 0.16667,
    "schedule": "constant",
}
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "default": {},
    "codes: all items alike": {"codes": {"popularity_power": 0.0}},
    "codes: items by degree": {"codes": {"popularity_power": 1.0}},
    "codes: Euclidean metric": {"metric": {"kind": "euclidean"}},
    "codes: metric with identity .3": {"metric": {"identity": 0.3}},
    "student: identity users": {"student": {"user_form": "identity"}},
    "student: no distillation": {"student": {"embedding_distillation": 0.0}},
    "student: E-KD .1": {"student": {"embedding_distillation": 0.1}},
    "student: E-KD 1": {"student": {"embedding_distillation": 1.0}},
    "student: IP-KD 2 beside E-KD": {"student": {"inner_product_distillation": 2.0}},
    "student: IP-KD 2 alone": {
        "student": {"embedding_distillation": 0.0, "inner_product_distillation": 2.0}
    },
    "student: R-KD .1 beside E-KD": {"student": {"ranking_distillation": 0.1}},
    "student: half of E-KD on negatives": {"student": {"distillation_on_positives": 0.5}},
    "student: learning rate .001": {"student": {"learning_rate": 1e-3}},
    "student: learning rate .004": {"student": {"learning_rate": 4e-3}},
    "student: 20 negatives": {"student": {"num_negatives": 20}},
    "rvq: joint choice": {"student": {"start": "rvq"}},
    "rvq: hard choice": {"student": {"start": "rvq", "selection": "hard"}},
    "rvq: straight through": {"student": {"start": "rvq", "selection": "straight_through"}},
    "random: straight through": {"student": RANDOM},
    "random: straight through, the authors' distillation": {"student": RANDOM | AUTHORS},
    "random: bilinear, the authors' recipe": {
        "student": RANDOM | AUTHORS | {"similarity": "bilinear"}
    },
    "random: hard choice": {"student": RANDOM | {"selection": "hard"}},
    "random: joint choice": {"student": RANDOM | {"selection": "joint"}},
}
"""Each variant: what it changes in the preset."""


def run(
    data: Sequence[str] | None = None,
    *,
    root: Path | str | None = None,
    stale: bool = False,
    progress: bool = False,
) -> Path:
    """Measures what is missing and writes `experiments/results/choices.json`.

    Args:
        data: Public data sets, split 0 of each; those of `DATA` when None.
        root: The data folder; by default the one that LIGHTREC_DATA names.
        stale: Measures cells of an older source again.
        progress: Shows progress bars when standard error is a terminal.

    Returns:
        The result file.
    """
    runner = Runner(NAME, command_for(NAME, DATA), sources_of(NAME), stale=stale)
    default = load_config("trained")
    surroundings = Surroundings(progress=progress)
    for name in data or DATA:
        part = validation_part(name, root)
        for variant, changes in VARIANTS.items():
            config = _changed(default, changes)
            stage = {"data": name, "split": 0, "variant": variant, "config": config.model_dump()}

            def measure(
                part: Part = part, config: RunConfig = config, variant: str = variant
            ) -> Row:
                return _measure(part, variant, config, surroundings)

            runner.rows.append(runner.cell(stage, part.digest, measure))
            runner.write()
    return runner.write()


def _measure(part: Part, variant: str, config: RunConfig, surroundings: Surroundings) -> Row:
    """Validation metrics of the teacher, the start and the best epoch of the student."""
    factors = teacher_of(part, config, None, surroundings).fitted.factors
    start = student_start(part.pairs, factors, config)
    student = fit_student(
        part.pairs, factors, start, config, held_out=part.sought, surroundings=surroundings
    )
    scorers: dict[str, Scorer] = {
        "": CodeScorer(student.item_codes, student.users),
        "_teacher": FloatScorer(factors.users, factors.items),
    }
    if start is not None:
        scorers["_start"] = CodeScorer(start, factors.users)
    row: Row = {"data": part.data, "split": part.split, "seed": config.seed}
    row |= {"model": "lightrec", "variant": variant, "epochs": student.epochs}
    for suffix, scorer in scorers.items():
        means = evaluate_ranking(scorer, part.pairs, part.sought).means
        row |= {f"{metric}_validation{suffix}": means[metric] for metric in ("recall@100", "ndcg")}
    return row


def _changed(config: RunConfig, changes: dict[str, dict[str, Any]]) -> RunConfig:
    kinds: dict[str, type[Settings]] = {
        "codes": AdditiveQuantizationConfig,
        "metric": MetricConfig,
        "student": StudentConfig,
    }
    fresh = {
        stage: kinds[stage].model_validate(getattr(config, stage).model_dump() | values)
        for stage, values in changes.items()
    }
    return config.model_copy(update=fresh)
