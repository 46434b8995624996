"""How long a query takes."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SECONDS_A_QUERY = 0.02
"""Each query is repeated for about as long, a few times at least."""
FEWEST_PASSES, MOST_PASSES = 3, 25


@dataclass(frozen=True)
class Timing:
    """Times of many queries, in microseconds.

    Attributes:
        median: Of the queries; each counts with the fastest of its passes, because whatever else
            runs on a machine only ever adds.
        p95: The 95th percentile of the same.
        cpu: Mean processor time of all passes, which neighbours lengthen less.
        queries: How many different ones.
    """

    median: float
    p95: float
    cpu: float
    queries: int


def stay_on_one_core() -> None:
    """Keeps this process on the last core that it may use."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def time_queries(answer: Callable[[int], object], num_queries: int) -> Timing:
    """Asks queries 0 .. num_queries - 1, one after the other, in several passes."""
    begun = time.perf_counter()
    for query in range(min(num_queries, 5)):
        answer(query)
    about = (time.perf_counter() - begun) / min(num_queries, 5)
    passes = int(np.clip(SECONDS_A_QUERY / max(about, 1e-9), FEWEST_PASSES, MOST_PASSES))
    taken = np.empty((passes, num_queries))
    gc.collect()
    gc.disable()
    try:
        cpu = time.process_time()
        for row in taken:
            for query in range(num_queries):
                start = time.perf_counter()
                answer(query)
                row[query] = time.perf_counter() - start
        cpu = time.process_time() - cpu
    finally:
        gc.enable()
    best = 1e6 * taken.min(axis=0)
    median, p95 = np.percentile(best, [50, 95])
    return Timing(float(median), float(p95), 1e6 * cpu / taken.size, num_queries)


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
