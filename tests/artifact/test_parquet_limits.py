"""What a Parquet file declares is checked before anything is made of it."""

import io

import polars as pl
import pytest

from lightrec.artifact.parquet_limits import check_parquet
from lightrec.errors import InputError

STRUCT, LIST, BINARY = 12, 9, 8


class Thrift:
    """A structure of the compact protocol that can be changed and written again.

    A structure is a dict of field number to (type, value); a list is (element type, values).
    """

    def __init__(self, data):
        self.data, self.place = data, 0

    def byte(self):
        self.place += 1
        return self.data[self.place - 1]

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def value(self, kind):
        if kind == STRUCT:
            return self.struct()
        if kind == LIST:
            header = self.byte()
            size = header >> 4 if header >> 4 < 15 else self.varint()
            return header & 15, [self.value(header & 15) for _ in range(size)]
        if kind == BINARY:
            size = self.varint()
            self.place += size
            return self.data[self.place - size : self.place]
        if kind in (1, 2):
            return kind == 1
        assert kind in (4, 5, 6)
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def struct(self):
        fields, number = {}, 0
        while header := self.byte():
            number += header >> 4
            fields[number] = (header & 15, self.value(header & 15))
        return fields


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def encode(kind, value):
    if kind == STRUCT:
        out, last = b"", 0
        for number, (inner, field) in sorted(value.items()):
            out += bytes([(number - last) << 4 | inner]) + encode(inner, field)
            last = number
        return out + b"\0"
    if kind == LIST:
        inner, values = value
        head = bytes([len(values) << 4 | inner]) if len(values) < 15 else bytes([240 | inner])
        head += b"" if len(values) < 15 else varint(len(values))
        return head + b"".join(encode(inner, field) for field in values)
    if kind == BINARY:
        return varint(len(value)) + value
    if kind in (1, 2):
        return b""
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


class File:
    """A Parquet file whose footer and first page can be changed."""

    def __init__(self, data):
        size = int.from_bytes(data[-8:-4], "little")
        self.body = data[: -8 - size]
        self.footer = Thrift(data[-8 - size : -8]).struct()
        self.chunk = self.footer[4][1][1][0][1][1][1][0][3][1]  # of the first column
        self.group = self.footer[4][1][1][0]
        self.start = self.chunk.get(11, self.chunk[9])[1]
        thrift = Thrift(self.body[self.start :])
        self.page = thrift.struct()
        self.after_page_header = self.start + thrift.place

    def to_bytes(self):
        header = encode(STRUCT, self.page)
        body = self.body[: self.start] + header + self.body[self.after_page_header :]
        footer = encode(STRUCT, self.footer)
        return body + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def put(struct, number, value):
    struct[number] = (struct[number][0], value)


TABLE = pl.DataFrame({"number": [7, 7, 8, 8, 8], "text": ["a", None, "c", "d", "e"]})


@pytest.fixture
def data():
    buffer = io.BytesIO()
    TABLE.write_parquet(buffer, compression="uncompressed", statistics=False)
    return buffer.getvalue()


def test_what_save_writes_is_accepted(data):
    check_parquet(data, 5)
    assert File(data).to_bytes() == data


@pytest.mark.parametrize("num_rows", [0, 4, 6])
def test_the_number_of_rows_must_be_the_models(data, num_rows):
    with pytest.raises(InputError, match=f"5 rows, where the model has {num_rows}"):
        check_parquet(data, num_rows)


def test_several_row_groups_are_accepted_and_counted():
    buffer = io.BytesIO()
    TABLE.write_parquet(buffer, compression="uncompressed", row_group_size=2)
    check_parquet(buffer.getvalue(), 5)
    file = File(buffer.getvalue())
    file.footer[4][1][1].pop()
    with pytest.raises(InputError, match="rows"):
        check_parquet(file.to_bytes(), 5)


