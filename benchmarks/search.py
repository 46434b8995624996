"""Times exact top-k over item codes against named opponents.

    python -m benchmarks.search                       # every catalogue: an hour, 12 GB of disk
    python -m benchmarks.search --catalogue epinions  # one of them

One thread on one core; the machine must be idle. Rows go to `benchmarks/results/search.json`, where
rows of other catalogues stay, and of other processors: opponents gain by other things than the
scans here. Finished catalogues are kept: an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from benchmarks import opponents
from benchmarks.catalogues import Catalogue, catalogue, files_of
from benchmarks.opponents import ByNumber, Opponent, TopK
from benchmarks.resident import resident_bytes
from benchmarks.results import Row, measured_once, recorded, write_results
from benchmarks.timing import copy_bandwidth, one_core, read_bandwidth
from lightrec.cli.turns import QueryTimes, Way, take_turns
from lightrec.native import KERNELS
from lightrec.search.filters import Filter
from lightrec.search.reference_scan import ReferenceScan
from lightrec.search.scan import BoundScan

NAME = "search"
CONTESTS = (
    ("10k", "ials"),
    ("20k", "ials"),
    ("gowalla", "ials"),
    ("epinions", "ials"),
    ("epinions", "bpr"),
    ("epinions_8x16", "ials"),
    ("139k_isotropic", "isotropic"),
    ("1m", "ials"),
    ("1m", "bpr"),
    ("1m_isotropic", "isotropic"),
    ("10m", "ials"),
    ("10m", "bpr"),
    ("100m", "ials"),
    ("100m", "bpr"),
)
KS = (10, 100, 500)
K = 100  # of what is not measured at every k
GRAPHS_UP_TO = 200_000  # items; building a graph or trees over more takes too long here
LARGE = 500_000  # items; from here on much is left out: it would take hours
BATCHES = (8, 64, 1024)
LARGE_BATCHES = (64, 1024)
POST_RANKING = 500
FEW, VERY_FEW = 100, 4  # queries compared with the reference: large, and above fifty million
LEAST_BANDWIDTH = 0.85  # of what a loop that only reads reaches, at the same size
PASSES = ((LARGE, 7), (5_000_000, 3), (1 << 31, 2))  # below so many items

OPPONENTS = {  # that speed is told in times of, with the names of the ratios
    "numpy_float": "numpy",
    "fused_float": "fused_float",
    "faiss_flat": "faiss_flat",
    "faiss_pq": "faiss_pq",
}

logger = logging.getLogger("lightrec")


def main() -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    names = sorted({name for name, _ in CONTESTS})
    parser.add_argument("--catalogue", action="append", choices=names, help="may be repeated")
    parser.add_argument("--stale", action="store_true", help="measure again what is older")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    chosen = [one for one in CONTESTS if not asked.catalogue or one[0] in asked.catalogue]
    for name, factors in chosen:
        catalogue(name, factors)  # learned first, so that nothing else runs while others are timed
    opponents.check_environment()
    for one in chosen:
        rows = measured_once(
            NAME, "-".join(one), lambda one=one: list(contest(catalogue(*one))), stale=asked.stale
        )
        every = together(recorded(NAME), with_speedups(rows))
        write_results(NAME, "python -m benchmarks.search", every)


def together(older: list[Row], measured: list[Row]) -> list[Row]:
    """Rows of a contest in the place of older ones of the same processor, before those of others.

    Contests stay in their order.
    """

    def place(row: Row) -> tuple[tuple[str, str], str]:
        return _contest(row), row["cpu"]

    rows = measured + [row for row in older if place(row) != place(measured[0])]
    return sorted(rows, key=lambda row: CONTESTS.index(_contest(row)))


def _contest(row: Row) -> tuple[str, str]:
    return row["catalogue"], row["factors"]


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description."""


