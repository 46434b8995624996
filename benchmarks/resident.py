"""What a search by codes keeps in memory, as the system counts it.

    python -m benchmarks.resident CODES.npy CODEBOOKS.npy INSTRUCTION_SET LAYOUT

Measured in a process of its own, which maps the codes from their file as a loaded model does. It
prints the bytes that its memory has grown by after the scan was made and queries were answered.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import cast

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.search.code_search import CodeSearch
from lightrec.search.mapped_memory import give_back
from lightrec.search.scan import BoundScan, Layout

ROOT = Path(__file__).resolve().parents[1]
NUM_QUERIES = 50
K = 100


def resident_bytes(codes: Path, codebooks: Path, instruction_set: str, layout: str) -> int:
    """Bytes that a search of such codes adds to a process, its codebooks apart."""
    command = [sys.executable, "-m", "benchmarks.resident", str(codes), str(codebooks)]
    found = subprocess.run(
        [*command, instruction_set, layout], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(found.stdout)


def main(codes: str, codebooks: str, instruction_set: str, layout: str) -> None:
    """Makes the search, asks it, and prints its size."""
    books = np.load(codebooks)
    queries = np.random.default_rng(0).standard_normal((NUM_QUERIES, books.shape[2]), np.float32)
    few = ItemCodes(np.zeros((20_000, len(books)), np.uint8), books)

    def answered(item_codes: ItemCodes) -> CodeSearch:
        labels = BoundScan.labels(books)
        scan = BoundScan(
            *(item_codes.codes, item_codes.num_codewords, labels),
            instruction_set=instruction_set,
            layout=cast("Layout", layout),
        )
        search = CodeSearch(item_codes, scan)
        give_back(item_codes.codes)
        for query in queries:
            search.top_k(query, K)
        return search

    answered(few)  # whatever the first search sets up
    before = _resident()
    kept = answered(ItemCodes(np.load(codes, mmap_mode="r"), books))
    sys.stdout.write(str(_resident() - before))
    del kept


def _resident() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmRSS:")))


if __name__ == "__main__":
    main(*sys.argv[1:])
