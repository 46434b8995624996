"""A quiet core, and what the memory can do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def one_core() -> Iterator[None]:
    """Keeps this process on the last core that it may use."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def copy_bandwidth(num_bytes: int) -> float:
    """Bytes a second, read and written, that a plain copy of so many bytes reaches."""
    source = np.ones(num_bytes // 8, np.float64)
    target = np.empty_like(source)
    return 2 * source.nbytes / _fastest(lambda: np.copyto(target, source))


def read_bandwidth(num_bytes: int) -> float:
    """Bytes a second that plain loops which only read so many bytes reach.

    A large copy is written past the caches, so that one core has more under way than it ever has
    by reading: what a copy moves in both directions together is no measure for a scan.
    """
    source = np.ones(num_bytes // 4, np.float32)
    return source.nbytes / min(_fastest(source.sum), _fastest(source.max))


def _fastest(work: Callable[[], object]) -> float:
    """Seconds that it takes at best."""
    work()
    fastest = np.inf
    for _ in range(7):
        start = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest
