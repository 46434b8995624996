"""The one training loop: epochs, validation, early stop, checkpoints, interruption.

It knows nothing of recommenders: an `Objective` turns a batch into named losses. Teachers and the
student are trained by it alike.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from pydantic import Field
from torch import nn

from lightrec.errors import CheckpointError, DivergedError, InterruptedRunError
from lightrec.evaluation.judging import value_of
from lightrec.progress import track
from lightrec.settings import Settings
from lightrec.training.checkpoint import (
    Checkpoint,
    damaged,
    optimiser_tensors,
    restore_optimiser,
)
from lightrec.training.interruptions import interruptions
from lightrec.training.run_log import RunLog

logger = logging.getLogger("lightrec")


class LoopConfig(Settings):
    """How long and how fast to train."""

    epochs: int = Field(20, ge=0)
    """Passes over the training pairs; with validation, the most that are made."""
    batch_size: int = Field(1024, ge=1)
    """Training pairs a step."""
    learning_rate: float = Field(1e-3, gt=0)
    """Of Adam, at the start."""
    schedule: Literal["constant", "cosine", "geometric"] = "constant"
    """`cosine` lets the learning rate fall to 1 % over `epochs`, `geometric` to a fifth."""
    evaluate_every: int = Field(1, ge=1)
    """Epochs between two validations."""
    evaluate_start: bool = True
    """Whether the start is validated too, and may be the best epoch: 0."""
    patience: int = Field(3, ge=1)
    """Validations without a better value before training stops."""


class Objective(nn.Module):
    """A model together with what it minimises."""

    def start_epoch(self, epoch: int) -> None:
        """Called before the first step of every epoch; does nothing unless overridden."""

    def after_step(self) -> None:
        """Called when a step has moved the parameters; does nothing unless overridden."""

    def trouble(self) -> str | None:
        """What makes the parameters useless though they are finite; None unless overridden."""
        return None

    def optimiser(self, learning_rate: float) -> torch.optim.Optimizer:
        """What moves the parameters: Adam unless overridden."""
        parameters = [value for value in self.parameters() if value.requires_grad]
        return torch.optim.Adam(parameters, lr=learning_rate, fused=True)

    def forward(self, batch: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401
        """Losses of one of the objective's batches by name; `loss` is the one minimised."""
        raise NotImplementedError("an objective turns a batch into losses")


