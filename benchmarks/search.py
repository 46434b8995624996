"""Times exact top-k over item codes against named opponents.

    python -m benchmarks.search                       # every catalogue: an hour, 12 GB of disk
    python -m benchmarks.search --catalogue epinions  # one of them

One thread on one core; the machine must be idle. Rows go to `benchmarks/results/search.json`.
Finished catalogues are kept: an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import opponents
from benchmarks.catalogues import Catalogue, catalogue
from benchmarks.opponents import Opponent
from benchmarks.results import Row, measured_once, write_results
from benchmarks.timing import Timing, copy_bandwidth, stay_on_one_core, time_queries
from lightrec.native import KERNELS
from lightrec.search.filters import Filter
from lightrec.search.reference_scan import ReferenceScan

NAME = "search"
CONTESTS = (
    ("gowalla", "ials"),
    ("gowalla", "bpr"),
    ("epinions", "ials"),
    ("epinions", "bpr"),
    ("139k_isotropic", "isotropic"),
    ("1m", "ials"),
    ("1m", "bpr"),
    ("1m_isotropic", "isotropic"),
    ("10m", "ials"),
    ("10m", "bpr"),
    ("100m", "bpr"),
)
KS = (10, 100, 500)
GRAPHS_UP_TO = 200_000  # items; building a graph or trees over more takes too long here
BATCHES = (64, 1024)
POST_RANKING = 500
FEW, VERY_FEW = 100, 16  # queries compared with the reference at ten and at a hundred million

logger = logging.getLogger("lightrec")
Builder = Callable[[Catalogue], Opponent]


def main() -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    names = sorted({name for name, _ in CONTESTS})
    parser.add_argument("--catalogue", action="append", choices=names, help="may be repeated")
    parser.add_argument("--stale", action="store_true", help="measure again what is older")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    opponents.one_thread()
    rows: list[Row] = []
    for name, factors in CONTESTS:
        if asked.catalogue and name not in asked.catalogue:
            continue
        made = catalogue(name, factors)  # on all cores
        stay_on_one_core()
        rows += measured_once(
            NAME,
            f"{name}-{factors}",
            lambda made=made: with_speedups(list(contest(made))),
            stale=asked.stale,
        )
        write_results(NAME, "python -m benchmarks.search", rows)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description."""


def contest(given: Catalogue) -> Iterator[Row]:
    """All rows of one catalogue; ratios are to numpy and the fused scan of the same run."""
    judge = _Judge(given)
    for engine, build in _builders(given):
        begun = time.perf_counter()
        opponent = build(given)
        seconds = time.perf_counter() - begun
        told = {"engine": engine, "build_seconds": round(seconds, 2)}
        logger.warning("%s %s %s", given.name, given.factors, told)
        if given.items is not None and engine == "fused_float":
            told["copy_bandwidth"] = copy_bandwidth(given.items.nbytes)
        if given.items is None:
            told["read_us"] = 1e6 * given.item_codes.codes.nbytes / judge.bandwidth
        for k in KS:
            yield judge.row(opponent, k) | told
        if opponent.scan is not None and opponent.instruction_set != "portable":
            yield from (row | told for row in _variants(judge, opponent, engine))


def _builders(given: Catalogue) -> Iterator[tuple[str, Builder]]:
    if given.items is not None:
        yield "numpy_float", opponents.numpy_float
        yield "fused_float", opponents.fused_float
    assert KERNELS is not None
    best = KERNELS.instruction_set()
    for instruction_set in ("avx512vbmi", "avx2") if best == "avx512vbmi" else (best,):
        yield "lightrec", lambda made, isa=instruction_set: opponents.lightrec(made, isa)
        yield (
            "lightrec_flat",
            lambda made, isa=instruction_set: opponents.lightrec(made, isa, "flat"),
        )
    if given.items is None:
        return
    yield "lightrec", opponents.portable
    yield "faiss_flat", opponents.faiss_flat
    yield "faiss_pq", opponents.faiss_pq
    yield "faiss_fastscan", opponents.faiss_fastscan
    yield "faiss_ivfpq", opponents.faiss_ivfpq
    if len(given.items) <= GRAPHS_UP_TO:
        yield "hnswlib", opponents.hnswlib
        yield "annoy", opponents.annoy


def _variants(judge: _Judge, opponent: Opponent, engine: str) -> Iterator[Row]:
    """Stored tables, filters, post-ranking and batches, at k = 100 (tables: every k)."""
    given, scan = judge.given, opponent.scan
    assert scan is not None
    if engine != "lightrec":
        return
    tables = dict(zip(judge.keys, given.item_codes.score_tables(given.queries), strict=True))
    for k in KS:
        yield judge.row(opponents.from_tables(opponent, tables), k) | {"query": "table"}
    for name, filters in judge.filters().items():
        rows = opponents.filtered(opponent, given, filters)
        yield judge.row(rows, 100, filters) | {"filter": name}
    if given.items is not None and given.item_codes.num_items <= GRAPHS_UP_TO:
        ranked = opponents.post_ranked(opponent, given, POST_RANKING)
        yield judge.row(ranked, 100) | {"post_ranking": POST_RANKING}
    stacked = np.stack(list(tables.values()))
    for batch in BATCHES:
        many = np.resize(stacked, (batch, *stacked.shape[1:]))
        timing = time_queries(lambda _, many=many: scan.top_k_batch(many, 100, threads=1), 3)
        yield judge.told(opponent, 100, timing) | {
            "batch": batch,
            "query": "table",
            "median_us": timing.median / batch,
            "p95_us": timing.p95 / batch,
            "cpu_us": timing.cpu / batch,
        }


