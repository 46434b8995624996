"""Progress bars with time left, for people at a terminal; silent everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

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
    if total is None and isinstance(steps, Sized):
        total = len(steps)
    with _bar() as bar:
        yield from bar.track(steps, total=total, description=description)


@contextmanager
def steps_done(
    description: str, total: int, *, enabled: bool
) -> Iterator[Callable[[], None] | None]:
    """A bar like that of `track`, for steps that somebody else makes.

    Args:
        description: What is being done, in a word or two.
        total: Number of steps.
        enabled: False for no bar at all.

    Yields:
        What to call whenever a step is done; None where nothing is shown.
    """
    if not enabled or not sys.stderr.isatty():
        yield None
        return
    with _bar() as bar:
        task = bar.add_task(description, total=total)
        yield lambda: bar.advance(task)


def _bar() -> Progress:
    from rich.console import Console  # rich costs 40 ms to import and serving never needs it
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)