class Batches(Protocol):
    """Where an objective's batches come from; a function of epoch and step and nothing else."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        ...

    def batch(self, epoch: int, step: int) -> object:
        """The batch of one step, both counted from 0."""
        ...


@dataclass(frozen=True)
class Validation:
    """How a run is judged while it goes on.

    Attributes:
        measure: Returns the metrics of the objective as it stands.
        value: What early stopping maximises, from those metrics.
    """

    measure: Callable[[], dict[str, float]]
    value: Callable[[dict[str, float]], float] = value_of


@dataclass(frozen=True)
class Surroundings:
    """What a run leaves behind and how it may be taken up again.

    Attributes:
        log: Where events go.
        checkpoint: Folder of the checkpoint; None keeps none.
        fingerprint: Configuration, data digest and versions: a checkpoint of another is refused.
        checkpoint_seconds: Work that a crash may cost at most, in seconds.
        device: Where the objective is trained, as torch names it. A run is repeated to the bit on
            the CPU only.
        progress: Shows a progress bar when standard error is a terminal.
        doing: What its bars begin with, where a run is one of several.
    """

    log: RunLog = field(default_factory=RunLog)
    checkpoint: Path | None = None
    fingerprint: dict[str, Any] = field(default_factory=dict)
    checkpoint_seconds: float = 60.0
    device: str = "cpu"
    progress: bool = False
    doing: str = ""


@dataclass(frozen=True)
class FitResult:
    """How a run ended.

    Attributes:
        epochs: The epochs of the parameters that the objective now holds.
        metrics: Validation metrics of those parameters; empty without validation.
        curve: (epoch, metrics) of every validation.
    """

    epochs: int
    metrics: dict[str, float]
    curve: list[tuple[int, dict[str, float]]]


def fit(
    objective: Objective,
    batches: Batches,
    config: LoopConfig,
    *,
    name: str,
    validation: Validation | None = None,
    stop_after: int | None = None,
    surroundings: Surroundings | None = None,
) -> FitResult:
    """Trains an objective.

    With validation the objective ends with the parameters of its best epoch (epoch 0, the untrained
    start, takes part unless `evaluate_start` is off); without, with those of the last.

    Args:
        objective: What is trained, in place; it is moved to the device of the surroundings, and
            stays there.
        batches: What it learns from, step by step.
        config: Length and speed.
        name: For the log and the progress bar.
        validation: Judge for early stopping; None trains to the end.
        stop_after: Ends after this many epochs though the schedule goes on to `config.epochs`: the
            way to repeat, on more data, what validation chose.
        surroundings: Log, checkpoint and progress bar.

    Raises:
        DivergedError: A loss or parameter is not finite, or the objective is in trouble.
        InterruptedRunError: The user asked to stop; a checkpoint was written where one is kept.
    """
    surroundings = surroundings or Surroundings()
    run = _Run(objective, batches, config, name, validation, surroundings)
    run.restore()
    last = config.epochs if stop_after is None else min(stop_after, config.epochs)
    judged_at_once = validation is not None and (config.evaluate_start or last == 0)
    with interruptions() as interrupted:
        if judged_at_once and run.epoch == 0 and run.step == 0 and not run.curve:
            run.validate()
            if interrupted.is_set():
                run.stop()
        while run.epoch < last and not run.out_of_patience:
            run.one_epoch(interrupted)
            if validation is not None and run.due(last):
                run.validate()
            if interrupted.is_set():
                run.stop()
            run.save_if_due(force=run.epoch == last or run.out_of_patience)
    if validation is not None:
        run.take_best()
        return FitResult(run.best_epoch, dict(run.curve)[run.best_epoch], run.curve)
    return FitResult(run.epoch, {}, [])


class _Run:
    """The state of one call of `fit`."""

    def __init__(
        self,
        objective: Objective,
        batches: Batches,
        config: LoopConfig,
        name: str,
        validation: Validation | None,
        surroundings: Surroundings,
    ) -> None:
        self.objective, self.batches, self.config, self.name = objective, batches, config, name
        self.validation, self.surroundings = validation, surroundings
        objective.to(surroundings.device)
        self.optimiser = objective.optimiser(config.learning_rate)
        self.epoch = self.step = 0
        self.sums: dict[str, float] = {}
        self.curve: list[tuple[int, dict[str, float]]] = []
        self.best_epoch, self.best_value = 0, -math.inf
        self.best: dict[str, torch.Tensor] = {}
        self.saved_at = time.monotonic()

    @property
    def out_of_patience(self) -> bool:
        """Whether the last `patience` validations brought nothing better."""
        after_best = sum(epoch > self.best_epoch for epoch, _ in self.curve)
        return self.validation is not None and after_best >= self.config.patience

    def due(self, last: int) -> bool:
        """Whether the epoch just finished ends with a validation."""
        return self.epoch % self.config.evaluate_every == 0 or self.epoch == last

    def one_epoch(self, interrupted: threading.Event) -> None:
        """Trains to the end of the present epoch."""
        steps = self.batches.steps_per_epoch
        self.objective.train()
        if self.step == 0:
            self.objective.start_epoch(self.epoch)
            self.sums = {}
        description = f"{self.surroundings.doing}{self.name}: epoch {self.epoch + 1}"
        shown = self.surroundings.progress
        for step in track(range(self.step, steps), description, enabled=shown):
            self._set_learning_rate(self.epoch * steps + step, self.config.epochs * steps)
            batch = on_device(self.batches.batch(self.epoch, step), self.surroundings.device)
            losses = self.objective(batch)
            self._add(losses)
            self.optimiser.zero_grad(set_to_none=True)
            losses["loss"].backward()
            self.optimiser.step()
            self.objective.after_step()
            self.step = step + 1
            if interrupted.is_set():
                self.stop()
            self.save_if_due()
        self._check_parameters()
        self.epoch, self.step = self.epoch + 1, 0
        means = {key: value / steps for key, value in self.sums.items()}
        self.surroundings.log.event("epoch", of=self.name, epoch=self.epoch, **means)

    def validate(self) -> None:
        """Measures the objective and remembers it when it is the best so far."""
        if self.validation is None:
            return
        self.objective.eval()
        metrics = self.validation.measure()
        self.curve.append((self.epoch, metrics))
        self.surroundings.log.event("validation", of=self.name, epoch=self.epoch, **metrics)
        value = self.validation.value(metrics)
        if value > self.best_value:
            self.best_epoch, self.best_value = self.epoch, value
            state = self.objective.state_dict()
            self.best = {key: tensor.clone() for key, tensor in state.items()}

    def take_best(self) -> None:
        """Gives the objective the parameters of its best epoch."""
        if self.best:
            self.objective.load_state_dict(self.best)

    def save_if_due(self, *, force: bool = False) -> None:
        """Writes a checkpoint when enough work would be lost without one."""
        folder = self.surroundings.checkpoint
        overdue = time.monotonic() - self.saved_at >= self.surroundings.checkpoint_seconds
        if folder is None or not (force or overdue):
            return
        self._check_parameters()
        state = self.objective.state_dict()
        tensors = {f"objective.{key}": value for key, value in state.items()}
        tensors |= {f"best.{key}": value for key, value in self.best.items()}
        tensors |= optimiser_tensors(self.optimiser)
        progress = {
            "epoch": self.epoch,
            "step": self.step,
            "sums": self.sums,
            "curve": self.curve,
            "best_epoch": self.best_epoch,
            "best_value": self.best_value if self.best else None,
        }
        Checkpoint(self.surroundings.fingerprint, progress, tensors).save(folder)
        self.saved_at = time.monotonic()

    def restore(self) -> None:
        """Goes on where the checkpoint, if there is one, left off."""
        if self.surroundings.checkpoint is None:
            return
        found = Checkpoint.load(
            self.surroundings.checkpoint, self.surroundings.fingerprint, self._tell_of_damage
        )
        if found is None:
            return
        progress = found.progress
        self.epoch, self.step, self.sums = progress["epoch"], progress["step"], progress["sums"]
        self.curve = [(epoch, metrics) for epoch, metrics in progress["curve"]]
        self.best_epoch = progress["best_epoch"]
        self.best = _with_prefix(found.tensors, "best.")
        if progress["best_value"] is not None:
            self.best_value = progress["best_value"]
        try:
            self.objective.load_state_dict(_with_prefix(found.tensors, "objective."))
            restore_optimiser(self.optimiser, found.tensors)
        except (RuntimeError, ValueError) as error:
            raise damaged(self.surroundings.checkpoint, error) from error
        self.surroundings.log.event("resumed", of=self.name, epoch=self.epoch, step=self.step)

    def _tell_of_damage(self, error: CheckpointError) -> None:
        logger.warning(
            "%s: goes on from the other of its last two checkpoints; %s", self.name, error
        )
        self.surroundings.log.event("damaged_checkpoint", of=self.name, reason=str(error))

    def _set_learning_rate(self, step: int, horizon: int) -> None:
        factor = 1.0
        if self.config.schedule == "cosine":
            factor = max(0.5 * (1.0 + math.cos(math.pi * step / horizon)), 0.01)
        elif self.config.schedule == "geometric":
            factor = 0.2 ** (step / horizon)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * factor

    def _add(self, losses: dict[str, torch.Tensor]) -> None:
        for key, value in losses.items():
            self.sums[key] = self.sums.get(key, 0.0) + float(value.detach())
        if not math.isfinite(self.sums["loss"]):
            raise self._diverged("the loss is not finite", self.step + 1)

    def _check_parameters(self) -> None:
        """A finite loss may still have had a gradient that is not, or led to nothing of use."""
        if not all(torch.isfinite(value).all() for value in self.objective.parameters()):
            raise self._diverged("the parameters are not finite", self.step)
        trouble = self.objective.trouble()
        if trouble is not None:
            raise self._diverged(trouble, self.step)

    def _diverged(self, what: str, step: int) -> DivergedError:
        kept = self.surroundings.checkpoint
        where = f"; the last good checkpoint is in {kept}" if kept and kept.exists() else ""
        return DivergedError(
            f"{self.name}: {what} in epoch {self.epoch + 1}, step {step}; "
            f"lower learning_rate ({self.config.learning_rate:g}) or check the input{where}"
        )

    def stop(self) -> None:
        """Ends the run as the user asked, with a checkpoint where one is kept."""
        self.save_if_due(force=True)
        kept = self.surroundings.checkpoint
        where = f"; run the same command again to go on from {kept}" if kept else ""
        raise InterruptedRunError(
            f"{self.name}: interrupted in epoch {self.epoch + 1} after step {self.step}{where}"
        )


def on_device(batch: Any, device: str) -> Any:  # noqa: ANN401
    """A batch, a dataclass of tensors, with its tensors on a device."""
    if device == "cpu":  # where batches are drawn
        return batch
    tensors = {each.name: getattr(batch, each.name).to(device) for each in fields(batch)}
    return replace(batch, **tensors)


def _with_prefix(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }
