"""What must hold of files that come block by block, to be checked with faults and without."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from recorded_disk import Mark, RecordedDisk, put

from lightrec.durable_files import partial_file, partial_files
from lightrec.errors import LightRecError

OLD, NEW = {"version": "old"}, {"version": "new"}
CONTENT = {"old": b"abcdefghijklmnopqrst", "new": b"ABCDEFGHIJKLMNOPQRST"}
BLOCK, SYNCED_EVERY = 3, 6


def what_has_arrived_is_a_beginning(scratch: Path) -> None:
    """After a power cut at any moment, what is found is a beginning of what it says it is of.

    A beginning of one file is followed by another file from its beginning, which breaks off, goes
    on, and is finished. No more than a sync's worth is lost, and the whole is there or is not.
    """
    before, partial_files.SYNC_BYTES = partial_files.SYNC_BYTES, SYNCED_EVERY
    try:
        (scratch / "disk").mkdir(parents=True)
        disk = RecordedDisk(scratch / "disk")
        with disk.recording():
            _arrive(disk, OLD, "old", 0, 11)
            _arrive(disk, NEW, "new", 0, 13)
            _arrive(disk, NEW, "new", 13, 20, finish=True)
    finally:
        partial_files.SYNC_BYTES = before
    states = 0
    for end, tree in disk.after_power_cuts():
        marks = [entry.what for entry in disk.log[:end] if isinstance(entry, Mark)]
        put(tree, scratch / "after")
        _look(scratch / "after" / "file", marks)
        shutil.rmtree(scratch / "after")
        states += 1
    assert states > 100, "hardly a state was looked at"


def _arrive(
    disk: RecordedDisk,
    origin: dict[str, str],
    name: str,
    begin: int,
    end: int,
    *,
    finish: bool = False,
) -> None:
    with partial_file(disk.root + "/file") as part:
        assert (begin == 0) or (part.origin, part.num_bytes) == (origin, begin)
        part.begin(origin, begin)
        disk.mark((name, begin))
        for place in range(begin, end, BLOCK):
            part.append(CONTENT[name][place : min(place + BLOCK, end)])
            disk.mark((name, part.num_bytes))
        if finish:
            part.finish()
    disk.mark("finished" if finish else (name, end, "closed"))


def _look(target: Path, marks: list) -> None:
    whole = target.read_bytes() if target.exists() else None
    assert whole in (None, CONTENT["new"]), f"the target holds {whole!r}"
    finished = bool(marks) and marks[-1] == "finished"
    assert whole or not finished, "a whole file that was put in place is gone"
    with partial_file(target) as part:
        found = b"" if part.origin is None else part.path.read_bytes()[: part.num_bytes]
        name = "" if part.origin is None else part.origin["version"]
        assert found == CONTENT.get(name, b"")[: part.num_bytes], f"{found!r} is no beginning"
        arrived = [mark for mark in marks if mark != "finished"]
        if arrived and not whole and name == arrived[-1][0]:
            last = arrived[-1]
            lost = last[1] - part.num_bytes
            allowed = 0 if last[2:] else SYNCED_EVERY + BLOCK
            assert lost <= allowed, f"{lost} bytes are lost after {last}"
        part.begin(NEW)
        part.append(CONTENT["new"])
        part.finish()
    assert target.read_bytes() == CONTENT["new"]
    assert [path.name for path in target.parent.iterdir()] == ["file"], "leftovers"


def a_failed_block_leaves_what_was_there(scratch: Path) -> None:
    """On a full disk, what had arrived before the block is kept, and the block is told."""
    write = os.write

    def fill_up(fd: int, data: memoryview) -> int:
        if len(data) < 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data[:5])

    scratch.mkdir(parents=True, exist_ok=True)
    with partial_file(scratch / "file") as part:
        part.begin(NEW)
        part.append(b"begun")
        os.write = fill_up
        try:
            part.append(b"1234567")
        except LightRecError as error:
            assert "No space left" in str(error)
        else:
            raise AssertionError("a block that was not written was not told")
        finally:
            os.write = write
        assert part.num_bytes == 5
    assert (scratch / "file.part").read_bytes() == b"begun", "half a block is left"
    with partial_file(scratch / "file") as part:
        assert (part.origin, part.num_bytes) == (NEW, 5)


def a_finished_file_is_left_alone(scratch: Path) -> None:
    """A writer that opened a partial file just before it was finished begins a new one."""
    scratch.mkdir(parents=True, exist_ok=True)
    lock, finished = partial_files.lock, []

    def finish_first(fd: int) -> bool | None:
        if not finished:
            finished.append(True)
            with partial_file(scratch / "file") as part:
                part.begin(NEW)
                part.append(CONTENT["new"])
                part.finish()
        return lock(fd)

    partial_files.lock = finish_first
    try:
        with partial_file(scratch / "file") as part:
            part.begin(OLD)
            part.append(b"abc")
    finally:
        partial_files.lock = lock
    assert (scratch / "file").read_bytes() == CONTENT["new"], "a finished file was written to"
    assert (scratch / "file.part").read_bytes() == b"abc"
