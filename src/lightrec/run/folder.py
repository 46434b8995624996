"""Where a run leaves its log and its checkpoints."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from lightrec._version import __version__
from lightrec.durable_files.leftovers import lock
from lightrec.errors import CheckpointError
from lightrec.native import KERNELS
from lightrec.run.stage_bar import Report, ReportingLog, stage_bar
from lightrec.run_config import RunConfig
from lightrec.training.loop import Surroundings

CHECKPOINTS = "checkpoints"
STEPS_OF_A_LONG_EPOCH = 5_000  # half a minute and more
LEARNING = ("codes", "encoder", "evaluation", "interactions", "run", "teachers", "training")
"""Packages whose code decides what a run learns, with the modules beside them."""
STAGES = tuple(
    f"{stage}-{part}" for part in ("validation", "all") for stage in ("teacher", "codes", "student")
)


@dataclass(frozen=True)
class RunFolder:
    """Log and checkpoints of one run.

    Attributes:
        folder: Where they are kept; None keeps nothing.
        config: The run's configuration.
        data_digest: Of the run's pairs: a checkpoint of other data is refused.
        progress: Shows progress bars when standard error is a terminal.
        device: Where gradients are computed, as torch names it.
    """

    folder: Path | None
    config: RunConfig
    data_digest: str = ""
    progress: bool = False
    device: str = "cpu"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps two runs from writing the same log and checkpoints.

        Raises:
            CheckpointError: Another run is at work here.
        """
        if self.folder is None:
            yield
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            if lock(descriptor) is False:
                raise CheckpointError(
                    f"{self.folder}: another training is at work in this run folder; wait for it, "
                    "or give this one a folder of its own"
                )
            yield
        finally:
            os.close(descriptor)  # which lets go of the lock

    @contextmanager
    def stage(self, stage: str, *, epochs: int, steps: int) -> Iterator[Surroundings]:
        """Log, checkpoint and progress bar of one stage.

        Short epochs share one bar for the whole stage; each long one has a bar of its own.

        Args:
            stage: One of `STAGES`.
            epochs: The most that are made.
            steps: Batches in an epoch.
        """
        long = steps > STEPS_OF_A_LONG_EPOCH
        with stage_bar(
            stage.partition("-")[0], epochs, enabled=self.progress and not long
        ) as report:
            yield self.surroundings(stage, report=report, epoch_bars=self.progress and long)

    def surroundings(
        self, stage: str, *, report: Report | None = None, epoch_bars: bool = False
    ) -> Surroundings:
        """Log and checkpoint of one stage, with whatever bars are wanted."""
        if self.folder is None:
            return Surroundings(
                log=ReportingLog(None, report), progress=epoch_bars, device=self.device
            )
        (self.folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        fingerprint = {
            "stage": stage,
            "config": self.config.model_dump(mode="json"),
            "data": self.data_digest,
            "lightrec": __version__,
            "torch": version("torch"),
            "device": self.device,
            "code": code_digests(),
        }
        return Surroundings(
            log=ReportingLog(self.folder / "metrics.jsonl", report),
            checkpoint=self.folder / CHECKPOINTS / stage,
            fingerprint=fingerprint,
            progress=epoch_bars,
            device=self.device,
        )


@functools.cache
def code_digests() -> dict[str, str]:
    """SHA-256 of every source file that decides what a run learns, and of the compiled kernels.

    By path within the package, so that a checkpoint of other code can say what has changed.
    """
    package = Path(__file__).parent.parent
    folders = [package / name for name in LEARNING]
    files = [*package.glob("*.py"), *(file for folder in folders for file in folder.rglob("*.py"))]
    found = {str(file.relative_to(package)): file for file in sorted(files)}
    if KERNELS is not None and KERNELS.__file__ is not None:
        found["_native"] = Path(KERNELS.__file__)
    return {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in found.items()}


def clear_checkpoints(folder: Path) -> None:
    """Removes the checkpoints of a finished run, once its model is safe; all else stays."""
    for stage in STAGES:
        shutil.rmtree(folder / CHECKPOINTS / stage, ignore_errors=True)
    with contextlib.suppress(OSError):  # not there, or somebody else keeps something in it
        (folder / CHECKPOINTS).rmdir()
