"""Random CSV files, read by LightRec and by Python's `csv` module: the same cells, or both refuse.

There is one deliberate difference: Python takes a quote inside a field that is not quoted as a
letter. LightRec may refuse such a file, and then names the line.
"""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pytest

from lightrec.errors import InputError
from lightrec.interactions import read_table

FILES = 2_000
BATCH = 250
PIECES = (
    *("a", "b", "0", "7", "007", "nan", "NA", "null", "1e5", "-1", "é", "e\u0301", "\U0001f600"),
    *(" ", "  ", "\t", ";", "|", "'", "\\", "#", "=", "\u00a0", "\u2028", "\x0b", "\0", "\x1b"),
)
QUOTED_ONLY = (",", "\n", "\r\n", '"', "\n\n")
ENDS = ("\n", "\r\n")


def field(rng: np.random.Generator) -> tuple[str, str]:
    """A cell, and how it is written."""
    quoted = rng.random() < 0.35
    pieces = PIECES + (QUOTED_ONLY * 3 if quoted else ())
    cell = "".join(pieces[n] for n in rng.integers(0, len(pieces), int(rng.integers(0, 5))))
    return cell, '"' + cell.replace('"', '""') + '"' if quoted else cell


def drawn(rng: np.random.Generator) -> bytes:
    """A CSV file of known column names, often with something wrong in it."""
    width = int(rng.integers(2, 5))
    names = ["user", "item", "note", "more"][:width]
    end = ENDS[rng.integers(2)]
    lines = [",".join(f'"{name}"' if rng.random() < 0.2 else name for name in names)]
    for _ in range(int(rng.integers(1, 7))):
        fields = [field(rng)[1] for _ in range(width)]
        wrong = rng.random()
        if wrong < 0.04:
            fields = fields[:-1]
        elif wrong < 0.08:
            fields.append(field(rng)[1])
        elif wrong < 0.11:
            fields[rng.integers(width)] = '"open'
        elif wrong < 0.14:
            fields[rng.integers(width)] = '"a"b'
        elif wrong < 0.17:
            fields[rng.integers(width)] = '5" disc'
        lines.append(",".join(fields))
        if rng.random() < 0.1:
            lines.append("")
    text = end.join(lines) + (end if rng.random() < 0.7 else "")
    return ("\ufeff" if rng.random() < 0.2 else "").encode() + text.encode()


def by_python(data: bytes) -> list[tuple[str, ...]] | None:
    """The rows that Python reads, with their column names first; None where it refuses the file."""
    stream = io.StringIO(data.decode("utf-8-sig"), newline="")
    try:
        rows = [tuple(row) for row in csv.reader(stream, strict=True) if row]
    except csv.Error:
        return None
    fits = len({len(row) for row in rows}) == 1 and len(rows) > 1
    return rows if fits else None


def line_of_first_bare_quote(data: bytes) -> int:
    """Found letter by letter: quotes open at the begin of a field only, and close before an end."""
    line, quoted, begin = 1, False, True
    text = data.decode("utf-8-sig").replace("\r\n", "\n")
    place = 0
    begun = 1
    while place < len(text):
        letter = text[place]
        if quoted and text[place : place + 2] == '""':
            place += 1
        elif letter == '"':
            if not quoted and not begin:
                return begun
            quoted = not quoted
        line += letter == "\n"
        begin = not quoted and letter in ",\n"
        if letter == "\n" and not quoted:
            begun = line
        place += 1
    return 0


def by_lightrec(path: Path) -> tuple[list[tuple[str, ...]] | None, str]:
    """Likewise, and the error; a cell without a character is null there."""
    try:
        table = read_table(path)
    except InputError as error:
        return None, str(error)
    rows = [tuple(cell or "" for cell in row) for row in table.iter_rows()]
    return [tuple(table.columns), *rows], ""


@pytest.mark.parametrize("first", range(0, FILES, BATCH))
def test_both_read_the_same(tmp_path: Path, first: int) -> None:
    read = refused = bare = 0
    for number in range(first, first + BATCH):
        data = drawn(np.random.default_rng([3, number]))
        zipped = number % 10 == 0
        path = tmp_path / ("table.csv.gz" if zipped else "table.csv")
        path.write_bytes(gzip.compress(data) if zipped else data)
        expected = by_python(data)
        found, error = by_lightrec(path)
        if "a quote inside a field that is not quoted" in error:
            assert f"{path}, line {line_of_first_bare_quote(data)}: " in error, (number, data)
            bare += 1
            continue
        assert found == expected, (number, data, error)
        if expected is None:
            assert f"{path}" in error
            refused += 1
        else:
            read += 1
    assert read > BATCH // 3
    assert refused > BATCH // 10
    assert bare > BATCH // 100
