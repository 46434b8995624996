"""Vectors and their ids from files: what `lightrec compress` and queries by vector start from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from lightrec.artifact.verify import MAX_MAGNITUDE
from lightrec.errors import InputError
from lightrec.interactions.columns import tiers
from lightrec.interactions.id_map import IdMap, id_series
from lightrec.interactions.read_tables import open_table

VECTOR_FORMATS = ".npy, .safetensors or .parquet"
ID_FORMATS = ".txt (one id a line), .csv, .tsv or .parquet (their first column) or .npy"

_FLOAT_TENSORS = frozenset({"F16", "F32", "F64"})
_BLOCK_ROWS = 1 << 16
_NO_VECTOR = "the vector is missing; remove the row"
_NO_VALUE = "a value is missing; correct or remove the row"
_PARQUET = frozenset({".parquet", ".pq"})
_ID_TABLES = _PARQUET | {".csv", ".tsv", ".tab", ".inter", ".item", ".user", ".gz"}


@dataclass(frozen=True, eq=False)
class VectorsAndIds:
    """Vectors of items, users or queries.

    Attributes:
        values: float32 (n, D), contiguous and finite.
        ids: their ids, where the file holds them.
        notes: which columns of a table were taken for what, and which were not used.
    """

    values: npt.NDArray[np.float32]
    ids: IdMap | None = None
    notes: tuple[str, ...] = ()


def read_vectors(
    path: Path, what: str = "item", *, tensor: str | None = None, one: bool = False
) -> VectorsAndIds:
    """Reads vectors from a file; nothing in it is executed.

    Args:
        path: `.npy` of shape (n, D); `.safetensors` with such an array; or `.parquet` with one
            column of lists, or one column of floats for each dimension, and optionally ids: a
            column with a known name (`item_id`, else an alias, else `id`), else a first column of
            text or integers.
        what: "item" or "user": which names of id columns are known, and for error messages.
        tensor: which array of a safetensors file; needed when there are several.
        one: also takes an array of shape (D,) as a single vector.

    Returns:
        The vectors as float32; float16 and float64 are converted.

    Raises:
        InputError: the file is missing, damaged or of another kind, its values are not finite
            floats or too large for a model, or its shape does not fit: which row, and what to do.
    """
    _check_is_file(path)
    kind = path.suffix.lower()
    if tensor is not None and kind != ".safetensors":
        raise InputError(f"{path} is no safetensors file, so it has no tensor {tensor!r}")
    ids: IdMap | None = None
    notes: tuple[str, ...] = ()
    if kind == ".npy":
        array = _read_npy(path)
    elif kind == ".safetensors":
        array = _read_tensor(path, tensor)
    elif kind in _PARQUET:
        array, ids, notes = _read_parquet(path, what)
    else:
        raise InputError(f"{path}: unknown kind of file {path.suffix!r}; use {VECTOR_FORMATS}")
    if one and array.ndim == 1:
        array = array[np.newaxis]
    return VectorsAndIds(_sound_float32(array, path), ids, notes)


def read_ids(path: Path, what: str = "item") -> IdMap:
    """Reads ids in row order, each once.

    Args:
        path: `.txt` with one id a line and no line of column names; `.csv`, `.tsv` or `.parquet`,
            whose first column is read; or `.npy` with integers or text.
        what: "item" or "user", for error messages.

    Raises:
        InputError: the file cannot be read, or an id is missing or occurs twice.
    """
    try:
        return IdMap(read_id_column(path, what), what)
    except InputError as error:
        if str(error).startswith(str(path)):
            raise
        raise InputError(f"{path}: {error}") from None


def read_id_column(path: Path, what: str = "item") -> pl.Series:
    """Does what `read_ids` does with ids that may be repeated; String or Int64 (n,).

    Raises:
        InputError: the file cannot be read, or an id is missing.
    """
    _check_is_file(path)
    kind = path.suffix.lower()
    if kind == ".npy":
        values: Any = _read_npy(path)
    elif kind == ".txt":
        values = _read_lines(path)
    elif kind in _ID_TABLES:
        table = open_table(path)
        values = table.read(table.names[:1]).to_series()
    else:
        raise InputError(f"{path}: unknown kind of file {kind!r}; use {ID_FORMATS}")
    try:
        return id_series(values, f"{what} ids")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _check_is_file(path: Path) -> None:
    if not path.is_file():
        fault = "is no file, but a folder or a pipe" if path.exists() else "does not exist"
        raise InputError(f"{path} {fault}; check the path")


def _read_npy(path: Path) -> npt.NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(
            f"{path} is no readable .npy file of plain values: {_first_line(error)}"
        ) from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path} is an .npz archive; save its one array with numpy.save")
    return array


def _read_tensor(path: Path, tensor: str | None) -> npt.NDArray[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            names = sorted(file.keys())
            if tensor is None and len(names) != 1:
                raise InputError(
                    f"{path} holds the arrays {_listed(names)}; choose one with --tensor NAME"
                )
            name = names[0] if tensor is None else tensor
            if name not in names:
                raise InputError(f"{path} has no array {name!r}, only {_listed(names)}")
            dtype = file.get_slice(name).get_dtype()
            if dtype not in _FLOAT_TENSORS:
                raise InputError(
                    f"{path}, array {name!r}: is of type {dtype}; convert it to float32"
                )
            array: npt.NDArray[Any] = file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is no readable safetensors file: {_first_line(error)}") from None
    return array


def _read_parquet(path: Path, what: str) -> tuple[npt.NDArray[Any], IdMap | None, tuple[str, ...]]:
    frame = open_table(path).read()
    id_column = _id_column(frame, what, path)
    ids = None
    if id_column is not None:
        try:
            ids = IdMap(id_series(frame[id_column], f"column {id_column!r}"), what)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        frame = frame.drop(id_column)
    lists = [name for name, dtype in frame.schema.items() if dtype in (pl.List, pl.Array)]
    if len(lists) > 1:
        raise InputError(f"{path} has several columns of lists ({_listed(lists)}); keep one")
    array = _from_lists(frame[lists[0]], path) if lists else _from_columns(frame, path)
    by = "rows are numbered" if id_column is None else f"ids from {id_column!r}"
    taken = f"lists in {lists[0]!r}" if lists else f"columns {_first_and_last(frame.columns)}"
    notes = [f"{path}: {by}, vectors of {array.shape[1]} numbers from {taken}"]
    unused = [name for name in frame.columns if lists and name != lists[0]]
    if unused:
        notes.append(f"{path}: not used: {_listed(unused)}")
    return array, ids, tuple(notes)


def _first_and_last(names: list[str]) -> str:
    return repr(names[0]) if len(names) == 1 else f"{names[0]!r} to {names[-1]!r}"


def _id_column(frame: pl.DataFrame, what: str, path: Path) -> str | None:
    """The column that holds the ids, if there is one: by the best kind of name that is there."""
    plain = [name for name in frame.columns if name.lower() == "id"]
    for fitting in (*tiers(frame.columns, f"{what}_id"), plain):
        if len(fitting) > 1:
            raise InputError(
                f"{path}: columns {fitting[0]!r} and {fitting[1]!r} both could hold the ids; "
                "remove or rename one"
            )
        if fitting:
            return fitting[0]
    first = frame.columns[0]
    return first if frame[first].dtype == pl.String or frame[first].dtype.is_integer() else None


def _from_lists(column: pl.Series, path: Path) -> npt.NDArray[Any]:
    name = column.name
    inner = getattr(column.dtype, "inner", None)
    if inner is None or not inner.is_float():
        raise InputError(f"{path}, column {name!r}: lists must hold floats, not {inner}")
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    if column.null_count():
        row = int(column.is_null().arg_max() or 0)
        raise InputError(
            f"{path}, row {row + 1}, column {name!r}: the vector is missing; remove the row"
        )
    lengths = column.list.len()
    fits = lengths == lengths[0]
    if not fits.all():
        row = int((~fits).arg_max() or 0)
        raise InputError(
            f"{path}, row {row + 1}, column {name!r}: the list has {lengths[row]} values, row 1 "
            f"has {lengths[0]}; vectors must be of one width"
        )
    values = column.explode()
    if values.null_count():
        row = int(values.is_null().arg_max() or 0) // int(lengths[0])
        raise InputError(
            f"{path}, row {row + 1}, column {name!r}: a value is missing; correct or remove the row"
        )
    return values.to_numpy().reshape(len(column), -1)


def _from_columns(frame: pl.DataFrame, path: Path) -> npt.NDArray[Any]:
    if not frame.width:
        raise InputError(
            f"{path} has no vectors: give it one column of lists, or a numeric column for each "
            "dimension"
        )
    for column in frame:
        if not column.dtype.is_float():
            raise InputError(
                f"{path}, column {column.name!r}: is {column.dtype}, where every column but the "
                "ids must hold floats; remove or convert it, or keep the vectors in one column of "
                "lists"
            )
        if column.null_count():
            row = int(column.is_null().arg_max() or 0)
            place = f"{path}, row {row + 1}, column {column.name!r}"
            raise InputError(f"{place}: {_NO_VALUE}")
    return frame.cast(pl.Float64).to_numpy()


def _read_lines(path: Path) -> pl.Series:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as UTF-8 text: {_first_line(error)}") from None
    lines = text.removesuffix("\n").split("\n")
    if lines == [""]:
        raise InputError(f"{path} is empty; it needs one id a line")
    if "" in lines:
        raise InputError(f"{path}, line {lines.index('') + 1}: is empty; give it an id")
    return pl.Series(lines, dtype=pl.String)


def _sound_float32(array: npt.NDArray[Any], path: Path) -> npt.NDArray[np.float32]:
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise InputError(
            f"{path} holds values of type {array.dtype}; convert them to float16, float32 or "
            "float64"
        )
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(
            f"{path} has shape {array.shape}; vectors are rows: it must be (rows, width)"
        )
    as_they_are = array.dtype == np.float32 and array.flags.c_contiguous
    values = array if as_they_are else np.empty(array.shape, np.float32)
    for start in range(0, len(array), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        if not as_they_are:
            with np.errstate(over="ignore"):  # found below, with its row
                values[block] = array[block]
        sound = np.abs(values[block]) <= MAX_MAGNITUDE
        if not sound.all():
            row, column = np.argwhere(~sound)[0]
            found = array[start + row, column]
            finite = bool(np.isfinite(found))
            fault = (
                f"beyond the {MAX_MAGNITUDE:g} that a model can keep"
                if finite
                else "not a finite number"
            )
            raise InputError(
                f"{path}, row {start + row + 1}, dimension {column + 1}: {found} is {fault}; "
                "correct or remove the row"
            )
    return np.asarray(values)


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
