"""Where a number comes from: commit, source digest, machine, versions."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightrec
from lightrec.native import KERNELS

PACKAGE = Path(lightrec.__file__).resolve().parent
_RANKING = (
    "codes",
    "encoder",
    "evaluation",
    "experiments/parts.py",
    "experiments/rows.py",
    "factors.py",
    "interactions",
    "native.py",
    "presets",
    "run_config.py",
    "settings.py",
    "run/stages.py",
    "teachers",
    "training",
)
_RANKING_KERNELS = ("encode", "row_adam", "score_table", "scores", "user_fit")
"""The kernels that those call; what these include counts with them (`kernel_closure`)."""
_TRAIN = ("artifact/item_columns.py", "outcome.py", "run", "train.py")
_COMPRESS = ("compress.py", "vectors_to_compress.py")
_BESIDE = {
    "budgets": ("baselines", "experiments/best.py"),
    "fold_in": ("serving", "experiments/best.py"),
    "fold_in_choices": ("serving", "experiments/best.py", "experiments/fold_in.py"),
    "best_choices": ("experiments/best.py",),
    "refitted_codes": ("experiments/best.py",),
    "live_users": ("serving/user_map.py", "experiments/best.py", "experiments/fold_in.py"),
    "training_study": ("experiments/best.py",),
    "updates": (
        *("artifact", "serving", "updates", "run/warm_start.py"),
        "experiments/best.py",
    ),
    "timings": ("native/*", "artifact", "search", "serving", *_TRAIN, *_COMPRESS),
}
_SEARCH = ("codes", "native/*", "native.py", "search")
_SPEED = (
    *(*_SEARCH, "cli/turns.py"),
    *(f"benchmarks/{part}.py" for part in ("catalogues", "opponents", "timing")),
)
_RESUME = ("artifact", "durable_files", "native/*", *_TRAIN)
_KILL = (
    *("artifact", "durable_files", "training/checkpoint.py"),
    *(f"benchmarks/{part}.py" for part in ("interrupted", "writers")),
)
_DAMAGE = (
    *("artifact", "codes/item_codes.py", "durable_files", "errors.py"),
    *(f"interactions/{part}.py" for part in ("history", "id_index", "id_map")),
    *(f"benchmarks/{part}_forgeries.py" for part in ("array", "table")),
    *(f"benchmarks/damaged_{part}.py" for part in ("models", "rivals")),
    *(f"benchmarks/{part}.py" for part in ("forgeries", "fuzz", "hostile_values", "in_children")),
    *(f"benchmarks/{part}.py" for part in ("made_up_models", "mutations", "own_contents")),
)
BENCHMARKS = {
    "damage": _DAMAGE,
    "damaged_tables": (
        *("durable_files", "interactions"),
        *(f"benchmarks/{part}.py" for part in ("in_children", "mutations")),
    ),
    "exactness": (*_SEARCH, *(f"benchmarks/{part}.py" for part in ("adversaries", "comparison"))),
    "ids": (
        *("artifact", "durable_files", "interactions", "serving", *_TRAIN),
        *_COMPRESS,
        "benchmarks/hostile_ids.py",
    ),
    "kill": _KILL,
    "kill_rivals": (*_KILL, "benchmarks/kill.py"),
    "reading": ("interactions",),
    "resume": (*_RANKING, *_RESUME),
    "scaling": _SPEED,
    "search": (*_SPEED, "benchmarks/resident.py"),
    "training_step": (
        *("encoder", "presets", "run_config.py", "training"),
        "interactions/history.py",
        "benchmarks/timing.py",
    ),
}
"""What their results depend on, beside the program of that name."""


def sources_of(experiment: str) -> tuple[str, ...]:
    """What the results of an experiment or benchmark depend on, as `source_digest` takes it."""
    if experiment in BENCHMARKS:
        return (*BENCHMARKS[experiment], f"benchmarks/{experiment}.py")
    kernels = kernel_closure(_RANKING_KERNELS)
    return (*_RANKING, *kernels, f"experiments/{experiment}.py", *_BESIDE.get(experiment, ()))


def kernel_closure(names: Iterable[str]) -> tuple[str, ...]:
    """Sources of kernels and of all that they include, however far, as `source_digest` takes them.

    A header counts with the source of its name, which holds what it declares.

    Args:
        names: Of files in `native/`, without their endings.
    """
    reached: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        reached.add(name)
        for file in (project_root() / "native").glob(f"{name}.[ch]pp"):
            waiting.update(_INCLUDE.findall(file.read_text(encoding="utf-8")))
        waiting -= reached
    return tuple(f"native/{name}.*" for name in sorted(reached))


_INCLUDE = re.compile(r'^#include "(\w+)\.hpp"', re.MULTILINE)
DISTRIBUTIONS = ("numpy", "scipy", "polars", "torch", "faiss-cpu", "hnswlib", "annoy")


def project_root() -> Path:
    """The checkout that the package runs from, or the current folder outside of one."""
    root = PACKAGE.parent.parent
    return root if (root / "pyproject.toml").exists() else Path.cwd()


def source_digest(parts: Iterable[str]) -> str:
    """SHA-256 over source files, in a fixed order.

    Args:
        parts: Files and folders that the result depends on, relative to the package;
            `native/NAME.*` and `benchmarks/NAME.py` stand for sources beside it.
    """
    root = project_root()
    digest = hashlib.sha256()
    for part in sorted(parts):
        base = (root if part.startswith(("native/", "benchmarks/")) else PACKAGE) / part
        files = sorted(base.rglob("*")) if base.is_dir() else sorted(base.parent.glob(base.name))
        if not files:
            raise FileNotFoundError(f"{base}: a source of results is not there; has it moved?")
        for file in files:
            if file.suffix in {".py", ".toml", ".cpp", ".hpp"}:
                digest.update(str(file.relative_to(base.parent)).encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


def commit() -> str:
    """HEAD of the checkout; empty outside of one."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=project_root(),
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def machine() -> dict[str, Any]:
    """CPU, cores, memory, instruction set, BLAS and threads."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "instruction_set": _instruction_set(),
        "blas": _blas(),
        "threads": os.environ.get("OMP_NUM_THREADS", str(os.cpu_count())),
    }


def versions() -> dict[str, str]:
    """Python and the libraries that numbers depend on."""
    found = {"python": platform.python_version(), "lightrec": lightrec.__version__}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    """The processor's name, and by its numbers what clouds leave out of the name."""
    name = _cpu_line("model name") or platform.processor()
    numbers = f"{_cpu_line('cpu family')}.{_cpu_line('model')}"
    return name if numbers == "." else f"{name} {numbers}"


def _instruction_set() -> str:
    """What the compiled kernels run on here."""
    return "none" if KERNELS is None else str(KERNELS.instruction_set())


def _cpu_line(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    told = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in told if key.strip() == name), "")


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def _blas() -> str:
    try:
        import numpy  # noqa: F401 - loads the BLAS that is asked about
        from threadpoolctl import threadpool_info
    except ImportError:
        return "unknown"
    found = [part for part in threadpool_info() if part.get("user_api") == "blas"]
    return ", ".join(
        f"{part.get('internal_api')} {part.get('version')} {part.get('architecture', '')}".strip()
        for part in found
    )
