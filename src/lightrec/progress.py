"""Progress bars with time left, for people at a terminal; silent everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

Step = TypeVar("Step")


def track(
    steps: Iterable[Step], description: str, *, total: int | None = None, enabled: bool = True
) -> Iterator[Step]:
    """Passes `steps` on, with a bar on standard error when that is a terminal.

    Args:
        steps: What is iterated.
        description: What is being done, in a word or two.
        total: Number of steps; `len(steps)` when it has one.
        enabled: False for no bar at all.
    """
    if not enabled or not sys.stderr.isatty():
        yield from steps
        return
    from rich.console import Console  # rich costs 40 ms to import and serving never needs it
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    if total is None and isinstance(steps, Sized):
        total = len(steps)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield from bar.track(steps, total=total, description=description)
