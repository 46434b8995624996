"""Tables from files and from other libraries, as polars frames.

Cells of text files are read as text and kept exactly: `007`, `1.0`, `NA` and `nan` are values like
any other, and only an empty cell is missing. Errors name the line of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from polars.selectors import by_name

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions.text_files import TextFile

TableSource: TypeAlias = Any
"""A path, or a table of polars, pandas, Arrow or anything with `__arrow_c_stream__`."""

_TAB_SUFFIXES = frozenset({".tsv", ".tab", ".inter", ".item", ".user"})
_TEXT_SUFFIXES = _TAB_SUFFIXES | {".csv", ".txt"}
_PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
_FORMATS = ".csv, .tsv, .txt, .inter, .item (each also .gz) or .parquet"
_READ_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


@dataclass(frozen=True, eq=False)
class Table:
    """A table whose columns are read when asked for.

    Attributes:
        lazy: the columns; those of a text file are all String.
        names: the column names, in order.
        label: the file, or the kind of table, for messages.
        text: the text file, where the table comes from one.
    """

    lazy: pl.LazyFrame
    names: tuple[str, ...]
    label: str
    text: TextFile | None = None

    def read(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Reads the named columns (all by default).

        Raises:
            InputError: there are no rows, or the file is damaged: where, and what to do.
        """
        wanted = list(self.names if columns is None else columns)
        # A line of a text file that is too short lacks its last column.
        read = wanted if self.text is None else [*wanted, self.names[-1]]
        try:
            frame = self.lazy.select(by_name(*dict.fromkeys(read))).collect()
        except _READ_ERRORS as error:
            if self.text is not None:
                raise self.text.explained(str(error)) from None
            raise InputError(f"{self.label} cannot be read: {_first_line(error)}") from None
        if self.text is not None and frame.get_column(self.names[-1]).null_count():
            filled = np.ones(frame.height, dtype=np.bool_)
            filled[[row for row in self.text.blank_rows() if row < frame.height]] = False
            frame = frame.filter(filled)
        if not frame.height:
            raise InputError(f"{self.label} has no rows")
        return frame.select(by_name(*wanted))

    def place(self, row: int) -> str:
        """Names a row for an error message: "ratings.csv, line 17"."""
        if self.text is not None:
            return f"{self.label}, line {self.text.line_of(row)}"
        return f"{self.label}, row {row + 1}"


def open_table(source: TableSource) -> Table:
    """Opens a file or wraps a table, without reading its rows.

    Args:
        source: a path to CSV, TSV, RecBole (`.inter`, `.item`) or Parquet (a file, or a folder of
            parts), or a table: polars, pandas, Arrow, a dict of columns, anything with
            `__arrow_c_stream__`.

    Raises:
        InputError: the file is missing, empty, of an unknown kind or not UTF-8; or the object is
            no table.
        ArgumentError: the argument is plainly something else, such as None.
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, str | Path):
        return _open_path(Path(source))
    label = f"the given {type(source).__name__}"
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    frame = source if isinstance(source, pl.DataFrame) else _frame_of(source, label)
    return Table(frame.lazy(), tuple(frame.columns), label)


def read_table(source: TableSource) -> pl.DataFrame:
    """Reads a whole table; cells of text files stay text. Arguments and errors of `open_table`."""
    return open_table(source).read()


def _open_path(path: Path) -> Table:
    if path.is_dir():
        parts = sorted(path.glob("*.parquet"))
        if not parts:
            raise InputError(f"{path} is a folder without .parquet files; name one file")
        return _open_parquet(parts, str(path))
    if not path.is_file():
        raise InputError(f"{path} does not exist; check the path")
    kind = path.with_suffix("").suffix if path.suffix.lower() == ".gz" else path.suffix
    kind = kind.lower()
    if kind in _TEXT_SUFFIXES:
        text = TextFile.opened(path, "\t" if kind in _TAB_SUFFIXES else ",")
        return Table(text.scan(), text.names, str(path), text)
    if kind in _PARQUET_SUFFIXES:
        return _open_parquet([path], str(path))
    raise InputError(f"{path}: unknown kind of file {kind!r}; use {_FORMATS}")


def _open_parquet(paths: list[Path], label: str) -> Table:
    try:
        lazy = pl.scan_parquet(paths, hive_partitioning=False)
        return Table(lazy, tuple(lazy.collect_schema()), label)
    except _READ_ERRORS as error:
        raise InputError(f"{label} is no readable Parquet file: {_first_line(error)}") from None


def _frame_of(source: Any, label: str) -> pl.DataFrame:  # noqa: ANN401
    if source is None or isinstance(source, bytes | int | float):
        raise ArgumentError(f"expected a path or a table, found {type(source).__name__}")
    try:
        try:
            return pl.DataFrame(source)
        except ImportError:
            # polars reads pandas through pyarrow, which may not be installed.
            return pl.DataFrame({str(name): source[name].to_list() for name in source.columns})
    except Exception as error:  # whatever the other library raises
        raise InputError(f"{label} cannot be read as a table: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
