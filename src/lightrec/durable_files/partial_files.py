"""Files that come block by block: kept while they are partial, in place when they are whole.

What has arrived of `NAME` lies in `NAME.part`, and `NAME.part.json` says of what it is the
beginning, and how much of it was synced. No more than that is believed when the file is opened
again: a power cut may leave anything where bytes were written but not synced.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from lightrec.durable_files.leftovers import OPEN_FLAGS, lock, remove
from lightrec.durable_files.reading import read_json, sha256_of
from lightrec.durable_files.strict_json import to_json
from lightrec.durable_files.writing import (
    Bytes,
    FileDigest,
    FilePath,
    make_folder,
    num_bytes,
    refuse,
    sync,
    write_file,
)
from lightrec.errors import InputError, LightRecError

SYNC_BYTES = 16 << 20
"""After so many bytes a partial file is synced: about what a kill or a power cut can cost."""

Origin = Mapping[str, str | None]


@contextlib.contextmanager
def partial_file(target: FilePath) -> Iterator[PartialFile]:
    """Opens what has arrived of a file, for one writer at a time; nothing at first.

    Args:
        target: Where the whole goes; missing parents are created. A symbolic link is followed.

    Raises:
        LightRecError: The folder is not writable, or another process is at this file.
    """
    part = PartialFile(Path(os.path.realpath(target)))
    try:
        yield part
    finally:
        part.close()


class PartialFile:
    """A file of which a beginning has arrived.

    Args:
        target: Where the whole goes.

    Attributes:
        path: Where the beginning lies, `NAME.part`.
        origin: Of what it is the beginning, as `begin` was told; None when that is not known.
        num_bytes: How much of it has arrived and is kept.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self.path = target.with_name(f"{target.name}.part")
        self._record = target.with_name(f"{target.name}.part.json")
        self._fd = self._opened()
        self.origin, safe = self._recorded()
        self.num_bytes = min(safe, os.fstat(self._fd).st_size)
        self._safe = self.num_bytes

    def begin(self, origin: Origin | None, num_bytes: int = 0) -> None:
        """Says what follows: the rest of `origin`, after that much of it; all else is cut off.

        Args:
            origin: Of what this is the beginning; its own words, for whoever opens it next.
            num_bytes: Where to go on, 0 to `num_bytes`; more than 0 only with the `origin` so far.

        Raises:
            LightRecError: It cannot be written.
        """
        self.origin, self.num_bytes = origin, num_bytes
        self._safe = min(self._safe, num_bytes)
        self._write_record()  # first: what is cut off, or written over it, is no beginning of this
        try:
            os.ftruncate(self._fd, num_bytes)
        except OSError as error:
            refuse(self.path, error)

    def append(self, block: Bytes) -> None:
        """Adds a block.

        Raises:
            LightRecError: The disk is full or the file not writable; what was there is kept.
        """
        try:
            _append(self.path, self._fd, block)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self.num_bytes)
            raise
        self.num_bytes += num_bytes([block])
        if self.num_bytes - self._safe >= SYNC_BYTES:
            self.keep()

    def keep(self) -> None:
        """Syncs what has arrived, so that it is there whatever happens.

        Raises:
            LightRecError: It cannot be synced.
        """
        if self._safe < self.num_bytes:
            _sync(self.path, self._fd)
            self._safe = self.num_bytes
            self._write_record()

    def finish(self) -> FileDigest:
        """Puts what has arrived in the target's place, in one atomic and durable step.

        Raises:
            LightRecError: It cannot be synced or put there.
        """
        try:
            os.fsync(self._fd)
            digest = FileDigest(self.num_bytes, sha256_of(self.path))
            os.rename(self.path, self._target)
            sync(self._target.parent)
        except OSError as error:
            refuse(self._target, error)
        self._safe = self.num_bytes  # nothing is left to keep
        remove(self._record)
        return digest

    def close(self) -> None:
        """Keeps what has arrived, as far as that is possible, and lets another writer come."""
        try:
            with contextlib.suppress(LightRecError):
                self.keep()
        finally:
            os.close(self._fd)

    def _opened(self) -> int:
        """Opens and locks the file."""
        while True:
            try:
                make_folder(self.path.parent)
                flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | OPEN_FLAGS
                fd = os.open(self.path, flags, 0o666)
            except OSError as error:
                refuse(self.path, error)
            if lock(fd) is False:
                os.close(fd)
                raise LightRecError(
                    f"{self.path}: another process is writing it; wait until it has ended"
                )
            if _is_at(self.path, fd):
                return fd
            os.close(fd)  # another writer finished it meanwhile, and this is the whole one

    def _recorded(self) -> tuple[Origin | None, int]:
        """Of what the file is the beginning, and how much of it was synced."""
        with contextlib.suppress(InputError):
            content = read_json(self._record)
            if isinstance(content, dict):
                origin, size = content.get("beginning_of"), content.get("bytes")
                if isinstance(origin, dict) and type(size) is int and size >= 0:
                    return origin, size
        return None, 0

    def _write_record(self) -> None:
        origin = None if self.origin is None else dict(self.origin)
        write_file(self._record, to_json({"beginning_of": origin, "bytes": self._safe}))


def _is_at(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def _append(path: FilePath, fd: int, block: Bytes) -> None:
    rest = memoryview(block).cast("B")
    try:
        while rest:
            rest = rest[os.write(fd, rest) :]
    except OSError as error:
        refuse(path, error, rest.nbytes)


def _sync(path: FilePath, fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as error:
        refuse(path, error)
