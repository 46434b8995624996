"""The safetensors format, written and read without a copy.

Layout: the length of a JSON header as 8 bytes, the header, the arrays' bytes one after the other.
The reader here is stricter than the format asks: no key twice, no hole, no metadata, few types. It
works on bytes that are already in memory or mapped, so that what was hashed is what is used.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lightrec.durable_files import Bytes, parse_json
from lightrec.errors import InputError

Array = npt.NDArray[Any]

_DTYPES: dict[str, np.dtype[Any]] = {
    "U8": np.dtype("<u1"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_ALIGNMENT = 64
_MAX_HEADER_BYTES = 1 << 20
_MAX_DIMENSIONS = 4


def encode_tensors(tensors: Mapping[str, Array]) -> tuple[Bytes, ...]:
    """A safetensors file in chunks: the header, then each array (not copied if contiguous).

    Args:
        tensors: Arrays by name, of uint8, int32, int64, float16 or float32.
    """
    header: dict[str, Any] = {}
    chunks: list[Bytes] = []
    place = 0
    # Wide types first, so that every array is aligned to its type.
    for name, array in sorted(tensors.items(), key=lambda pair: (-pair[1].itemsize, pair[0])):
        dtype = array.dtype.newbyteorder("<")
        stored = np.ascontiguousarray(array, dtype=dtype)
        header[name] = {
            "dtype": _NAMES[dtype],
            "shape": list(array.shape),
            "data_offsets": [place, place + stored.nbytes],
        }
        place += stored.nbytes
        chunks.append(stored.reshape(-1).view(np.uint8).data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text, *chunks


def decode_tensors(data: Bytes) -> dict[str, Array]:
    """The arrays of a safetensors file, by name, as read-only views of `data`.

    Raises:
        InputError: The bytes are not such a file, or not one that `encode_tensors` could have
            written.
    """
    view = memoryview(data)
    size = int.from_bytes(view[:8], "little")
    if len(view) < 8 or size > min(len(view) - 8, _MAX_HEADER_BYTES):
        raise InputError("has a header that is too long")
    header = parse_json(view[8 : 8 + size])
    if not isinstance(header, dict):
        raise InputError("has a header that is not a JSON object")
    body = view[8 + size :].toreadonly()
    spans: list[tuple[int, int]] = []
    tensors: dict[str, Array] = {}
    for name, entry in header.items():
        dtype, shape, start, end = _checked_entry(name, entry, len(body))
        spans.append((start, end))
        array: Array = np.ndarray(shape, dtype, buffer=body, offset=start)
        tensors[name] = array if array.flags.aligned else array.copy()
    place = 0
    for start, end in sorted(spans):
        if start != place:
            raise InputError("has arrays that overlap or leave a hole")
        place = end
    if place != len(body):
        raise InputError("has bytes that belong to no array")
    return tensors


def _checked_entry(
    name: str,
    entry: Any,  # noqa: ANN401
    num_bytes: int,
) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    """Type, shape, start and end of one array."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise InputError(f"describes {name!r} in another way than by type, shape and offsets")
    shape, offsets = entry["shape"], entry["data_offsets"]
    dtype = _DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise InputError(f"has array {name!r} of type {entry['dtype']!r}, which is not read")
    if not _are_sizes(shape) or len(shape) > _MAX_DIMENSIONS:
        raise InputError(f"has array {name!r} of impossible shape {shape!r}")
    if not _are_sizes(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= num_bytes:
        raise InputError(f"has array {name!r} outside of the file")
    count = dtype.itemsize * math.prod(shape)  # a Python integer, which does not wrap
    too_wide = not count and math.prod(filter(None, shape)) >= 2**31  # numpy would not make it
    if count != offsets[1] - offsets[0] or too_wide:
        raise InputError(f"has array {name!r} whose shape and bytes do not agree")
    return dtype, tuple(shape), offsets[0], offsets[1]


def _are_sizes(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, list) and all(
        type(size) is int and 0 <= size < 2**63 for size in value
    )
