"""The main path: teacher, quantisers and training told apart, on the paper's data and protocol.

Rows: `popularity`, `bpr`, then each start beside the student that was trained from it:
`start_random` and `lightrec_random`, `start_rvq` and `lightrec_rvq` (unweighted residual k-means,
the paper's baseline), `start_aq` and `lightrec` (additive quantisation). D = 32, B = 4, W = 256.

Settings and epochs are chosen on the validation part of split 0, once per data set; the final
models are trained on all training pairs and evaluated on test once per split.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.encoder.student import Student
from lightrec.encoder.student_config import StudentConfig
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer, PopularityScorer, Scorer
from lightrec.experiments.parts import Part, teacher_of, test_part, validation_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.runner import Row, Runner, command_for
from lightrec.experiments.teacher_cache import CachedTeacher
from lightrec.factors import Factors
from lightrec.run.stages import fit_student, student_start
from lightrec.run_config import RunConfig, load_config
from lightrec.teachers.bpr import BprConfig
from lightrec.teachers.fit import FittedTeacher
from lightrec.training.loop import Surroundings

NAME = "main_path"
DATA = {"citeulike-t": (0, 1, 2), "gowalla": (0,)}
"""The data sets, with the splits that are measured when nothing is said."""
STUDENTS: dict[str, dict[str, Any]] = {
    "lightrec": {"start": "aq"},
    "lightrec_rvq": {"start": "rvq"},
    "lightrec_random": load_config("paper").model_dump()["student"],
}
"""Each student: trained as the paper does, and as the preset `trained` does from either start."""

MOST_EPOCHS = {"gowalla": {"bpr": 160, "lightrec_random": 6}}
"""Caps that keep a run within an hour; validation still chooses below them."""


def run(
    data: Sequence[str] | None = None,
    splits: Sequence[int] | None = None,
    *,
    root: Path | str | None = None,
    stale: bool = False,
    progress: bool = False,
) -> Path:
    """Measures what is missing and writes `experiments/results/main_path.json`.

    Args:
        data: Public data sets; those of `DATA` when None.
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
        config = _capped(load_config("trained"), name)
        chosen = _choose(runner, validation_part(name, root), config, surroundings)
        for split in splits or DATA.get(name, (0,)):
            _measure(runner, test_part(name, split, root), config, chosen, surroundings)
            runner.write()
    return runner.write()


def _capped(config: RunConfig, data: str) -> RunConfig:
    caps = MOST_EPOCHS.get(data, {})
    teacher = {"epochs": caps["bpr"]} if "bpr" in caps else {}
    return config.model_copy(update={"teacher": config.teacher.model_copy(update=teacher)})


def _student_config(config: RunConfig, data: str, model: str) -> RunConfig:
    settings = config.model_dump()["student"] | STUDENTS[model]
    settings["epochs"] = MOST_EPOCHS.get(data, {}).get(model, settings["epochs"])
    return config.model_copy(update={"student": StudentConfig.model_validate(settings)})


def _student(config: RunConfig) -> StudentConfig:
    return config.student or StudentConfig()


def _choose(
    runner: Runner, part: Part, config: RunConfig, surroundings: Surroundings
) -> dict[str, int]:
    """Epochs of the teacher and of each student, chosen on validation."""

    def choose_teacher() -> Row:
        teacher = teacher_of(part, config, None, surroundings)
        return {"epochs": teacher.fitted.epochs[0]} | _cost(teacher)

    base = {"data": part.data, "split": part.split, "part": "validation"}
    stage = base | {"model": "bpr", "teacher": config.teacher.model_dump(), "seed": config.seed}
    chosen = {"bpr": runner.cell(stage, part.digest, choose_teacher)["epochs"]}
    for model in STUDENTS:
        settings = _student_config(config, part.data, model)

        def choose_student(settings: RunConfig = settings) -> Row:
            teacher = teacher_of(part, config, None, surroundings).fitted.factors
            start = student_start(part.pairs, teacher, settings)
            student = fit_student(
                part.pairs,
                teacher,
                start,
                settings,
                held_out=part.sought,
                surroundings=surroundings,
            )
            return {"epochs": student.epochs}

        stage = base | {"model": model, "config": settings.model_dump()}
        chosen[model] = runner.cell(stage, part.digest, choose_student)["epochs"]
    return chosen


