"""Ctrl-C and SIGTERM as a wish that is granted between two steps, not in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_undisturbed: dict[signal.Signals, Any] = {}
"""The handlers from before the outermost use."""
_around: list[threading.Event] = []
"""The events of the uses in which the present one is nested, the outermost first."""


@contextmanager
def interruptions() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second one acts at once.

    Of nested uses the innermost hears of the first one, and what it raises ends the outer ones too;
    what an outer one has heard before, the inner one is told at once.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    outermost = not _undisturbed
    if outermost:
        _undisturbed.update(previous)
    if any(outer.is_set() for outer in _around):
        asked.set()
    _around.append(asked)

    def ask(number: int, _frame: object) -> None:
        asked.set()
        signal.signal(number, _undisturbed[signal.Signals(number)] or signal.SIG_DFL)

    for number in previous:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        _around.pop()
        if outermost:
            _undisturbed.clear()
        for number, handler in previous.items():
            signal.signal(number, handler or signal.SIG_DFL)
