"""The compiled kernels, when they were built.

`KERNELS` is the extension module `lightrec._native`, or None where the package was installed
without a C++ compiler (or where `LIGHTREC_NO_NATIVE=1` asks for the numpy path). Everything answers
the same either way, only slower without it.
"""

from __future__ import annotations

import importlib
import logging
import os
from types import ModuleType

logger = logging.getLogger("lightrec")


def _load_kernels() -> ModuleType | None:
    if os.environ.get("LIGHTREC_NO_NATIVE") == "1":
        return None
    try:
        return importlib.import_module("lightrec._native")
    except ImportError:
        logger.warning(
            "lightrec was installed without its compiled kernels; answers are the same, but slower "
            "(install a C++17 compiler and reinstall to have them)"
        )
        return None


def available_cores() -> int:
    """Cores that this process may run on: what no number of threads means everywhere."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS has no affinity


KERNELS = _load_kernels()
