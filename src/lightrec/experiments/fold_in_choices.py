"""How the settings of fold-in were chosen: one varied at a time, on validation pairs only.

A tenth of the users is held out whole, as in `fold_in`, but of the validation part: the teacher and
its codes are made of the other users' pairs, and the held-out users' validation pairs are sought.
Beside the teacher that the product chooses there is implicit ALS alone.

`history share` turns the vectors towards the sum of the directions of the history's items, as users
of sampled softmax begin. `known items` holds the same users against items that were trained with
them, and shows why they must not choose: there the history's items have learned to lie near each
other from these very users. Nothing here ever sees a test pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.experiments.best import chosen_teacher
from lightrec.experiments.fold_in import HeldUsers, ModelOfPart, hold_users_out
from lightrec.experiments.parts import validation_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.runner import Row, Runner, command_for
from lightrec.run_config import RunConfig, load_config
from lightrec.serving.fold_in import FoldIn
from lightrec.serving.item_vectors import ItemVectors
from lightrec.teachers.ials import IalsConfig
from lightrec.training.loop import Surroundings

NAME = "fold_in_choices"
DATA = ("citeulike-t", "gowalla")
IALS = IalsConfig(width=64)
VARIANTS: dict[str, dict[str, float]] = {
    "default": {},
    "catalogue weight 100": {"catalogue_weight": 100.0},
    "catalogue weight 250": {"catalogue_weight": 250.0},
    "catalogue weight 1,000": {"catalogue_weight": 1000.0},
    "catalogue weight 2,500": {"catalogue_weight": 2500.0},
    "ridge 1": {"ridge": 1.0},
    "ridge 2": {"ridge": 2.0},
    "ridge 10": {"ridge": 10.0},
    "ridge 25": {"ridge": 25.0},
    "history share .25": {"history_share": 0.25},
    "history share .5": {"history_share": 0.5},
    "history share 1": {"history_share": 1.0},
}
MET = ("float", "codes only", "float items: table")
"""How new users are met, as in `fold_in`; and `known items`, floats that were trained with them."""
KNOWN = "known items"
METRICS = ("recall@100", "ndcg@100", "ndcg")


def run(
    data: Sequence[str] | None = None,
    *,
    root: Path | str | None = None,
    stale: bool = False,
    progress: bool = False,
) -> Path:
    """Measures what is missing and writes `experiments/results/fold_in_choices.json`.

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
    teachers = {"chosen": default, "ials": default.model_copy(update={"teacher": IALS})}
    surroundings = Surroundings(progress=progress)
    for name in data or DATA:
        part = validation_part(name, root)
        held, others = hold_users_out(part, default.seed)
        for teacher, config in teachers.items():
            chosen = chosen_teacher(runner, part, config, surroundings)
            without = ModelOfPart(others, config, chosen, surroundings)
            whole = ModelOfPart(part, config, chosen, surroundings)
            for met in (*MET, KNOWN):
                model = whole if met == KNOWN else without
                for variant in VARIANTS:
                    stage = {
                        "data": name,
                        "split": 0,
                        "met": met,
                        "variant": variant,
                        "settings": VARIANTS[variant],
                        "teacher": [chosen.config.model_dump(), chosen.epochs],
                        "config": config.without_teacher(),
                    }
                    measure = partial(_measured, teacher, met, variant, model, held, config)
                    runner.rows.append(runner.cell(stage, part.digest, measure))
            runner.write()
    return runner.write()


def _measured(
    teacher: str, met: str, variant: str, model: ModelOfPart, held: HeldUsers, config: RunConfig
) -> Row:
    """Validation metrics of the users held out."""
    part = held.part
    histories = [part.pairs.of(row) for row in range(part.pairs.num_users)]
    vectors_of = partial(_vectors, VARIANTS[variant])
    scorer, _ = model.folded("float" if met == KNOWN else met, histories, vectors_of)
    means = evaluate_ranking(scorer, part.pairs, part.sought).means
    row: Row = {"data": part.data, "split": part.split, "seed": config.seed}
    row |= {"model": teacher, "regime": met, "variant": variant}
    row["users"] = int((part.sought.user_degrees() > 0).sum())
    return row | {f"{name}_validation": means[name] for name in METRICS}


def _vectors(
    settings: Mapping[str, float], items: ItemVectors, histories: Sequence[np.ndarray]
) -> np.ndarray:
    """Vectors of histories, turned towards their items' directions by a share."""
    settings = dict(settings)
    share = settings.pop("history_share", 0.0)
    vectors = FoldIn(items, norm=1.0, **settings).vectors(histories)
    if share:
        sums = [_directions(items.of(rows)).sum(axis=0, keepdims=True) for rows in histories]
        vectors = (1.0 - share) * vectors + share * _directions(np.concatenate(sums))
    return vectors.astype(np.float32)


def _directions(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length one; zero where there is no direction."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
