"""CSV and its relatives: what polars does not tell about a text file.

polars reads the values; this file finds the separator and, where something is wrong, the line.
"""

from __future__ import annotations

import csv
import gzip
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import polars as pl

from lightrec.errors import InputError

_SEPARATORS = ("\t", ";", "|", ",")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class TextFile:
    """A table in a text file, perhaps compressed by gzip.

    Attributes:
        path: the file.
        separator: between two fields of a line.
        names: the column names, in order.
    """

    path: Path
    separator: str
    names: tuple[str, ...]

    @classmethod
    def opened(cls, path: Path, usual_separator: str) -> TextFile:
        """Reads the line of column names.

        Args:
            path: the file.
            usual_separator: what files of this kind use; another one is found by itself where the
                usual one does not occur.

        Raises:
            InputError: the file is empty, not UTF-8 or damaged.
        """
        _check_is_gzip(path)
        names = _column_names(path, usual_separator)
        if len(names) == 1:
            for separator in _SEPARATORS:
                if separator in names[0]:
                    return cls(path, separator, _column_names(path, separator))
        return cls(path, usual_separator, names)

    def scan(self) -> pl.LazyFrame:
        """The columns, every cell as text; a cell without a character (also unquoted) is null."""
        path = self.path.absolute()  # polars reads "~" and "file:" in a relative one
        return pl.scan_csv(path, separator=self.separator, infer_schema=False, glob=False)

    def line_of(self, row: int) -> int:
        """The line on which a row starts, from 1; rows are counted from 0, without blank lines."""
        filled = (line for line, fields in self._lines() if fields)
        return next((line for number, line in enumerate(filled) if number == row + 1), 0)

    def blank_rows(self) -> list[int]:
        """Rows that are nothing but a blank line, numbered as polars does.

        Raises:
            InputError: a line has more or fewer fields than there are columns, or a quote is open.
        """
        blank: list[int] = []
        row = -1  # the column names
        for line, fields in self._lines():
            if row < 0 and not fields:
                continue  # blank lines before the column names
            if not fields:
                blank.append(row)
            elif len(fields) != len(self.names):
                raise InputError(
                    f"{self.path}, line {line}: {len(fields)} fields, but there are "
                    f"{len(self.names)} columns; complete the line, or quote a field that holds "
                    f"the separator {self.separator!r}"
                )
            row += 1
        return blank

    def may_end_open(self, last_cell: str | None) -> bool:
        """Whether the last cell may be what follows a quote that nobody closed."""
        if last_cell is not None and any(letter in last_cell for letter in '\n\r"'):
            return True
        if self.path.suffix.lower() == ".gz":
            return False
        with self.path.open("rb") as stream:
            stream.seek(-2, os.SEEK_END)
            return stream.read() == b'""'

    def explained(self, message: str) -> InputError:
        """The error to raise for one that polars met while reading, naming the line."""
        try:
            _check_is_gzip(self.path, throughout=True)
            if "utf-8" in message:
                return _not_utf8(self.path)
            self.blank_rows()
            self._check_quotes()
        except InputError as found:
            return found
        return InputError(f"{self.path} cannot be read: {message.splitlines()[0]}")

    def _check_quotes(self) -> None:
        """Refuses a quote inside a field that is not quoted, which polars loses its way at."""
        field = f'"[^"]*(?:""[^"]*)*"|[^"{re.escape(self.separator)}]*'
        quoted_well = re.compile(f"(?:{field})(?:{re.escape(self.separator)}(?:{field}))*")
        raw: list[str] = []
        with _open_text(self.path) as stream:
            reader = csv.reader(_recorded(stream, raw), delimiter=self.separator)
            for fields in reader:
                text = "".join(raw).rstrip("\r\n")
                if any('"' in cell for cell in fields) and not quoted_well.fullmatch(text):
                    raise InputError(
                        f"{self.path}, line {reader.line_num - len(raw) + 1}: a quote inside a "
                        "field that is not quoted; quote the field, and double the quotes inside"
                    )
                raw.clear()

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Each line's number and fields; a field with line breaks makes one long line."""
        limit = csv.field_size_limit(2**31 - 1)  # polars has none either
        line = 1
        try:
            with _open_text(self.path) as stream:
                reader = csv.reader(stream, delimiter=self.separator, strict=True)
                for fields in reader:
                    yield line, fields
                    line = reader.line_num + 1
        except csv.Error as error:
            raise InputError(
                f"{self.path}, line {line}: {error}; close every quote, and double quotes inside"
            ) from None
        finally:
            csv.field_size_limit(limit)


def _column_names(path: Path, separator: str) -> tuple[str, ...]:
    try:
        frame = pl.read_csv(
            path.absolute(), separator=separator, infer_schema=False, n_rows=0, glob=False
        )
    except pl.exceptions.NoDataError:
        raise InputError(f"{path} is empty; it needs a line of column names and rows") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    text = "".join(frame.columns)
    if "\ufffd" in text or "\0" in text:
        raise _not_utf8(path)
    if "\r" in text:
        raise InputError(f"{path}: lines end with CR alone; save it with LF or CRLF line ends")
    return tuple(frame.columns)


def _check_is_gzip(path: Path, *, throughout: bool = False) -> None:
    """Refuses a file that is called `.gz` and is something else, or (throughout) is damaged."""
    if path.suffix.lower() != ".gz":
        return
    with path.open("rb") as raw:
        if raw.read(2) not in (b"", _GZIP):
            raise InputError(f"{path} is called .gz and is no gzip file; name it as what it is")
    if throughout:
        try:
            with gzip.open(path) as stream:
                while stream.read(1 << 20):
                    pass
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path} is a damaged gzip file: {error}") from None


def _not_utf8(path: Path) -> InputError:
    remedy = "convert the file to UTF-8 (for example: iconv -f latin1 -t utf-8)"
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
        for line, data in enumerate(stream, start=1):
            try:
                data.decode("utf-8")
            except UnicodeDecodeError:
                return InputError(f"{path}, line {line}: not UTF-8; {remedy}")
    return InputError(f"{path} is not UTF-8; {remedy}")


def _recorded(lines: Iterable[str], record: list[str]) -> Iterator[str]:
    for line in lines:
        record.append(line)
        yield line


def _open_text(path: Path) -> TextIO:
    # Errors of decoding are found elsewhere; here only separators and quotes matter.
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")