def _measure(
    runner: Runner,
    part: Part,
    config: RunConfig,
    chosen: dict[str, int],
    surroundings: Surroundings,
) -> None:
    """Every row of one split, on test."""
    base = {"data": part.data, "split": part.split, "part": "test", "teacher_epochs": chosen["bpr"]}
    width = BprConfig.model_validate(config.teacher.model_dump()).width

    def trained() -> CachedTeacher:
        nothing = Factors(np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32))
        settings = BprConfig.model_validate(config.teacher.model_dump())
        again = FittedTeacher(nothing, settings, (chosen["bpr"],), {})
        return teacher_of(part, config, again, surroundings)

    def teacher() -> Factors:
        return trained().fitted.factors

    def popularity() -> Row:
        scorer = PopularityScorer(part.pairs.item_degrees())
        return _row(
            part, "popularity", config, scorer, _FLOAT | {"width": 0, "bytes_per_user": 0.0}
        )

    def bpr() -> Row:
        bpr_teacher = trained()
        factors = bpr_teacher.fitted.factors
        scorer = FloatScorer(factors.users, factors.items)
        sizes = {
            "width": width,
            "bits_per_item": 32.0 * width,
            "bytes_per_item_all_in": 4.0 * width,
            "bytes_per_user": 4.0 * width,
            "epochs": chosen["bpr"],
        }
        return _row(part, "bpr", config, scorer, _FLOAT | sizes) | _cost(bpr_teacher)

    runner.test_row(base | {"model": "popularity"}, part.digest, popularity)
    runner.test_row(
        base | {"model": "bpr", "teacher": config.teacher.model_dump(), "seed": config.seed},
        part.digest,
        bpr,
    )
    for model in STUDENTS:
        settings = _student_config(config, part.data, model)
        start_name = f"start_{_student(settings).start}"

        def start(settings: RunConfig = settings, name: str = start_name) -> Row:
            factors = teacher()
            codes = student_start(part.pairs, factors, settings)
            if codes is None:
                codes = Student(factors, None, _student(settings), seed=settings.seed).item_codes()
            return _coded_row(part, name, settings, codes, factors.users, 0)

        def student(settings: RunConfig = settings, name: str = model) -> Row:
            factors = teacher()
            fitted = fit_student(
                part.pairs,
                factors,
                student_start(part.pairs, factors, settings),
                settings,
                epochs=chosen[name],
                surroundings=surroundings,
            )
            codes = fitted.item_codes
            return _coded_row(part, name, settings, codes, fitted.users, fitted.epochs)

        stage = base | {"model": start_name, "config": settings.model_dump()}
        runner.test_row(stage, part.digest, start)
        stage = base | {
            "model": model,
            "config": settings.model_dump(),
            "student_epochs": chosen[model],
        }
        runner.test_row(stage, part.digest, student)


def _cost(teacher: CachedTeacher) -> Row:
    """What training took, whether or not it was now."""
    return {"seconds": round(teacher.seconds, 2), "cpu_seconds": round(teacher.cpu_seconds, 2)}


_FLOAT: Row = {
    "num_codebooks": 0,
    "num_codewords": 0,
    "bits_per_item": 32.0,
    "bytes_per_item_all_in": 4.0,
    "collisions": 0,
    "epochs": 0,
}


def _coded_row(
    part: Part, model: str, config: RunConfig, codes: ItemCodes, users: np.ndarray, epochs: int
) -> Row:
    sizes = {
        "width": codes.width,
        "num_codebooks": codes.num_codebooks,
        "num_codewords": codes.num_codewords,
        "bits_per_item": codes.bits_per_item,
        "bytes_per_item_all_in": codes.bytes_per_item_all_in,
        "bytes_per_user": 4.0 * users.shape[1],
        "collisions": codes.health.collisions,
        "epochs": epochs,
    }
    return _row(part, model, config, CodeScorer(codes, users), sizes)


def _row(part: Part, model: str, config: RunConfig, scorer: Scorer, sizes: Row) -> Row:
    result = evaluate_ranking(scorer, part.pairs, part.sought)
    return {
        "data": part.data,
        "model": model,
        "variant": "",
        "split": part.split,
        "seed": config.seed,
        "users": len(result.user_rows),
        "items": part.pairs.num_items,
        "teacher_width": config.teacher.model_dump()["width"],
        "train_share": 0.8,
        **sizes,
        **result.means,
    }
