"""Times how long ten million interactions take to read, and how much memory.

    python -m benchmarks.reading                  # a few minutes; 1.5 GB of disk
    python -m benchmarks.reading --rows 100000    # a trial

The interactions are made up: text ids as shops have them (14 and 10 letters and digits), users and
items of which few are busy and many are not, times in seconds, and 3 rows in a thousand that repeat
a pair. Each file is read by `Interactions.from_table` in a process of its own, as many times as
`--repeats` says. `seconds` is the median over them of the call alone (`cpu_seconds` that of all
threads together, which tells a busy machine), `rss_mb` the largest peak of a process's resident
memory, Python and its libraries included; `load_average` tells how many programs shared the cores.
Files are in the system's cache, as they are after being made. The machine should be idle. Rows go
to `benchmarks/results/reading.json`, those of a trial nowhere.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.results import Row, write_results
from lightrec.experiments.provenance import commit, machine, source_digest, sources_of

NAME = "reading"
ROOT = Path(__file__).resolve().parents[1]
FORMATS = ("parquet", "csv")
ROWS = 10_000_000
REPEATED_SHARE = 0.003
_LETTERS = np.frombuffer(b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ", dtype=np.uint8)
_FIRST_TIME, _LAST_TIME = 1_300_000_000, 1_700_000_000

logger = logging.getLogger("lightrec")


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line, makes the files and measures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS, help="interactions")
    parser.add_argument("--repeats", type=int, default=3, help="times that each file is read")
    parser.add_argument("--read", type=Path, metavar="FILE", help="only read FILE, and tell")
    asked = parser.parse_args(arguments)
    if asked.read is not None:
        print(json.dumps(read(asked.read)))  # noqa: T201 - for the process that started this one
        return
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    told = {
        "source_digest": source_digest(sources_of(NAME)),
        "commit": commit(),
        "cpu": machine()["cpu"],
    }
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="lightrec-reading-") as folder:
        made = made_up(asked.rows)
        for form in FORMATS:
            file = Path(folder) / f"interactions.{form}"
            made.write_parquet(file) if form == "parquet" else made.write_csv(file)
        distinct = made.select("user_id", "item_id").n_unique()
        del made
        for form in FORMATS:
            rows.append(measured(Path(folder) / f"interactions.{form}", asked, distinct) | told)
            logger.warning("%s: %s", form, rows[-1])
    if asked.rows == ROWS:
        write_results(NAME, "python -m benchmarks.reading", rows)


def measured(file: Path, asked: argparse.Namespace, distinct: int) -> Row:
    """One row: a file read several times, each in a new process."""
    ran = [_read_in_a_process(file) for _ in range(asked.repeats)]
    for one in ran:
        if (one["rows_in"], one["pairs"]) != (asked.rows, distinct):
            raise SystemExit(f"{file.name} was not read as it was made: {one}")
    return {
        "system": "lightrec",
        "format": file.suffix.removeprefix("."),
        "rows": asked.rows,
        "users": ran[0]["users"],
        "items": ran[0]["items"],
        "file_mb": round(file.stat().st_size / 1e6, 1),
        "seconds": statistics.median(one["seconds"] for one in ran),
        "slowest_seconds": max(one["seconds"] for one in ran),
        "cpu_seconds": statistics.median(one["cpu_seconds"] for one in ran),
        "rss_mb": max(one["rss_mb"] for one in ran),
        "repeats": asked.repeats,
        "load_average": os.getloadavg()[0],
    }


def read(file: Path) -> Row:
    """Reads a file in this process, and tells the time and the most memory held so far."""
    from lightrec.interactions import Interactions

    start, cpu_start = time.perf_counter(), time.process_time()
    pairs = Interactions.from_table(file)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return {
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "rss_mb": round(_peak_bytes() / 1e6, 1),
        "rows_in": pairs.report.rows_in,
        "pairs": len(pairs),
        "users": len(pairs.users),
        "items": len(pairs.items),
    }


def made_up(num_rows: int, seed: int = 0) -> pl.DataFrame:
    """Interactions in the order of time: `user_id`, `item_id`, `timestamp`."""
    rng = np.random.default_rng(seed)
    users = _ids(max(num_rows // 20, 10), 13, b"A", rng)
    items = _ids(max(num_rows // 50, 10), 9, b"B", rng)
    fresh = num_rows - int(REPEATED_SHARE * num_rows)
    user_rows = _skewed(len(users), fresh, rng)
    item_rows = _skewed(len(items), fresh, rng)
    again = rng.integers(0, fresh, num_rows - fresh)
    times = np.sort(rng.integers(_FIRST_TIME, _LAST_TIME, num_rows))
    return pl.DataFrame(
        {
            "user_id": users.gather(np.concatenate([user_rows, user_rows[again]])),
            "item_id": items.gather(np.concatenate([item_rows, item_rows[again]])),
            "timestamp": times,
        }
    )


def _ids(count: int, length: int, first: bytes, rng: np.random.Generator) -> pl.Series:
    """Different ids of one letter and `length` random letters and digits."""
    letters = _LETTERS[rng.integers(0, len(_LETTERS), (count + 1000, length))]
    texts = np.ascontiguousarray(letters).view(f"S{length}").ravel()
    unique = pl.Series(texts.astype(str)).unique(maintain_order=True).head(count)
    return first.decode() + unique


def _skewed(size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Row numbers below `size`, small ones far more often than large ones, but all of them."""
    drawn = (size * rng.random(count) ** 2.5).astype(np.int64)
    return rng.permutation(size)[np.minimum(drawn, size - 1)]


def _peak_bytes() -> int:
    """The most memory that this program held; what getrusage tells is that of its parent too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    kib = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return 1024 * int(kib)


def _read_in_a_process(file: Path) -> Row:
    words = [sys.executable, "-m", "benchmarks.reading", "--read", str(file)]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"reading {file.name} failed: {ran.stderr[-2000:]}")
    row: Row = json.loads(ran.stdout)
    return row


if __name__ == "__main__":
    main()
