"""Float teachers kept between cells, so that eight rows of a table do not train it eight times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from lightrec.durable_files import write_file
from lightrec.experiments.provenance import project_root
from lightrec.stages import FittedTeacher
from lightrec.teachers.factors import Factors


def cached_teacher(key: str, fit: Callable[[], FittedTeacher]) -> FittedTeacher:
    """The teacher of this key, fitted only once.

    Args:
        key: Digest of everything that the teacher depends on.
        fit: Trains it.
    """
    file = _folder() / f"teacher-{key[:24]}.safetensors"
    if file.exists():
        tensors = load(file.read_bytes())
        epochs = int(tensors["epochs"][0])
        return FittedTeacher(Factors(tensors["users"], tensors["items"]), epochs)
    fitted = fit()
    factors = fitted.factors
    file.parent.mkdir(parents=True, exist_ok=True)
    passes = np.array([fitted.epochs], dtype=np.int64)
    write_file(file, save({"users": factors.users, "items": factors.items, "epochs": passes}))
    return fitted


def _folder() -> Path:
    return project_root() / "experiments" / "cache"
