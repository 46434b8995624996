"""A progress bar over a whole stage of training, fed by what the stage logs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightrec.training.run_log import RunLog

Report = Callable[[int], None]
"""Told how many epochs are done."""


@contextmanager
def stage_bar(description: str, epochs: int, *, enabled: bool) -> Iterator[Report | None]:
    """A bar on standard error with the time left, when that is a terminal.

    Early stopping may end a stage sooner: the time shown is the most that is left.

    Args:
        description: What is being done, in a word or two.
        epochs: The most that are made.
        enabled: False for no bar at all.

    Yields:
        What to tell about epochs done; None where nothing is shown.
    """
    if not enabled or not epochs or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("epoch {task.completed:.0f} of at most {task.total:.0f}, at most"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=epochs)
        yield lambda done: bar.update(task, completed=done)


class ReportingLog(RunLog):
    """A log that also tells a bar about every epoch that is done."""

    def __init__(self, file: Path | None, report: Report | None) -> None:
        """Opens the log; `report` hears of epochs when it is given."""
        super().__init__(file)
        self._report = report

    def event(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 - any JSON value
        """Records an event, as `RunLog` does."""
        super().event(kind, **fields)
        if kind == "epoch" and self._report is not None:
            self._report(int(fields["epoch"]))
