"""What a Parquet file may ask of its reader: one number or text per row and column, and no more.

Parquet can declare far more than it holds (compressed pages, texts that repeat their predecessor,
lists without end), so that a small hostile file takes all memory. `check_parquet` reads the
declarations, a Thrift structure at the end of the file and one in front of every page, and accepts
what `save` writes: flat columns, no compression, no encoding that can lengthen a text. After it,
the table needs memory for its rows and columns only, and its rows are known to be as many as the
model has.

Format: the Apache Parquet and Thrift compact protocol specifications.
"""

from __future__ import annotations

from typing import Any

from lightrec.errors import InputError

MAX_COLUMNS = 100
_MAGIC = b"PAR1"
_MAX_DEPTH = 12
_MAX_STRUCTURE_BYTES = 4 << 20  # of the footer, and of what stands in front of a page

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = *range(1, 11), 12
_UNCOMPRESSED = 0
_DATA_PAGE, _DICTIONARY_PAGE, _DATA_PAGE_V2 = 0, 2, 3
# Plain, plain dictionary, run length, delta of integers, delta of lengths, dictionary, split bytes.
_ENCODINGS = {0, 2, 3, 5, 6, 8, 9}


def check_parquet(data: bytes, num_rows: int) -> None:
    """Checks the declarations of a Parquet file.

    Args:
        data: The whole file.
        num_rows: The rows that it must have.

    Raises:
        InputError: It is no such file, or declares something else.
    """
    if len(data) < 12 or data[:4] != _MAGIC or data[-4:] != _MAGIC:
        raise InputError("is not a Parquet file")
    footer_bytes = int.from_bytes(data[-8:-4], "little")
    if footer_bytes > min(len(data) - 12, _MAX_STRUCTURE_BYTES):
        raise InputError("is not a Parquet file that can be read: its footer is too long")
    footer_start = len(data) - 8 - footer_bytes
    try:
        footer = _Thrift(data, footer_start, len(data) - 8).struct()
        groups = footer[4]
        if footer[3] != num_rows or sum(group[3] for group in groups) != num_rows:
            raise InputError(f"has {footer[3]} rows, where the model has {num_rows}")
        if len(footer[2]) > MAX_COLUMNS + 1:  # the schema's root is listed too
            raise InputError(f"has more than {MAX_COLUMNS} columns")
        for group in groups:
            for column in group[1]:
                _check_column(data, footer_start, column[3], group[3])
    except (IndexError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"is not a Parquet file that can be read: {error!r}") from None


def _check_column(data: bytes, limit: int, column: dict[int, Any], num_rows: int) -> None:
    """Walks the pages of one column in one row group; they lie before `limit`."""
    if column[4] != _UNCOMPRESSED:
        raise InputError("has compressed columns; only uncompressed ones are read")
    if column[5] != num_rows:
        raise InputError("has a column that does not hold one value per row")
    place = min(column.get(11) or column[9], column[9])
    end = place + column[7]
    if not 4 <= place <= end <= limit:
        raise InputError("has a column outside of the file")
    values = 0
    while place < end:
        thrift = _Thrift(data, place, min(end, place + _MAX_STRUCTURE_BYTES))
        page = thrift.struct()
        details = {_DATA_PAGE: 5, _DICTIONARY_PAGE: 7, _DATA_PAGE_V2: 8}[page[1]]
        encoding = page[details][4 if page[1] == _DATA_PAGE_V2 else 2]
        if encoding not in _ENCODINGS:
            raise InputError(f"has a page in encoding {encoding}, which is not read")
        if page[3] != page[2] or not 0 <= page[3] <= end - thrift.place:
            raise InputError("has a page that does not fit its column")
        if page[1] == _DICTIONARY_PAGE:
            if not 0 <= page[details][1] <= page[3]:
                raise InputError("has a dictionary of more values than bytes")
        else:
            values += page[details][1]
        place = thrift.place + page[3]
    if values != num_rows:
        raise InputError("has a column whose pages do not hold one value per row")


class _Thrift:
    """Reads structures of the Thrift compact protocol from `data[place:end]`."""

    def __init__(self, data: bytes, place: int, end: int) -> None:
        self.data, self.place, self.end = data, place, end

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """One structure, as values by field number."""
        if depth > _MAX_DEPTH:
            raise InputError("is nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while header := self._byte():
            delta, kind = header >> 4, header & 15
            number = number + delta if delta else self._zigzag()
            if number in fields:
                raise InputError(f"has field {number} twice")
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:  # noqa: ANN401
        if kind in (_I16, _I32, _I64):
            return self._zigzag()
        if kind in (_TRUE, _FALSE, _BYTE):  # a byte each, inside of a list
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind in (_LIST, _SET):
            header = self._byte()
            size = header >> 4 if header >> 4 < 15 else self._varint()
            if depth >= _MAX_DEPTH:
                raise InputError("is nested too deeply")
            if size > self.end - self.place:  # every element takes a byte or more
                raise InputError("has a list that is longer than the file")
            return [self._value(header & 15, depth + 1) for _ in range(size)]
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise InputError(f"has a value of unknown type {kind}")

    def _byte(self) -> int:
        if self.place >= self.end:
            raise InputError("ends in the middle of a structure")
        self.place += 1
        return self.data[self.place - 1]

    def _bytes(self, size: int) -> bytes:
        if size > self.end - self.place:
            raise InputError("ends in the middle of a structure")
        self.place += size
        return self.data[self.place - size : self.place]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise InputError("has a number of more than 64 bits")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
