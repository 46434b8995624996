"""Chooses a teacher on validation pairs, within a budget of work.

Which loss, which width, which temperature suits a data set is not known beforehand, and no data
set's name should decide it. The choice goes from cheap to dear:

1. Probes: narrow and short. The settings of sampled softmax that want to differ between data sets
   (`WALKED`) are moved from their defaults, one after the other, as long as that helps; iALS tries
   its penalties.
2. Finalists: the best of either kind in full, the widest first, as far as the budget goes.
3. Blends: the scores of the other finalists are added to the best one's, as long as that helps.

A probe is no teacher: it has seen too little. So the work of the narrowest finalist of sampled
softmax is set aside before the first probe. Where the budget has no room for that, half of it goes
to probes, and their winner is trained in full all the same.

Work is counted, not timed (`teachers/work.py`), so that the choice does not depend on the clock or
on who else uses the machine.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field, field_validator

from lightrec.errors import DivergedError, InterruptedRunError
from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.settings import Settings
from lightrec.teachers.blend import blend
from lightrec.teachers.choice_plan import ChoicePlan
from lightrec.teachers.description import describe_teacher
from lightrec.teachers.fit import (
    BlendConfig,
    FittedTeacher,
    Judge,
    SingleConfig,
    fit_teacher,
)
from lightrec.teachers.ials import IalsConfig
from lightrec.teachers.probes import WALKED, first_probe, ials_probes, in_full, most_probes
from lightrec.teachers.sampled_softmax import SampledSoftmaxConfig
from lightrec.teachers.tried import TriedTeachers
from lightrec.training.interruptions import interruptions
from lightrec.training.loop import Surroundings
from lightrec.training.run_log import RunLog

logger = logging.getLogger(__name__)
BLEND_WEIGHTS = (0.25, 0.5, 1.0)
LEAST_GAIN = 0.0005
"""In Recall@100 + NDCG, for a blend to be worth another model."""


class AutoConfig(Settings):
    """Settings of the choice among teachers."""

    kind: Literal["auto"] = "auto"
    """Chooses kind and settings on validation pairs."""
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field((128, 256), min_length=1)
    """Widths of the finalists, in ascending order; more is better and dearer."""
    budget_minutes: float = Field(20.0, gt=0)
    """Work of training in the whole choice, in minutes of two cores; what exceeds it is not tried.
    One probe and one teacher in full are trained in any case. Validations come on top."""

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
        surroundings: Its log hears of every candidate. With a checkpoint, those that have come to
            their end are not trained again when the same choice is made once more.

    Raises:
        InterruptedRunError: The user asked to stop.
        CheckpointError: The checkpoint is of another run, or cannot be read.
    """
    surroundings = surroundings or Surroundings()
    with interruptions() as interrupted:
        choice = _Choice(pairs, config, judge, seed, surroundings, interrupted)
        logger.info("Choosing the teacher %s.", choice.plan.describe())
        try:
            softmax, alternating = choice.probe()
            chosen = choice.blended(choice.finalists(softmax, alternating))
        except InterruptedRunError as error:
            raise InterruptedRunError(
                f"choice of the teacher: interrupted at {choice.describe_candidate()}; run the "
                f"same command again, it {'goes on' if choice.tried.kept else 'starts over'}"
            ) from error
    logger.info("The teacher: %s.", choice.describe(chosen))
    return chosen


