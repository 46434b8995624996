"""Item columns whose cells are lists, such as genres, in a table whose columns are flat.

A Parquet file may nest lists without end, so a model folder keeps flat columns only
(`parquet_limits.py`). A list is written as one text, every element followed by the unit separator
U+001F; the column's name tells what elements are: `genres[text]`, `years[int]`, `shares[float]`.

A text that many rows share lies in the file once, but its elements are taken apart for each row. So
that a small file cannot take all memory, the lists of a table, all columns together, may take 1 KiB
a row (4 MiB where there are few rows), or 20 times the bytes of their texts, equal ones counted
once: lists that are not repeated take less. An element counts for its text and 16 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from lightrec.errors import InputError

SEPARATOR = "\x1f"
MEMORY_PER_ROW = 1 << 10
LEAST_MEMORY = 4 << 20
MEMORY_PER_BYTE = 20
_ELEMENT_BYTES = 16
_KINDS = {"text": pl.String(), "int": pl.Int64(), "float": pl.Float64()}
_NAME = re.compile(r"(.*)\[(text|int|float)\]", re.DOTALL)


def kind_of(dtype: pl.DataType) -> str | None:
    """`text`, `int` or `float` for a type of lists that can be kept; None for all others."""
    if not isinstance(dtype, pl.List):
        return None
    inner = dtype.inner
    if inner == pl.String:
        return "text"
    if inner.is_integer() and inner not in (pl.UInt64, pl.Int128, pl.UInt128):
        return "int"
    return "float" if inner.is_float() else None


def is_taken(name: str) -> bool:
    """Whether a name is one that lists are written under, so that no other column may have it."""
    return _NAME.fullmatch(name) is not None


def flattened(columns: pl.DataFrame) -> pl.DataFrame:
    """The columns with every list as one text.

    Raises:
        InputError: An element is missing, or holds the separator; or the lists take more memory
            than a model's may.
    """
    flat, lists = [], []
    for column in columns:
        kind = kind_of(column.dtype)
        if kind is None:
            flat.append(column)
        else:
            flat.append(_written(column, f"{column.name}[{kind}]"))
            lists.append(flat[-1])
    _check_memory(lists, sum(_num_bytes(texts.unique()) for texts in lists))
    return pl.DataFrame(flat) if flat else columns


def restored(columns: pl.DataFrame, num_bytes: int) -> pl.DataFrame:
    """What `flattened` was given.

    Args:
        columns: What it gave.
        num_bytes: Length of the file that they were read from, which holds every text at least
            once.

    Raises:
        InputError: A text is no list of its kind, or a column is not flat; or the lists take more
            memory than a model's may.
    """
    for column in columns:
        if column.dtype.is_nested():  # whatever it costs to read: `flattened` writes no such thing
            raise InputError(f"column {column.name!r} is nested, and only flat columns are read")
        if is_taken(column.name) and column.dtype != pl.String:
            raise InputError(f"column {column.name!r} must hold text, not {column.dtype}")
    _check_memory([column for column in columns if is_taken(column.name)], num_bytes)
    whole: list[pl.Series] = []
    for column in columns:
        found = _NAME.fullmatch(column.name)
        whole.append(column if found is None else _read(column, *found.groups()))
    names = [column.name for column in whole]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"column {twice!r} is there twice")
    return pl.DataFrame(whole) if whole else columns


def _check_memory(lists: Sequence[pl.Series], num_bytes: int) -> None:
    """Refuses lists that repeat long texts over and over.

    Args:
        lists: The columns as they are written.
        num_bytes: Of their texts, equal ones counted once, or more.
    """
    num_rows = max(map(len, lists), default=0)
    allowed = max(LEAST_MEMORY, MEMORY_PER_ROW * num_rows, MEMORY_PER_BYTE * num_bytes)
    taken = 0
    for texts in lists:
        taken += _num_bytes(texts)
        if taken <= allowed:  # else the texts may be too long to be looked through
            ends = texts.str.count_matches(SEPARATOR, literal=True)
            taken += _ELEMENT_BYTES * int(ends.cast(pl.Int64).sum())
        if taken > allowed:
            raise InputError(
                f"column {texts.name!r} makes the lists of all columns take more memory than the "
                f"{allowed:,} bytes that a model's may; shorten its lists, which repeat themselves"
            )


def _num_bytes(texts: pl.Series) -> int:
    return int(texts.str.len_bytes().cast(pl.Int64).sum())


def _written(column: pl.Series, name: str) -> pl.Series:
    cells = column.cast(pl.List(pl.String))
    elements = cells.explode(empty_as_null=False, keep_nulls=False)
    if elements.null_count():
        raise InputError(f"column {column.name!r} holds a list with a missing element; drop it")
    if elements.str.contains(SEPARATOR, literal=True).any():
        raise InputError(f"column {column.name!r} holds the character U+001F in a list; remove it")
    joined = (
        cells.list.join(SEPARATOR)
        + pl.select(
            pl.when(cells.list.len() > 0).then(pl.lit(SEPARATOR)).otherwise(pl.lit(""))
        ).to_series()
    )
    return joined.alias(name)


def _read(column: pl.Series, name: str, kind: str) -> pl.Series:
    if not (column.str.ends_with(SEPARATOR) | (column == "")).all():
        raise InputError(f"column {column.name!r} holds a text that is no list")
    split = column.str.strip_suffix(SEPARATOR).str.split(SEPARATOR)
    empty = pl.Series([[]], dtype=pl.List(pl.String))
    cells = split.zip_with((column != "").fill_null(True), empty.new_from_index(0, len(column)))
    try:
        return cells.cast(pl.List(_KINDS[kind]), strict=True).alias(name)
    except pl.exceptions.PolarsError:
        raise InputError(f"column {column.name!r} holds a list that is not of {kind}") from None
