"""Trials in child processes, so that a crash or a hang is an outcome like others.

A child makes many trials in turn and tells the outcome of each. When it dies or falls silent, the
trial that it was at has crashed, and another child goes on with the next. Children come from a
server process that has imported what they need but has never worked (no threads), so that they
start in milliseconds and whatever the caller did before.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

REJECTED, UNCHANGED, WRONG, CRASHED = "rejected", "accepted_unchanged", "silent_wrong", "crashed"
RESULTS = (REJECTED, UNCHANGED, WRONG, CRASHED)
LIMIT_SECONDS = 5.0
"""A trial that takes longer has crashed."""
START_SECONDS = 120.0
MEMORY_BYTES = 4 << 30
"""Address space that a child may take, over what it starts with."""
PRELOADED = ("benchmarks.damaged_models", "benchmarks.damaged_rivals", "faiss", "hnswlib")
ONE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
}


class Outcome(NamedTuple):
    """What became of a trial.

    Attributes:
        result: One of the four.
        kind: What was done.
        detail: What went wrong, to find it again; empty where nothing did.
    """

    result: str
    kind: str
    detail: str = ""


def row_of(system: str, fault: str, results: Counter[str]) -> dict[str, Any]:
    """The fields of a row of results, but the seconds.

    Args:
        system: Who was damaged.
        fault: How.
        results: How many trials ended in which way.
    """
    trials = results.total()
    return {
        "system": system,
        "fault": fault,
        "trials": trials,
        "rejected": results[REJECTED],
        "accepted_unchanged": results[UNCHANGED],
        "rejected_share": results[REJECTED] / max(trials, 1),
        "silent_wrong": results[WRONG],
        "crashed": results[CRASHED],
    }


Trial = Callable[[int], Outcome]
Opened = Callable[[], AbstractContextManager[Trial]]
"""Prepares trials, in the child; must be picklable."""


def outcomes(
    opened: Opened,
    numbers: Sequence[int],
    *,
    batch: int = 1_000,
    apart: bool = False,
    limit: float = LIMIT_SECONDS,
) -> Iterator[Outcome]:
    """The outcomes of trials, in order.

    A trial that ran out of time is made once more, by itself, before it counts: a busy machine can
    stall for seconds.

    Args:
        opened: Prepares the trials.
        numbers: Of the trials.
        batch: Trials that one child makes.
        apart: Whether each is made in a process of its own, where a trial may spoil the memory of
            those after it.
        limit: Seconds for each.

    Raises:
        RuntimeError: The harness itself failed, in a child.
    """
    place, again = 0, False
    while place < len(numbers):
        asked = numbers[place : place + (1 if again else batch)]
        pipe, process = _started(_apart if apart else _in_turn, opened, asked, limit)
        done, ended = 0, ""
        try:
            if not pipe.poll(START_SECONDS):
                raise RuntimeError("a child did not get ready")
            while True:
                told = pipe.recv()
                if isinstance(told, str):
                    raise RuntimeError(told)
                if told is not None:
                    yield told
                    done += 1
                if done == len(asked):
                    break
                if not pipe.poll(START_SECONDS if apart else limit):
                    ended = f"gave no answer in {limit:g} seconds"
                    break
        except EOFError:
            process.join()
            ended = f"ended with exit code {process.exitcode}"
        finally:
            process.kill()
            process.join()
            pipe.close()
        place += done
        again = ended.startswith("gave") and not again
        if ended and not again:
            yield Outcome(CRASHED, "", f"trial {numbers[place]}: the process {ended}")
            place += 1


def run_in_child(work: Callable[..., object], *arguments: object) -> None:
    """Runs something to its end in a child, away from this process's threads.

    Raises:
        RuntimeError: It failed.
    """
    process = _server().Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{work.__name__} failed in a child: exit code {process.exitcode}")


@cache
def _server() -> ForkServerContext:
    os.environ.update(ONE_THREAD)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def _started(
    make: Callable[..., None], opened: Opened, numbers: Sequence[int], limit: float
) -> tuple[Connection, BaseProcess]:
    ours, theirs = _server().Pipe(duplex=False)
    process = _server().Process(target=_work, args=(make, theirs, opened, numbers, limit))
    process.start()
    theirs.close()
    return ours, process


def _work(
    make: Callable[..., None],
    pipe: Connection,
    opened: Opened,
    numbers: Sequence[int],
    limit: float,
) -> None:
    """What a child does; it ends without tidying up, which a crash would spoil."""
    try:
        with opened() as trial:
            _limit_memory()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries tell of their panics there
            pipe.send(None)
            make(pipe, trial, numbers, limit)
    except Exception:
        pipe.send(traceback.format_exc())
    os._exit(0)


def _in_turn(pipe: Connection, trial: Trial, numbers: Sequence[int], _: float) -> None:
    for number in numbers:
        pipe.send(trial(number))


def _apart(pipe: Connection, trial: Trial, numbers: Sequence[int], limit: float) -> None:
    for number in numbers:
        child = os.fork()
        if child == 0:
            signal.alarm(math.ceil(limit))  # ends the process
            pipe.send(trial(number))
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if ended:
            told = f"trial {number}: the process ended with exit code {ended}"
            pipe.send(Outcome(CRASHED, "", told))


def _limit_memory() -> None:
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
