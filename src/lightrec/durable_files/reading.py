"""Reading what may have been put there by anyone."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import Any

from lightrec.durable_files.leftovers import NO_WAITING, OPEN_FLAGS
from lightrec.durable_files.strict_json import parse_json
from lightrec.durable_files.writing import Bytes, FilePath
from lightrec.errors import InputError


def open_regular(path: FilePath, folder_fd: int | None = None) -> int:
    """Opens a regular file for reading; never follows a link, never waits for a pipe.

    Args:
        path: The file, relative to `folder_fd` when that is given.
        folder_fd: Descriptor of an open folder.

    Returns:
        A descriptor, to be closed by the caller.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: It is something else or cannot be opened; the message does not name it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | OPEN_FLAGS | NO_WAITING, dir_fd=folder_fd)
    except FileNotFoundError:
        raise
    except OSError as error:
        linked = error.errno == errno.ELOOP
        raise InputError(
            "is a symbolic link" if linked else f"cannot be opened: {error.strerror}"
        ) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise InputError("is not a regular file")
    return fd


def read_json(path: FilePath, max_bytes: int = 16 << 20) -> Any:  # noqa: ANN401
    """Reads a file of strict JSON.

    Raises:
        InputError: The file is missing, longer than `max_bytes`, or not strict JSON.
    """
    try:
        with open(open_regular(path), "rb") as file:
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise InputError(f"is longer than {max_bytes:,} bytes")
        return parse_json(data)
    except FileNotFoundError:
        raise InputError(f"{os.fspath(path)}: there is no such file") from None
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from None


def sha256_of(source: FilePath | Bytes) -> str:
    """SHA-256 of a file (given by its path) or of bytes, 64 hexadecimal digits."""
    if isinstance(source, bytes | bytearray | memoryview):
        return hashlib.sha256(source).hexdigest()
    with open(source, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
