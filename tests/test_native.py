from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from lightrec.experiments.provenance import project_root
from lightrec.native import KERNELS, available_cores

SEARCH_WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # any import of torch now fails
import numpy as np
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes import assignment, score_table
from lightrec.search import post_ranking, reference_scan, scan
from lightrec.native import KERNELS
import lightrec.errors, lightrec.evaluation.ranking_evaluation, lightrec.interactions

codes = ItemCodes(np.array([[0], [1]], np.uint8), np.array([[[1.0], [2.0]]], np.float32))
table = codes.score_tables(np.ones((1, 1), np.float32))[0]
print(scan.make_scan(codes).top_k(table, 2).rows.tolist(), KERNELS is not None)
for heavy in ("scipy", "pandas", "pyarrow"):
    assert heavy not in sys.modules, heavy
"""


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_kernels_are_there_when_they_could_be_built():
    if os.environ.get("LIGHTREC_NO_NATIVE") == "1":
        assert KERNELS is None
        return
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        pytest.skip("no C++ compiler here")
    assert KERNELS is not None


def test_the_processor_is_asked_for_all_that_kernels_are_compiled_for():
    """A virtual machine may offer some of AVX-512 and not the rest."""
    native = project_root() / "native"
    kernels = (native / "instruction_sets.hpp").read_text(encoding="utf-8")
    asked = (native / "instruction_sets.cpp").read_text(encoding="utf-8")
    targets = re.findall(
        r'#define LIGHTREC_\w+ +\\?\s*__attribute__\(\(target\("(.+?)"\)\)\)', kernels
    )
    assert len(targets) == 2
    needed = {name for target in targets for name in target.split(",")}
    assert needed == set(re.findall(r'__builtin_cpu_supports\("(.+?)"\)', asked)) - {"avx"}


def test_available_cores():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_search_needs_no_torch():
    done = run_python(SEARCH_WITHOUT_TORCH, LIGHTREC_NO_NATIVE="")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[1, 0]")


def test_numpy_serves_when_asked_to():
    done = run_python(SEARCH_WITHOUT_TORCH, LIGHTREC_NO_NATIVE="1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[1, 0] False"
    assert "kernels" not in done.stderr  # it was asked for: nothing to warn of


def test_missing_extension_is_said_once():
    code = """
import sys
sys.modules["lightrec._native"] = None
from lightrec.native import KERNELS
import lightrec.codes.score_table, lightrec.codes.assignment
print(KERNELS)
"""
    done = run_python(code, LIGHTREC_NO_NATIVE="")
    assert done.stdout.strip() == "None"
    assert done.stderr.count("without its compiled kernels") == 1


@pytest.mark.skipif(KERNELS is None, reason="the compiled kernels are not in use")
def test_kernels_refuse_what_does_not_fit():
    import numpy as np

    from lightrec.errors import ArgumentError

    codes = np.array([[0, 3]], np.uint8)
    tables = np.zeros((1, 2, 3), np.float32)
    with pytest.raises(ArgumentError, match="index 3"):
        KERNELS.scores(codes, tables, 1)
    with pytest.raises(ArgumentError, match="index 3"):
        KERNELS.PortableScan(codes, 3)
    with pytest.raises(ArgumentError, match="number of codebooks"):
        KERNELS.scores(codes[:, :1].copy(), tables, 1)
    with pytest.raises(TypeError):
        KERNELS.scores(codes, tables.astype(np.float64), 1)
    with pytest.raises(TypeError):
        KERNELS.scores(codes[:, ::-1], tables, 1)  # not C-contiguous
    one = np.ones(1, np.float32)
    with pytest.raises(ArgumentError, match="index 3"):
        KERNELS.CosineScan(codes, one, 3)
    with pytest.raises(ArgumentError, match="one length for each item"):
        KERNELS.CosineScan(codes, one[:0], 4)
    cosines, table = KERNELS.CosineScan(codes, one, 4), np.zeros((2, 4), np.float32)
    assert cosines.top_k(table, 3)[0].tolist() == [0]
    outside, two_words = np.array([1], np.int32), np.zeros(2, np.uint64)
    for refused in (
        {"k": 0},
        {"table": table[:1]},
        {"table": table * np.nan},
        {"allow": outside},
        {"exclude": outside},
        {"mask": two_words},
        {"mask": two_words[:1] + 2, "mask_count": 1},  # the bit of a second item
    ):
        with pytest.raises(ArgumentError):
            cosines.top_k(**({"table": table, "k": 1} | refused))
