"""How the teachers' defaults were chosen: one setting varied at a time, on validation pairs only.

Every teacher is trained alone, of 64 numbers unless the variant says otherwise, with early stopping
as in training. Nothing here ever sees a test pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lightrec.experiments.parts import Part, teacher_of, validation_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.runner import Row, Runner, command_for
from lightrec.run_config import RunConfig, load_config
from lightrec.teachers.fit import SingleConfig
from lightrec.teachers.ials import IalsConfig
from lightrec.teachers.sampled_softmax import SampledSoftmaxConfig
from lightrec.training.loop import Surroundings

NAME = "teacher_choices"
DATA = ("citeulike-t",)
WIDTH = 64
SAMPLED_SOFTMAX: dict[str, dict[str, Any]] = {
    "default": {},
    "width 32": {"width": 32},
    "width 128": {"width": 128},
    "width 256": {"width": 256},
    "temperature .07": {"temperature": 0.07},
    "temperature .15": {"temperature": 0.15},
    "temperature .2": {"temperature": 0.2},
    "no history": {"history_share": 0.0},
    "history share .3": {"history_share": 0.3},
    "history share .7": {"history_share": 0.7},
    "history share .85": {"history_share": 0.85},
    "items all as long": {"popularity_power": 0.0},
    "popularity power .2": {"popularity_power": 0.2},
    "pairs all alike": {"degree_power": 0.0},
    "degree power .5": {"degree_power": 0.5},
    "1,024 negatives": {"num_negatives": 1024},
    "4,096 negatives": {"num_negatives": 4096},
    "256 users a step": {"batch_size": 256},
    "learning rate .015": {"learning_rate": 0.015},
    "learning rate .06": {"learning_rate": 0.06},
    "at most 10 epochs": {"epochs": 10, "evaluate_every": 2},
    "at most 40 epochs": {"epochs": 40},
}
IALS: dict[str, dict[str, Any]] = {
    "default": {},
    "width 32": {"width": 32},
    "width 128": {"width": 128},
    "width 256": {"width": 256},
    "unobserved weight .001": {"unobserved_weight": 0.001},
    "unobserved weight .006": {"unobserved_weight": 0.006},
    "unobserved weight .01": {"unobserved_weight": 0.01},
    "l2 .1": {"l2": 0.1},
    "l2 .4": {"l2": 0.4},
    "l2 .01, frequency power 1": {"l2": 0.01, "frequency_power": 1.0},
    "l2 .025, frequency power 1": {"l2": 0.025, "frequency_power": 1.0},
    "at most 32 sweeps": {"sweeps": 32},
}
VARIANTS: dict[str, tuple[type[SingleConfig], dict[str, dict[str, Any]]]] = {
    "sampled_softmax": (SampledSoftmaxConfig, SAMPLED_SOFTMAX),
    "ials": (IalsConfig, IALS),
}
"""Each kind of teacher: its settings, and what each variant changes in them."""
METRICS = ("recall@20", "recall@100", "ndcg@20", "ndcg")


def run(
    data: Sequence[str] | None = None,
    *,
    root: Path | str | None = None,
    stale: bool = False,
    progress: bool = False,
) -> Path:
    """Measures what is missing and writes `experiments/results/teacher_choices.json`.

    Args:
        data: Public data sets, split 0 of each; those of `DATA` when None.
        root: The data folder; by default the one that LIGHTREC_DATA names.
        stale: Measures cells of an older source again.
        progress: Shows progress bars when standard error is a terminal.

    Returns:
        The result file.
    """
    runner = Runner(NAME, command_for(NAME, DATA), sources_of(NAME), stale=stale)
    default = load_config("default")
    surroundings = Surroundings(progress=progress)
    for name in data or DATA:
        part = validation_part(name, root)
        for kind, (settings, variants) in VARIANTS.items():
            for variant, changes in variants.items():
                teacher = settings.model_validate({"width": WIDTH} | changes)
                config = default.model_copy(update={"teacher": teacher})
                stage = {"data": name, "split": 0, "variant": variant, "seed": config.seed}
                stage |= {"teacher": teacher.model_dump()}
                measure = partial(_measure, part, kind, variant, config, surroundings)
                runner.rows.append(runner.cell(stage, part.digest, measure))
                runner.write()
    return runner.write()


def _measure(
    part: Part, kind: str, variant: str, config: RunConfig, surroundings: Surroundings
) -> Row:
    """Validation metrics of one teacher at its best epoch."""
    teacher = teacher_of(part, config, None, surroundings)
    row: Row = {"data": part.data, "split": part.split, "seed": config.seed}
    row |= {"model": kind, "variant": variant, "epochs": teacher.fitted.epochs[0]}
    row |= {"seconds": round(teacher.seconds, 2), "cpu_seconds": round(teacher.cpu_seconds, 2)}
    metrics = teacher.fitted.metrics
    return row | {f"{name}_validation": metrics[name] for name in METRICS}
