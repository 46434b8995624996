"""Plain stored vectors in fewer bytes per number: where a curve of quality and bytes starts.

Nothing is learned here. Whatever codes cost and keep has to be judged against what half precision
or eight bits a number already do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightrec.errors import ArgumentError

INT8_LARGEST = 127
BYTES_OF_SCALE = 4  # float32, one an item


@dataclass(frozen=True, eq=False)
class StoredVectors:
    """Item vectors after they were stored with fewer bytes.

    Attributes:
        vectors: (N, D) float32, as they would be read back.
        bytes_per_item: What one item takes where it is stored.
    """

    vectors: np.ndarray
    bytes_per_item: float


def as_float16(items: np.ndarray) -> StoredVectors:
    """Half precision: two bytes a number.

    Args:
        items: (N, D) float32 item vectors.

    Returns:
        Each number rounded to the nearest float16; 2 D bytes an item.

    Raises:
        ArgumentError: `items` is no matrix, or a row holds a value that is not finite or lies
            beyond the range of float16.
    """
    items = _checked(items)
    largest = float(np.finfo(np.float16).max)
    fits = (np.abs(items) <= largest).all(axis=1)
    if not fits.all():
        row = int(np.argmin(fits))
        raise ArgumentError(
            f"items row {row} holds {np.abs(items[row]).max():g}, beyond the range of float16 "
            f"(±{largest:g}); scale the items down, or store them as int8 or float32"
        )
    return StoredVectors(items.astype(np.float16).astype(np.float32), 2.0 * items.shape[1])


def as_int8(items: np.ndarray) -> StoredVectors:
    """Eight bits a number: whole steps from -127 to 127, and one float32 step size an item.

    An item's step is its largest magnitude / 127, so no number is off by more than half a step.

    Args:
        items: (N, D) float32 item vectors.

    Returns:
        Steps times step size; D + 4 bytes an item.

    Raises:
        ArgumentError: `items` is no matrix, or a row holds a value that is not finite.
    """
    items = _checked(items)
    largest = np.abs(items).max(axis=1, keepdims=True)
    # At least the smallest normal number: an item of zeros has a step too.
    step = np.maximum(largest / np.float32(INT8_LARGEST), np.finfo(np.float32).tiny)
    whole_steps = np.rint(items / step).astype(np.int8)
    return StoredVectors(whole_steps * step, float(items.shape[1] + BYTES_OF_SCALE))


def _checked(items: np.ndarray) -> np.ndarray:
    items = np.asarray(items)
    if items.ndim != 2 or not items.shape[1] or items.dtype.kind not in "fiu":
        raise ArgumentError(f"items must be (N, D) numbers, not {items.shape} {items.dtype}")
    with np.errstate(over="ignore"):  # found below, with its row
        items = items.astype(np.float32)
    finite = np.isfinite(items).all(axis=1)
    if not finite.all():
        raise ArgumentError(
            f"items row {int(np.argmin(finite))} holds values that are not finite float32 numbers; "
            "correct or remove it"
        )
    return items
