"""Float teachers kept between cells, so that eight rows of a table do not train it eight times."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from safetensors.numpy import load, save

from lightrec.durable_files import write_file
from lightrec.errors import InputError
from lightrec.experiments.provenance import project_root
from lightrec.factors import Factors
from lightrec.teachers.fit import AnyTeacherConfig, FittedTeacher, TeacherConfig


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
        content = file.read_bytes()
        tensors = load(content)
        told = json.loads(tensors["told"].tobytes())
        factors = Factors(tensors["users"], tensors["items"])
        fitted = fitted_teacher(factors, told)
        return CachedTeacher(fitted, told["seconds"], told["cpu_seconds"])
    wall, cpu = time.perf_counter(), time.process_time()
    fitted = fit()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    file.parent.mkdir(parents=True, exist_ok=True)
    told = description_of(fitted) | {"seconds": wall, "cpu_seconds": cpu}
    tensors = {
        "users": fitted.factors.users,
        "items": fitted.factors.items,
        "told": np.frombuffer(json.dumps(told).encode(), np.uint8),
    }
    write_file(file, save(tensors))
    return CachedTeacher(fitted, wall, cpu)


def description_of(fitted: FittedTeacher) -> dict[str, Any]:
    """How a teacher was made, as JSON values."""
    return {
        "config": fitted.config.model_dump(mode="json"),
        "epochs": list(fitted.epochs),
        "metrics": fitted.metrics,
    }


def fitted_teacher(factors: Factors, told: Mapping[str, Any]) -> FittedTeacher:
    """The teacher that `description_of` described, with given vectors.

    Raises:
        InputError: The settings have gained or lost a key since: a default must not slip in.
    """
    config: AnyTeacherConfig = TypeAdapter(TeacherConfig).validate_python(told["config"])
    if config.model_dump(mode="json") != told["config"]:
        raise InputError(
            "a recorded teacher has other settings than teachers have now; "
            "choose again with --stale"
        )
    return FittedTeacher(factors, config, tuple(told["epochs"]), dict(told["metrics"]))


def _folder() -> Path:
    return project_root() / "experiments" / "cache"
