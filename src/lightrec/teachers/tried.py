"""What a choice among teachers has tried, on disk: one that was interrupted goes on from there."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lightrec.errors import DivergedError
from lightrec.factors import Factors
from lightrec.teachers.fit import FittedTeacher, SingleConfig
from lightrec.training.checkpoint import Checkpoint
from lightrec.training.loop import Surroundings

FINISHED, TRAINING = "finished", "training"
SECONDS_AT_STAKE = 240.0
"""Work on a finalist that a crash may cost: its checkpoints are large, and one of many runs."""


@dataclass(frozen=True)
class TriedTeachers:
    """The candidates of a choice, each with a folder of its own.

    Attributes:
        surroundings: Those of the choice; without a checkpoint nothing is kept.
    """

    surroundings: Surroundings

    @property
    def kept(self) -> bool:
        """Whether anything is."""
        return self.surroundings.checkpoint is not None

    def count(self) -> int:
        """How many candidates came to their end in earlier runs."""
        kept = self.surroundings.checkpoint
        return 0 if kept is None else sum(1 for _ in kept.glob(f"*/{FINISHED}"))

    def recall(self, candidate: SingleConfig, *, vectors: bool) -> FittedTeacher | None:
        """What an earlier run made of a candidate; None where none came to its end.

        Args:
            candidate: Its settings.
            vectors: Whether they are wanted; else there may be none (no rows).

        Raises:
            DivergedError: It diverged then.
            CheckpointError: It is of another run, or cannot be read.
        """
        folder = self._folder(candidate)
        if folder is None:
            return None
        found = Checkpoint.load(
            folder / FINISHED,
            self._fingerprint(candidate),
            among=self.surroundings.checkpoint,
        )
        if found is None:
            return None
        shutil.rmtree(folder / TRAINING, ignore_errors=True)  # where a kill came in between
        if "diverged" in found.progress:
            raise DivergedError(found.progress["diverged"])
        if vectors and not found.tensors:
            return None
        users, items = (
            found.tensors[name].numpy() if found.tensors else np.zeros((0, 1), np.float32)
            for name in ("users", "items")
        )
        epochs, metrics = found.progress["epochs"], found.progress["metrics"]
        return FittedTeacher(Factors(users, items), candidate, tuple(epochs), metrics)

    def keep(self, candidate: SingleConfig, fitted: FittedTeacher, *, vectors: bool) -> None:
        """Writes down what became of a candidate."""
        matrices = {"users": fitted.factors.users, "items": fitted.factors.items}
        tensors = {name: torch.from_numpy(matrix) for name, matrix in matrices.items()}
        progress = {"epochs": fitted.epochs, "metrics": fitted.metrics}
        self._finish(candidate, progress, tensors if vectors else {})

    def keep_diverged(self, candidate: SingleConfig, error: DivergedError) -> None:
        """Writes down that a candidate diverged."""
        self._finish(candidate, {"diverged": str(error)}, {})

    def around(self, candidate: SingleConfig, surroundings: Surroundings) -> Surroundings:
        """The surroundings in which a long candidate is trained: with checkpoints of its own."""
        folder = self._folder(candidate)
        if folder is None:
            return surroundings
        folder.mkdir(parents=True, exist_ok=True)
        return replace(
            surroundings,
            checkpoint=folder / TRAINING,
            fingerprint=self._fingerprint(candidate),
            checkpoint_seconds=SECONDS_AT_STAKE,
        )

    def _finish(
        self, candidate: SingleConfig, progress: dict[str, Any], tensors: dict[str, torch.Tensor]
    ) -> None:
        folder = self._folder(candidate)
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        Checkpoint(self._fingerprint(candidate), progress, tensors).save(folder / FINISHED)
        shutil.rmtree(folder / TRAINING, ignore_errors=True)

    def _folder(self, candidate: SingleConfig) -> Path | None:
        kept = self.surroundings.checkpoint
        name = hashlib.sha256(candidate.model_dump_json().encode()).hexdigest()[:16]
        return None if kept is None else kept / name

    def _fingerprint(self, candidate: SingleConfig) -> dict[str, Any]:
        return self.surroundings.fingerprint | {"candidate": candidate.model_dump(mode="json")}
