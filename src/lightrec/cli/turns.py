"""Times several ways to answer queries; they take turns, so that all meet the same disturbances."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Way:
    """One way to answer queries.

    Attributes:
        answer: Answers the query of a number.
        num_queries: Queries 0 .. num_queries - 1 are asked.
    """

    answer: Callable[[int], object]
    num_queries: int


@dataclass(frozen=True)
class QueryTimes:
    """What the queries of one way took.

    Attributes:
        fastest: (num_queries,) microseconds. Each query counts with the fastest of its passes,
            because whatever else runs on the machine only ever adds.
        cpu: Mean processor time of a query over all passes, in microseconds, which neighbours
            lengthen less.
    """

    fastest: np.ndarray
    cpu: float

    @property
    def median(self) -> float:
        """Of the queries, in microseconds."""
        return float(np.median(self.fastest))

    @property
    def p95(self) -> float:
        """The 95th percentile of the queries, in microseconds."""
        return float(np.percentile(self.fastest, 95))

    @property
    def worst(self) -> float:
        """Of the slowest query, in microseconds."""
        return float(self.fastest.max())


def take_turns(ways: Mapping[Name, Way], passes: int) -> dict[Name, QueryTimes]:
    """Asks every way all of its queries, one after the other; then all of this again.

    In its turn each way finds in the caches what its own queries left there.

    Args:
        ways: By any name.
        passes: How often; the same for all, as more passes make times shorter.
    """
    taken = {name: np.empty((passes, way.num_queries)) for name, way in ways.items()}
    cpu = dict.fromkeys(ways, 0.0)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for turn in range(passes):
            for name, way in ways.items():
                begun = time.process_time()
                for query in range(way.num_queries):
                    start = time.perf_counter()
                    way.answer(query)
                    taken[name][turn, query] = 1e6 * (time.perf_counter() - start)
                cpu[name] += time.process_time() - begun
    finally:
        if collecting:
            gc.enable()
    return {
        name: QueryTimes(times.min(axis=0), 1e6 * cpu[name] / max(times.size, 1))
        for name, times in taken.items()
    }
