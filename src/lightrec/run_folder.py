"""Where a run leaves its log and its checkpoints."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from lightrec._version import __version__
from lightrec.run_config import RunConfig
from lightrec.training.loop import Surroundings
from lightrec.training.run_log import RunLog

CHECKPOINTS = "checkpoints"
STAGES = ("teacher-validation", "student-validation", "teacher-all", "student-all")


@dataclass(frozen=True)
class RunFolder:
    """Log and checkpoints of one run.

    Attributes:
        folder: Where they are kept; None keeps nothing.
        config: The run's configuration.
        data_digest: Of the run's pairs: a checkpoint of other data is refused.
        progress: Shows progress bars when standard error is a terminal.
    """

    folder: Path | None
    config: RunConfig
    data_digest: str = ""
    progress: bool = False

    def surroundings(self, stage: str) -> Surroundings:
        """Log, checkpoint and progress bar of one stage."""
        if self.folder is None:
            return Surroundings(progress=self.progress)
        (self.folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        fingerprint = {
            "stage": stage,
            "config": self.config.digest(),
            "data": self.data_digest,
            "lightrec": __version__,
        }
        return Surroundings(
            log=RunLog(self.folder / "metrics.jsonl"),
            checkpoint=self.folder / CHECKPOINTS / stage,
            fingerprint=fingerprint,
            progress=self.progress,
        )


def clear_checkpoints(folder: Path) -> None:
    """Removes the checkpoints of a finished run, once its model is safe; all else stays."""
    for stage in STAGES:
        shutil.rmtree(folder / CHECKPOINTS / stage, ignore_errors=True)
    with contextlib.suppress(OSError):  # not there, or somebody else keeps something in it
        (folder / CHECKPOINTS).rmdir()
