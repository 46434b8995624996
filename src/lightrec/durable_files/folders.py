"""Whole folders, replaced in one atomic step."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import logging
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from lightrec.durable_files.leftovers import (
    OPEN_FLAGS,
    hidden_sibling,
    lock,
    locked_hidden_folder,
    remove,
    sweep,
)
from lightrec.durable_files.writing import FilePath, make_folder, refuse, sync

logger = logging.getLogger("lightrec")

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_CANNOT_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}


@contextlib.contextmanager
def replace_folder(path: FilePath, *, check: Callable[[], None] | None = None) -> Iterator[Path]:
    """Replaces or creates a folder in one atomic and durable step; missing parents are created.

    Yields a new hidden folder beside the target, to be filled with `write_new_file`. When the block
    ends without an error, everything in it is synced and it takes the target's place; **whatever
    the target held before is deleted**. When the block raises, the target stays as it was. Of
    several writers the last one wins, whole.

    Linux exchanges the two folders in one step. Where that is not supported the old one is first
    renamed to `.NAME.previous`, and `resolve_folder` finds it if a kill comes between the renames;
    a warning says so, once for each place.

    Args:
        path: The folder; a symbolic link is followed and kept.
        check: Called when all is written, while no other writer can switch; what it raises leaves
            the target as it was.

    Raises:
        LightRecError: The disk is full, the parent not writable, or a file has the folder's name;
            or the switch itself could not be synced, and then the new content is there already.
    """
    target = Path(os.path.realpath(path))
    try:
        make_folder(target.parent)
        sweep(target)
        hidden, fd = locked_hidden_folder(target)
    except OSError as error:
        refuse(path, error)
    try:
        yield hidden
        _sync_tree(hidden)
        _switch(hidden, target, check)
    except BaseException as error:
        remove(hidden)
        if isinstance(error, OSError):
            refuse(path, error)
        raise
    finally:
        with contextlib.suppress(OSError):  # it held a lock, no content
            os.close(fd)
    try:
        sync(target.parent)
    except OSError as error:  # a power cut may bring back either generation, so both are kept
        refuse(path, error)
    remove(hidden)  # holds the old content now
    _sweep_previous(target)


def resolve_folder(path: FilePath) -> Path:
    """The folder to read for `path`: itself, or its `.NAME.previous` if a switch was cut short."""
    previous = _previous(Path(os.path.realpath(path)))
    cut_short = os.path.exists(previous) and not os.path.exists(path)
    return previous if cut_short else Path(path)


def check_can_be_made(path: FilePath) -> None:
    """Finds out, by making a folder there and deleting it, whether something can be made at `path`.

    Permissions alone do not tell: `/proc` grants the superuser all, and takes nothing.

    Args:
        path: A file or folder, of which the parents may be missing too.

    Raises:
        LightRecError: Nothing can be made there.
    """
    try:
        target = Path(os.path.realpath(path))
        while not os.path.exists(target.parent):
            target = target.parent
        sweep(target)  # a kill may have left such a folder, or one beside a parent that was missing
        if target.parent != target.parent.parent:
            sweep(target.parent)
        trial = hidden_sibling(target)
        try:
            os.mkdir(trial)
        finally:
            remove(trial)
    except OSError as error:
        refuse(path, error)


def _sync_tree(folder: Path) -> None:
    """Syncs all that is in the folder, whoever wrote it; what is synced already costs little."""
    for parent, _, names in os.walk(folder):
        for name in names:
            sync(os.path.join(parent, name))
        sync(parent)


def _switch(hidden: Path, target: Path, check: Callable[[], None] | None = None) -> None:
    """Puts `hidden` in the place of `target`; any old content is then under the name `hidden`."""
    with _locked_folder(target.parent):  # no other writer may see the moment between two renames
        if check is not None:
            check()
        if target.is_dir():
            os.chmod(hidden, stat.S_IMODE(os.stat(target).st_mode))
        try:
            os.rename(hidden, target)  # succeeds where there is nothing, or an empty folder
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if not _exchange(hidden, target):
                _tell_of_two_steps(target.parent)
                _switch_in_two_steps(hidden, target)


def _exchange(first: Path, second: Path) -> bool:
    """Swaps two folders in one atomic step; False where the system or the file system cannot."""
    if os.name != "posix":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(first), os.fsencode(second)
    if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), os.fspath(second))


@functools.cache  # told once of each place
def _tell_of_two_steps(parent: Path) -> None:
    logger.warning(
        "%s: folders cannot be exchanged on this file system, so an old one makes room before the "
        "new one comes; for that moment programs other than LightRec find none",
        parent,
    )


def _previous(target: Path) -> Path:
    return target.with_name(f".{target.name}.previous")


def _switch_in_two_steps(hidden: Path, target: Path) -> None:
    previous = _previous(target)
    remove(previous)
    os.rename(target, previous)
    try:
        os.rename(hidden, target)
    except BaseException:
        os.rename(previous, target)
        raise
    sync(target.parent)
    os.rename(previous, hidden)


def _sweep_previous(target: Path) -> None:
    """Deletes the `.NAME.previous` that a kill left behind, once `NAME` is there again."""
    previous = _previous(target)
    if os.path.exists(previous):
        with contextlib.suppress(OSError), _locked_folder(target.parent):
            if target.exists():
                remove(previous)


@contextlib.contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    fd = os.open(folder, os.O_RDONLY | OPEN_FLAGS)
    try:
        lock(fd, wait=True)
        yield
    finally:
        os.close(fd)
