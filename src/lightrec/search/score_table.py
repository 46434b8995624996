"""The table that every scan reads.

The routine lives in `lightrec.codes` because evaluation, on the neutral ground, builds it too.
"""

from __future__ import annotations

import numpy as np

from lightrec.codes.score_table import ScoreTableBuilder, score_tables
from lightrec.errors import ArgumentError

__all__ = ["ScoreTableBuilder", "check_tables", "score_tables"]


def check_tables(tables: np.ndarray, shape: tuple[int, ...]) -> None:
    """Checks that tables fit the codes of a scan and that every score will be finite.

    Args:
        tables: (..., B, W) score tables.
        shape: What their shape must be; -1 stands for any length.

    Raises:
        ArgumentError: The shape or dtype does not fit, or entries are NaN, infinite, or so large
            that the B entries of a score could overflow.
    """
    check_shape(tables, shape)
    if not (np.abs(tables) <= largest_entry(shape[-2])).all():
        raise ArgumentError("score tables hold values that are not finite or too large to add up")


def largest_entry(num_codebooks: int) -> np.float32:
    """The magnitude up to which the entries of a score cannot add up to infinity.

    A B-th of the largest float32, less what B roundings may add where they would.
    """
    limit = np.finfo(np.float32).max / np.float32(num_codebooks)
    with np.errstate(over="ignore"):
        most = np.full(num_codebooks, limit).cumsum(dtype=np.float32)[-1]
    rounding = np.float32(num_codebooks) * np.float32(2**-23)
    return np.float32(limit if np.isfinite(most) else limit * (np.float32(1) - rounding))


def check_shape(tables: np.ndarray, shape: tuple[int, ...]) -> None:
    """The part of `check_tables` that looks at shape and dtype only."""
    fits = tables.ndim == len(shape) and all(
        wanted in (-1, length) for wanted, length in zip(shape, tables.shape, strict=True)
    )
    if not fits or tables.dtype != np.float32:
        wanted = ", ".join("Q" if length == -1 else str(length) for length in shape)
        raise ArgumentError(
            f"score tables must be ({wanted}) float32, not {tables.shape} {tables.dtype}"
        )
