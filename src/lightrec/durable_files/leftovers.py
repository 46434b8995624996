"""Hidden names of what is being written, and the sweeping of those whose writer died.

A writer holds a lock on its hidden file or folder; the system lets go of it when the writer ends,
however it ends. So what can be locked belongs to nobody.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

OPEN_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
NO_WAITING = getattr(os, "O_NONBLOCK", 0)  # so that opening a pipe returns at once


def hidden_sibling(target: Path) -> Path:
    """A fresh hidden name beside `target`."""
    return target.with_name(f".{target.name}.new-{os.urandom(8).hex()}")


def lock(fd: int, *, wait: bool = False) -> bool | None:
    """Locks an open file or folder until it is closed.

    Returns:
        True; False when another has the lock; None where there are no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return None
    return True


def locked_hidden_file(target: Path) -> tuple[Path, int]:
    """Creates a hidden file beside `target`; returns it and a descriptor that writes and locks."""
    while True:
        hidden = hidden_sibling(target)
        fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, 0o666)
        if _is_ours(hidden, fd):
            return hidden, fd


def locked_hidden_folder(target: Path) -> tuple[Path, int]:
    """Creates a hidden folder beside `target`; returns it with a descriptor that holds its lock."""
    while True:
        hidden = hidden_sibling(target)
        os.mkdir(hidden)
        try:
            fd = os.open(hidden, os.O_RDONLY | OPEN_FLAGS)
        except FileNotFoundError:
            continue  # another writer swept it before it was locked
        if _is_ours(hidden, fd):
            return hidden, fd


def _is_ours(hidden: Path, fd: int) -> bool:
    """Locks what was just made; False, and closed, if another writer swept it before that."""
    try:
        if lock(fd) is not False and hidden.exists():
            return True
    except BaseException:
        os.close(fd)
        remove(hidden)
        raise
    os.close(fd)
    return False


def sweep(target: Path) -> None:
    """Deletes what dead writers to `target` left behind, as far as that is possible."""
    leftover = re.compile(re.escape(f".{target.name}.new-") + "[0-9a-f]{16}")
    for name in filter(leftover.fullmatch, os.listdir(target.parent)):
        path = target.with_name(name)
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_RDONLY | OPEN_FLAGS | NO_WAITING)
            try:
                if lock(fd):
                    remove(path)
            finally:
                os.close(fd)


def remove(path: Path) -> None:
    """Deletes a file or a folder; what cannot be deleted now is left to a later sweep."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            os.unlink(path)
