"""A search that memory does not suffice for fails, and harms none that follows."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lightrec.native import KERNELS

PROGRAM = """
import resource, sys, threading
import numpy as np
from lightrec.search.scan import BoundScan, PortableScan

codes = np.random.default_rng(0).integers(0, 256, (400_000, 4), dtype=np.uint8)
table = np.random.default_rng(1).normal(size=(4, 256)).astype(np.float32)
scans = [PortableScan(codes, 256)]
if BoundScan.available():
    scans += [BoundScan(codes, 256, layout=layout) for layout in ("flat", "cells")]
right = scans[0].top_k(table, 400_000)
failed = 0


def ask(scan, headroom):
    global failed
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + headroom, resource.RLIM_INFINITY))
    try:
        scan.top_k(table, 400_000)
    except MemoryError:
        failed += 1
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    found = scan.top_k(table, 400_000)
    assert np.array_equal(found.rows, right.rows) and np.array_equal(found.scores, right.scores)


for scan in scans:
    for headroom in range(0, 24 << 20, 1 << 20):
        thread = threading.Thread(target=ask, args=(scan, headroom))  # with memory of its own
        thread.start()
        thread.join()
print(failed)
"""


@pytest.mark.skipif(KERNELS is None, reason="the compiled kernels are not in use")
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and RLIMIT_AS")
def test_a_search_that_runs_out_of_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        # Threads reserve no address space ahead, and what is large is mapped by itself.
        env=os.environ | {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"},
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "Error" not in done.stderr
    assert int(done.stdout) > 10
