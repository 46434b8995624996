"""Random damage to files, as disks, copies and interrupted writes do it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from enum import Enum
from pathlib import Path

import numpy as np

MOST_BYTES = 8  # overwritten at once
HEAD = 256  # bytes in which formats keep their sizes
BLOCKS = (512, 4096)  # of disks
MOST_TRIES = 50  # to change a file at all: a block may hold zeros already


class Instead(Enum):
    """What may stand where a file was."""

    NOTHING = "nothing"
    FOLDER = "a folder"
    LINK = "a symbolic link to the intact file"
    PIPE = "a pipe"


Damaged = bytes | Instead


def _truncated(rng: np.random.Generator, content: bytes, _: bytes) -> bytes:
    return content[: int(rng.integers(len(content)))]


def _flipped_bit(rng: np.random.Generator, content: bytes, _: bytes) -> bytes:
    place, bit = int(rng.integers(len(content))), int(rng.integers(8))
    return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def _overwritten(rng: np.random.Generator, content: bytes, end: int) -> bytes:
    size = int(rng.integers(1, MOST_BYTES + 1))
    place = int(rng.integers(max(1, min(end, len(content)) - size + 1)))
    return content[:place] + rng.bytes(size)[: len(content) - place] + content[place + size :]


def _overwritten_head(rng: np.random.Generator, content: bytes, _: bytes) -> bytes:
    return _overwritten(rng, content, HEAD)


def _overwritten_anywhere(rng: np.random.Generator, content: bytes, _: bytes) -> bytes:
    return _overwritten(rng, content, len(content))


def _zeroed_block(rng: np.random.Generator, content: bytes, _: bytes) -> bytes:
    size = int(rng.choice(BLOCKS))
    start = size * int(rng.integers(-(-len(content) // size)))
    zeros = bytes(len(content[start : start + size]))
    return content[:start] + zeros + content[start + size :]


def _spliced(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    cut = int(rng.integers(1, max(2, min(len(content), len(other)))))
    return content[:cut] + other[cut:]


def _trailing(rng: np.random.Generator, content: bytes, _: bytes) -> bytes:
    return content + rng.bytes(int(rng.integers(1, BLOCKS[0] + 1)))


def _swapped(_: np.random.Generator, __: bytes, other: bytes) -> bytes:
    return other


def _emptied(_: np.random.Generator, __: bytes, ___: bytes) -> bytes:
    return b""


def _missing(_: np.random.Generator, __: bytes, ___: bytes) -> Instead:
    return Instead.NOTHING


def _no_file(rng: np.random.Generator, _: bytes, __: bytes) -> Instead:
    return (Instead.FOLDER, Instead.LINK, Instead.PIPE)[rng.integers(3)]


Mutation = Callable[[np.random.Generator, bytes, bytes], Damaged]
BYTES: dict[str, Mutation] = {
    "truncated": _truncated,
    "flipped_bit": _flipped_bit,
    "overwritten_head": _overwritten_head,
    "overwritten": _overwritten_anywhere,
    "zeroed_block": _zeroed_block,
    "spliced": _spliced,
    "trailing": _trailing,
}
"""What can happen to any file; takes its content, and that of another generation of it."""
SWAPS: dict[str, Mutation] = {"swapped": _swapped, "emptied": _emptied}
FILES: dict[str, Mutation] = {**BYTES, **SWAPS, "missing": _missing, "no_file": _no_file}
"""What can happen to a file of a folder."""


def mutated(
    rng: np.random.Generator, mutation: Mutation, content: bytes, other: bytes
) -> Damaged | None:
    """A file after a mutation that changed it; None where none did in many tries.

    Args:
        rng: Draws places and bytes.
        mutation: One of `FILES`.
        content: The intact file.
        other: The same file of another generation.
    """
    for _ in range(MOST_TRIES):
        damaged = mutation(rng, content, other)
        if damaged != content:
            return damaged
    return None


def put(path: Path, damaged: Damaged, intact: Path | None = None) -> None:
    """Puts something in the place of a file, never into a file that may be mapped.

    Args:
        path: The file.
        damaged: The content, or what stands there instead.
        intact: What a link points to.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if isinstance(damaged, bytes):
        path.write_bytes(damaged)
    elif damaged is Instead.FOLDER:
        path.mkdir()
    elif damaged is Instead.LINK:
        path.symlink_to(path if intact is None else intact.absolute())
    elif damaged is Instead.PIPE:
        os.mkfifo(path)
