"""One way to train any teacher: its settings say which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lightrec.evaluation.judging import value_of
from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.settings import Settings
from lightrec.teachers.blend import blend
from lightrec.teachers.bpr import BprConfig, BprFactorization, train_bpr
from lightrec.teachers.ials import IalsConfig, train_ials
from lightrec.teachers.sampled_softmax import (
    SampledSoftmax,
    SampledSoftmaxConfig,
    train_sampled_softmax,
)
from lightrec.training.loop import Surroundings, Validation

SingleConfig = SampledSoftmaxConfig | IalsConfig | BprConfig


class BlendConfig(Settings):
    """Settings of a blend of teachers."""

    kind: Literal["blend"] = "blend"
    """Which teacher this is."""
    parts: tuple[Annotated[SingleConfig, Field(discriminator="kind")], ...] = Field(min_length=1)
    """The teachers whose scores are added up."""
    weights: tuple[float, ...] = Field(min_length=1)
    """What each counts, in units of the spread of its scores."""
    width: int = Field(256, ge=1)
    """D, numbers in a vector of the blend."""

    @model_validator(mode="after")
    def _a_weight_each(self) -> BlendConfig:
        if len(self.parts) != len(self.weights):
            raise ValueError(f"{len(self.parts)} parts need as many weights, not {self.weights}")
        return self


AnyTeacherConfig = SingleConfig | BlendConfig
TeacherConfig = Annotated[AnyTeacherConfig, Field(discriminator="kind")]
"""Settings of one of the teachers, told apart by `kind`."""

Judge = Callable[[Factors], dict[str, float]]
"""Validation metrics of a teacher; `recall@100` and `ndcg` are among them."""


@dataclass(frozen=True)
class FittedTeacher:
    """A float model and how it was made.

    Attributes:
        factors: Users and items.
        config: Its settings.
        epochs: The epochs (for iALS: sweeps) that it took; of each part where it is a blend.
        metrics: Validation metrics; empty where nothing was held out.
    """

    factors: Factors
    config: AnyTeacherConfig
    epochs: tuple[int, ...]
    metrics: dict[str, float]

    @property
    def value(self) -> float:
        """What choices maximise."""
        return value_of(self.metrics)


def fit_teacher(
    pairs: History,
    config: AnyTeacherConfig,
    *,
    seed: int,
    judge: Judge | None = None,
    epochs: tuple[int, ...] | None = None,
    surroundings: Surroundings | None = None,
) -> FittedTeacher:
    """Trains a teacher, with early stopping by `judge` or for given epochs.

    Args:
        pairs: Training pairs.
        config: Settings, which say the kind.
        seed: Of start, order and negatives.
        judge: Measures a teacher on held-out pairs; None trains to the end.
        epochs: Epochs to train where validation chose them before.
        surroundings: Log, checkpoint, progress bar.

    Raises:
        DivergedError: A loss is not finite.
        InterruptedRunError: The user asked to stop.
    """
    surroundings = surroundings or Surroundings()
    if isinstance(config, BlendConfig):
        each = epochs or (None,) * len(config.parts)
        parts = [
            _fit_single(
                pairs, part, seed, judge, most, _of_part(surroundings, number, len(config.parts))
            )
            for number, (part, most) in enumerate(zip(config.parts, each, strict=True), start=1)
        ]
        factors = blend([part.factors for part in parts], config.weights, config.width)
        took = tuple(count for part in parts for count in part.epochs)
        return FittedTeacher(factors, config, took, judge(factors) if judge else {})
    return _fit_single(pairs, config, seed, judge, epochs[0] if epochs else None, surroundings)


def _of_part(surroundings: Surroundings, number: int, parts: int) -> Surroundings:
    """The surroundings with a checkpoint folder of the part's own."""
    surroundings = replace(surroundings, doing=f"{number} of {parts}, ")
    folder = surroundings.checkpoint
    if folder is None:
        return surroundings
    folder.mkdir(parents=True, exist_ok=True)
    return replace(surroundings, checkpoint=folder / f"part-{number}")


def _fit_single(
    pairs: History,
    config: SingleConfig,
    seed: int,
    judge: Judge | None,
    epochs: int | None,
    surroundings: Surroundings,
) -> FittedTeacher:
    if isinstance(config, IalsConfig):
        factors, sweeps = train_ials(
            pairs,
            config,
            seed=seed,
            held_out_value=judge,
            stop_after=epochs,
            log=surroundings.log,
            progress=surroundings.progress,
            doing=surroundings.doing,
        )
        return FittedTeacher(factors, config, (sweeps,), judge(factors) if judge else {})
    validation = None if judge is None else Validation(lambda: judge(model.factors()), value_of)
    model: SampledSoftmax | BprFactorization
    if isinstance(config, SampledSoftmaxConfig):
        model = SampledSoftmax(pairs, config, seed)
        result = train_sampled_softmax(
            model,
            pairs,
            seed=seed,
            validation=validation,
            stop_after=epochs,
            surroundings=surroundings,
        )
    else:
        model = BprFactorization(pairs.num_users, pairs.num_items, config, seed)
        result = train_bpr(
            model,
            pairs,
            seed=seed,
            validation=validation,
            stop_after=epochs,
            surroundings=surroundings,
        )
    return FittedTeacher(model.factors(), config, (result.epochs,), result.metrics)