@dataclass(frozen=True)
class Entry:
    """What is timed for one row.

    Attributes:
        opponent: Who answers.
        told: What the row says beside that.
        way: Asks it.
        batch: Queries at once.
        filters: What each query may return; None for everything.
    """

    opponent: Opponent
    told: Row
    way: Way
    batch: int = 1
    filters: list[Filter] | None = field(default=None, repr=False)


def contest(given: Catalogue) -> Iterator[Row]:
    """Rows without speed-ups; at each k, everybody takes turns."""
    engines = []
    for opponent in _opponents(given):
        told = [opponent.engine, opponent.instruction_set, opponent.setting]
        logger.warning("%s %s: %s", given.name, given.factors, " ".join(filter(None, told)))
        engines.append(opponent)
    judge = _Judge(given, engines)
    for k in KS:
        with one_core(), opponents.one_thread():
            entries = list(_entries(judge, engines, k))
            for entry in entries:
                for query in range(min(entry.way.num_queries, 3)):
                    entry.way.answer(query)
            times = take_turns(dict(enumerate(e.way for e in entries)), _passes(given))
            for number, entry in enumerate(entries):
                yield judge.row(entry, k, times[number])
            logger.warning("%s %s: k = %d", given.name, given.factors, k)


def _passes(given: Catalogue) -> int:
    size = given.item_codes.num_items
    return next(passes for most, passes in PASSES if size < most)


def _opponents(given: Catalogue) -> Iterator[Opponent]:
    assert KERNELS is not None
    size, best = given.item_codes.num_items, KERNELS.instruction_set()
    builders: list[Callable[[Catalogue], Iterator[Opponent]]] = []
    if given.items is None:
        builders += [opponents.faiss_pq]
    else:
        builders += [opponents.numpy_float, opponents.fused_float]
        builders += [opponents.faiss_flat, opponents.faiss_pq, opponents.faiss_fastscan]
        builders += [opponents.faiss_ivfpq, opponents.inverted_file] if size < LARGE else []
        builders += [opponents.hnswlib, opponents.annoy] if size <= GRAPHS_UP_TO else []
    for build in builders:
        begun = time.perf_counter()
        for opponent in build(given):
            seconds = opponent.build_seconds or time.perf_counter() - begun
            yield replace(opponent, build_seconds=seconds)
    for instruction_set in ("avx512vbmi", "avx2") if best == "avx512vbmi" else (best,):
        yield opponents.lightrec(given, instruction_set)
        yield opponents.lightrec(given, instruction_set, "flat")
    if size < LARGE:
        yield opponents.portable(given)


def _entries(judge: _Judge, engines: list[Opponent], k: int) -> Iterator[Entry]:
    given = judge.given
    for opponent in engines:
        others = opponent.by == "own" or given.items is None
        if judge.large and k != K and others and opponent.engine.startswith("faiss"):
            continue
        yield judge.entry(opponent, k, {})
        if k == K and opponent.of_batch is not None and given.items is not None:
            yield from _batches(judge, opponent, k)
        if opponent.engine == "lightrec" and opponent.instruction_set != "portable":
            yield from _variants(judge, opponent, k)


