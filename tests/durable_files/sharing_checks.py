"""What must hold of several writers at once, of strangers' files, and of awkward systems."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from lightrec.durable_files import (
    append_line,
    folders,
    leftovers,
    replace_folder,
    sweep,
    write_file,
    write_new_file,
    writing,
)
from lightrec.durable_files.leftovers import remove
from lightrec.errors import LightRecError


def living_writers_are_left_alone(scratch: Path) -> None:
    """A save that begins while another is under way does not take its hidden files away."""
    scratch.mkdir()
    with replace_folder(scratch / "folder") as hidden:
        with replace_folder(scratch / "folder"):
            pass
        assert hidden.is_dir(), "a folder was swept while it was written"
    write_all, nested = writing._write_all, []

    def write_another_first(fd: int, chunk: bytes) -> None:
        if not nested:
            nested.append(True)
            write_file(scratch / "file", b"another")
        write_all(fd, chunk)

    writing._write_all = write_another_first
    try:
        write_file(scratch / "file", b"content")
    except LightRecError as error:
        raise AssertionError("a file was swept while it was written") from error
    finally:
        writing._write_all = write_all
    assert (scratch / "file").read_bytes() == b"content"


def what_is_swept_too_early_is_made_anew(scratch: Path) -> None:
    """Another writer sweeps what is new between its making and its locking."""

    _written_in_spite_of(sweep, scratch)


def what_is_being_swept_is_made_anew(scratch: Path) -> None:
    """Another writer has locked what is new, and deletes it a little later."""
    locked: list[int] = []

    def lock_first(target: Path) -> None:
        (hidden,) = target.parent.glob(f".{target.name}.new-*")
        locked.append(os.open(hidden, os.O_RDONLY))
        fcntl.flock(locked[-1], fcntl.LOCK_EX)
        threading.Timer(0.05, remove, [hidden]).start()

    try:
        _written_in_spite_of(lock_first, scratch)
    finally:
        for fd in locked:
            os.close(fd)


def _written_in_spite_of(disturb: Callable[[Path], None], scratch: Path) -> None:
    """A file and a folder are written although each one's first hidden name is disturbed."""
    scratch.mkdir()
    lock = leftovers.lock

    def write_folder(path: Path) -> None:
        with replace_folder(path) as hidden:
            write_new_file(hidden / "file", b"content")
            time.sleep(0.1)

    def write_one(path: Path) -> None:
        write_file(path, b"content")

    for name, write in (("file", write_one), ("folder", write_folder)):
        disturbed: list[int] = []

        def lock_late(
            fd: int, *, wait: bool = False, name: str = name, disturbed: list[int] = disturbed
        ) -> bool | None:
            if not disturbed:
                disturbed.append(fd)
                disturb(scratch / name)
            return lock(fd, wait=wait)

        leftovers.lock = lock_late
        try:
            write(scratch / name)
        except LightRecError as error:
            raise AssertionError(f"another writer's sweep made a {name} fail") from error
        finally:
            leftovers.lock = lock
        assert disturbed, "nothing was disturbed"
    assert (scratch / "file").read_bytes() == b"content"
    assert (scratch / "folder" / "file").read_bytes() == b"content"


def strangers_stay(scratch: Path) -> None:
    """What is not a leftover of this very target is not touched."""
    scratch.mkdir()
    names = [".target.new-mine", f".other.new-{'0' * 16}", "target.new", f"target.new-{'0' * 16}"]
    for name in names:
        (scratch / name).write_bytes(b"precious")
    write_file(scratch / "target", b"")
    assert all((scratch / name).exists() for name in names)


def a_log_waits_for_its_lock(scratch: Path) -> None:
    """A line is not written while another process writes one."""
    scratch.mkdir()
    append_line(scratch / "log", "one")
    _waits(scratch / "log", lambda: append_line(scratch / "log", "two"))


def a_switch_waits_for_its_lock(scratch: Path) -> None:
    """A folder is not switched while another process may be between two renames."""
    scratch.mkdir()

    def save() -> None:
        with replace_folder(scratch / "folder"):
            pass

    _waits(scratch, save, lambda: (scratch / "folder").exists())


def _waits(
    locked: Path, work: Callable[[], None], early: Callable[[], bool] = lambda: False
) -> None:
    fd = os.open(locked, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        worker = threading.Thread(target=work)
        worker.start()
        worker.join(0.3)
        too_early = early() or not worker.is_alive()
    finally:
        os.close(fd)
    worker.join(10)
    assert not too_early, "did not wait"
    assert not worker.is_alive()


def short_writes_are_continued(scratch: Path) -> None:
    """A system may write less than it was asked to."""
    scratch.mkdir()
    write = os.write
    os.write = lambda fd, data: write(fd, data[:3])
    try:
        write_file(scratch / "file", b"0123456789")
    finally:
        os.write = write
    assert (scratch / "file").read_bytes() == b"0123456789"


def a_failed_line_leaves_nothing(scratch: Path) -> None:
    """A line that does not fit on the disk is not there by half."""
    scratch.mkdir()
    append_line(scratch / "log", "one")
    write = os.write

    def fill_up(fd: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data[:15])

    os.write = fill_up
    try:
        append_line(scratch / "log", "x" * 25)
    except LightRecError:
        pass
    else:
        raise AssertionError("a failure was not told")
    finally:
        os.write = write
    assert (scratch / "log").read_bytes() == b"one\n"


def permissions_stay(scratch: Path) -> None:
    """A folder that was opened to others, or closed to them, stays so."""
    scratch.mkdir()
    for mode in (0o700, 0o755):
        (scratch / "folder").mkdir(exist_ok=True)
        (scratch / "folder" / "file").touch()
        (scratch / "folder").chmod(mode)
        with replace_folder(scratch / "folder") as hidden:
            (hidden / "file").touch()
        assert (scratch / "folder").stat().st_mode & 0o777 == mode


def a_failed_second_step_is_undone(scratch: Path) -> None:
    """Where folders cannot be exchanged and the new one cannot be renamed, the old one is back."""
    scratch.mkdir()
    with replace_folder(scratch / "folder") as hidden:
        (hidden / "old").touch()
    rename, exchange = os.rename, folders._exchange

    def fail(source: Path, target: Path) -> None:
        if ".new-" in str(source) and not (scratch / "folder").exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    os.rename, folders._exchange = fail, lambda first, second: False
    try:
        with replace_folder(scratch / "folder"):
            pass
    except LightRecError:
        pass
    finally:
        os.rename, folders._exchange = rename, exchange
    assert (scratch / "folder" / "old").exists()