DECLARATIONS = {
    "compressed": (lambda file: put(file.chunk, 4, 6), "compressed"),
    "values of a column": (lambda file: put(file.chunk, 5, 2**40), "one value per row"),
    "a column before the file": (lambda file: put(file.chunk, 9, -1), "outside of the file"),
    "a column in the magic": (lambda file: put(file.chunk, 9, 0), "outside of the file"),
    "a column beyond the file": (lambda file: put(file.chunk, 7, 10**9), "outside of the file"),
    "a column of negative length": (lambda file: put(file.chunk, 7, -1), "outside of the file"),
    "a column of no pages": (lambda file: put(file.chunk, 7, 0), "pages do not hold one value"),
    "rows of a group": (lambda file: put(file.group, 3, 6), "rows"),
    "no codec": (lambda file: file.chunk.pop(4), "cannot|can be read"),
    "codec a text": (lambda file: file.chunk.update({4: (BINARY, b"none")}), "compressed"),
    "no column": (lambda file: file.group[1][1][1][0].pop(3), "can be read"),
    "no groups": (lambda file: file.footer.pop(4), "can be read"),
    "groups a number": (lambda file: file.footer.update({4: (6, 3)}), "can be read"),
    "larger page": (lambda file: put(file.page, 2, 10**9), "does not fit"),
    "page of negative size": (
        lambda file: (put(file.page, 2, -5), put(file.page, 3, -5)),
        "does not fit",
    ),
    "page beyond the column": (
        lambda file: (put(file.page, 2, 10**9), put(file.page, 3, 10**9)),
        "does not fit",
    ),
    "dictionary of too many": (lambda file: put(file.page[7][1], 1, 2**31), "dictionary"),
    "dictionary of negative size": (lambda file: put(file.page[7][1], 1, -1), "dictionary"),
    "page of another encoding": (lambda file: put(file.page[7][1], 2, 7), "encoding 7"),
    "page of another type": (lambda file: put(file.page, 1, 1), "can be read"),
    "many columns": (
        lambda file: put(file.footer, 2, (STRUCT, [{4: (BINARY, b"name")}] * 102)),
        "more than 100 columns",
    ),
}


@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_other_declarations_are_refused(data, declaration):
    change, told = DECLARATIONS[declaration]
    file = File(data)
    change(file)
    with pytest.raises(InputError, match=told):
        check_parquet(file.to_bytes(), 5)


def with_footer(data, footer):
    return data[:100] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


@pytest.mark.parametrize(
    ("footer", "told"),
    [
        (b"\x1c" * 1000 + b"\0" * 1000, "too deeply"),  # structures in structures
        (b"\x19" * 2000 + b"\x15\0\0", "too deeply"),  # lists in lists
        (b"\x19\x19\x1c" * 1000 + b"\0" * 1000, "too deeply"),  # and in turn
        (b"\x19\xf8" + b"\xff" * 8 + b"\x7f", "longer than the file"),  # a list of 2^63 texts
        (b"\x18\xff\xff\xff\xff\x07", "ends in the middle"),  # a text of 2 GiB
        (b"\x16" + b"\xff" * 11, "more than 64 bits"),
        (b"\x1b\x00\x00", "unknown type"),  # a map
        (b"\x16\x02\x06\x02\x02\x00", "twice"),
        (b"\x16", "ends in the middle"),
        (b"", "ends in the middle"),
        (b"\0", "can be read"),
    ],
)
def test_hostile_footers_are_refused(data, footer, told):
    with pytest.raises(InputError, match=told):
        check_parquet(with_footer(data, footer), 5)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"PAR1" + b"\xff" * 4 + b"PAR1"])
def test_other_files_are_refused(content):
    with pytest.raises(InputError, match="Parquet"):
        check_parquet(content, 0)


def test_a_long_footer_is_refused_unread():
    footer = b"\x16" * (5 << 20)
    with pytest.raises(InputError, match="footer is too long"):
        check_parquet(with_footer(b"PAR1" + bytes(96), footer), 5)


def test_lists_in_front_of_a_page_are_refused_too(data):
    file = File(data)
    lists = (LIST, [])
    for _ in range(20):
        lists = (LIST, [lists])
    file.page[9] = (LIST, lists)
    with pytest.raises(InputError, match="too deeply"):
        check_parquet(file.to_bytes(), 5)


def test_no_byte_of_a_declaration_makes_a_larger_table(data):
    """Whatever one byte says, the reader makes at most the rows that the model has."""
    for place in range(4, len(data) - 4):
        for byte in (0, 1, 127, 128, 255, data[place] ^ 1, data[place] ^ 128):
            changed = data[:place] + bytes([byte]) + data[place + 1 :]
            try:
                check_parquet(changed, 5)
                table = pl.read_parquet(changed, use_statistics=False)
            except (InputError, pl.exceptions.PolarsError):
                continue
            except pl.exceptions.PanicException:
                continue
            assert table.height <= 5
            assert table.width <= 2
