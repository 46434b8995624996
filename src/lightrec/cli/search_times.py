"""How long each way to find a model's best items takes on this machine: by codes and by floats."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lightrec.cli.query_times import numpy_top_k
from lightrec.cli.turns import Way, take_turns
from lightrec.native import KERNELS
from lightrec.search.code_search import CodeSearch
from lightrec.search.filters import Filter
from lightrec.search.float_scan import FloatScan
from lightrec.search.post_ranking import post_rank
from lightrec.search.scan import BoundScan, CompiledScan, Scan
from lightrec.serving import Recommender

if TYPE_CHECKING:
    from lightrec.artifact import Model

MOST_FLOAT_BYTES = 2 << 30
"""Of the decoded items and the float scan's copy of them; above, floats are not measured."""
CANDIDATES_PER_RESULT = 5
"""Post-ranking recalls so many items for each one wanted."""
NUMPY = "numpy"
"""The search that all others are compared with."""

_PASSES = 5
_SECONDS_A_PASS = 1.0  # a slow search is asked fewer queries, so that a pass takes about as long
_FEWEST_QUERIES = 10
_WARM_UP = 3


@dataclass(frozen=True)
class Search:
    """One way to find the best items.

    Attributes:
        top_k: Answers (number of the query, k).
        num_queries: How many different queries there are.
    """

    top_k: Callable[[int, int], object]
    num_queries: int

    def for_the_best(self, k: int) -> Way:
        """The search as it is timed; a slow one with fewer queries."""
        warm_up = [query % self.num_queries for query in range(_WARM_UP)]
        for query in warm_up:
            self.top_k(query, k)
        start = time.perf_counter()
        for query in warm_up:
            self.top_k(query, k)
        seconds = (time.perf_counter() - start) / len(warm_up)
        affordable = max(_FEWEST_QUERIES, int(_SECONDS_A_PASS / max(seconds, 1e-9)))
        return Way(lambda query: self.top_k(query, k), min(self.num_queries, affordable))


@dataclass(frozen=True)
class SearchTime:
    """What one way to search takes.

    Attributes:
        search: Its name in `Searches.ways`.
        k: Items wanted.
        queries: Different queries that it was asked.
        median_microseconds: Of a query, each by the fastest of its passes, because whatever else
            runs on the machine only ever adds.
        p95_microseconds: The 95th percentile of the same.
        times_faster_than_numpy: The median of numpy's brute force divided by this one's; None where
            that was not measured.
    """

    search: str
    k: int
    queries: int
    median_microseconds: float
    p95_microseconds: float
    times_faster_than_numpy: float | None


