"""Compares every compiled scan with the definition, bit by bit, in random searches.

    python -m benchmarks.exactness                           # a million answers
    python -m benchmarks.exactness --seconds 60              # as many as a minute allows
    python -m benchmarks.exactness --seed 0 --catalogue 17   # one catalogue; writes nothing

Asked are the scans that `make_scan` chooses from, a `ChangingScan` whose items came in portions,
one that others were removed from, and an `InvertedFile` that searches all of its cells. A query is
one answer of one of them, compared with that of `ReferenceScan`: rows, their order, the bits of the
scores, and how many there are.
Catalogues, tables and filters are random, drawn by `benchmarks.adversaries`. All scans, calls and
values of k share what the reference answers for a table and a filter: its ranking for a smaller k
is the beginning of that for a larger one.

Rows go to `benchmarks/results/exactness.json`, one for each kind of scan. Finished chunks of
catalogues are kept as long as scans, kernels and these programs stay what they are: an interrupted
run goes on where it stopped. Ends with status 1 if there was any difference.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterable

import numpy as np

from benchmarks.adversaries import Searches, searches
from benchmarks.comparison import Tally, compare
from benchmarks.results import Row, measured_once, write_results
from lightrec.codes.item_codes import ItemCodes
from lightrec.experiments.provenance import commit, source_digest, sources_of
from lightrec.native import KERNELS
from lightrec.search.changing_scan import ChangingScan
from lightrec.search.code_search import CodeSearch
from lightrec.search.filters import BatchFilter, Filter
from lightrec.search.inverted_file import InvertedFile
from lightrec.search.row_mask import RowMask
from lightrec.search.scan import LAYOUTS, BoundScan, PortableScan, Scan
from lightrec.search.top_k import TopK, TopKBatch

NAME = "exactness"
CATALOGUES = 20  # in a chunk: what an interruption loses
INSTRUCTION_SETS = ("avx2", "avx512vbmi")  # a processor that has one has those before it

logger = logging.getLogger("lightrec")


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line and compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=1_000_000, help="answers to compare")
    parser.add_argument("--seconds", type=float, default=np.inf, help="stop after so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--catalogue", type=int, help="only this one, and write nothing")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if KERNELS is None:
        raise SystemExit("there are no compiled scans here")
    if asked.catalogue is None:
        rows = in_chunks(asked.seed, asked.queries, asked.seconds)
    else:
        rows = summed(compared(asked.seed, [asked.catalogue]))
    found = [difference for row in rows for difference in row.pop("found")]
    if asked.catalogue is None:
        stamp = {"commit": commit(), "source_digest": source_digest(sources_of(NAME))}
        rows = [row | stamp for row in rows]  # chunks of another source were not used
        write_results(NAME, f"python -m benchmarks.exactness --seed {asked.seed}", rows)
    for row in rows:
        logger.warning("%s", row)
    for difference in found:
        logger.error("DIFFERENCE %s", json.dumps(difference))
    if any(row["differences"] for row in rows):
        raise SystemExit(1)


def in_chunks(seed: int, queries: int, seconds: float) -> list[Row]:
    """Compares until there are so many queries, or the time is over; at least one chunk.

    Returns:
        One row for each kind of scan, with `found`: differences, as far as they are told.
    """
    assert KERNELS is not None
    begun = time.perf_counter()
    rows: list[Row] = []
    chunk, done = 0, 0
    while chunk == 0 or (done < queries and time.perf_counter() - begun < seconds):
        catalogues = range(chunk * CATALOGUES, (chunk + 1) * CATALOGUES)
        rows = summed(
            rows
            + measured_once(
                NAME,
                f"{KERNELS.instruction_set()}-{seed}-{chunk:05}",
                lambda catalogues=catalogues: summed(compared(seed, catalogues)),
                stale=True,  # what older kernels answered says nothing about these
            )
        )
        done, wrong = (sum(row[what] for row in rows) for what in ("queries", "differences"))
        chunk += 1
        logger.warning(
            "%d catalogues, %d of %d queries, %d differences, %.0f seconds",
            chunk * CATALOGUES,
            done,
            queries,
            wrong,
            time.perf_counter() - begun,
        )
    return rows


def summed(rows: Iterable[Row]) -> list[Row]:
    """One row for each kind of scan."""
    kinds: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        kind = row["engine"], row["isa"], row["layout"]
        named = {key: row[key] for key in ("system", "engine", "isa", "layout")}
        total = kinds.setdefault(kind, named | {"queries": 0, "differences": 0, "found": []})
        for counted in ("queries", "differences", "found"):
            total[counted] = total[counted] + row[counted]
    return list(kinds.values())


def compared(seed: int, catalogues: Iterable[int]) -> list[Row]:
    """A row for every scan of every catalogue."""
    rows: list[Row] = []
    for catalogue in catalogues:
        told = {"seed": seed, "catalogue": catalogue}
        try:
            given = searches(seed, catalogue)
            tallies = compiled_scans(given)
            compare(given, tallies, told)
        except Exception:
            logger.error("stopped at %s", told)  # whatever happened, it can be seen again
            raise
        rows += [tally.row() for tally in tallies]
    return rows


def compiled_scans(given: Searches) -> list[Tally]:
    """All compiled scans that can search a catalogue here."""
    assert KERNELS is not None
    codes, words = given.item_codes.codes, given.item_codes.num_codewords
    scans = [("portable", "flat", PortableScan(codes, words))]
    if BoundScan.available() and BoundScan.fits(codes.shape[1], words):
        best = INSTRUCTION_SETS.index(KERNELS.instruction_set())
        scans += [
            (
                isa,
                layout,
                BoundScan(codes, words, given.labels, instruction_set=isa, layout=layout),
            )
            for isa in INSTRUCTION_SETS[: best + 1]
            for layout in LAYOUTS[isa]
        ]
    best_here = KERNELS.instruction_set()
    every: list[tuple[str, str, Scan]] = [*scans, (best_here, "parts", in_portions(given))]
    every.append((best_here, "holes", WithHoles(given)))
    every.append((best_here, "inverted", AllCells(given)))
    return [
        Tally(type(scan).__name__, isa, layout, scan, CodeSearch(given.item_codes, scan))
        for isa, layout, scan in every
    ]


def in_portions(given: Searches) -> ChangingScan:
    """A scan to which the second half of the items was added in two portions; compacted between."""
    codes, half = given.item_codes.codes, given.item_codes.num_items // 2
    scan = ChangingScan(ItemCodes(codes[:half], given.item_codes.codebooks))
    for portion in np.array_split(codes[half:], 2):
        scan.compact()
        scan.add(portion)
    return scan


class WithHoles:
    """A changing scan from which rows were removed, as a scan of the rows that are left.

    It was given each item after a decoy, the first half at the start and the rest in portions. Some
    decoys are gone since a compaction, so that rows have holes; the rest is marked as removed.
    """

    def __init__(self, given: Searches) -> None:
        codes, self.num_items = given.item_codes.codes, given.item_codes.num_items
        rng = np.random.default_rng(self.num_items)
        decoy = np.zeros(self.num_items, np.int64)
        decoy[rng.random(self.num_items) < 0.3] = 1
        self._rows = np.arange(self.num_items) + np.cumsum(decoy)
        every = np.zeros((self.num_items + int(decoy.sum()), codes.shape[1]), np.uint8)
        every[self._rows] = codes
        decoys = np.setdiff1d(np.arange(len(every)), self._rows)
        every[decoys] = codes[rng.integers(0, self.num_items, len(decoys))]
        half = len(every) // 2
        self._scan = ChangingScan(ItemCodes(every[:half].copy(), given.item_codes.codebooks))
        early, late = np.array_split(rng.permutation(decoys), 2)
        self._scan.remove(early[early < half])
        self._scan.compact()
        for portion in np.array_split(every[half:], 2):
            self._scan.add(portion)
        self._scan.remove(np.concatenate([early, late]))

    def top_k(self, table: np.ndarray, k: int, rows: Filter | None = None) -> TopK:
        """The answer by the rows that are left."""
        found = self._scan.top_k(table, k, None if rows is None else self._there(rows))
        return TopK(np.searchsorted(self._rows, found.rows), found.scores)

    def top_k_batch(
        self, tables: np.ndarray, k: int, rows: BatchFilter | None = None, *, threads: int = 0
    ) -> TopKBatch:
        """The answers by the rows that are left."""
        if rows is not None:
            rows = BatchFilter(
                rows.exclude_indptr,
                self._rows[rows.exclude_rows],
                None if rows.allow is None else self._rows[rows.allow],
                self._mask(rows.mask),
            )
        batch = self._scan.top_k_batch(tables, k, rows, threads=threads)
        found = [batch.of(query) for query in range(len(batch))]
        here = [TopK(np.searchsorted(self._rows, best.rows), best.scores) for best in found]
        return TopKBatch.stacked(here, min(k, self.num_items))

    def _there(self, rows: Filter) -> Filter:
        return Filter(
            None if rows.exclude is None else self._rows[rows.exclude],
            None if rows.allow is None else self._rows[rows.allow],
            self._mask(rows.mask),
        )

    def _mask(self, mask: RowMask | None) -> RowMask | None:
        """A mask of all rows ever given out; it permits those removed, and they stay away."""
        if mask is None:
            return None
        permitted = np.ones(self._scan.num_items, np.bool_)
        permitted[self._rows] = mask.to_bool()
        return RowMask(permitted)


class AllCells:
    """An inverted file that searches every cell, as a scan."""

    def __init__(self, given: Searches) -> None:
        words = given.item_codes.num_codewords
        self.top_k = InvertedFile(given.item_codes, nprobe=words).top_k
        self.num_items = given.item_codes.num_items

    def top_k_batch(
        self, tables: np.ndarray, k: int, rows: BatchFilter | None = None, *, threads: int = 0
    ) -> TopKBatch:
        """One query after the other."""
        del threads
        found = [
            self.top_k(table, k, None if rows is None else rows.of_query(query))
            for query, table in enumerate(tables)
        ]
        return TopKBatch.stacked(found, min(k, self.num_items))


if __name__ == "__main__":
    main()