class _Judge:
    """Times opponents and compares their answers with the right ones."""

    def __init__(self, given: Catalogue) -> None:
        self.given = given
        self.keys = [query.tobytes() for query in given.queries]
        size = given.item_codes.num_items
        compared = (
            len(given.queries) if size < 5_000_000 else FEW if size < 50_000_000 else VERY_FEW
        )
        self.compared = range(compared)
        self.bandwidth = copy_bandwidth(given.item_codes.codes.nbytes)
        self.reference = ReferenceScan(given.item_codes.codes, given.item_codes.num_codewords)
        self.right: dict[tuple[str, int], list[tuple[np.ndarray, np.ndarray]]] = {}

    def filters(self) -> dict[str, dict[bytes, Filter]]:
        """For every query: 100 of its 1,000 best items excluded; or 1 % of all items allowed."""
        rng = np.random.default_rng(1)
        size = self.given.item_codes.num_items
        excluded, allowed = {}, {}
        listed = Filter.of(size, allow=rng.choice(size, size // 100, replace=False))
        scan = opponents.portable(self.given).scan
        assert scan is not None
        for key, table in zip(
            self.keys, self.given.item_codes.score_tables(self.given.queries), strict=True
        ):
            best = scan.top_k(table, 1_000).rows
            excluded[key] = Filter.of(size, exclude=rng.choice(best, 100, replace=False))
            allowed[key] = listed
        return {"seen100": excluded, "allow1pct": allowed}

    def row(self, opponent: Opponent, k: int, filters: dict[bytes, Filter] | None = None) -> Row:
        """Times one opponent at one k, and tells how far its answers are right."""
        queries = self.given.queries
        timing = time_queries(lambda place: opponent.top_k(queries[place], k), len(queries))
        row = self.told(opponent, k, timing)
        if opponent.by == "codes":
            row["differences"] = self._differences(opponent, k, filters)
        if self.given.items is not None and filters is None:
            row["recall"] = self._recall(opponent, k)
        if opponent.scan is not None and filters is None:
            tables = self.given.item_codes.score_tables(queries)
            scored = [opponent.scan.num_scored(table, k) for table in tables]
            row["survivors"] = float(np.mean(scored)) / self.given.item_codes.num_items
        return row

    def told(self, opponent: Opponent, k: int, timing: Timing) -> Row:
        """What a row says of itself."""
        codes, size = self.given.item_codes, self.given.item_codes.num_items
        row: Row = {
            "catalogue": self.given.name,
            "factors": self.given.factors,
            "items": size,
            "k": k,
            "isa": opponent.instruction_set,
            "queries": timing.queries,
            "median_us": timing.median,
            "p95_us": timing.p95,
            "cpu_us": timing.cpu,
            "threads": 1,
            "num_codebooks": codes.codes.shape[1],
            "num_codewords": codes.num_codewords,
            "width": codes.width,
            "float_type": "float32",
            "query": "vector",
            "filter": "none",
            "post_ranking": 0,
            "batch": 1,
        }
        if opponent.memory is not None:
            row["resident_bytes_per_item"] = opponent.memory / size
        return row

    def _right(self, by: str, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """The exact answers, by codes or by float vectors."""
        if (by, k) not in self.right:
            queries = self.given.queries[self.compared]
            if by == "codes":
                tables = self.given.item_codes.score_tables(queries)
                found = [self.reference.top_k(table, k) for table in tables]
                self.right[by, k] = [(best.rows, best.scores) for best in found]
            else:
                exact = opponents.numpy_float(self.given)
                self.right[by, k] = [exact.top_k(query, k) for query in queries]
        return self.right[by, k]

    def _differences(self, opponent: Opponent, k: int, filters: dict[bytes, Filter] | None) -> int:
        """Queries whose rows, order or scores are not those of the reference."""
        differences = 0
        for place in self.compared:
            rows, scores = opponent.top_k(self.given.queries[place], k)
            if filters is None:
                right = self._right("codes", k)[place]
            else:
                query = self.given.queries[place : place + 1]
                table = self.given.item_codes.score_tables(query)[0]
                best = self.reference.top_k(table, k, filters[self.keys[place]])
                right = best.rows, best.scores
            same = np.array_equal(rows, right[0])
            if opponent.scan is not None:
                same = same and np.array_equal(scores, right[1])
            differences += not same
        return differences

    def _recall(self, opponent: Opponent, k: int) -> float:
        """Share of the k best by float vectors that is found."""
        found: list[float] = []
        for place in self.compared:
            rows, _ = opponent.top_k(self.given.queries[place], k)
            found.append(len(np.intersect1d(rows, self._right("float", k)[place][0])) / k)
        return float(np.mean(found))


def with_speedups(rows: list[Row]) -> list[Row]:
    """Adds how many times faster than numpy and than the fused scan of the same contest."""

    def key(row: Row) -> tuple[Any, ...]:
        return row["catalogue"], row["factors"], row["k"]

    slow = {
        engine: {key(row): row["median_us"] for row in rows if row["engine"] == engine}
        for engine in ("numpy_float", "fused_float")
    }
    return [
        row
        | {
            f"speedup_{short}": slow[engine][key(row)] / row["median_us"]
            for short, engine in (("numpy", "numpy_float"), ("fused_float", "fused_float"))
            if key(row) in slow[engine]
        }
        for row in rows
    ]


if __name__ == "__main__":
    main()