@dataclass(frozen=True, eq=False)
class Searches:
    """The ways in which one model's best items can be found.

    Attributes:
        scan: Searches the codes.
        users: Rows of the users asked for; none where the model has no users.
        vectors: (n, D) float32 query vectors: the users', or decoded items where users have none.
        from_users: Whether they are the users'.
        float_bytes: What searches by float vectors take or, left out, would take.
        ways: By name: `codes` from a query vector; `table` from a user's stored score table; `seen`
            the one of them that the model's users ask by, with what they have seen excluded;
            `recommend` what `Recommender.recommend` takes for it, from an id to ids;
            `post_ranking` candidates by codes, ordered by the model's float items; `numpy` and
            `float_scan` all items by their decoded vectors. What the model lacks is left out.
    """

    scan: Scan
    users: np.ndarray
    vectors: np.ndarray
    from_users: bool
    float_bytes: int
    ways: Mapping[str, Search]

    @classmethod
    def of(cls, model: Model, num_queries: int) -> Searches:
        """Prepares the searches; no preparation is part of a query's time.

        Only shapes matter for the time of float vectors, so that decoded items stand for the
        teacher's, and for users who have no vector.

        Args:
            model: With users in any form, or none, and at least one item.
            num_queries: Different queries wanted; fewer where there are fewer users or items.
        """
        item_codes, values = model.item_codes, model.users.values
        rng = np.random.default_rng(0)
        users = _drawn(model.num_users, num_queries, rng)
        search = CodeSearch(item_codes)
        from_users = model.users.form != "table" and len(users) > 0
        if from_users:
            vectors = values[users].astype(np.float32)
        else:
            vectors = item_codes.decode(_drawn(model.num_items, num_queries, rng))

        def by_codes(query: int, k: int, rows: Filter | None = None) -> object:
            return search.top_k(vectors[query], k, rows)

        ways = {"codes": Search(by_codes, len(vectors))}
        of_users: Callable[[int, int, Filter | None], object] = by_codes
        if model.users.form == "table" and len(users):
            tables = values[users]

            def by_table(query: int, k: int, rows: Filter | None = None) -> object:
                return search.scan.top_k(tables[query].astype(np.float32, copy=False), k, rows)

            of_users = by_table
            ways["table"] = Search(by_table, len(users))
        if model.history is not None and len(users):
            seen = [Filter(exclude=model.history.of(user)) for user in users.tolist()]
            ways["seen"] = Search(lambda query, k: of_users(query, k, seen[query]), len(users))
        if len(users):
            recommender = Recommender(model, scan=search.scan, threads=1)
            ids = model.user_ids.ids(users)
            ways["recommend"] = Search(
                lambda query, k: recommender.recommend(users=ids[query], k=k), len(users)
            )
        if model.float_items is not None:
            ways["post_ranking"] = _post_ranking(search, vectors, model.float_items)
        float_bytes = 2 * 4 * model.num_items * item_codes.width
        if float_bytes <= MOST_FLOAT_BYTES:
            ways |= _by_floats(item_codes.decode(), vectors)
        return cls(search.scan, users, vectors, from_users, float_bytes, ways)

    @property
    def instruction_set(self) -> str:
        """What the scan of the codes runs on; `none` for numpy."""
        if isinstance(self.scan, BoundScan):
            return self.scan.instruction_set
        return "portable" if isinstance(self.scan, CompiledScan) else "none"

    @property
    def layout(self) -> str | None:
        """How the scan keeps the codes, where it has the choice."""
        return self.scan.layout if isinstance(self.scan, BoundScan) else None

    @property
    def bytes_per_item(self) -> float | None:
        """What the scan keeps for itself, divided by the items; None for numpy, which borrows."""
        if not isinstance(self.scan, CompiledScan):
            return None
        return self.scan.memory / self.scan.num_items

    def times(self, k: int) -> list[SearchTime]:
        """Times every search for the k best, one query after the other.

        Args:
            k: Items wanted, 1 to the number of items.
        """
        times = take_turns({name: way.for_the_best(k) for name, way in self.ways.items()}, _PASSES)
        floats = times.get(NUMPY)
        return [
            SearchTime(
                search=name,
                k=k,
                queries=len(taken.fastest),
                median_microseconds=taken.median,
                p95_microseconds=taken.p95,
                times_faster_than_numpy=None if floats is None else floats.median / taken.median,
            )
            for name, taken in times.items()
        ]


@contextmanager
def one_blas_thread() -> Iterator[bool]:
    """Holds numpy's BLAS to one thread; gives whether it could."""
    try:
        from threadpoolctl import threadpool_info, threadpool_limits
    except ImportError:
        yield False
        return
    with threadpool_limits(1, user_api="blas"):
        threads = [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
        yield bool(threads) and max(threads) == 1


def _drawn(total: int, wanted: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(total, min(total, wanted), replace=False) if total else np.empty(0, np.int64)


def _by_floats(items: np.ndarray, vectors: np.ndarray) -> dict[str, Search]:
    found = {NUMPY: Search(lambda query, k: numpy_top_k(items, vectors[query], k), len(vectors))}
    if KERNELS is not None:
        compiled = FloatScan(items)
        found["float_scan"] = Search(
            lambda query, k: compiled.top_k(vectors[query], k), len(vectors)
        )
    return found


def _post_ranking(search: CodeSearch, vectors: np.ndarray, float_items: np.ndarray) -> Search:
    if float_items.shape[1] == vectors.shape[1]:

        def one_call(query: int, k: int) -> object:
            candidates = CANDIDATES_PER_RESULT * k
            return search.top_k(vectors[query], k, candidates=candidates, item_vectors=float_items)

        return Search(one_call, len(vectors))
    # Users meet the codes through a map; what they were before it is not kept.
    unmapped = float_items[np.arange(len(vectors)) % len(float_items)].astype(np.float32)

    def two_calls(query: int, k: int) -> object:
        recalled = search.top_k(vectors[query], CANDIDATES_PER_RESULT * k)
        return post_rank(recalled.rows, unmapped[query], float_items, k)

    return Search(two_calls, len(vectors))
