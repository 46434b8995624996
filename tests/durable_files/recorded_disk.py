"""A disk that records what is done to a folder, and tells what a power cut may leave of it.

What POSIX promises, and no more: content is safe once its file was synced, a name once its folder
was. Anything newer may be there or not, each change on its own: a write may be lost, cut short or
have left zeros; a name may be missing, or still be there; a rename may not have happened. (What
file systems promise beyond that is not relied on.)
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightrec.durable_files import folders

ALL_COMBINATIONS_UP_TO = 32
RANDOM_COMBINATIONS = 8


class KilledError(BaseException):
    """Stands for kill -9: nothing that comes after it in the program reaches the disk."""


@dataclass(eq=False)
class File:
    """A file: its content when recording began."""

    content: bytes = b""


@dataclass(eq=False)
class Folder:
    """A folder: its names when recording began."""

    entries: dict[str, File | Folder] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Change:
    """One change, whole or not at all, of a file or of the names in a folder.

    Attributes:
        of: What is changed.
        names: What each name stands for afterwards; None is nothing.
        place: Where bytes were written.
        data: These bytes; None where the file was cut at `place`.
    """

    of: File | Folder
    names: dict[str, File | Folder | None] | None = None
    place: int = 0
    data: bytes | None = None

    def ways(self) -> list[Change | None]:
        """What a power cut may leave of it: all first, nothing last."""
        if not self.data:
            return [self, None]
        half = self.data[: len(self.data) // 2]
        broken = [half, bytes(len(self.data)), half + bytes(len(self.data) - len(half))]
        return [self, *(Change(self.of, None, self.place, data) for data in broken), None]


@dataclass(frozen=True, eq=False)
class Sync:
    """A file or folder was synced."""

    of: File | Folder


@dataclass(frozen=True)
class Mark:
    """Something that the test wants to find again in the record."""

    what: Any


Tree = dict[str, bytes | None]
"""Contents of files by path below the root; None for a folder."""


class RecordedDisk:
    """Records all calls that change a folder.

    Attributes:
        log: Changes, syncs and marks in their order.
        before_call: Called with the name of each call before it is made; may raise.
        dead: Whether the process was killed (`KilledError` came from `before_call`).
    """

    def __init__(self, root: Path, before_call: Callable[[str], None] = lambda name: None) -> None:
        self.root = os.path.realpath(root)
        self.log: list[Change | Sync | Mark] = []
        self.before_call = before_call
        self.dead = False
        self.start = _snapshot(Path(self.root))
        self._now: dict[Any, Any] = {}  # what has changed since the start, as it is now
        self._open: dict[int, File | Folder] = {}

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Watches this process; compares record and disk at the end."""
        names = ("open", "write", "fsync", "close", "rename", "mkdir", "unlink", "rmdir")
        names = (*names, "ftruncate", "chmod")
        real = {name: getattr(os, name) for name in names}
        exchange = folders._exchange
        for name in names:
            setattr(os, name, self._watched(name, real[name]))
        folders._exchange = self._watched("exchange", exchange)
        try:
            with contextlib.suppress(KilledError):
                yield
        finally:
            for name in names:
                setattr(os, name, real[name])
            folders._exchange = exchange
            for fd in list(self._open):  # a killed process closes all
                real["close"](fd)
            self._open.clear()
        found = _tree(_snapshot(Path(self.root)), {})
        assert found == _tree(self.start, self._now), "something was written past the record"

    def mark(self, what: Any) -> None:
        """Notes something in the record."""
        self.log.append(Mark(what))

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        record = getattr(self, f"_record_{name}", lambda *args, **kwargs: None)

        def watched(*args: Any, **kwargs: Any) -> Any:
            if self.dead:
                raise KilledError
            try:
                self.before_call(name)
            except KilledError:
                self.dead = True
                raise
            existing = self._node(args[0], **kwargs) if name == "open" else None
            result = call(*args, **kwargs)
            if name == "open":
                self._record_opened(existing, result, *args, **kwargs)
            elif result is not False:  # the exchange is not possible
                record(result, *args, **kwargs)
            return result

        return watched

    def _record_opened(
        self, existing: Any, fd: int, path: Any, flags: int, mode: int = 0o777, **where: Any
    ) -> None:
        node = existing
        if node is None:
            folder, name = self._place(path, **where)
            if folder is None:
                return  # outside of the root
            node = File()
            self._change(Change(folder, {name: node}))
        elif flags & os.O_TRUNC:
            self._change(Change(node))
        self._open[fd] = node

    def _record_write(self, count: int, fd: int, data: Any) -> None:
        if fd in self._open:
            place = os.lseek(fd, 0, os.SEEK_CUR) - count
            written = bytes(memoryview(data).cast("B")[:count])
            self._change(Change(self._open[fd], place=place, data=written))

    def _record_ftruncate(self, _: None, fd: int, size: int) -> None:
        self._change(Change(self._open[fd], place=size))

    def _record_fsync(self, _: None, fd: int) -> None:
        if fd in self._open:
            self.log.append(Sync(self._open[fd]))

    def _record_close(self, _: None, fd: int) -> None:
        self._open.pop(fd, None)

    def _record_mkdir(self, _: None, path: Any, mode: int = 0o777) -> None:
        folder, name = self._place(path)
        self._change(Change(folder, {name: Folder()}))

    def _record_unlink(self, _: None, path: Any, **where: Any) -> None:
        folder, name = self._place(path, **where)
        self._change(Change(folder, {name: None}))

    _record_rmdir = _record_unlink

    def _record_rename(self, _: None, source: Any, target: Any) -> None:
        folder, old = self._place(source)
        same, new = self._place(target)
        assert folder is same, "renames from folder to folder are not recorded"
        self._change(Change(folder, {old: None, new: self._entries(folder)[old]}))

    def _record_exchange(self, _: bool, first: Any, second: Any) -> None:
        folder, one = self._place(first)
        same, other = self._place(second)
        assert folder is same, "exchanges from folder to folder are not recorded"
        entries = self._entries(folder)
        self._change(Change(folder, {one: entries[other], other: entries[one]}))

    def _change(self, change: Change) -> None:
        _apply(change, self._now)
        self.log.append(change)

    def _entries(self, folder: Any) -> dict[str, File | Folder]:
        return self._now.get(folder, folder).entries

    def _place(self, path: Any, dir_fd: int | None = None) -> tuple[Any, str]:
        """The folder and the name that a path stands for; no folder outside of the root."""
        if dir_fd is not None:
            return self._open.get(dir_fd), os.fspath(path)
        path = os.path.abspath(os.fspath(path))
        if not path.startswith(self.root + os.sep):
            return None, ""
        *above, name = os.path.relpath(path, self.root).split(os.sep)
        node: Any = self.start
        for part in above:
            node = self._entries(node).get(part)
            if not isinstance(node, Folder):
                return None, ""
        return node, name

    def _node(self, path: Any, *_: Any, dir_fd: int | None = None) -> File | Folder | None:
        if dir_fd is None and os.path.abspath(os.fspath(path)) == self.root:
            return self.start
        folder, name = self._place(path, dir_fd)
        return None if folder is None else self._entries(folder).get(name)

    def after_power_cuts(self, *, only_at_the_end: bool = False) -> Iterator[tuple[int, Tree]]:
        """What a power cut may leave, with the number of log entries that came before it.

        Before each sync, and at the end, most is unsynced; what a cut may leave at any other moment
        it may leave there too. Of many unsynced changes not all combinations are tried, but: each
        number of first ones, each one alone, all but each one, each in each way, and some drawn.
        """
        chooser = random.Random(0)
        ends = [] if only_at_the_end else _syncs(self.log)
        seen = set()
        for end in [*ends, len(self.log)]:
            done = self.log[:end]
            safe = {}
            for place, entry in enumerate(done):
                if isinstance(entry, Sync):
                    safe[entry.of] = place
            changes = [(place, e) for place, e in enumerate(done) if isinstance(e, Change)]
            open_places = [
                number
                for number, (place, change) in enumerate(changes)
                if place > safe.get(change.of, -1)
            ]
            ways = [changes[number][1].ways() for number in open_places]
            for chosen in _combinations(ways, chooser):
                applied: list[Change | None] = [change for _, change in changes]
                for number, way in zip(open_places, chosen, strict=True):
                    applied[number] = way
                tree = _tree(self.start, _states(applied))
                key = tuple(sorted(tree.items(), key=lambda item: item[0]))
                if (end, key) not in seen:
                    seen.add((end, key))
                    yield end, tree


