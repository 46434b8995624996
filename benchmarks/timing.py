"""A quiet core, and what the memory can do."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
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
    np.copyto(target, source)
    fastest = np.inf
    for _ in range(7):
        start = time.perf_counter()
        np.copyto(target, source)
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * source.nbytes / fastest
