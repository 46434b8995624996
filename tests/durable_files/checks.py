"""What must hold of anything that is saved; each check raises AssertionError where it does not.

They are apart from the tests so that faults can be seeded into the code that they check.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kept_things import KEPT, Kept
from recorded_disk import KilledError, Mark, RecordedDisk, Tree, put

from lightrec.durable_files import append_line, folders
from lightrec.errors import LightRecError

TARGET = "made/target"
_HIDDEN = re.compile(r"(.*/)?\.[^/]+\.new-[0-9a-f]{16}(/.*)?")


def survives_power_cuts(kind: str, scratch: Path, *, exchange: bool = True) -> int:
    """Each legal state after a power cut during saves holds the old content or the new, whole.

    Returns:
        How many states were looked at.
    """
    kept, states = KEPT[kind](), 0
    for number, (before, saves) in enumerate((([], [0, 1]), ([3, 0], [1, 2]))):
        with _without(exchange):
            disk, target = _disk(scratch / str(number), kept, before)
            with disk.recording():
                for version in saves:
                    disk.mark(("begun", version))
                    kept.save(target, version)
                    disk.mark(("returned", version))
        look = _Looker(kept, scratch / str(number) / "after")
        for end, tree in disk.after_power_cuts():
            look(tree, _allowed(disk.log[:end], before[-1] if before else None))
        assert look.states > 20, "hardly a state was looked at"
        states += look.states
    return states


def survives_kills(kind: str, scratch: Path, *, exchange: bool = True, step: int = 1) -> int:
    """A kill before each call (or each `step`-th) leaves old or new; and the next save is safe."""
    kept, number = KEPT[kind](), 0
    look = _Looker(kept, scratch / "after")
    for before in ([3, 0], []):
        old = before[-1] if before else None
        for number in range(0, 1000, step):
            calls = iter(range(number))

            def killed(name: str, calls: Iterator[int] = calls) -> None:
                if next(calls, None) is None:
                    raise KilledError

            root = scratch / f"{len(before)}-{number}"
            with _without(exchange):
                disk, target = _disk(root, kept, before)
                disk.before_call = killed
                with disk.recording():
                    kept.save(target, 1)
                found = kept.version(target)
                assert found in (old, 1), f"killed before call {number}: {found} is there"
                if not disk.dead:
                    assert found == 1
                    break
                disk.dead, disk.before_call = False, lambda name: None
                with disk.recording():
                    kept.save(target, 2)
            assert kept.version(target) == 2
            assert _hidden(root / "disk") == [], f"killed before call {number}: leftovers"
            for _, tree in disk.after_power_cuts(only_at_the_end=True):
                look.read(tree, {2})
            shutil.rmtree(root)
    assert number > 10, "nothing was injected"
    return number


def survives_errors(kind: str, scratch: Path, *, exchange: bool = True, step: int = 1) -> int:
    """An error of each call (or each `step`-th) is told, or does no harm; nothing is lost."""
    kept, number = KEPT[kind](), 0
    for before in ([3, 0], []):
        old = before[-1] if before else None
        for number in range(0, 1000, step):
            calls, failed = iter(range(number)), []

            def fail(name: str, calls: Iterator[int] = calls, failed: list[str] = failed) -> None:
                if next(calls, None) is None and not failed:
                    failed.append(name)
                    raise OSError(errno.EIO, os.strerror(errno.EIO))

            root = scratch / f"{len(before)}-{number}"
            with _without(exchange):
                disk, target = _disk(root, kept, before)
                disk.before_call = fail
                told = False
                with disk.recording():
                    try:
                        kept.save(target, 1)
                    except LightRecError:
                        told = True
                found = kept.version(target)
                if failed == ["write"]:
                    assert _hidden(root / "disk") == [], "a failed save leaves something"
                where = f"{failed or 'nothing'} failed as call {number}"
                assert found == 1 if not told else found in (old, 1), f"{where}: {found} is there"
                assert told or failed[:1] not in (["fsync"], ["write"]), f"{where}: not told"
                if not failed:
                    break
                kept.save(target, 2)
                assert kept.version(target) == 2, where
                assert _hidden(root / "disk") == [], f"{where}: leftovers"
            shutil.rmtree(root)
    assert number > 10, "nothing was injected"
    return number


def log_survives_power_cuts(scratch: Path) -> int:
    """No line is lost that was reported, none merges with another, and the next one works."""
    states = 0
    ways: list[list[bool]] = [[True] * 3, [False, True], [False, True, False, True]]
    for number, durable in enumerate(ways):
        root = scratch / str(number) / "disk"
        root.mkdir(parents=True)
        disk = RecordedDisk(root)
        lines = [f"line {row}" for row in range(len(durable))]
        with disk.recording():
            for line, synced in zip(lines, durable, strict=True):
                append_line(root / "logs" / "log", line, durable=synced)
                disk.mark(line if synced else None)
        for end, tree in disk.after_power_cuts():
            states += 1
            marks = [entry.what for entry in disk.log[:end] if isinstance(entry, Mark)]
            safe = max((place + 1 for place, what in enumerate(marks) if what), default=0)
            place = scratch / str(number) / "after"
            put(tree, place)
            with _without_sync():
                append_line(place / "logs" / "log", "next")
            found = (place / "logs" / "log").read_bytes().split(b"\n")
            shutil.rmtree(place)
            assert found[:safe] == [line.encode() for line in lines[:safe]], "a line was lost"
            assert found[-2:] == [b"next", b""], "the next line is not whole"
    return states


class _Looker:
    """Looks at the states after power cuts, at equal ones once."""

    def __init__(self, kept: Kept, place: Path) -> None:
        self.kept, self.place = kept, place
        self.states = 0
        self._read: dict[Any, Any] = {}
        self._shapes: set[Any] = set()

    def __call__(self, tree: Tree, allowed: set[int | None]) -> None:
        self.states += 1
        key = self.read(tree, allowed)
        shape = (key, tuple(sorted((path, data is None) for path, data in tree.items())))
        if shape not in self._shapes:  # what hidden files hold makes no difference to a save
            self._shapes.add(shape)
            self._in_place(tree, self._save_next)

    def read(self, tree: Tree, allowed: set[int | None]) -> Any:
        """Checks what a reader finds; returns all that it could see."""
        seen = {path: data for path, data in tree.items() if not _HIDDEN.fullmatch(path)}
        key = tuple(sorted(seen.items(), key=lambda item: item[0]))
        if key not in self._read:
            self._read[key] = self._in_place(seen, self._version)
        found = self._read[key]
        assert found in allowed, f"{found} is there, where one of {allowed} should be: {list(tree)}"
        return key

    def _in_place(self, tree: Tree, look: Callable[[Path], Any]) -> Any:
        put(tree, self.place)
        try:
            return look(self.place / TARGET)
        finally:
            shutil.rmtree(self.place)

    def _version(self, target: Path) -> Any:
        try:
            return self.kept.version(target)
        except (LightRecError, OSError, ValueError, AssertionError) as error:
            return str(error)

    def _save_next(self, target: Path) -> None:
        with _without_sync():
            self.kept.save(target, 1)
        assert self.kept.version(target) == 1
        assert _hidden(self.place) == [], "leftovers after the next save"


def _allowed(log: list[Any], old: int | None) -> set[int | None]:
    allowed = {old}
    for entry in log:
        if isinstance(entry, Mark):
            what, version = entry.what
            allowed = {version} if what == "returned" else {*allowed, version}
    return allowed


def _disk(root: Path, kept: Kept, before: list[int]) -> tuple[RecordedDisk, Path]:
    """A disk on which some versions were saved long ago."""
    (root / "disk").mkdir(parents=True)
    target = root / "disk" / TARGET
    with _without_sync():
        for version in before:
            kept.save(target, version)
    return RecordedDisk(root / "disk"), target


def _hidden(folder: Path) -> list[str]:
    names = (str(path.relative_to(folder)) for path in folder.rglob(".*"))
    return sorted(names)


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _without(exchange: bool) -> contextlib.AbstractContextManager[None]:
    """Takes away the exchange of folders, unless it is asked for."""
    way = folders._exchange if exchange else lambda first, second: False
    return _replaced(folders, "_exchange", way)


def _without_sync() -> contextlib.AbstractContextManager[None]:
    """Saves time where no power is cut."""
    return _replaced(os, "fsync", lambda fd: None)