def _syncs(log: list[Any]) -> list[int]:
    return [place for place, entry in enumerate(log) if isinstance(entry, Sync)]


def _combinations(ways: list[list[Any]], chooser: random.Random) -> Iterator[tuple[Any, ...]]:
    total = 1
    for options in ways:
        total *= len(options)
    if total <= ALL_COMBINATIONS_UP_TO:
        yield from itertools.product(*ways)
        return
    full, none = [options[0] for options in ways], [options[-1] for options in ways]
    for place, options in enumerate(ways):
        yield (*full[:place], *none[place:])
        for option in options:
            yield (*full[:place], option, *full[place + 1 :])
            yield (*none[:place], option, *none[place + 1 :])
    for _ in range(RANDOM_COMBINATIONS):
        yield tuple(chooser.choice(options) for options in ways)


def _apply(change: Change, states: dict[Any, Any]) -> None:
    """Changes a node's state, which is that of the start where there is none yet."""
    start = change.of
    if isinstance(start, Folder):
        entries = states.setdefault(start, Folder(dict(start.entries))).entries
        for name, what in (change.names or {}).items():
            entries.pop(name, None)
            if what is not None:
                entries[name] = what
        return
    file = states.setdefault(start, File(start.content))
    before = file.content.ljust(change.place, b"\0")
    file.content = before[: change.place]
    if change.data is not None:
        file.content += change.data + before[change.place + len(change.data) :]


def _states(applied: list[Change | None]) -> dict[Any, Any]:
    states: dict[Any, Any] = {}
    for change in applied:
        if change is not None:
            _apply(change, states)
    return states


def _tree(folder: Folder, states: dict[Any, Any], above: str = "") -> Tree:
    tree: Tree = {}
    for name, node in states.get(folder, folder).entries.items():
        path = f"{above}{name}"
        if isinstance(node, File):
            tree[path] = states.get(node, node).content
        else:
            tree |= {path: None, **_tree(node, states, f"{path}/")}
    return tree


def _snapshot(folder: Path) -> Folder:
    return Folder(
        {
            path.name: _snapshot(path) if path.is_dir() else File(path.read_bytes())
            for path in sorted(folder.iterdir())
        }
    )


def put(tree: Tree, root: Path) -> None:
    """Makes a folder of a tree."""
    root.mkdir(parents=True)
    for path, content in sorted(tree.items()):
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)
