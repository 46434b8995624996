"""Times one query against N, k, D and B, one varied while the others are fixed.

    python -m benchmarks.scaling                        # N up to ten million; 5 GB of memory
    python -m benchmarks.scaling --largest 100000000    # and a hundred million, in codes only
    python -m benchmarks.scaling --fixed 10000 --largest 100000   # a trial

The claim of the paper is O(N + D B W): a pass over the items' codes, and a table of products that
does not depend on them. Fixed are N = 10^6, k = 100, D = 32 and B = 4; W is 256 throughout.

Codes, codewords and queries are random here, and isotropic. Codewords of one length in all books
are the worst case for a scan by bounds: no codebook matters more than another, bounds prune little,
and times lie far above those of learned catalogues (`benchmarks.search`). How they grow is what
counts. Brute force in floats searches the sums of the same codewords where memory allows.

`lightrec` always lies in cells here and `lightrec_flat` never, whatever the number of items, and a
query is a vector: building its table is timed too. Only the portable scan takes other B than 4.
One thread on one core; the machine must be idle. Rows go to `benchmarks/results/scaling.json`.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import opponents
from benchmarks.catalogues import Catalogue
from benchmarks.opponents import Opponent
from benchmarks.results import Row, kept, measured_once, write_results
from benchmarks.timing import copy_bandwidth, one_core
from lightrec.cli.turns import QueryTimes, Way, take_turns
from lightrec.codes.item_codes import ItemCodes
from lightrec.native import KERNELS

NAME = "scaling"
NUM_CODEWORDS = 256
NUM_QUERIES = 200
PASSES = 3
ITEMS = (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
KS = (1, 10, 100, 500, 1_000)
WIDTHS = (8, 16, 32, 64, 128, 256, 512)
BOOKS = (1, 2, 4, 8, 16)
MOST_IN_FLOATS = 10_000_000  # items; a hundred million are there in codes only
DECODED_AT_ONCE = 100_000
COPIES = 2.5  # of the float vectors that must fit: the scan makes its own

logger = logging.getLogger("lightrec")


@dataclass(frozen=True)
class Shape:
    """One catalogue and one k.

    Attributes:
        items: N.
        k: Results wanted.
        width: D.
        num_codebooks: B.
    """

    items: int = 1_000_000
    k: int = 100
    width: int = 32
    num_codebooks: int = 4


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--largest", type=int, default=10_000_000, help="N to go up to")
    parser.add_argument("--fixed", type=int, default=1_000_000, help="N while others vary")
    parser.add_argument("--stale", action="store_true", help="measure again what is older")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if KERNELS is None:
        raise SystemExit("there are no compiled scans here")
    name = NAME if asked.fixed == Shape().items else f"{NAME}-trial"
    rows: list[Row] = []
    for varied, shape in shapes(Shape(items=asked.fixed), ITEMS[-1]):
        contest = "-".join(str(value) for value in (varied, *dataclasses.astuple(shape)))
        if shape.items > asked.largest:
            rows += kept(name, contest)  # of a run that went further
            continue
        logger.warning("%s: %s", varied, shape)
        rows += measured_once(
            name,
            contest,
            lambda shape=shape, varied=varied: list(measured(shape, varied)),
            stale=asked.stale,
        )
        command = f"python -m benchmarks.scaling --largest {asked.largest} --fixed {asked.fixed}"
        write_results(name, command, rows)


def shapes(fixed: Shape, largest: int) -> Iterator[tuple[str, Shape]]:
    """What is varied, and each shape that this gives."""
    all_values = {
        "items": tuple(items for items in ITEMS if items <= largest),
        "k": KS,
        "width": WIDTHS,
        "num_codebooks": BOOKS,
    }
    for varied, values in all_values.items():
        for value in values:
            yield varied, dataclasses.replace(fixed, **{varied: value})


def measured(shape: Shape, varied: str, num_queries: int = NUM_QUERIES) -> Iterator[Row]:
    """The rows of one shape: every engine that can search it."""
    made = random_catalogue(shape, num_queries)
    engines = {opponent: layout for layout, opponent in _by_codes(made, varied)}
    num_bytes = 4 * shape.items * shape.width
    if shape.items > MOST_IN_FLOATS or COPIES * num_bytes > _free_memory():
        logger.warning("no brute force: %.1f GB of vectors are too many", num_bytes / 1e9)
    else:
        whole = dataclasses.replace(made, items=decoded(made.item_codes))
        engines |= dict.fromkeys(opponents.fused_float(whole), "float32")
    with one_core(), opponents.one_thread():
        times = take_turns({one: _way(one, made.queries, shape.k) for one in engines}, PASSES)
        for opponent, layout in engines.items():
            row = _row(shape, varied, opponent, times[opponent]) | {"layout": layout}
            if opponent.scan is None:
                yield row | {"copy_bandwidth": copy_bandwidth(num_bytes)}
                continue
            tables = made.item_codes.score_tables(made.queries)
            scored = [opponent.scan.num_scored(table, shape.k) for table in tables]
            yield row | {
                "survivors": float(np.mean(scored)) / shape.items,
                "scan_bytes_per_item": opponent.scan.memory / shape.items,
            }


def random_catalogue(shape: Shape, num_queries: int) -> Catalogue:
    """Codes at random, of codewords of one length; the worst case for bounds."""
    rng = np.random.default_rng(0)
    books = (shape.num_codebooks, NUM_CODEWORDS, shape.width)
    codes = rng.integers(0, NUM_CODEWORDS, (shape.items, shape.num_codebooks), dtype=np.uint8)
    item_codes = ItemCodes(codes, rng.standard_normal(books, np.float32))
    queries = rng.standard_normal((num_queries, shape.width), np.float32)
    return Catalogue("random", "isotropic", None, item_codes, queries)


def decoded(item_codes: ItemCodes) -> np.ndarray:
    """The items' vectors, (N, D) float32, without room for more than one copy."""
    items = np.empty((item_codes.num_items, item_codes.width), np.float32)
    for begin in range(0, len(items), DECODED_AT_ONCE):
        rows = slice(begin, begin + DECODED_AT_ONCE)
        items[rows] = item_codes.decode(rows)
    return items


