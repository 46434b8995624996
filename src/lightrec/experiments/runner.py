"""Runs experiments cell by cell, keeps every finished cell, and writes result files and the ledger.

A cell is one measured row, keyed by its whole configuration and the digest of its data. A finished
cell is not computed again, so an interrupted experiment goes on where it stopped. Each row carries
the commit and the source digest of *its* cell; when the source has changed since, the row is
reported as stale and `--stale` measures it again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lightrec.durable_files import append_line, read_json, write_file
from lightrec.experiments.provenance import commit, machine, project_root, source_digest, versions

logger = logging.getLogger("lightrec")
PLACE = ("data", "split", "seed", "model", "regime", "variant", "bytes")
"""Fields that tell a row of a result file from the others."""
Row = dict[str, Any]


@dataclass
class Runner:
    """One experiment on its way.

    Attributes:
        name: Of the experiment, and of its result file.
        command: The exact command line that writes the file again, from the rows that are in it.
        sources: What the results depend on, as `provenance.source_digest` takes it.
        results: Folder of result files, cells and ledger.
        stale: Whether cells of an older source are measured again.
    """

    name: str
    command: Callable[[Sequence[Row]], str]
    sources: Sequence[str]
    results: Path = field(default_factory=lambda: project_root() / "experiments" / "results")
    stale: bool = False
    rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source_digest = source_digest(self.sources)

    def cell(self, config: Mapping[str, Any], data_digest: str, measure: Callable[[], Row]) -> Row:
        """The outcome of one cell, measured unless it has been.

        Args:
            config: Everything that decides the outcome, besides data and source.
            data_digest: Of the pairs that go in.
            measure: Computes the outcome.

        Returns:
            What `measure` returned, with `seconds`, `cpu_seconds`, `commit`, `source_digest`.
        """
        identity = {"experiment": self.name, "config": dict(config), "data_digest": data_digest}
        identity = json.loads(json.dumps(identity))  # tuples become lists, as they will in the file
        key = digest_of(identity)
        file = self.results / "cells" / self.name / f"{key[:20]}.json"
        if file.exists():
            kept = read_json(file)
            fresh = kept["row"]["source_digest"] == self.source_digest
            if kept["identity"] == identity and (fresh or not self.stale):
                if not fresh:
                    logger.warning(
                        "%s: a cell of an older source is used (--stale measures it)", file.name
                    )
                row: Row = kept["row"]
                return row
        wall, cpu = time.perf_counter(), time.process_time()
        row = dict(measure())
        spent: Row = {
            "seconds": round(time.perf_counter() - wall, 2),
            "cpu_seconds": round(time.process_time() - cpu, 2),
        }
        row = spent | row  # a row that knows its own cost keeps it
        row |= {
            "commit": commit(),
            "source_digest": self.source_digest,
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {"identity": identity, "created": _now(), "row": row}
        write_file(file, json.dumps(content, indent=1).encode())
        return row

    def test_row(
        self, config: Mapping[str, Any], data_digest: str, measure: Callable[[], Row]
    ) -> Row:
        """A cell that evaluates on a test part: it goes to the ledger and into the result file."""

        def measure_and_record() -> Row:
            row = measure()
            entry = {
                "time": _now(),
                "experiment": self.name,
                "data": config["data"],
                "split": config["split"],
                "model": config["model"],
                **{name: row[name] for name in ("variant", "seed") if row.get(name, "") != ""},
                "config_digest": digest_of(dict(config)),
                "commit": commit(),
                "metrics": {name: row[name] for name in ("recall@100", "ndcg", "ndcg@100")},
            }
            append_line(self.results / "ledger.jsonl", json.dumps(entry))
            return row

        row = self.cell(config, data_digest, measure_and_record)
        self.rows.append(row)
        logger.info(
            "%s %s split %s: recall@100 %.4f  ndcg %.4f",
            row["data"],
            row["model"],
            row["split"],
            row["recall@100"],
            row["ndcg"],
        )
        return row

    def write(self) -> Path:
        """Writes the result file with the rows gathered so far; rows of other cells stay in it."""
        file = self.results / f"{self.name}.json"
        present = {_place(row) for row in self.rows}
        self.results.mkdir(parents=True, exist_ok=True)
        with _alone(self.results):
            older = read_json(file)["rows"] if file.exists() else []
            kept = [row for row in older if _place(row) not in present]
            rows = sorted(kept + self.rows, key=_place)
            content = {
                "command": self.command(rows),
                "commit": commit(),
                "source_digest": self.source_digest,
                "created": _now(),
                "machine": machine(),
                "versions": versions(),
                "rows": rows,
            }
            write_file(file, (json.dumps(content, indent=1) + "\n").encode())
        return file


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps two runs from rewriting a result file at the same time."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def command_for(
    name: str, data: Sequence[str] | Mapping[str, Sequence[int]]
) -> Callable[[Sequence[Row]], str]:
    """What writes the result file of an experiment again, from the rows that are in it.

    Args:
        name: Of the experiment.
        data: What it measures when nothing is said: data sets, or the splits of each.
    """
    usual = {each: {0} for each in data}
    if isinstance(data, Mapping):
        usual = {each: set(splits) for each, splits in data.items()}

    def command(rows: Sequence[Row]) -> str:
        found: dict[str, set[int]] = {}
        for row in rows:
            found.setdefault(row["data"], set()).add(row.get("split", 0))
        told = [] if set(found) == set(usual) else [f"--data {each}" for each in sorted(found)]
        if any(splits != usual.get(each, {0}) for each, splits in found.items()):
            told = [f"--data {each}" for each in sorted(found)]
            every = sorted(set().union(*found.values()))
            told.append("--splits " + ",".join(str(split) for split in every))
        return " ".join([f"lightrec experiment {name}", *told])

    return command


def digest_of(value: object) -> str:
    """SHA-256 of a JSON value in canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(str(row.get(name, "")) for name in PLACE)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
