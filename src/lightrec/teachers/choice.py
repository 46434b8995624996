"""Chooses a teacher on validation pairs, within a budget of work.

Which loss, which width, which temperature suits a data set is not known beforehand, and no data
set's name should decide it. The choice goes from cheap to dear:

1. Probes: narrow and short. The settings of sampled softmax that want to differ between data sets
   (`WALKED`) are moved from their defaults, one after the other, as long as that helps; iALS tries
   its penalties.
2. Finalists: the best of either kind in full, the widest first, as far as the budget goes.
3. Blends: the scores of the other finalists are added to the best one's, as long as that helps.

Work is counted, not timed (`estimated_minutes`), so that the choice does not depend on the clock
or on who else uses the machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator

from lightrec.errors import DivergedError, InterruptedRunError
from lightrec.interactions.history import History
from lightrec.settings import Settings
from lightrec.teachers.blend import blend
from lightrec.teachers.factors import Factors
from lightrec.teachers.fit import (
    BlendConfig,
    FittedTeacher,
    Judge,
    SingleConfig,
    fit_teacher,
)
from lightrec.teachers.ials import IalsConfig
from lightrec.teachers.sampled_softmax import SampledSoftmaxConfig
from lightrec.training.interruptions import interruptions
from lightrec.training.loop import Surroundings
from lightrec.training.run_log import RunLog

PROBE_WIDTH = 64
PROBE_EPOCHS = 6
PROBE_NEGATIVES = 4096
PROBE_SWEEPS = 10
WALKED = {
    "temperature": (0.05, 0.07, 0.1, 0.15, 0.2, 0.3),
    "history_share": (0.1, 0.3, 0.5, 0.7, 0.85),
    "popularity_power": (0.0, 0.05, 0.1, 0.15, 0.2),
    "degree_power": (0.0, 0.25, 0.5),
}
"""Settings of sampled softmax to be chosen, in this order, and their values."""
IALS_PENALTIES = ((0.2, 0.5), (0.025, 1.0), (0.01, 1.0), (0.004, 1.0))
"""(l2, frequency_power) to try."""
BLEND_WEIGHTS = (0.25, 0.5, 1.0)
LEAST_GAIN = 0.0005
"""In Recall@100 + NDCG, for a blend to be worth another model."""

PRODUCTS_PER_MINUTE = 3.0e12
"""Multiply-adds of small matrix products that two cores do in a minute, about."""
UPDATES_PER_MINUTE = 1.0e10
"""Numbers that Adam updates in a minute, about: it is bound by memory."""


class AutoConfig(Settings):
    """Settings of the choice among teachers."""

    kind: Literal["auto"] = "auto"
    """Chooses kind and settings on validation pairs."""
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field((128, 256), min_length=1)
    """Widths of the finalists, in ascending order; more is better and dearer."""
    budget_minutes: float = Field(20.0, gt=0)
    """Work of the whole choice, in minutes of two cores; what exceeds it is not tried."""

    @field_validator("widths")
    @classmethod
    def _ascending(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if list(widths) != sorted(set(widths)):
            raise ValueError(f"widths must ascend, not {widths}")
        return widths


def choose_teacher(
    pairs: History,
    config: AutoConfig,
    judge: Judge,
    *,
    seed: int,
    surroundings: Surroundings | None = None,
) -> FittedTeacher:
    """The best teacher found within the budget, trained on `pairs`.

    Args:
        pairs: Training pairs.
        config: Settings.
        judge: Measures a teacher on held-out pairs.
        seed: Of every training run.
        surroundings: Its log hears of every candidate. Checkpoints are not kept: a choice that was
            interrupted starts again.

    Raises:
        InterruptedRunError: The user asked to stop.
    """
    surroundings = surroundings or Surroundings()
    quiet = Surroundings(progress=surroundings.progress)
    with interruptions() as interrupted:

        def measure(factors: Factors) -> dict[str, float]:
            if interrupted.is_set():
                raise InterruptedRunError(
                    "choice of the teacher: interrupted; run the same command again, it starts over"
                )
            return judge(factors)

        choice = _Choice(pairs, config.budget_minutes, measure, seed, quiet, surroundings.log)
        softmax, alternating = choice.probe()
        finalists = choice.finalists(softmax, alternating, config.widths)
        return choice.blended(finalists, config.widths[-1])


class _Choice:
    """What was tried, and the work that is left."""

    def __init__(
        self,
        pairs: History,
        minutes: float,
        judge: Judge,
        seed: int,
        surroundings: Surroundings,
        log: RunLog,
    ) -> None:
        self.pairs, self.minutes_left, self.judge, self.seed = pairs, minutes, judge, seed
        self.surroundings, self.log = surroundings, log
        self.tried: dict[str, FittedTeacher | None] = {}

    def probe(self) -> tuple[SampledSoftmaxConfig, IalsConfig | None]:
        """The best settings of either kind, found narrow and short."""
        softmax = SampledSoftmaxConfig(
            width=PROBE_WIDTH,
            num_negatives=PROBE_NEGATIVES,
            epochs=PROBE_EPOCHS,
            evaluate_every=PROBE_EPOCHS,
        )
        self.attempt(softmax, always=True)
        for setting, values in WALKED.items():
            softmax = self.walk(softmax, setting, values)
        penalties = [
            IalsConfig(
                width=PROBE_WIDTH,
                l2=l2,
                frequency_power=power,
                sweeps=PROBE_SWEEPS,
                evaluate_every=PROBE_SWEEPS,
            )
            for l2, power in IALS_PENALTIES
        ]
        best = max(penalties, key=self.value)
        return softmax, best if self.value(best) > -math.inf else None

    def walk(
        self, start: SampledSoftmaxConfig, setting: str, values: Sequence[float]
    ) -> SampledSoftmaxConfig:
        """Moves one setting up or down its list for as long as that helps."""
        best = start
        for step in (1, -1):
            place = values.index(getattr(start, setting)) + step
            while 0 <= place < len(values):
                candidate = start.model_copy(update={setting: values[place]})
                if self.value(candidate) <= self.value(best):
                    break
                best, place = candidate, place + step
            if best is not start:
                break
        return best

    def value(self, candidate: SingleConfig) -> float:
        """Validation value of a candidate; minus infinity where the budget has no room for it."""
        fitted = self.attempt(candidate)
        return -math.inf if fitted is None else fitted.value

    def finalists(
        self,
        softmax: SampledSoftmaxConfig,
        alternating: IalsConfig | None,
        widths: Sequence[int],
    ) -> list[FittedTeacher]:
        """The probes' best settings at full length and width, best first."""
        candidates: list[SingleConfig] = []
        chosen = softmax.model_dump(include=set(WALKED))
        for width in reversed(widths):
            candidates.append(SampledSoftmaxConfig.model_validate(chosen | {"width": width}))
            if alternating is not None:
                full = {"l2": alternating.l2, "frequency_power": alternating.frequency_power}
                candidates.append(IalsConfig.model_validate(full | {"width": width}))
        fitted = [self.attempt(candidate) for candidate in candidates]
        ready = [each for each in fitted if each is not None] or [
            each for each in self.tried.values() if each is not None
        ]
        return sorted(ready, key=lambda each: each.value, reverse=True)

    def blended(self, finalists: list[FittedTeacher], width: int) -> FittedTeacher:
        """The best finalist, with the scores of others added as long as that is better."""
        best, parts = finalists[0], finalists[:1]
        weights: tuple[float, ...] = (1.0,)
        for other in finalists[1:]:
            found = best
            for weight in BLEND_WEIGHTS:
                mixed = self.mix([*parts, other], (*weights, weight), width)
                if mixed.value <= found.value + LEAST_GAIN:
                    break
                found = mixed
            if isinstance(found.config, BlendConfig) and found is not best:
                parts, weights, best = [*parts, other], found.config.weights, found
        return best

    def mix(
        self, parts: Sequence[FittedTeacher], weights: tuple[float, ...], width: int
    ) -> FittedTeacher:
        """A blend of teachers at hand, measured."""
        singles = tuple(part.config for part in parts)
        config = BlendConfig.model_validate({"parts": singles, "weights": weights, "width": width})
        factors = blend([part.factors for part in parts], weights, width)
        metrics = self.judge(factors)
        self.log.event("blended", teacher=config.model_dump(), **metrics)
        epochs = tuple(count for part in parts for count in part.epochs)
        return FittedTeacher(factors, config, epochs, metrics)

    def attempt(self, candidate: SingleConfig, *, always: bool = False) -> FittedTeacher | None:
        """Trains a candidate, once, if the budget allows; None too where it diverges."""
        key = candidate.model_dump_json()
        if key in self.tried:
            return self.tried[key]
        minutes = estimated_minutes(self.pairs, candidate)
        told = {"teacher": candidate.model_dump(), "estimated_minutes": round(minutes, 2)}
        if minutes > self.minutes_left and not always:
            self.log.event("not tried", **told, minutes_left=round(self.minutes_left, 2))
            self.tried[key] = None
            return None
        self.minutes_left -= minutes
        try:
            fitted = fit_teacher(
                self.pairs,
                candidate,
                seed=self.seed,
                judge=self.judge,
                surroundings=self.surroundings,
            )
        except DivergedError as error:
            if always:
                raise  # the defaults diverge: the data are at fault, not the candidate
            self.log.event("diverged", **told, error=str(error))
            self.tried[key] = None
            return None
        self.log.event("tried", **told, epochs=fitted.epochs[0], **fitted.metrics)
        self.tried[key] = fitted
        return fitted


def estimated_minutes(pairs: History, config: SingleConfig) -> float:
    """Work of a whole training run, in minutes of two cores; validation left out."""
    users, items, width = pairs.num_users, pairs.num_items, config.width
    if isinstance(config, IalsConfig):
        products = 2.0 * len(pairs) * width**2 + (users + items) * width**3 / 8
        return config.sweeps * products / PRODUCTS_PER_MINUTE
    if isinstance(config, SampledSoftmaxConfig):
        active = int((pairs.user_degrees() > 0).sum())
        steps = max(1, -(-active // config.batch_size))
        met = min(items, config.num_negatives + len(pairs) / steps)
        products = 3.0 * config.batch_size * met * width
        updates = (config.batch_size + met) * width
    else:
        steps = -(-len(pairs) // config.batch_size)
        products = 3.0 * config.batch_size * (config.num_negatives + 1) * width
        updates = (users + items) * width
    minutes = products / PRODUCTS_PER_MINUTE + updates / UPDATES_PER_MINUTE
    return config.epochs * steps * minutes
