"""Reads damaged Parquet tables in child processes: what is refused, and whether any reader dies.

    python -m benchmarks.damaged_tables              # five thousand files, some minutes
    python -m benchmarks.damaged_tables --trials 200

A trial damages one of several Parquet files (other types, compressions and page formats) in one of
the ways of `benchmarks.mutations`, and reads it with `Interactions.from_table` in a child. These
files have no checksums, so that a table may come back with other cells than were written: that is
counted (`accepted_changed`), and no fault of the reader. Faults are a child that dies, hangs or
takes too much memory (`crashed`), and an error that is no `LightRecError` (`uncaught`). Rows go to
`benchmarks/results/damaged_tables.json`, one for each kind of damage. Ends with status 1 if there
was any fault.
"""

from __future__ import annotations

import argparse
import io
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.in_children import CRASHED, REJECTED, UNCHANGED, Outcome, Trial, outcomes
from benchmarks.mutations import BYTES, SWAPS, Mutation, mutated
from benchmarks.results import Row, write_results
from lightrec.errors import LightRecError
from lightrec.experiments.provenance import commit, source_digest, sources_of
from lightrec.interactions import Interactions

NAME = "damaged_tables"
CHANGED, UNCAUGHT = "accepted_changed", "uncaught"
MUTATIONS: dict[str, Mutation] = BYTES | SWAPS
WAYS: tuple[dict[str, Any], ...] = (
    {"compression": "uncompressed"},
    {"compression": "zstd", "row_group_size": 300},
    {"compression": "snappy", "statistics": False},
    {"compression": "lz4", "data_page_size": 512},
    {"compression": "gzip", "use_pyarrow": True, "pyarrow_options": {"data_page_version": "2.0"}},
    {"compression": "zstd", "use_pyarrow": True, "pyarrow_options": {"use_dictionary": False}},
)
ROWS = 1_000
TOLD = 20

logger = logging.getLogger("lightrec")


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line, damages and reads."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    rows, faults = measured(asked.seed, range(asked.trials))
    stamp = {"commit": commit(), "source_digest": source_digest(sources_of(NAME))}
    command = f"python -m benchmarks.damaged_tables --seed {asked.seed}"
    write_results(NAME, command, [row | stamp for row in rows])
    for row in rows:
        logger.warning("%s", row)
    for fault in faults[:TOLD]:
        logger.error("FAULT %s", fault)
    if faults:
        raise SystemExit(1)


def measured(seed: int, numbers: Sequence[int]) -> tuple[list[Row], list[str]]:
    """A row for each kind of damage, and what went wrong."""
    begun = time.perf_counter()
    results: dict[str, Counter[str]] = {kind: Counter() for kind in MUTATIONS}
    faults = []
    for number, outcome in zip(numbers, outcomes(partial(reader, seed), numbers), strict=True):
        results[kind_of(number)][outcome.result] += 1
        if outcome.result in (CRASHED, UNCAUGHT):
            faults.append(f"trial {number} ({kind_of(number)}): {outcome.detail}")
    seconds = round(time.perf_counter() - begun, 1)
    rows = [
        {
            "system": "lightrec",
            "fault": f"parquet table {kind}",
            "trials": counted.total(),
            **{name: counted[name] for name in (REJECTED, UNCHANGED, CHANGED, UNCAUGHT, CRASHED)},
            "rejected_share": counted[REJECTED] / max(counted.total(), 1),
            "seconds_of_all": seconds,
        }
        for kind, counted in results.items()
    ]
    return rows, faults


def kind_of(number: int) -> str:
    """The kind of damage of a trial."""
    return list(MUTATIONS)[number % len(MUTATIONS)]


@contextmanager
def reader(seed: int) -> Iterator[Trial]:
    """Damages and reads, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"

        def trial(number: int) -> Outcome:
            rng = np.random.default_rng([seed, number])
            way, kind = int(rng.integers(len(WAYS))), kind_of(number)
            damaged = mutated(rng, MUTATIONS[kind], written(way, 0), written(way, 1))
            if not isinstance(damaged, bytes):
                return Outcome(UNCHANGED, kind)
            path.write_bytes(damaged)
            try:
                pairs = Interactions.from_table(path)
            except LightRecError as error:
                told = str(path) in str(error) and "\n" not in str(error)
                return Outcome(REJECTED if told else UNCAUGHT, kind, str(error))
            except BaseException as error:  # a panic of polars is no Exception
                return Outcome(UNCAUGHT, kind, f"{type(error).__name__}: {error}")
            same = pairs.to_polars().equals(intact(way))
            return Outcome(UNCHANGED if same else CHANGED, kind)

        yield trial


@cache
def written(way: int, generation: int) -> bytes:
    """A Parquet file; two generations of it hold other rows."""
    rng = np.random.default_rng([way, generation])
    users, items = rng.integers(0, 60, ROWS), rng.integers(0, 200, ROWS)
    table = pl.DataFrame(
        {
            "user_id": [f"reader {user:03}" for user in users],
            "item_id": items * 10**15,
            "rating": rng.integers(1, 6, ROWS).astype(np.float32),
            "timestamp": pl.Series([datetime(2024, 1, 1 + int(n) % 28) for n in users]),
            "note": [None if n % 3 else "é" * int(n % 7) for n in items],
        }
    )
    file = io.BytesIO()
    table.write_parquet(file, **WAYS[way])
    return file.getvalue()


@cache
def intact(way: int) -> pl.DataFrame:
    """What the undamaged file holds."""
    return Interactions.from_table(pl.read_parquet(written(way, 0))).to_polars()


if __name__ == "__main__":
    main()
