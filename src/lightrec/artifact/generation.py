"""One generation of a model folder, open for reading.

All files are opened before the first is read, relative to one open folder. So a load sees one
generation, whole, also when a save replaces it at that moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader

from lightrec.artifact.manifest import (
    CODES,
    FLOAT_ITEMS,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    OPTIONAL,
    REQUIRED,
    Manifest,
)
from lightrec.durable_files import Bytes, FilePath, open_regular, resolve_folder, sha256_of
from lightrec.errors import ArgumentError, ArtifactError, InputError

_TRIES = 20
_OPEN_FOLDER = os.O_RDONLY | sum(
    getattr(os, flag, 0) for flag in ("O_DIRECTORY", "O_NONBLOCK", "O_CLOEXEC")
)


@dataclass(frozen=True)
class Generation:
    """One generation of a model, with all of its files open.

    Attributes:
        manifest: Which files.
        files: The files, by name.
        stamps: Length and time of the last change of each, when it was opened.
    """

    manifest: Manifest
    files: Mapping[str, BufferedReader]
    stamps: Mapping[str, tuple[int, int]]

    def content(self, name: str) -> Bytes:
        """A file's content, checked against the manifest; items are memory-mapped."""
        listed, file = self.manifest.files[name], self.files[name]
        length = os.fstat(file.fileno()).st_size
        if length != listed.num_bytes:
            raise ArtifactError(
                f"{name}: has {length:,} bytes, the manifest says {listed.num_bytes:,}"
            )
        content: Bytes
        if name in (CODES, FLOAT_ITEMS) and length:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            try:
                content = memoryview(mmap.mmap(file.fileno(), length, access=mmap.ACCESS_READ))
            except ValueError:
                raise ArtifactError(f"{name}: was cut short while it was read") from None
        else:
            content = file.read(length)
            digest = sha256_of(content)
        if digest != listed.sha256:
            raise ArtifactError(
                f"{name}: SHA-256 does not match the manifest; the file was changed after saving"
            )
        return content

    def check_unchanged(self) -> None:
        """Checks that no file was written to since it was opened: mapped ones show what is new.

        Raises:
            ArtifactError: One was.
        """
        for name, file in self.files.items():
            if _stamp(file) != self.stamps[name]:
                raise ArtifactError(f"{name}: was written to while it was read")


def state_of(path: FilePath) -> set[tuple[str, int, int, int]]:
    """The names in a folder, with what changes when anyone writes there; empty if there is none."""
    state = set()
    with (
        contextlib.suppress(OSError, TypeError, ValueError),
        os.scandir(resolve_folder(path)) as entries,
    ):
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                told = entry.stat(follow_symlinks=False)
                state.add((entry.name, told.st_ino, told.st_size, told.st_mtime_ns))
    return state


def open_generation(path: FilePath, stack: contextlib.ExitStack) -> Generation:
    """Opens the manifest and every file that it lists.

    When a save replaces the folder meanwhile, files of the old generation are gone; the next try
    then opens the new one.

    Args:
        path: The folder of the model.
        stack: Closes the files.

    Raises:
        ArtifactError: There is no model, a newer release wrote it, its manifest is damaged, or a
            file of it is missing or not a regular file.
        ArgumentError: `path` is no path.
    """
    for _ in range(_TRIES):
        try:
            folder = resolve_folder(path)
        except (TypeError, ValueError):  # no path, or with NUL or half a character inside
            raise ArgumentError(f"a model is read from a path, not {path!a}") from None
        try:
            return _open_files(path, os.open(folder, _OPEN_FOLDER), stack)
        except FileNotFoundError as error:
            missing = error.filename
        except OSError as error:
            raise ArtifactError(f"{os.fspath(path)}: cannot be opened: {error.strerror}") from error
    if missing == MANIFEST:
        raise damaged(path, f"is not a model: it has no {MANIFEST}")
    if missing in OPTIONAL + REQUIRED:
        raise damaged(path, f"{missing}: is missing")
    raise ArtifactError(f"{os.fspath(path)}: there is no such folder; check the path of the model")


def _open_files(path: FilePath, folder_fd: int, stack: contextlib.ExitStack) -> Generation:
    stack.callback(os.close, folder_fd)
    name = MANIFEST
    try:
        data = _open(name, folder_fd, stack).read(MAX_MANIFEST_BYTES)
        manifest = Manifest.from_bytes(data)
        files = {}
        for name in manifest.files:
            files[name] = _open(name, folder_fd, stack)
    except InputError as error:
        raise damaged(path, f"{name}: {error}") from error
    except ArtifactError as error:  # a newer format
        raise ArtifactError(f"{os.fspath(path)}: {error}") from error
    return Generation(manifest, files, {name: _stamp(file) for name, file in files.items()})


def _open(name: str, folder_fd: int, stack: contextlib.ExitStack) -> BufferedReader:
    return stack.enter_context(open(open_regular(name, folder_fd), "rb"))


def _stamp(file: BufferedReader) -> tuple[int, int]:
    told = os.fstat(file.fileno())
    return told.st_size, told.st_mtime_ns


def damaged(path: FilePath, reason: object) -> ArtifactError:
    """The error for a model that cannot be used as it is, with the remedy."""
    return ArtifactError(
        f"{os.fspath(path)}: {reason}; restore the folder from a copy, or train again"
    )