class _Choice:
    """What was tried, and the work that is left."""

    def __init__(
        self,
        pairs: History,
        config: AutoConfig,
        judge: Judge,
        seed: int,
        surroundings: Surroundings,
        interrupted: threading.Event,
    ) -> None:
        self.pairs, self.config, self.judge, self.seed = pairs, config, judge, seed
        self.interrupted = interrupted
        self.quiet = replace(surroundings, log=RunLog(), checkpoint=None)
        self.log, self.tried = surroundings.log, TriedTeachers(surroundings)
        finalists = [
            in_full(each, width)
            for width in config.widths
            for each in (first_probe(), ials_probes()[0])
        ]
        self.plan = ChoicePlan(pairs, config.budget_minutes, most_probes(), finalists)
        self.minutes_left = config.budget_minutes
        self.values: dict[str, float] = {}
        self.all_tried = True

    def probe(self) -> tuple[SampledSoftmaxConfig, IalsConfig | None]:
        """The best settings of either kind, found narrow and short."""
        softmax = first_probe()
        self.attempt(softmax, room=math.inf, needed=True)
        for setting, values in WALKED.items():
            softmax = self.walk(softmax, setting, values)
        best = max(ials_probes(), key=self.value)
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

    def value(self, probe: SingleConfig) -> float:
        """Validation value of a probe; minus infinity where the budget has no room for it.

        Its vectors are let go: those of all probes together are several times a teacher's.
        """
        key = probe.model_dump_json()
        if key not in self.values:
            self.attempt(probe, room=self.minutes_left - self.plan.set_aside)
        return self.values[key]

    def finalists(
        self, softmax: SampledSoftmaxConfig, alternating: IalsConfig | None
    ) -> list[FittedTeacher]:
        """The probes' best settings at full length and width, best first."""
        set_aside = self.plan.set_aside if self.plan.fits else 0.0
        ready: list[FittedTeacher] = []
        for width in reversed(self.config.widths):
            full: SingleConfig = in_full(softmax, width)
            fitted = self.attempt(full, room=self.minutes_left, finalist=True)
            if fitted is not None:
                ready.append(fitted)
                set_aside = 0.0  # it was set aside for this one
            if alternating is not None:
                full = in_full(alternating, width)
                room = self.minutes_left - set_aside
                fitted = self.attempt(full, room=room, finalist=True)
                ready += [] if fitted is None else [fitted]
        winner = max((each for each in (softmax, alternating) if each), key=self.value)
        if not self.plan.fits:
            best = max((each.value for each in ready), default=-math.inf)
            ready += self.beyond_the_budget(winner, best)
        if not ready:  # whatever was trained in full diverged
            ready = [self.tried.recall(winner, vectors=True) or self.trained(winner, finalist=True)]
        return sorted(ready, key=lambda each: each.value, reverse=True)

    def beyond_the_budget(self, winner: SingleConfig, best: float) -> list[FittedTeacher]:
        """The winner of the probes in full, unless a finalist is better than it is as a probe."""
        full = in_full(winner, self.config.widths[0])
        tried = self.values.get(full.model_dump_json(), -math.inf) > -math.inf
        if tried or self.value(winner) <= best:
            return []
        logger.warning(
            "teacher.budget_minutes = %g is little for so many pairs: after %d candidates, %s is "
            "trained all the same (%.0f minutes on two cores); with %d there would be room for it "
            "and for every probe",
            self.config.budget_minutes,
            self.count_tried(),
            describe_teacher(full.model_dump()),
            self.plan.minutes(full),
            self.plan.enough,
        )
        fitted = self.attempt(full, room=math.inf, finalist=True)
        return [] if fitted is None else [fitted]

    def blended(self, finalists: list[FittedTeacher]) -> FittedTeacher:
        """The best finalist, with the scores of others added as long as that is better."""
        best, parts = finalists[0], finalists[:1]
        weights: tuple[float, ...] = (1.0,)
        width = self.config.widths[-1]
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
        metrics = self.measure(factors)
        self.log.event("blended", teacher=config.model_dump(), **metrics)
        epochs = tuple(count for part in parts for count in part.epochs)
        return FittedTeacher(factors, config, epochs, metrics)

    def attempt(
        self,
        candidate: SingleConfig,
        *,
        room: float,
        needed: bool = False,
        finalist: bool = False,
    ) -> FittedTeacher | None:
        """Trains a candidate if its work fits in `room`; None too where it diverges.

        Args:
            candidate: Its settings.
            room: Minutes.
            needed: Whether there is no choice without it.
            finalist: Whether it may become the teacher: of others only the value counts.

        Raises:
            DivergedError: One that is needed diverges.
        """
        minutes, key = self.plan.minutes(candidate), candidate.model_dump_json()
        told = {"teacher": candidate.model_dump(), "estimated_minutes": round(minutes, 2)}
        self.values[key] = -math.inf
        if minutes > room:
            self.log.event("not tried", **told, minutes_left=round(room, 2))
            self.all_tried = False
            return None
        self.minutes_left -= minutes
        try:
            recalled = self.tried.recall(candidate, vectors=finalist)
            fitted = recalled or self.trained(candidate, finalist=finalist)
        except DivergedError as error:
            if needed:
                raise  # the defaults diverge: the data are at fault, not the candidate
            self.log.event("diverged", **told, error=str(error))
            return None
        if recalled and len(self.values) == 1:  # the first one
            logger.info("%d of them were tried before; goes on from there.", self.tried.count())
        kind = "recalled" if recalled else "tried"
        self.log.event(kind, **told, epochs=fitted.epochs[0], **fitted.metrics)
        self.values[key] = fitted.value
        self.heed()
        return fitted

    def trained(self, candidate: SingleConfig, *, finalist: bool) -> FittedTeacher:
        """Trains a candidate, and writes down what becomes of it.

        A finalist takes long enough for checkpoints of its own.
        """
        around = replace(self.quiet, doing=f"{self.describe_candidate()}, ")
        try:
            fitted = fit_teacher(
                self.pairs,
                candidate,
                seed=self.seed,
                judge=self.measure,
                surroundings=self.tried.around(candidate, around) if finalist else around,
            )
        except DivergedError as error:
            self.tried.keep_diverged(candidate, error)
            raise
        self.tried.keep(candidate, fitted, vectors=finalist)
        return fitted

    def measure(self, factors: Factors) -> dict[str, float]:
        """What the judge says of a teacher."""
        self.heed()
        return self.judge(factors)

    def heed(self) -> None:
        """Ends the choice where the user has asked for that."""
        if self.interrupted.is_set():
            raise InterruptedRunError("between two candidates")

    def describe_candidate(self) -> str:
        """Which candidate is being tried."""
        return f"candidate {len(self.values)} of at most {self.plan.most_candidates}"

    def count_tried(self) -> int:
        """How many candidates have been trained."""
        return sum(value > -math.inf for value in self.values.values())

    def describe(self, chosen: FittedTeacher) -> str:
        """What was chosen, and among how many."""
        rest = "" if self.all_tried else "; the budget had no room for others"
        teacher = describe_teacher(chosen.config.model_dump(), chosen.epochs)
        return f"{teacher}, chosen on held-out pairs after {self.count_tried()} candidates{rest}"