def _by_codes(made: Catalogue, varied: str) -> Iterator[tuple[str, Opponent]]:
    """Layouts and scans; B is varied with the portable scan, which takes any."""
    assert KERNELS is not None
    best = KERNELS.instruction_set()
    if varied == "num_codebooks" or best == "portable":
        yield "flat", opponents.portable(made)
        return
    yield "cells", opponents.lightrec(made, best, "cells")
    yield "flat", opponents.lightrec(made, best, "flat")


def _way(opponent: Opponent, queries: np.ndarray, k: int) -> Way:
    opponent.top_k(queries[0], k)  # warms up
    return Way(lambda query: opponent.top_k(queries[query], k), len(queries))


def _row(shape: Shape, varied: str, opponent: Opponent, times: QueryTimes) -> Row:
    return {
        "catalogue": "random",
        "factors": "isotropic",
        "varied": varied,
        **dataclasses.asdict(shape),
        "num_codewords": NUM_CODEWORDS,
        "engine": opponent.engine,
        "isa": opponent.instruction_set,
        "queries": len(times.fastest),
        "median_us": times.median,
        "p95_us": times.p95,
        "cpu_us": times.cpu,
        "threads": 1,
        "float_type": "float32",
        "query": "vector",
        "filter": "none",
        "post_ranking": 0,
        "batch": 1,
    }


def _free_memory() -> int:
    """Bytes to be had, with the files that the system keeps in memory and would give up."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    kib = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return 1024 * int(kib)


if __name__ == "__main__":
    main()
