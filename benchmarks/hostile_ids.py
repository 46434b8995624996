"""Tables of ids that other libraries change, lose or choke on, and what must become of each.

What must become of a table is worked out here from the ids alone, without LightRec.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

Id = Any
COLUMNS = ("user", "item")
KINDS = ("csv", "tsv", "parquet", "frame")
"""How a table is handed over, in rotation."""

WORDS = (
    *("nan", "NaN", "NA", "N/A", "null", "NULL", "None", "none", "inf", "-inf", "TRUE", "true"),
    *(
        "7",
        "07",
        "007",
        "+7",
        "7.0",
        "7.00",
        "1.0",
        "1e5",
        "1E5",
        "100000",
        "-1",
        "-0",
        "0",
        "0x10",
    ),
    *("1_000", "1,000", "\uff11\uff12", "\u0663", str(2**63 - 1), str(2**63), str(2**64), "9" * 40),
    *(" a", "a ", "a", " ", "  ", "\t", "\u00a0", "\u2003", "a\u00a0", "A", "\u0130", "i\u0307"),
    *("\u00e9", "e\u0301", "\u00c5", "\u212b", "A\u030a", "\ufb01", "fi", "\uac00", "\u1100\u1161"),
    *("\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0010ffff", "\uffff", "\ud7ff"),
    *("\u202eabc", "\u200fabc", "\u200b", "\u2066a\u2069", "\ufeff", "\ufeffa", "\u2028", "\u0085"),
    *("\0", "a\0b", "a\0", "\x01", "\x1b[31m", "\x7f", "\x1a", "\b", "\f", "\v"),
    *("=cmd()", "=1+1", "+1-1", "-1+1", "@x", "#", "#a", "//", "%s", "{0}", "[bold]", ":smile:"),
    *('"', '""', "'", 'a"b', '"a"', "`", "\\", "\\n", '\\"', "a\\", "''"),
    *(
        ",",
        ";",
        "|",
        "a,b",
        "a;b",
        "a\tb",
        "a|b",
        "::",
        "a::b",
        "user",
        "item",
        "user_id",
        "item_id",
    ),
    *("\n", "\r", "\r\n", "a\nb", "a\rb", "a\r\nb", "\na", "a\n", "a\n\nb"),
    *("x" * 10_000, "\u00e9" * 5_000, ("ab" * 4_999) + "c", ("ab" * 4_999) + "d"),
    *(
        "../../etc/passwd",
        "<script>",
        "2024-01-01",
        "12:00",
        "file:///x",
        "C:\\x",
        "a/b",
        "-",
        "--",
    ),
)
WHOLE = (0, 1, -1, 7, 100_000, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), -(2**63) + 1)
HALVES = ("\ud800", "a\udfff", "\udc80b")


@dataclass(frozen=True)
class IdTable:
    """Pairs of ids, and how they are handed over.

    Attributes:
        users: One id a row.
        items: Likewise.
        kind: One of `KINDS`.
        separator: Between the fields of a text file.
        line_end: Of its rows.
        quoted: Whether every field of it is quoted, or only those that need it.
        byte_order_mark: Whether it begins with one.
    """

    users: list[Id]
    items: list[Id]
    kind: str
    separator: str = ","
    line_end: str = "\n"
    quoted: bool = False
    byte_order_mark: bool = False

    def given(self, folder: Path) -> Any:  # noqa: ANN401
        """The table as a file in the folder, or as a frame."""
        if self.kind in ("csv", "tsv"):
            path = folder / f"table.{self.kind}"
            path.write_bytes(self.text().encode())
            return path
        columns = dict(zip(COLUMNS, (self.users, self.items), strict=True))
        if self.kind == "parquet":
            path = folder / "table.parquet"
            pl.DataFrame(columns).write_parquet(path)
            return path
        # Halves of characters and mixed types have no place in polars, only in its input.
        return columns if any(map(_no_column, columns.values())) else pl.DataFrame(columns)

    def text(self) -> str:
        """The table as CSV, written here so that no writer decides what may be in it."""
        rows = [COLUMNS, *zip(self.users, self.items, strict=True)]
        lines = [self.separator.join(map(self._field, row)) + self.line_end for row in rows]
        return ("\ufeff" if self.byte_order_mark else "") + "".join(lines)

    def faults(self) -> list[str]:
        """What an error has to name, one of them; none where the table has to be accepted."""
        if self.kind in ("csv", "tsv"):
            return [
                f"line {self._line(ids.index(''))}, column {name!r}"
                for name, ids in zip(COLUMNS, (self.users, self.items), strict=True)
                if "" in ids
            ]
        found = []
        for name, ids in zip(COLUMNS, (self.users, self.items), strict=True):
            present = [value for value in ids if value is not None]
            kind = type(present[0]) if present else str
            for row, value in enumerate(ids, start=1):
                odd = value is not None and type(value) is not kind
                if value is None or value == "" or odd or _half(value):
                    found.append(f"row {row}, column {name!r}")
                    break
            numbers = [value for value in present if not isinstance(value, str)]
            if any(type(n) is not int or not -(2**63) <= n < 2**63 for n in numbers):
                found.append(f"column {name!r}: ")  # as a whole, or a value of it
        return found

    def _field(self, value: str) -> str:
        special = ("\n", "\r", '"', self.separator)
        if self.quoted or any(letter in value for letter in special):
            return '"' + value.replace('"', '""') + '"'
        return value

    def _line(self, row: int) -> int:
        """The line on which a row begins, where every CR, LF and CRLF ends a line."""
        above = [*self.users[:row], *self.items[:row]]
        return 2 + row + sum(map(_line_ends, above))


def drawn(rng: np.random.Generator, trial: int, *, rows: int = 0) -> IdTable:
    """A random table.

    Args:
        rng: Draws it.
        trial: Its number: says how it is handed over.
        rows: About how many pairs; a few when 0.
    """
    kind = KINDS[trial % len(KINDS)]
    size = rows or int(rng.integers(1, 12))
    users, items = (_ids(rng, kind, size) for _ in COLUMNS)
    if rows:  # to be trained on: nothing to refuse, and every user twice at least
        users, items = [u for u in users if _fine(u)], [i for i in items if _fine(i)]
        users, items = _crossed(rng, users, items, rows)
    return IdTable(
        users,
        items,
        kind,
        separator="\t" if kind == "tsv" else str(rng.choice([",", ",", ";", "|"])),
        line_end=str(rng.choice(["\n", "\r\n"])),
        quoted=bool(rng.random() < 0.3),
        byte_order_mark=bool(rng.random() < 0.2),
    )


def _ids(rng: np.random.Generator, kind: str, size: int) -> list[Id]:
    """Ids of a column with repetitions."""
    few = max(1, size * 3 // 4)
    if kind in ("parquet", "frame") and rng.random() < 0.4:
        distinct: list[Id] = [_number(rng) for _ in range(few)]
    else:
        distinct = [_word(rng) for _ in range(few)]
    ids = [distinct[place] for place in rng.integers(0, few, size)]
    spoiled = rng.random()
    place = int(rng.integers(size))
    if spoiled < 0.06:
        ids[place] = "" if kind in ("csv", "tsv") or isinstance(ids[0], str) else None
    elif kind == "parquet" and spoiled < 0.1:
        ids = [float(n) for n in range(size)] if isinstance(ids[0], int) else ids
    elif kind == "frame" and spoiled < 0.2:
        ids[place] = (None, str(rng.choice(HALVES)), 2.5, 2**64, True)[int(rng.integers(5))]
    return ids


def _word(rng: np.random.Generator) -> str:
    """One of the known troublemakers, two of them together, or random characters."""
    way = rng.random()
    if way < 0.6:
        return WORDS[rng.integers(len(WORDS))]
    if way < 0.8:
        first, second = rng.integers(0, len(WORDS), 2)
        return WORDS[first] + WORDS[second]
    letters = rng.integers(0, 0x11_0000 - 0x800, int(rng.integers(1, 9)))
    if way < 0.9:
        letters %= 0x80
    return "".join(chr(n if n < 0xD800 else n + 0x800) for n in letters.tolist())


def _number(rng: np.random.Generator) -> int:
    if rng.random() < 0.5:
        return WHOLE[rng.integers(len(WHOLE))]
    return int(rng.integers(-(2**63), 2**63 - 1))


def _crossed(
    rng: np.random.Generator, users: Sequence[Id], items: Sequence[Id], rows: int
) -> tuple[list[Id], list[Id]]:
    """Pairs of distinct ids: half of all that there are."""
    users, items = list(dict.fromkeys(users)), list(dict.fromkeys(items))
    pairs = [(user, item) for user in users for item in items]
    chosen = rng.permutation(len(pairs))[: max(rows, len(pairs) // 2)]
    return [pairs[n][0] for n in chosen], [pairs[n][1] for n in chosen]


def _fine(value: Id) -> bool:
    return value is not None and value != "" and not _half(value) and type(value) in (str, int)


def _half(value: Id) -> bool:
    return isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value)


def _no_column(ids: Sequence[Id]) -> bool:
    kinds = {type(value) for value in ids if value is not None}
    return len(kinds) > 1 or any(map(_half, ids)) or 2**64 in ids


def _line_ends(value: str) -> int:
    return len(io.StringIO(value + ".", newline="").readlines()) - 1
