"""Memory of arrays that lie in mapped files."""

from __future__ import annotations

import mmap

import numpy as np


def give_back(array: np.ndarray) -> None:
    """Frees the memory that a read-only array in a mapped file takes; reading it fetches it again.

    Does nothing to other arrays, nor where the system has no such thing.
    """
    owner: object = array
    while isinstance(owner, np.ndarray) and not owner.flags.writeable:
        owner = owner.base
    if isinstance(owner, memoryview):
        owner = owner.obj
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
