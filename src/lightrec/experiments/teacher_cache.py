"""Float teachers kept between cells, so that eight rows of a table do not train it eight times."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from lightrec.durable_files import write_file
from lightrec.experiments.provenance import project_root
from lightrec.stages import FittedTeacher
from lightrec.teachers.factors import Factors


@dataclass(frozen=True)
class CachedTeacher:
    """A teacher and what it cost when it was trained.

    Attributes:
        fitted: The teacher.
        seconds: Wall time of its training.
        cpu_seconds: Process time of its training.
    """

    fitted: FittedTeacher
    seconds: float
    cpu_seconds: float


def cached_teacher(key: str, fit: Callable[[], FittedTeacher]) -> CachedTeacher:
    """The teacher of this key, fitted only once.

    Args:
        key: Digest of everything that the teacher depends on.
        fit: Trains it.
    """
    file = _folder() / f"teacher-{key[:24]}.safetensors"
    if file.exists():
        tensors = load(file.read_bytes())
        wall, cpu = map(float, tensors["seconds"])
        factors = Factors(tensors["users"], tensors["items"])
        return CachedTeacher(FittedTeacher(factors, int(tensors["epochs"][0])), wall, cpu)
    wall, cpu = time.perf_counter(), time.process_time()
    fitted = fit()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        "users": fitted.factors.users,
        "items": fitted.factors.items,
        "epochs": np.array([fitted.epochs], dtype=np.int64),
        "seconds": np.array([wall, cpu]),
    }
    write_file(file, save(tensors))
    return CachedTeacher(fitted, wall, cpu)


def _folder() -> Path:
    return project_root() / "experiments" / "cache"
