"""A pytest plugin: the tests run with the kernels in the folder LIGHTREC_SANITIZED_MODULE.

`make sanitize` builds them there with AddressSanitizer and UndefinedBehaviorSanitizer, preloads the
runtimes of these, and gives pytest this plugin with `-p`. It answers the first import of
`lightrec._native`, so that `lightrec.native` and all that uses it notice nothing.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import pytest

FOLDER = Path(os.environ["LIGHTREC_SANITIZED_MODULE"]).resolve()


class SanitizedKernels:
    """Finds `lightrec._native` in the folder, and nothing else."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(FOLDER)]) if name == "lightrec._native" else None


sys.meta_path.insert(0, SanitizedKernels)


def pytest_configure() -> None:
    from lightrec.native import KERNELS

    # Kernels that cannot be loaded would leave the tests to numpy, and they would pass.
    if KERNELS is None or FOLDER not in Path(KERNELS.__file__ or "").parents:
        raise pytest.UsageError(f"{FOLDER} has no kernels that can be loaded")


def pytest_report_header() -> str:
    return f"kernels: {FOLDER}"
