"""Which format a file is in: as its owner says, or by its ending and, where needed, its content."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions.citeulike_files import looks_like_citeulike, read_citeulike
from lightrec.interactions.lightgcn_files import looks_like_lightgcn, read_lightgcn
from lightrec.interactions.movielens_files import SEPARATOR, read_movielens
from lightrec.interactions.rows_read import RowsRead
from lightrec.interactions.text_lines import first_lines

FileFormat: TypeAlias = Literal[
    "csv", "tsv", "recbole", "parquet", "movielens", "lightgcn", "citeulike"
]
"""What a file can be said to be, where its name does not tell."""

READ_FORMATS = (
    ".csv, .tsv, .txt, .inter, .item (each also .gz), .parquet, or the .dat files of MovieLens and "
    "CiteULike"
)
_TAB_SUFFIXES = frozenset({".tsv", ".tab", ".inter", ".item", ".user"})
_COMMA_SUFFIXES = frozenset({".csv", ".txt"})
_PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})


def format_of(path: Path, named: str | None = None) -> FileFormat:
    """Tells the format of a file.

    A `.txt` is a LightGCN list only if its first lines are nothing but whole numbers with one space
    between two; else it is a CSV. A `.dat` has to show that it is MovieLens's or CiteULike's.

    Args:
        path: the file.
        named: its format, where the user said so.

    Raises:
        ArgumentError: there is no format of this name.
        InputError: the ending is unknown, or a `.dat` file is in none of the known formats.
    """
    if named is not None:
        for known in get_args(FileFormat):
            if named == known:
                return known  # type: ignore[no-any-return]
        raise ArgumentError(
            f"no format {named!r}; the formats are {', '.join(get_args(FileFormat))}"
        )
    kind = path.with_suffix("").suffix if path.suffix.lower() == ".gz" else path.suffix
    kind = kind.lower()
    if kind == ".dat":
        return _dat_format(path)
    if kind == ".txt" and looks_like_lightgcn(first_lines(path)):
        return "lightgcn"
    if kind in _TAB_SUFFIXES:
        return "tsv"
    if kind in _COMMA_SUFFIXES:
        return "csv"
    if kind in _PARQUET_SUFFIXES:
        return "parquet"
    raise InputError(
        f"{path}: unknown kind of file {kind!r}; use {READ_FORMATS}, or say what it is with "
        "--format (file_format=)"
    )


def read_headerless(path: Path, found: FileFormat, *, named: bool) -> RowsRead | None:
    """Reads a file of a format that has no column names; None for one that has.

    Args:
        path: the file.
        found: its format.
        named: whether the user named the format, so that ids may be any text.

    Raises:
        InputError: a line is not of the format.
    """
    if found == "lightgcn":
        return read_lightgcn(path, any_ids=named)
    if found == "citeulike":
        return read_citeulike(path)
    return read_movielens(path) if found == "movielens" else None


def _dat_format(path: Path) -> FileFormat:
    lines = first_lines(path)
    if not lines:
        raise InputError(f"{path} is empty")
    if SEPARATOR in lines[0]:
        return "movielens"
    if looks_like_citeulike(lines):
        return "citeulike"
    if re.fullmatch(r"[0-9]+( [0-9]+(:[0-9]+)?)* ?", lines[0]):
        return "citeulike"  # whose reader names the line that does not fit
    raise InputError(
        f"{path}, line 1: no known kind of .dat file ({lines[0][:60]!r}); MovieLens's have fields "
        "such as 1::1193::5::978300760, CiteULike's a count and as many numbers; for other files "
        "give --format (file_format=) with csv, tsv, recbole, parquet or lightgcn"
    )
