"""CiteULike's files: on each line a count and as many entries, without column names.

users.dat   3 495 1631 2526       a user's articles; users are numbered by line, from 0
mult.dat    2 10620:1 3225:4      an article's words, word:times; articles by line, from 0
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl

from lightrec.errors import InputError
from lightrec.interactions.columns import ITEM
from lightrec.interactions.lightgcn_files import NUMBERS, pairs_of_lists
from lightrec.interactions.rows_read import RowsRead
from lightrec.interactions.text_lines import read_lines

_WORDS = r"^[0-9]+( [0-9]+:[0-9]+)* ?$"


def looks_like_citeulike(lines: list[str]) -> bool:
    """Whether every one of a file's first lines is a count and as many entries, of one kind."""
    return bool(lines) and (
        all(re.fullmatch(NUMBERS, line) and _counted(line) for line in lines)
        or all(re.fullmatch(_WORDS, line) and _counted(line) for line in lines)
    )


def read_citeulike(path: Path) -> RowsRead:
    """Reads users.dat (pairs) or mult.dat (items), whichever the entries show it to be.

    Ids are line numbers from 0, as text, so that they meet those of the other file. Items get the
    columns `num_words` (different words, integer), `word_ids` and `word_counts` (lists of
    integers, in the file's order; word numbers count the lines of vocabulary.dat from 0).

    Raises:
        InputError: a line is not a count and as many entries, or is blank.
    """
    lines = read_lines(path)
    filled = (lines.str.strip_chars() != "").to_numpy()
    lines = lines.head(int(np.flatnonzero(filled)[-1]) + 1 if filled.any() else 0)
    if not len(lines):
        raise InputError(f"{path} has no rows")
    words = bool(lines.str.contains(":", literal=True).any())
    entries = lines.str.strip_chars_end(" ").str.split(" ")
    found = entries.list.len() - 1
    form = lines.str.contains(_WORDS if words else NUMBERS)
    right = form & (entries.list.first().cast(pl.Int64, strict=False) == found).fill_null(False)
    if not right.all():
        row = int((~right).arg_max() or 0)
        raise InputError(
            f"{path}, line {row + 1}: {_fault(lines[row], bool(form[row]), int(found[row]))}; "
            "correct the line, or name the file's format with --format"
        )
    numbers = np.arange(1, len(lines) + 1)
    ids = pl.Series(numbers - 1).cast(pl.String)
    if not words:
        what = "CiteULike's users.dat, on each line a count and a user's articles"
        return pairs_of_lists(ids, entries.list.slice(1), numbers, what)
    parts = entries.list.slice(1).list.eval(pl.element().str.split(":"))
    columns = {
        ITEM: ids,
        "num_words": found.cast(pl.Int64),
        "word_ids": _numbers(parts, 0),
        "word_counts": _numbers(parts, 1),
    }
    what = "CiteULike's mult.dat, on each line a count and an article's words"
    return RowsRead(pl.DataFrame(columns), numbers, (f"recognised as {what}",))


def _numbers(parts: pl.Series, place: int) -> pl.Series:
    return parts.list.eval(pl.element().list.get(place).cast(pl.Int32))


def _counted(line: str) -> bool:
    count, *entries = line.split()
    return int(count) == len(entries)


def _fault(line: str, well_formed: bool, found: int) -> str:
    if not line.strip():
        return "the line is blank; write 0 for a user or an article without entries"
    if well_formed:
        return f"says {line.split()[0]} entries and has {found}"
    return f"is no count with as many entries ({line[:60]!r})"
