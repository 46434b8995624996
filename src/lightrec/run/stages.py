"""The stages of the method, for `train` and the experiments alike: teacher, start, student."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import ItemMetric
from lightrec.codes.ranking_quantization import (
    OnRound,
    RankedCodes,
    additive_start,
    plain_start,
    quantize_in_ranking_metric,
)
from lightrec.codes.trained_selection import TrainedSelection
from lightrec.encoder.student import Student, collapse_of
from lightrec.encoder.student_config import StudentConfig
from lightrec.errors import ArgumentError, DivergedError
from lightrec.evaluation.judging import judged_users
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, Scorer
from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.run_config import RunConfig
from lightrec.training.loop import Surroundings, Validation, fit
from lightrec.training.negative_sampling import PairBatches
from lightrec.training.run_log import RunLog


@dataclass(frozen=True)
class FittedStudent:
    """Codes, the users that go with them, and the epochs they took.

    Attributes:
        item_codes: The catalogue.
        users: (M, D) float32, P2.
        epochs: Passes over the pairs; 0 when no gradient step beat the start.
        map_weights: Layers of the map from P1 to P2, for `linear` and `mlp` users.
        chosen_by: What chooses codes for new items as it did for these.
    """

    item_codes: ItemCodes
    users: np.ndarray
    epochs: int
    map_weights: dict[str, np.ndarray] | None = None
    chosen_by: TrainedSelection | ItemMetric | None = None


def student_start(
    pairs: History, teacher: Factors, config: RunConfig, log: RunLog | None = None
) -> ItemCodes | None:
    """The codes that the student of a run begins with; None for `random`: it draws codebooks."""
    start = (config.student or StudentConfig()).start
    return None if start == "random" else quantize(pairs, teacher, config, start, log)


def quantize(
    pairs: History, teacher: Factors, config: RunConfig, start: str, log: RunLog | None = None
) -> ItemCodes:
    """The student before any gradient step: `rvq`, `aq` or `metric`.

    Raises:
        ArgumentError: The start is none of these, or the quantiser refuses its input.
    """
    if start == "rvq":
        return plain_start(teacher.items, config.codes, config.seed)
    if start == "aq":
        return additive_start(
            teacher.items,
            teacher.users,
            config,
            degrees=pairs.item_degrees(),
            rng=np.random.default_rng(config.seed),
            on_round=_told_to(log),
        )
    if start == "metric":
        return quantize_by_ranking(pairs, teacher, config, log).item_codes
    raise ArgumentError(f"codes start from 'rvq', 'aq' or 'metric', not from {start!r}")


def quantize_by_ranking(
    pairs: History, teacher: Factors, config: RunConfig, log: RunLog | None = None
) -> RankedCodes:
    """The start `metric`: additive quantisation, continued in the metric of the ranking."""
    return quantize_in_ranking_metric(
        teacher.items,
        teacher.users,
        config,
        seen=pairs,
        degrees=pairs.item_degrees(),
        rng=np.random.default_rng(config.seed),
        on_round=_told_to(log),
    )


def _told_to(log: RunLog | None) -> OnRound:
    """What tells a log of the rounds of quantisation."""
    log = log or RunLog()
    return lambda of, number, error: log.event("round", of=of, round=number, relative_error=error)


def fit_student(
    pairs: History,
    teacher: Factors,
    start: ItemCodes | None,
    config: RunConfig,
    *,
    held_out: History | None = None,
    epochs: int | None = None,
    surroundings: Surroundings | None = None,
) -> FittedStudent:
    """Trains codes, codebooks and users, with early stopping on `held_out` or for given epochs.

    Raises:
        DivergedError: A loss is not finite, or nearly all items have come to the same code.
    """
    settings = config.student or StudentConfig()
    student = Student(
        teacher,
        start,
        settings,
        num_codebooks=config.codes.num_codebooks,
        num_codewords=config.codes.num_codewords,
        metric=ItemMetric.configured(config.metric, teacher.users, teacher.width),
        seed=config.seed,
    )
    batches = PairBatches(
        pairs,
        batch_size=settings.batch_size,
        num_negatives=settings.num_negatives,
        pool_size=settings.pool_size,
        seed=config.seed,
    )

    log = surroundings.log if surroundings else RunLog()

    def scorer() -> Scorer:
        codes = student.item_codes()
        _log_health(log, codes, student.encoding.revived)
        return CodeScorer(codes, student.user_vectors())

    result = fit(
        student,
        batches,
        settings,
        name="student",
        validation=_judge(scorer, pairs, held_out),
        stop_after=epochs,
        surroundings=surroundings,
    )
    codes = student.item_codes()
    _log_health(log, codes, student.encoding.revived)
    collapsed = collapse_of(codes)
    if collapsed is not None:  # the start was so, and no epoch was better
        raise DivergedError(f"student: {collapsed} no epoch was better than the start")
    return FittedStudent(
        codes,
        student.user_vectors(),
        result.epochs,
        student.users.map_weights(),
        student.encoding.chosen_by(),
    )


def _log_health(log: RunLog, codes: ItemCodes, revived: int) -> None:
    """Signs of collapse, wherever the codes are looked at."""
    health = codes.health
    log.event(
        "codes",
        codewords_used=health.used,
        perplexity=[round(value, 1) for value in health.perplexity],
        collisions=health.collisions,
        codewords_revived=revived,
    )


def _judge(
    scorer: Callable[[], Scorer], pairs: History, held_out: History | None
) -> Validation | None:
    """Validation on `held_out` of whatever `scorer` returns at the time."""
    if held_out is None:
        return None
    users = judged_users(held_out)
    return Validation(lambda: evaluate_ranking(scorer(), pairs, held_out, user_rows=users).means)
