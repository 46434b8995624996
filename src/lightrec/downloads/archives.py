"""Named members out of a zip or tar archive; what else the archive holds is never touched."""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from lightrec.durable_files import write_blocks
from lightrec.errors import InputError

_BLOCK = 1 << 20


def unpack_member(archive: Path, member: str, folder: Path, max_bytes: int) -> Path:
    """Writes one member of an archive into a folder, under the last part of its name.

    Args:
        archive: a zip or tar file, the latter perhaps compressed.
        member: the member's full name.
        folder: a folder of temporary files; a file of the same name there is an error.
        max_bytes: the most that the member may hold.

    Raises:
        InputError: the archive is damaged, has no such member or two of them; or the member is no
            plain file, encrypted, or longer than `max_bytes`.
        LightRecError: the disk is full or the folder not writable. Nothing is left, whatever fails.
    """
    target = folder / PurePosixPath(member).name
    if target.exists():
        raise InputError(f"{archive}: {member}: {target} is there already")
    try:
        with _opened(archive, member) as stream:
            write_blocks(target, _blocks(stream, f"{archive}: {member}", max_bytes))
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError) as bad:
        reason = str(bad).splitlines()[0] if str(bad) else type(bad).__name__
        raise InputError(
            f"{archive}: {member} cannot be unpacked: {reason}; is this the publisher's archive, "
            "whole?"
        ) from None
    return target


def _blocks(stream: IO[bytes], name: str, max_bytes: int) -> Iterator[bytes]:
    size = 0
    while block := _read(stream, name):
        size += len(block)
        if size > max_bytes:
            raise InputError(f"{name} is longer than {max_bytes:,} bytes")
        yield block


def _read(stream: IO[bytes], name: str) -> bytes:
    try:
        return stream.read(_BLOCK)
    except OSError as error:  # of the archive, not of what is written; gzip's own are OSErrors too
        raise InputError(f"{name} cannot be unpacked: {error.strerror or error}") from None


@contextmanager
def _opened(archive: Path, member: str) -> Iterator[IO[bytes]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            found = [info for info in file.infolist() if info.filename == member]
            _check_one(archive, member, len(found))
            kind = stat.S_IFMT(found[0].external_attr >> 16)
            plain = kind in (0, stat.S_IFREG) and not found[0].is_dir()
            _check_plain(archive, member, plain and not found[0].flag_bits & 1)
            with file.open(found[0]) as stream:
                yield stream
        return
    with tarfile.open(archive) as tar:
        members = [info for info in tar if info.name == member]
        _check_one(archive, member, len(members))
        _check_plain(archive, member, members[0].isreg())
        extracted = tar.extractfile(members[0])
        if extracted is None:
            raise InputError(f"{archive}: {member} is no plain file")
        with extracted:
            yield extracted


def _check_one(archive: Path, member: str, count: int) -> None:
    if count != 1:
        found = "is not in it" if not count else f"is in it {count} times"
        raise InputError(f"{archive}: {member} {found}; is this the publisher's archive?")


def _check_plain(archive: Path, member: str, plain: bool) -> None:
    if not plain:
        raise InputError(f"{archive}: {member} is no plain, unencrypted file; refused")
