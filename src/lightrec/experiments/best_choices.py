"""How the default preset was chosen: its settings varied one at a time, on validation pairs only.

The teacher is the one that the product chooses; each variant changes how codes are made from it or
how users are fitted to them. Nothing here ever sees a test pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from lightrec.codes.coded_users import FORMS, UserForm, users_in_form
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_fit_task import Effort
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer
from lightrec.experiments.best import chosen_teacher
from lightrec.experiments.parts import Part, teacher_of, validation_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.runner import Row, Runner, command_for, digest_of
from lightrec.factors import Factors
from lightrec.run.stages import quantize
from lightrec.run_config import RunConfig, load_config
from lightrec.settings import merged, validated
from lightrec.teachers.fit import FittedTeacher
from lightrec.training.loop import Surroundings

NAME = "best_choices"
DATA = ("citeulike-t",)
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "codes: no round in the ranking's metric": {"ranking": {"rounds": 0}},
    "codes: 1 round": {"ranking": {"rounds": 1}},
    "codes: 6 rounds": {"ranking": {"rounds": 6}},
    "codes: perplexity 60": {"ranking": {"perplexity": 60.0}},
    "codes: perplexity 1000": {"ranking": {"perplexity": 1000.0}},
    "codes: 1 cell": {"ranking": {"cells": 1}},
    "codes: 64 cells": {"ranking": {"cells": 64}},
    "codes: 2,000 users judge": {"ranking": {"users": 2_000}},
    "codes: identity .1": {"ranking": {"identity": 0.1}},
    "codes: items alike": {"ranking": {"popularity_power": 0.0}},
    "users: 12 rounds": {"users": {"fit": {"rounds": 12}}},
    "users: 24 rounds": {"users": {"fit": {"rounds": 24}}},
    "users: 96 rounds": {"users": {"fit": {"rounds": 96}}},
    "users: no false positives": {"users": {"fit": {"false_positives": 0}}},
    "users: 60 + 60 candidates": {"users": {"fit": {"candidates": 60, "false_positives": 60}}},
    "users: 240 + 240 candidates": {"users": {"fit": {"candidates": 240, "false_positives": 240}}},
    "users: no catalogue sample": {"users": {"fit": {"catalogue_sample": 0}}},
    "users: top weight 0": {"users": {"fit": {"top_weight": 0.0}}},
    "users: top weight 16": {"users": {"fit": {"top_weight": 16.0}}},
    "users: catalogue weight 5": {"users": {"fit": {"catalogue_weight": 5.0}}},
    "users: ridge 2": {"users": {"fit": {"ridge": 2.0}}},
    "users: ridge 32": {"users": {"fit": {"ridge": 32.0}}},
    "users: ridge 2, 24 rounds": {"users": {"fit": {"ridge": 2.0, "rounds": 24}}},
    "users: vector ridge 8": {"users": {"fit": {"vector_ridge": 8.0}}},
    "users: vectors of 128 numbers": {"users": {"codeword_width": 128}},
    "users: vectors of 64 numbers": {"users": {"codeword_width": 64}},
    "users: no alternation": {"users": {"alternations": 0}},
    "users: 4 alternations": {"users": {"alternations": 4}},
}
"""Each variant: what it changes in the default configuration."""


def run(
    data: Sequence[str] | None = None,
    *,
    root: Path | str | None = None,
    stale: bool = False,
    progress: bool = False,
) -> Path:
    """Measures what is missing and writes `experiments/results/best_choices.json`.

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
        chosen = chosen_teacher(runner, part, default, surroundings)
        of_data = _Choices(part, default, chosen, surroundings)
        for variant, changes in VARIANTS.items():
            settings = merged(default.model_dump(), changes)
            config = validated(RunConfig, settings, f"variant {variant}")
            stage = {"data": name, "split": 0, "variant": variant, "config": config.model_dump()}
            measure = partial(of_data.measure, variant, config)
            runner.rows.append(runner.cell(stage, part.digest, measure))
            runner.write()
    return runner.write()


QUICK_FORMS: tuple[UserForm, ...] = ("identity", "table")
"""Measured for every variant; `fitted` users take long, and say little more about it."""


class _Choices:
    """The variants of one data set; codes that several of them share are made once."""

    def __init__(
        self, part: Part, default: RunConfig, chosen: FittedTeacher, surroundings: Surroundings
    ) -> None:
        self.part = part
        self.factors = cache(lambda: teacher_of(part, default, chosen, surroundings).fitted.factors)
        self.made: dict[str, ItemCodes] = {}

    def measure(self, variant: str, config: RunConfig) -> Row:
        """Validation metrics of the teacher and of the codes with users in every form."""
        factors: Factors = self.factors()
        codes = self._codes(config)
        row: Row = {"data": self.part.data, "split": self.part.split, "seed": config.seed}
        row |= {"model": "lightrec", "variant": variant}
        slow = variant == "default" or "alternation" in variant or "vector" in variant
        means = self._means(FloatScorer(factors.users, factors.items))
        row |= {f"{name}_validation_teacher": value for name, value in means.items()}
        for form in (*FORMS, "linear") if slow else QUICK_FORMS:
            users = users_in_form(
                form, factors, codes, self.part.pairs, config.users, Effort(config.seed)
            )
            means = self._means(CodeScorer(users.item_codes, users.values))
            row |= {f"{name}_validation_{form}": value for name, value in means.items()}
        return row

    def _means(self, scorer: FloatScorer | CodeScorer) -> dict[str, float]:
        means = evaluate_ranking(scorer, self.part.pairs, self.part.sought).means
        return {name: means[name] for name in ("recall@100", "ndcg@100", "ndcg")}

    def _codes(self, config: RunConfig) -> ItemCodes:
        key = digest_of(config.without_teacher(users=False))
        if key not in self.made:
            self.made[key] = quantize(self.part.pairs, self.factors(), config, "metric")
        return self.made[key]
