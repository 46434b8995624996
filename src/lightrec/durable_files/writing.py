"""Single files: replaced whole, created, or grown by one line."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn, TypeVar

from lightrec.durable_files.leftovers import OPEN_FLAGS, lock, locked_hidden_file, remove, sweep
from lightrec.errors import ArgumentError, LightRecError

FilePath = str | os.PathLike[str]
Bytes = bytes | bytearray | memoryview
T = TypeVar("T")

_WRITE_BYTES = 64 << 20  # one call to write takes at most 2 GiB on Linux


@dataclass(frozen=True, slots=True)
class FileDigest:
    """A file's content in brief.

    Attributes:
        num_bytes: Its length.
        sha256: Its SHA-256, 64 hexadecimal digits.
    """

    num_bytes: int
    sha256: str


def write_file(path: FilePath, *chunks: Bytes) -> FileDigest:
    """Replaces or creates a file in one atomic and durable step; missing parents are created.

    Args:
        path: The file; a symbolic link is followed and kept.
        *chunks: The content, in order.

    Raises:
        LightRecError: The disk is full or the folder not writable; the old content is still there,
            or, when only the switch to the new one could not be synced, the new one.
    """
    return write_blocks(path, chunks, needed=num_bytes(chunks))


def write_blocks(
    path: FilePath, blocks: Iterable[Bytes], *, needed: int | None = None
) -> FileDigest:
    """Does what `write_file` does with content that is made while it is written.

    Args:
        path: As for `write_file`.
        blocks: The content, in order. A block is asked for when all before it are written, and let
            go of when it is written itself. What the making of one raises leaves the old content;
            an `OSError` is told as one of the write.
        needed: Length of the content, for the message about a full disk; None where not known.

    Raises:
        LightRecError: As for `write_file`.
    """
    return _replaced(path, lambda fd: _fill(fd, blocks), needed)


def write_through(path: FilePath, fill: Callable[[BinaryIO], None]) -> None:
    """Does what `write_file` does with content that somebody else writes, such as a library.

    Args:
        path: As for `write_file`.
        fill: Writes the content into the file that it is given. What it raises leaves the old
            content; an `OSError` is told as one of the write.

    Raises:
        LightRecError: As for `write_file`.
    """

    def filled(fd: int) -> None:
        with os.fdopen(fd, "wb", closefd=False) as file:
            fill(file)
        os.fsync(fd)

    _replaced(path, filled, None)


def _replaced(path: FilePath, fill: Callable[[int], T], needed: int | None) -> T:
    """Lets `fill` write and sync a hidden file, and switches it into place."""
    target = Path(os.path.realpath(path))
    try:
        make_folder(target.parent)
        sweep(target)
        hidden, fd = locked_hidden_file(target)
    except OSError as error:
        refuse(path, error, needed)
    try:
        try:
            filled = fill(fd)
            os.rename(hidden, target)
        finally:
            os.close(fd)
        sync(target.parent)
    except BaseException as error:
        remove(hidden)
        if isinstance(error, OSError):
            refuse(path, error, needed)
        raise
    return filled


def write_new_file(path: FilePath, *chunks: Bytes) -> FileDigest:
    """Writes and syncs a file that does not exist yet, such as one in a folder of `replace_folder`.

    Raises:
        LightRecError: The disk is full, the file exists, or the folder is not writable.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, 0o666)
        try:
            return _fill(fd, chunks)
        finally:
            os.close(fd)
    except OSError as error:
        refuse(path, error, num_bytes(chunks))


def append_line(path: FilePath, line: str, *, durable: bool = True) -> None:
    """Appends one line to a log or ledger, whole or not at all, also with several writers.

    A last line that a dead writer left unfinished is ended first, so that the two do not merge.

    Args:
        path: The file; created when missing, with its parent folders.
        line: Text without a line break.
        durable: Whether to return only when the line is on the disk.

    Raises:
        ArgumentError: The line holds a line break.
        LightRecError: The disk is full or the file not writable; the file is as it was.
    """
    if "\n" in line:
        raise ArgumentError(f"line must not hold a line break: {line[:60]!r}")
    data = line.encode() + b"\n"
    target = Path(os.path.realpath(path))
    try:
        make_folder(target.parent)
        fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_APPEND | OPEN_FLAGS, 0o666)
        try:
            lock(fd, wait=True)
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":
                data = b"\n" + data
            try:
                _write_all(fd, data)
            except OSError:
                os.ftruncate(fd, size)
                raise
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        if durable:  # whoever created the file may not have made its name durable
            sync(target.parent)
    except OSError as error:
        refuse(path, error, len(data))


def bytes_free(path: FilePath) -> int | None:
    """Bytes that may still be written beside `path`; None where that is not known."""
    try:
        status = os.statvfs(Path(os.path.realpath(path)).parent)
    except (OSError, AttributeError):
        return None
    return status.f_bavail * status.f_frsize


def num_bytes(chunks: Iterable[Bytes]) -> int:
    """Length of a file of these chunks."""
    return sum(memoryview(chunk).nbytes for chunk in chunks)


def refuse(path: FilePath, error: OSError, needed: int | None = None) -> NoReturn:
    """Raises the error for a write that failed, with the bytes needed and free."""
    free = bytes_free(path)
    message = f"{os.fspath(path)}: cannot be written: {error.strerror or error}"
    message += "" if needed is None else f"; {needed:,} bytes are needed"
    message += "" if free is None else f"; {free:,} bytes are free there"
    raise LightRecError(message) from error


def make_folder(folder: Path) -> None:
    """Creates a folder and its parents, durably, where they are missing."""
    if not folder.is_dir():
        make_folder(folder.parent)
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)
        sync(folder.parent)
    elif not os.listdir(folder) and os.access(folder.parent, os.R_OK):
        sync(folder.parent)  # whoever made it may have died before that


def sync(path: FilePath) -> None:
    """Makes a file's content, or a folder's list of names, durable."""
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    fd = os.open(path, os.O_RDONLY | OPEN_FLAGS)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _fill(fd: int, blocks: Iterable[Bytes]) -> FileDigest:
    digest, length = hashlib.sha256(), 0
    for block in blocks:
        _write_all(fd, block)
        digest.update(block)
        length += memoryview(block).nbytes
        del block  # before the next one is made
    os.fsync(fd)
    return FileDigest(length, digest.hexdigest())


def _write_all(fd: int, chunk: Bytes) -> None:
    rest = memoryview(chunk).cast("B")
    while rest:
        rest = rest[os.write(fd, rest[:_WRITE_BYTES]) :]
