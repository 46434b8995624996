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
import numpy.typing as npt
import polars as pl
from polars.selectors import by_name

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions.file_formats import format_of, read_headerless
from lightrec.interactions.id_index import INT64_MAX, INT64_MIN
from lightrec.interactions.rows_read import RowsRead
from lightrec.interactions.sparse_matrices import is_sparse_matrix, read_matrix
from lightrec.interactions.text_files import TextFile

TableSource: TypeAlias = Any
"""A path, a table of polars, pandas, Arrow or anything with `__arrow_c_stream__`, or a matrix of
scipy.sparse."""

_READ_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


@dataclass(frozen=True, eq=False)
class Table:
    """A table whose columns are read when asked for.

    Attributes:
        lazy: the columns; those of a text file are all String.
        names: the column names, in order.
        label: the file, or the kind of table, for messages.
        text: the text file with column names, where the table comes from one.
        lines: the line that each row stands on, integers (rows,), in a file without column names.
        notes: what the reader of such a file or matrix has to say, one sentence each.
        left_out: entries of the source that are no pairs, which the notes explain.
        catalogue: the whole catalogue, where the source names it: a table with column `item_id`.
    """

    lazy: pl.LazyFrame
    names: tuple[str, ...]
    label: str
    text: TextFile | None = None
    lines: npt.NDArray[np.integer[Any]] | None = None
    notes: tuple[str, ...] = ()
    left_out: int = 0
    catalogue: pl.DataFrame | None = None

    @classmethod
    def of_rows(cls, rows: RowsRead, label: str) -> Table:
        """What a reader made of a source without column names."""
        frame = rows.frame
        return cls(
            frame.lazy(),
            tuple(frame.columns),
            label,
            lines=rows.lines,
            notes=rows.notes,
            left_out=rows.left_out,
            catalogue=rows.catalogue,
        )

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
        # polars takes a quote that is open until the end for closed where the end looks so.
        if self.text is not None and self.text.may_end_open(frame.get_column(self.names[-1])[-1]):
            self.text.blank_rows()
        return frame.select(by_name(*wanted))

    def place(self, row: int) -> str:
        """Names a row for an error message: "ratings.csv, line 17"."""
        if self.text is not None:
            return f"{self.label}, line {self.text.line_of(row)}"
        if self.lines is not None:
            return f"{self.label}, line {self.lines[row]}"
        return f"{self.label}, row {row + 1}"


def open_table(source: TableSource, file_format: str | None = None) -> Table:
    """Opens a file or wraps a table; rows of CSV, TSV and Parquet are read when they are used.

    Args:
        source: a path to CSV, TSV, RecBole (`.inter`, `.item`) or Parquet (a file, or a folder of
            parts), to `.dat` of MovieLens or CiteULike or to `.txt` of LightGCN; or a table:
            polars, pandas, Arrow, a dict of columns, anything with `__arrow_c_stream__`; or a
            matrix of scipy.sparse (users x items, ids are row and column numbers).
        file_format: what the file is (`file_formats.FileFormat`), where its name does not tell.

    Raises:
        InputError: the file is missing, empty, of an unknown kind or not UTF-8; or the object is
            no table.
        ArgumentError: the argument is plainly something else, such as None; there is no such
            format, or one is given with what is no file.
    """
    if isinstance(source, str | Path):
        return _open_path(Path(source), file_format)
    if file_format is not None:
        raise ArgumentError(f"a format ({file_format!r}) can be given for a file only")
    if isinstance(source, Table):
        return source
    label = f"the given {type(source).__name__}"
    if is_sparse_matrix(source):
        return Table.of_rows(read_matrix(source), label)
    if isinstance(source, pl.LazyFrame):
        try:
            source = source.collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"{label} cannot be read: {error}") from None
    frame = source if isinstance(source, pl.DataFrame) else _frame_of(source, label)
    return Table(frame.lazy(), tuple(frame.columns), label)


def read_table(source: TableSource) -> pl.DataFrame:
    """Reads a whole table; cells of text files stay text. Arguments and errors of `open_table`."""
    return open_table(source).read()


def _open_path(path: Path, file_format: str | None) -> Table:
    if not _is_utf8(str(path)):
        raise InputError(f"{path}: the path is not UTF-8 text; rename the file or its folder")
    if path.is_dir():
        parts = sorted(path.glob("*.parquet"))
        if not parts:
            raise InputError(f"{path} is a folder without .parquet files; name one file")
        return _open_parquet(parts, str(path))
    if not path.is_file():
        if path.exists():
            raise InputError(f"{path} is no regular file, and pipes are not read; write a file")
        raise InputError(f"{path} does not exist; check the path")
    found = format_of(path, file_format)
    if found == "parquet":
        return _open_parquet([path], str(path))
    rows = read_headerless(path, found, named=file_format is not None)
    if rows is not None:
        return Table.of_rows(rows, str(path))
    text = TextFile.opened(path, "," if found == "csv" else "\t")
    return Table(text.scan(), text.names, str(path), text)


def _open_parquet(paths: list[Path], label: str) -> Table:
    try:
        absolute = [path.absolute() for path in paths]  # polars reads "~" in a relative one
        lazy = pl.scan_parquet(absolute, hive_partitioning=False, glob=False)
        return Table(lazy, tuple(lazy.collect_schema()), label)
    except _READ_ERRORS as error:
        raise InputError(f"{label} is no readable Parquet file: {_first_line(error)}") from None


def _frame_of(source: Any, label: str) -> pl.DataFrame:  # noqa: ANN401
    if source is None or isinstance(source, bytes | int | float):
        raise ArgumentError(f"expected a path or a table, found {type(source).__name__}")
    try:
        try:
            frame = pl.DataFrame(source)
            if isinstance(source, dict) and any(map(_truth_among_others, source.values())):
                raise TypeError("a column holds true or false among other values")
            return frame
        except ImportError:
            # polars reads pandas through pyarrow, which may not be installed.
            return pl.DataFrame({str(name): source[name].to_list() for name in source.columns})
    except (Exception, pl.exceptions.PanicException) as error:  # whatever the other library raises
        fault = _misfit(source) or _first_line(error)
        raise InputError(f"{label} cannot be read as a table: {fault}") from None


def _misfit(source: Any) -> str | None:  # noqa: ANN401
    """What is wrong with the first cell that no column can hold; None where that is not it."""
    try:
        names = list(source.columns if hasattr(source, "columns") else source.keys())
        for name in names:
            kind = None
            for row, value in enumerate(source[name], start=1):
                place = f"row {row}, column {name!r}"
                if isinstance(value, str) and not _is_utf8(value):
                    return f"{place}: {value!a} holds half a character (a lone surrogate); mend it"
                if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
                    return f"{place}: {value} does not fit 64 bits with sign; cast ids to text"
                kind = kind or (None if value is None else type(value))
                if kind is not None and value is not None and type(value) is not kind:
                    return (
                        f"{place}: {value!r} is {type(value).__name__}, where those before are "
                        f"{kind.__name__}; give the column one type"
                    )
    except Exception:  # it is no table of columns
        return None
    return None


def _truth_among_others(values: object) -> bool:
    """Whether polars would read True in a list of integers as 1."""
    kinds = set(map(type, values)) if isinstance(values, list) else set()
    return bool in kinds and not kinds <= {bool, type(None)}


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # bytes that are no text come from the file system as surrogates
        return False
    return True


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
