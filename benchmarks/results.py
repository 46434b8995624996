"""Result files of the benchmarks: rows, and where they come from."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lightrec.durable_files import write_file
from lightrec.experiments.provenance import commit, machine, source_digest, sources_of, versions

logger = logging.getLogger("lightrec")
FOLDER = Path(__file__).resolve().parent / "results"
Row = dict[str, Any]


def measured_once(
    name: str, contest: str, measure: Callable[[], list[Row]], *, stale: bool
) -> list[Row]:
    """The rows of one contest, measured unless they have been.

    Opponents of one contest take turns in one run, so that their ratios mean something; an
    interrupted benchmark goes on with the next contest.

    Args:
        name: Of the benchmark.
        contest: What is measured together.
        measure: Measures it.
        stale: Whether rows of an older source are measured again.
    """
    file = FOLDER / "cells" / name / f"{contest}.json"
    digest = source_digest(sources_of(name.removesuffix("-trial")))
    if file.exists():
        rows: list[Row] = json.loads(file.read_text(encoding="utf-8"))
        fresh = all(row["source_digest"] == digest for row in rows)
        if fresh or not stale:
            if not fresh:
                logger.warning("%s: measured by an older source (--stale measures it)", contest)
            return rows
    host = machine()
    cpu = f"{host['cpu']}, {host['instruction_set']}"
    told = {"source_digest": digest, "commit": commit(), "cpu": cpu}
    rows = [row | told for row in measure()]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_file(file, json.dumps(rows, indent=1).encode())
    return rows


def kept(name: str, contest: str) -> list[Row]:
    """The rows of a contest that was measured before; none if it was not."""
    file = FOLDER / "cells" / name / f"{contest}.json"
    rows: list[Row] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return rows


def recorded(name: str) -> list[Row]:
    """The rows of the result file as it stands; none if there is no such file."""
    file = FOLDER / f"{name}.json"
    if not file.exists():
        return []
    rows: list[Row] = json.loads(file.read_text(encoding="utf-8"))["rows"]
    return rows


def write_results(name: str, command: str, rows: Sequence[Row]) -> Path:
    """Writes `results/NAME.json`.

    Args:
        name: Of the benchmark.
        command: The command line that writes the file again.
        rows: What was measured.
    """
    content = {
        "command": command,
        "commit": commit(),
        "source_digest": source_digest(sources_of(name.removesuffix("-trial"))),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "rows": list(rows),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{name}.json"
    write_file(file, (json.dumps(content, indent=1) + "\n").encode())
    return file
