"""A save in a process of its own, which can be killed, made to fail, or denied space.

`strace` stops the process before the n-th system call of a name and kills it there, or lets that
call fail. It is attached when the process is ready to save, so that only the calls of the save
count.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from lightrec.errors import LightRecError

SAVED, REFUSED, RAISED = 0, 1, 2
"""How a save ended: well, with an error of LightRec's own, with any other error."""
KILLED = -int(signal.SIGKILL)

_CALLS = "trace=%file,%desc"
"""Every call on files and descriptors."""
_WRITES_NOTHING = ("mmap",)  # Python asks for memory with it, not always at the same place
_READY = signal.SIGUSR1
_CALL = re.compile(r"([a-z_0-9]+)\(")
Call = tuple[str, int]


def why_no_strace() -> str | None:
    """Why calls cannot be interrupted here; None where they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    try:
        found = list_calls(lambda: os.stat("/"))
    except OSError as error:
        return f"strace cannot watch a process here: {error}"
    return None if found else "strace sees no calls here"


def list_calls(save: Callable[[], object]) -> list[Call]:
    """The calls of a save in their order: name, and the how many-th of that name.

    Raises:
        OSError: The save failed, or `strace` could not watch it.
    """
    code, trace = _traced(save, ())
    if code != SAVED:
        raise OSError(f"a save that was only watched ended with {code}")
    seen: Counter[str] = Counter()
    calls = []
    for line in trace.splitlines():
        found = _CALL.match(line)
        if found and found[1] not in _WRITES_NOTHING:
            seen[found[1]] += 1
            calls.append((found[1], seen[found[1]]))
    return calls


def save_with(save: Callable[[], object], call: Call, fault: str) -> int:
    """Saves, with one call interrupted.

    Args:
        save: Writes; must make the same calls every time.
        call: Which call, as `list_calls` tells it.
        fault: `KILL`, or the name of an errno such as `EIO`.

    Returns:
        How it ended: `SAVED`, `REFUSED`, `RAISED`, `KILLED` or another exit code.

    Raises:
        OSError: The fault did not come about.
    """
    name, number = call
    what = "signal=SIGKILL" if fault == "KILL" else f"error={fault}"
    code, trace = _traced(save, ("-e", f"inject={name}:{what}:when={number}"))
    if (code != KILLED) if fault == "KILL" else ("(INJECTED)" not in trace):
        raise OSError(f"{fault} at {name} number {number} did not come about")
    return code


def run_apart(work: Callable[[], object]) -> int:
    """Does something in a process of its own; returns how that ended, as an exit code."""
    return _ended(start(work))


def start(work: Callable[[], object], *, wait: bool = False) -> int:
    """Starts a process that does something and ends; returns its number.

    Args:
        work: Runs in a fork of this process.
        wait: Whether it waits for a signal (SIGUSR1) first.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [_READY])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads exist here, but are idle
        child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return child
    code = RAISED
    try:
        if wait:
            signal.sigwait([_READY])
        work()
        code = SAVED
    except LightRecError:
        code = REFUSED
    finally:
        os._exit(code)


def kill(child: int) -> None:
    """Kills a process of `start` and waits for its end."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _traced(save: Callable[[], object], injection: tuple[str, ...]) -> tuple[int, str]:
    child = start(save, wait=True)
    with tempfile.NamedTemporaryFile(suffix=".strace") as trace:
        command = ["strace", "-p", str(child), "-o", trace.name, "-e", _CALLS, *injection]
        watcher = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert watcher.stderr is not None
        told = watcher.stderr.readline()
        if "attached" not in told:
            kill(child)
            watcher.communicate()
            raise OSError(told.strip())
        os.kill(child, _READY)
        code = _ended(child)
        watcher.communicate()
        return code, Path(trace.name).read_text(encoding="utf-8", errors="replace")


@contextlib.contextmanager
def small_disk(num_bytes: int) -> Iterator[Path]:
    """An empty disk of that size, in memory.

    Raises:
        PermissionError: This user may not mount one.
    """
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", folder]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PermissionError(f"this user may not mount a small disk: {done.stderr.strip()}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def leave_free(disk: Path, num_bytes: int) -> Path:
    """Fills a disk so that about that much is free; returns the file that fills it."""
    filler = disk / "filler"
    status = os.statvfs(disk)
    with open(filler, "wb", buffering=0) as file:
        file.write(bytes(max(0, status.f_bavail * status.f_frsize - num_bytes)))
    return filler
