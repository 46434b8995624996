"""Shared by all tests: real data where there is some, and reproducible property tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline: a shared machine may stall any example. Derandomised: a run can be repeated.
settings.register_profile("lightrec", deadline=None, derandomize=True)
settings.load_profile("lightrec")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets (LIGHTREC_DATA); tests that want one skip without it."""
    folder = os.environ.get("LIGHTREC_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("LIGHTREC_DATA names no folder of real data sets")
    return Path(folder)
