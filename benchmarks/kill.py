"""Interrupts saves at every file or descriptor call, at random, by errors and by a full disk.

    python -m benchmarks.kill                 # half an hour; strace, and root for the full disk
    python -m benchmarks.kill --kills 100 --faults kill_random disk_full

A content is saved over another one (or where nothing is) in a process of its own. Whatever happens
to it, the old content or the new must be there, whole (`lost`: neither can be loaded; `mixed`:
something else can); the next save must work and leave nothing else behind (`leftovers`); a save
that reports success must be there (`false_success`); a save that fails must say so with an error of
LightRec's own (`strange_errors`). Rows go to `benchmarks/results/kill.json`; how others fare in the
same harness is told by `python -m benchmarks.kill_rivals`.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import logging
import mmap
import os
import shutil
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks import interrupted
from benchmarks.interrupted import KILLED, RAISED, SAVED
from benchmarks.results import Row, write_results
from benchmarks.writers import (
    ABSENT,
    VERSIONS,
    Writer,
    checkpoint_writer,
    file_writer,
    model_writer,
)
from lightrec.experiments.provenance import commit, source_digest, sources_of

NAME = "kill"
ERRORS = ("EIO", "ENOSPC", "EROFS", "EACCES")
FAULTS = ("kill_each_call", "kill_random", "errors", "disk_full")
COUNTED = ("lost", "mixed", "leftovers", "false_success", "strange_errors")
PAGE = 4096
LEAST_INSIDE = 0.3

logger = logging.getLogger("lightrec")


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line, injects the faults and counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=1000, help="random kills per system")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=FAULTS)
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    told = source_of(NAME)  # of the code that runs, whatever becomes of the files meanwhile
    rows = []
    for writer in (model_writer(), checkpoint_writer(), file_writer()):
        rows += [row | told for row in rows_of(writer, asked.faults, asked.kills, asked.seed)]
    command = f"python -m benchmarks.kill --kills {asked.kills} --seed {asked.seed}"
    if set(asked.faults) != set(FAULTS):
        command += " --faults " + " ".join(asked.faults)
    write_results(NAME, command, rows)
    if any(row[count] for row in rows for count in COUNTED):
        raise SystemExit(1)


def source_of(name: str) -> Row:
    """Where the rows of a benchmark come from."""
    return {"commit": commit(), "source_digest": source_digest(sources_of(name))}


def rows_of(writer: Writer, faults: Sequence[str], kills: int, seed: int) -> list[Row]:
    """The rows of one system; the log tells of a fault that cannot be injected here."""
    measurements: list[Callable[[], Row]] = []
    no_strace = interrupted.why_no_strace()
    if no_strace and {"kill_each_call", "errors"} & set(faults):
        logger.warning("%s: no call can be interrupted: %s", writer.name, no_strace)
    if "kill_each_call" in faults and not no_strace:
        measurements.append(functools.partial(each_call, writer, "KILL"))
    if "kill_random" in faults:
        measurements.append(functools.partial(random_kills, writer, kills, seed))
    if "errors" in faults and not no_strace:
        measurements += [functools.partial(each_call, writer, error) for error in ERRORS]
    if "disk_full" in faults:
        measurements.append(functools.partial(full_disk, writer))
    rows = []
    for measure in measurements:
        begun = time.perf_counter()
        try:
            counted = measure()
        except PermissionError as error:
            logger.warning("%s: %s", writer.name, error)
            continue
        row = {"system": writer.name, **counted, "seconds": time.perf_counter() - begun}
        logger.warning("%s", row)
        rows.append(row)
    return rows


class Trials:
    """A target that is saved over, and the count of what became of it.

    Attributes:
        target: What is saved.
        counts: Trials and faults so far.
    """

    def __init__(self, writer: Writer, folder: Path) -> None:
        self.writer = writer
        self.folder = folder
        self.target = folder / "made" / "target"
        self.counts: Counter[str] = Counter(dict.fromkeys(("trials", *COUNTED), 0))
        self.target.parent.mkdir()
        self.whole: dict[int, str] = {}
        self.names = {self.target.parent}
        for version in (*range(VERSIONS), *range(VERSIONS)):
            writer.save(self.target, version)
            found = writer.content(self.target)
            if self.whole.setdefault(version, found) != found or found == ABSENT:
                raise RuntimeError(f"{writer.name}: the same save gives other content each time")
            self.names |= set(folder.rglob("*"))
        if len(set(self.whole.values())) < VERSIONS:
            raise RuntimeError(f"{writer.name}: its versions cannot be told apart")

    def begin(self, old: int | None) -> None:
        """Starts anew, with a version that was saved in full before, or nothing."""
        shutil.rmtree(self.target.parent)
        if old is not None:
            self.target.parent.mkdir()
            with without_sync():
                for version in ((old - 1) % VERSIONS, old):
                    self.writer.save(self.target, version)

    def judge(self, old: int | None, new: int, *, succeeded: bool) -> int | None:
        """Counts what is there after a save of `new` over `old` was interrupted, or was not.

        Returns:
            The version that is there; None for something else, or nothing.
        """
        self.counts["trials"] += 1
        try:
            found = self.writer.content(self.target)
        except Exception as error:  # whatever a reader raises, it cannot read this
            logger.debug("%s: %s", self.writer.name, error)
            found = ""
        old_content = ABSENT if old is None else self.whole[old]
        if found == self.whole[new]:
            return new
        self.counts["false_success"] += succeeded
        if found != old_content:
            loads = found not in ("", ABSENT) and self._loads()
            self.counts["mixed" if loads else "lost"] += 1
            return None
        return old

    def save_next(self, version: int) -> None:
        """The next save has to work, and clears away whatever the one before left behind."""
        try:
            with without_sync():
                self.writer.save(self.target, version)
            works = self.writer.content(self.target) == self.whole[version]
        except Exception as error:  # of any system
            logger.error("%s: the next save fails: %s", self.writer.name, error)
            works = False
        self.counts["lost"] += not works
        self.counts["leftovers"] += not set(self.folder.rglob("*")) <= self.names

    def _loads(self) -> bool:
        """Whether it loads, in a process of its own, as some readers crash."""
        return interrupted.run_apart(lambda: self.writer.load(self.target)) == SAVED


@contextlib.contextmanager
def without_sync() -> Iterator[None]:
    """Saves time where a save is not the one under test: nothing here survives a power cut."""
    fsync = os.fsync
    os.fsync = lambda fd: None
    try:
        yield
    finally:
        os.fsync = fsync


def each_call(writer: Writer, fault: str) -> Row:
    """A kill, or an error, at each call of a save in turn: over another content, and the first."""
    with tempfile.TemporaryDirectory() as scratch:
        trials = Trials(writer, Path(scratch))
        for old in (0, None):
            trials.begin(old)
            calls = interrupted.list_calls(lambda: writer.save(trials.target, 1))
            for call in calls:
                trials.begin(old)
                code = interrupted.save_with(lambda: writer.save(trials.target, 1), call, fault)
                trials.judge(old, 1, succeeded=code == SAVED)
                if call[0] in ("fsync", "fdatasync"):  # what was not synced may not be reported
                    trials.counts["false_success"] += code == SAVED
                trials.counts["strange_errors"] += code == RAISED
                if code not in (SAVED, KILLED, interrupted.REFUSED, RAISED):
                    raise RuntimeError(f"{writer.name}: {fault} at {call}: ended with {code}")
                trials.save_next(2)
    name = "kill_each_call" if fault == "KILL" else f"errno_{fault}"
    return {"fault": name, **trials.counts}


def random_kills(writer: Writer, kills: int, seed: int) -> Row:
    """Kills, at moments drawn at random, of a process that saves without pause.

    Raises:
        RuntimeError: Fewer than `LEAST_INSIDE` of the kills came in the middle of a save.
    """
    rng = np.random.default_rng(seed)
    landed: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch, mmap.mmap(-1, PAGE) as shared:
        trials = Trials(writer, Path(scratch))
        trials.begin(0)
        begun = time.perf_counter()
        for version in range(VERSIONS):
            writer.save(trials.target, version)
        mean = (time.perf_counter() - begun) / VERSIONS
        last = VERSIONS - 1

        def save_on(version: int) -> None:
            while True:  # tells which save has begun, and which has returned
                struct.pack_into("B", shared, 0, version)
                writer.save(trials.target, version)
                struct.pack_into("B", shared, 1, version)
                version = (version + 1) % VERSIONS

        for _ in range(kills):
            shared[:2] = bytes([last, last])
            child = interrupted.start(functools.partial(save_on, (last + 1) % VERSIONS))
            time.sleep(float(rng.uniform(0, 0.005 + 4 * mean)))
            interrupted.kill(child)
            begun_with, ended_with = shared[0], shared[1]
            found = trials.judge(ended_with, begun_with, succeeded=begun_with == ended_with)
            if begun_with == ended_with:
                landed["outside"] += 1
            elif found is not None:
                landed["after" if found == begun_with else "before"] += 1
            else:
                landed["lost"] += 1
            last = (begun_with + 1) % VERSIONS
            trials.save_next(last)
    shares = {f"landed_{where}": landed[where] / kills for where in ("before", "after", "outside")}
    if 1 - shares["landed_outside"] < LEAST_INSIDE:
        raise RuntimeError(f"{writer.name}: too few kills came in the middle of a save: {shares}")
    return {"fault": "kill_random", **trials.counts, **shares}


def full_disk(writer: Writer) -> Row:
    """Saves over an old content half as large, with ever more space: from none to beyond the need.

    Raises:
        PermissionError: This user may not mount a small disk.
        RuntimeError: The first save had all the space, or not even the last one had.
    """
    with tempfile.TemporaryDirectory() as scratch:
        largest = _bytes_used(writer, Path(scratch))
    refused = short = 0
    with interrupted.small_disk(8 * largest) as disk:
        trials = Trials(writer, disk)
        for free in range(0, 2 * largest, PAGE):
            trials.begin(0)
            filler = interrupted.leave_free(disk, free)
            code = interrupted.run_apart(lambda: writer.save(trials.target, 1))
            found = trials.judge(0, 1, succeeded=code == SAVED)
            trials.counts["strange_errors"] += code == RAISED
            refused += code != SAVED
            short += found != 1
            filler.unlink()
            trials.save_next(2)
        if not short or found != 1:
            raise RuntimeError(f"{writer.name}: the disk was never full, or always")
    return {"fault": "disk_full", **trials.counts, "refused": refused}


def _bytes_used(writer: Writer, folder: Path) -> int:
    """Space that the largest version takes, in whole pages."""
    writer.save(folder / "target", 1)
    sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
    return sum(-(-size // PAGE) * PAGE for size in sizes)


if __name__ == "__main__":
    main()