def _batches(judge: _Judge, opponent: Opponent, k: int) -> Iterator[Entry]:
    given, of_batch = judge.given, opponent.of_batch
    assert of_batch is not None
    if judge.large and opponent.engine not in ("faiss_pq", "lightrec"):
        return
    for batch in LARGE_BATCHES if judge.large else BATCHES:
        if opponent.engine == "numpy_float" and 4 * batch * given.item_codes.num_items > 1 << 30:
            continue
        num_batches = -(-len(given.queries) // batch)  # so that no query is left out
        many = np.resize(given.queries, (num_batches * batch, given.queries.shape[1]))

        def answer(number: int, many: np.ndarray = many, batch: int = batch) -> object:
            return of_batch(many[number * batch : (number + 1) * batch], k)

        way = Way(answer, num_batches)
        yield Entry(opponent, {"batch": batch}, way, batch)


def _variants(judge: _Judge, opponent: Opponent, k: int) -> Iterator[Entry]:
    """Stored tables at every k; filters and post-ranking at one."""
    given = judge.given
    tables = opponents.from_tables(opponent, judge.tables)
    yield judge.entry(opponent, k, {"query": "table"}, tables)
    if k != K:
        return
    for name, filters in judge.filters.items():
        answers = opponents.filtered(opponent, given, filters)
        yield judge.entry(opponent, k, {"filter": name}, answers, filters)
    if given.items is not None and not judge.large:
        ranked = opponents.post_ranked(opponent, given, POST_RANKING)
        yield judge.entry(ranked, k, {"post_ranking": POST_RANKING})


class _Judge:
    """Makes rows of times, and compares the answers with the right ones."""

    def __init__(self, given: Catalogue, engines: list[Opponent]) -> None:
        codes = given.item_codes
        self.given, self.large = given, codes.num_items >= LARGE
        self.tables = list(codes.score_tables(given.queries))
        some = FEW if codes.num_items < 50_000_000 else VERY_FEW
        self.compared = given.queries[: some if self.large else None]
        self.reference = ReferenceScan(codes.codes, codes.num_codewords)
        self.filters = self._filters(next(one for one in engines if one.scan is not None))
        self.reading = read_bandwidth(codes.codes.nbytes)
        self.exact = next((one for one in engines if one.engine == "numpy_float"), None)
        self.resident: dict[tuple[str, str], int] = {}
        self.right: dict[tuple[str, int], list[tuple[np.ndarray, np.ndarray]]] = {}

    def entry(
        self,
        opponent: Opponent,
        k: int,
        told: Row,
        by_number: ByNumber | None = None,
        filters: list[Filter] | None = None,
    ) -> Entry:
        """What asks an opponent, or `by_number` in its name, every query by itself."""
        queries = self.given.queries
        ask = by_number or (lambda number, k: opponent.top_k(queries[number], k))
        return Entry(opponent, told, Way(lambda number: ask(number, k), len(queries)), 1, filters)

    def _filters(self, ours: Opponent) -> dict[str, list[Filter]]:
        """For every query: 100 of its 1,000 best items excluded; or 1 % of all items allowed."""
        rng = np.random.default_rng(1)
        size = self.given.item_codes.num_items
        excluded = []
        listed = Filter.of(size, allow=rng.choice(size, size // 100, replace=False))
        assert ours.scan is not None
        for table in self.tables:
            best = ours.scan.top_k(table, 1_000).rows
            excluded.append(Filter.of(size, exclude=rng.choice(best, 100, replace=False)))
        return {"seen100": excluded, "allow1pct": [listed] * len(excluded)}

    def row(self, entry: Entry, k: int, times: QueryTimes) -> Row:
        """A row of the results."""
        given, codes, opponent = self.given, self.given.item_codes, entry.opponent
        row: Row = {
            "catalogue": given.name,
            "factors": given.factors,
            "items": codes.num_items,
            "engine": opponent.engine,
            "setting": opponent.setting,
            "isa": opponent.instruction_set,
            "k": k,
            "queries": entry.batch * entry.way.num_queries,
            "compared": len(self.compared),
            "passes": _passes(given),
            "median_us": times.median / entry.batch,
            "cpu_us": times.cpu / entry.batch,
            "threads": 1,
            "num_codebooks": codes.num_codebooks,
            "num_codewords": codes.num_codewords,
            "width": codes.width,
            "float_type": "float32",
            "query": "vector",
            "filter": "none",
            "post_ranking": 0,
            "batch": 1,
            "build_seconds": round(opponent.build_seconds, 2),
        }
        row |= entry.told
        if row["engine"] == "fused_float" and given.items is not None:
            reached = given.items.nbytes / (1e-6 * row["median_us"])
            row["bandwidth_share"] = reached / read_bandwidth(given.items.nbytes)
            row["copy_share"] = reached / copy_bandwidth(given.items.nbytes)
        if entry.batch > 1:
            return row | {"compared": 0}
        row |= {"p95_us": times.p95, "worst_us": times.worst}
        if opponent.by == "codes":
            row["differences"] = self._differences(entry, k)
        if given.items is not None and entry.filters is None:
            row["recall"] = self._recall(entry, k)
        if opponent.scan is not None and entry.filters is None:
            wanted = entry.told.get("post_ranking") or k
            scored = [opponent.scan.num_scored(table, wanted) for table in self.tables]
            row["survivors"] = float(np.mean(scored)) / codes.num_items
            row |= self._sizes(entry)
            row["read_us"] = 1e6 * codes.codes.nbytes / self.reading
        return row

    def _sizes(self, entry: Entry) -> Row:
        """Bytes an item: what the scan keeps, and where that is large, what the system counts."""
        scan, size = entry.opponent.scan, self.given.item_codes.num_items
        assert scan is not None
        floats = 4 * self.given.item_codes.width if entry.told.get("post_ranking") else 0
        sizes: Row = {"scan_bytes_per_item": scan.memory / size + floats}
        if size >= 1_000_000 and isinstance(scan, BoundScan):
            made = scan.instruction_set, scan.layout
            if made not in self.resident:
                self.resident[made] = resident_bytes(*files_of(self.given), *made)
            sizes["resident_bytes_per_item"] = self.resident[made] / size + floats
        return sizes

    def _right(self, by: str, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """The exact answers, by codes or by float vectors."""
        if (by, k) not in self.right:
            if by == "codes":
                tables = self.tables[: len(self.compared)]
                found = [self.reference.top_k(table, k) for table in tables]
                self.right[by, k] = [(best.rows, best.scores) for best in found]
            else:
                assert self.exact is not None
                self.right[by, k] = [self.exact.top_k(query, k) for query in self.compared]
        return self.right[by, k]

    def _differences(self, entry: Entry, k: int) -> int:
        """Queries whose rows, order or scores are not those of the reference."""
        differences = 0
        for number in range(len(self.compared)):
            rows, scores = cast("TopK", entry.way.answer(number))
            if entry.filters is None:
                right = self._right("codes", k)[number]
            else:
                best = self.reference.top_k(self.tables[number], k, entry.filters[number])
                right = best.rows, best.scores
            same = np.array_equal(rows, right[0])
            if entry.opponent.scan is not None:
                same = same and np.array_equal(scores, right[1])
            differences += not same
        return differences

    def _recall(self, entry: Entry, k: int) -> float:
        """Share of the k best by float vectors that is found."""
        found: list[float] = []
        for number in range(len(self.compared)):
            rows, _ = cast("TopK", entry.way.answer(number))
            found.append(len(np.intersect1d(rows, self._right("float", k)[number][0])) / k)
        return float(np.mean(found))


def with_speedups(rows: list[Row]) -> list[Row]:
    """Adds how many times faster than others that did the same: vectors in, nothing filtered.

    The float scan counts as an opponent only where it reads nearly as fast as can be read.
    """

    def key(row: Row) -> tuple[object, ...]:
        return row["catalogue"], row["factors"], row["k"], row["batch"]

    good = {  # at some k: with many results a scan has more to do than to read
        (row["catalogue"], row["factors"])
        for row in rows
        if row.get("bandwidth_share", 0.0) >= LEAST_BANDWIDTH
    }
    rows = [
        {name: value for name, value in row.items() if not name.startswith("speedup_")}
        for row in rows
    ]
    fair = [row for row in rows if row["query"] == "vector" and row["filter"] == "none"]
    for engine, name in OPPONENTS.items():
        slow = {
            key(row): row["median_us"]
            for row in rows
            if row["engine"] == engine
            and (engine != "fused_float" or (row["catalogue"], row["factors"]) in good)
        }
        for row in fair:
            if key(row) in slow:
                row[f"speedup_{name}"] = slow[key(row)] / row["median_us"]
    return rows


if __name__ == "__main__":
    main()
