"""Forgeries of the safetensors files: their headers, and the arrays themselves."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from benchmarks.hostile_values import DEEP, SIZES, Files, pick

FLOATS = (np.nan, np.inf, -np.inf, 1e30, -3e38, 1e15, -1e15, 65504.0, 1e-45, -0.0, 0.0)
WHOLE = (0, 1, -1, 2**31 - 1, -(2**31), 2**62, -(2**63), 2**63 - 1)
DTYPES: tuple[Any, ...] = (
    *("U8", "I8", "I16", "I32", "I64", "U64", "F16", "BF16", "F32", "F64", "BOOL", "F8_E5M2"),
    *("BE_F32", "f32", "", None, 7, ["F32"], {"F32": 1}),
)
NUMPY_TYPES = (np.uint8, np.int8, np.int32, np.int64, np.float16, np.float32, np.float64, np.bool_)


def _arrays_of(rng: np.random.Generator, files: Files) -> str:
    return str(pick(rng, [name for name in files if name.endswith(".safetensors")]))


def read_tensors(content: bytes) -> dict[str, np.ndarray]:
    """Copies of the arrays of a file, always in the same order."""
    return {name: array.copy() for name, array in sorted(load(content).items())}


def split_header(content: bytes) -> tuple[bytes, bytes]:
    """Header and body of a safetensors file."""
    end = 8 + int.from_bytes(content[:8], "little")
    return content[8:end], content[end:]


def with_header(header: bytes, body: bytes) -> bytes:
    """A safetensors file, with the length that the header has."""
    return len(header).to_bytes(8, "little") + header + body


def header_field(rng: np.random.Generator, files: Files) -> None:
    """A type, size or offset of an array is told otherwise."""
    file = _arrays_of(rng, files)
    header, body = split_header(files[file])
    told = json.loads(header)
    for _ in range(rng.integers(1, 3)):
        entry = told[pick(rng, told)]
        field = pick(rng, ("dtype", "shape", "shape", "data_offsets", "data_offsets"))
        if field == "dtype":
            entry[field] = pick(rng, DTYPES)
        elif not isinstance(entry[field], list) or rng.random() < 0.1:
            entry[field] = pick(rng, SIZES)
        elif not entry[field] or rng.random() < 0.2:
            entry[field].insert(0, pick(rng, SIZES))
        elif rng.random() < 0.2:
            entry[field].reverse()
        elif rng.random() < 0.2 and isinstance(entry[field][0], int):
            entry[field][0] += int(rng.integers(-9, 10))
        else:
            entry[field][rng.integers(len(entry[field]))] = pick(rng, SIZES)
    files[file] = with_header(json.dumps(told).encode(), body)


def header_fields_together(rng: np.random.Generator, files: Files) -> None:
    """Sizes and offsets that agree with one another, but with nothing else; or arrays that meet."""
    file = _arrays_of(rng, files)
    header, body = split_header(files[file])
    told = json.loads(header)
    entry = told[pick(rng, told)]
    start, end = entry["data_offsets"]
    kind = rng.integers(5)
    if kind == 0:  # the product wraps to what fits
        entry["shape"] = [2**32, 2**32, *entry["shape"]]
    elif kind == 1:
        entry["shape"] = [0, pick(rng, (2**31, 2**62, 2**63 - 1, 2**63))]
        entry["data_offsets"] = [start, start]
    elif kind == 2:
        entry["data_offsets"] = [max(0, start - 8), max(0, end - 8)]
    elif kind == 3:  # another array in its place
        told[pick(rng, told)]["data_offsets"] = [start, end]
    else:
        entry["shape"] = [int(np.prod(entry["shape"]))]
    files[file] = with_header(json.dumps(told).encode(), body)


def header_text(rng: np.random.Generator, files: Files) -> None:
    """A header that is no such JSON: keys twice, other text, deep, long, or many arrays."""
    file = _arrays_of(rng, files)
    header, body = split_header(files[file])
    header = header.rstrip()
    first = str(pick(rng, json.loads(header))).encode()
    empty = b'{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    count = int(pick(rng, (10, 60, 1_000, 12_000, 100_000)))
    many = b",".join(b'"weights.n%d":%s' % (row, empty) for row in range(count))
    header = pick(
        rng,
        (
            header[:-1] + b',"' + first + b'":' + empty + b"}",
            header.replace(b'"dtype"', b'"dtype":"U8","dtype"', 1),
            header.replace(b'"shape"', b'"shape":[0],"shape"', 1),
            header[:-1] + b',"__metadata__":{"format":"pt"}}',
            header[:-1] + b"," + many + b"}",
            header.replace(first, first[:-1] + b"\xff", 1),
            header.replace(first, first[:-1] + b"\\ud800", 1),
            header.replace(first, b"", 1),
            header.replace(b"[", b"[" + b"9" * 5000 + b",", 1),
            b'{"' + first + b'":' + b"[" * DEEP + b"]" * DEEP + b"}",
            b'{"a":' * DEEP + b"1" + b"}" * DEEP,
            b"\xef\xbb\xbf" + header,
            header.decode().encode("utf-16"),
            header + b" " * (2 << 20),
            b"[]",
            b"null",
            b"",
        ),
    )
    length = len(header) if rng.random() < 0.8 else int(pick(rng, (0, 7, 2**31, 2**63, 2**64 - 1)))
    files[file] = length.to_bytes(8, "little") + header + body


def values(rng: np.random.Generator, files: Files) -> None:
    """A few values of an array, in range or far from it."""
    file = _arrays_of(rng, files)
    arrays = read_tensors(files[file])
    for _ in range(rng.integers(1, 4)):
        array = arrays[pick(rng, arrays)]
        if array.size:
            flat, place = array.reshape(-1), int(rng.integers(array.size))
            if array.dtype == np.uint8:
                flat[place] = rng.integers(256)
            elif array.dtype.kind == "i":
                value = (
                    pick(rng, WHOLE) if rng.random() < 0.5 else flat[place] + rng.integers(-3, 4)
                )
                info = np.iinfo(array.dtype)
                flat[place] = min(max(int(value), info.min), info.max)
            else:
                with np.errstate(over="ignore"):
                    flat[place] = pick(rng, FLOATS) if rng.random() < 0.5 else rng.normal()
    files[file] = save(arrays)


def shapes(rng: np.random.Generator, files: Files) -> None:
    """An array of another shape or type, or more, fewer or renamed arrays; a sound file."""
    file = _arrays_of(rng, files)
    arrays = read_tensors(files[file])
    name = pick(rng, arrays)
    array = arrays[name]
    rows = array[: int(rng.integers(0, len(array) + 1))] if array.ndim else array
    with np.errstate(all="ignore"):
        changed = pick(
            rng,
            (
                rows,
                np.concatenate([array, rows]) if array.ndim else array,
                array[..., :0],
                array[..., :1],
                array.ravel(),
                array.T,
                array[None],
                array[..., None],
                np.zeros_like(array),
                rng.permutation(array) if array.ndim else array,
                array.astype(pick(rng, NUMPY_TYPES)),
                np.zeros((), array.dtype),
            ),
        )
    kind = rng.integers(8)
    if kind == 0:
        del arrays[name]
    elif kind == 1:
        arrays[
            str(pick(rng, ("extra", "weights.x", "map.0.bias", "map.1.weight", "", "codes")))
        ] = changed
    elif kind == 2:
        arrays[name.upper()] = arrays.pop(name)
    else:
        arrays[name] = changed
    files[file] = save({key: np.array(array, order="C") for key, array in arrays.items()})


def sound_but_strange(rng: np.random.Generator, files: Files) -> None:
    """Values at the edge of what is allowed: all equal, towering, or tiny. Most are accepted."""
    file = str(pick(rng, ("codes.safetensors", "users.safetensors")))
    arrays = read_tensors(files[file])
    for name, array in arrays.items():
        if array.dtype == np.uint8:
            top = int(array.max()) + 1
            chosen = pick(rng, ([0], [0, top - 1], range(top)))
            array[:] = rng.choice(np.array(list(chosen), np.uint8), array.shape)
        elif name in ("values", "codebooks"):
            most = 6e4 if array.dtype == np.float16 else 9.9e14
            scale = pick(rng, (0.0, 1e-45, 1e-30, 1.0, 1e5, most))
            signs = rng.choice(np.array([-1.0, 1.0]), array.shape)
            filling = signs if rng.random() < 0.5 else rng.uniform(-1, 1, array.shape)
            array[:] = np.clip(filling * scale, -most, most)
    files[file] = save(arrays)
