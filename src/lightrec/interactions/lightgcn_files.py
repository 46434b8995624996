"""LightGCN's lists: on each line a user and then the user's items, without column names.

    0 0 1 2 3
    1 17
    2

A user who stands alone has no pairs. NGCF, KGAT and many other programs use the same format for
`train.txt` and `test.txt`.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl

from lightrec.errors import InputError
from lightrec.interactions.columns import ITEM, USER
from lightrec.interactions.rows_read import RowsRead
from lightrec.interactions.text_lines import read_lines

NUMBERS = r"^[0-9]+( [0-9]+)* ?$"
"""A line of whole numbers with one space between two; a space at the end is usual."""


def looks_like_lightgcn(lines: list[str]) -> bool:
    """Whether a file's first lines are whole numbers only, and one of them has an item."""
    only_numbers = bool(lines) and all(re.fullmatch(NUMBERS, line) for line in lines)
    return only_numbers and any(" " in line.strip() for line in lines)


def read_lightgcn(path: Path, *, any_ids: bool = False) -> RowsRead:
    """Reads users with their items; ids stay text.

    Args:
        path: the file.
        any_ids: accepts ids other than whole numbers, and any white space between them; for a file
            whose format was named by its owner.

    Raises:
        InputError: a line is no list of whole numbers, no line has an item, or the lines look like
            rows of a table.
    """
    lines = read_lines(path)
    if any_ids:
        lines = lines.str.replace_all(r"\s+", " ").str.strip_chars(" ")
    numbers = np.flatnonzero((lines.str.strip_chars() != "").to_numpy()) + 1
    lines = lines.gather(numbers - 1)
    if not any_ids and not lines.str.contains(NUMBERS).all():
        row = int((~lines.str.contains(NUMBERS)).arg_max() or 0)
        raise InputError(
            f"{path}, line {numbers[row]}: the lines before it are lists of whole numbers, a user "
            f"and the user's items with one space between two, and this one is not "
            f"({lines[row][:60]!r}); correct it, or name the file's format with --format"
        )
    ids = lines.str.strip_chars_end(" ").str.split(" ")
    counts = ids.list.len().to_numpy().astype(np.int64) - 1
    if not any_ids:
        _require_one_list_a_user(path, ids.list.first(), counts, numbers)
    if not counts.any():
        raise InputError(f"{path}: no line names an item; a line is a user and the user's items")
    return pairs_of_lists(
        ids.list.first(),
        ids.list.slice(1),
        numbers,
        "LightGCN's lists, on each line a user and the user's items",
    )


def _require_one_list_a_user(
    path: Path, users: pl.Series, counts: np.ndarray, numbers: np.ndarray
) -> None:
    """Refuses what is rather a table: its rows would be read as lists, ratings as items."""
    again = ~users.is_first_distinct().to_numpy()
    if again.any() and counts.max() > 1:
        row = int(np.argmax(again))
        raise InputError(
            f"{path}, line {numbers[row]}: user {users[row]!r} begins a second line, where each "
            "has one in LightGCN's lists; if the lines are rows of a table, put a line of column "
            "names above them, else name the format (--format lightgcn, file_format='lightgcn')"
        )


def pairs_of_lists(users: pl.Series, items: pl.Series, lines: np.ndarray, what: str) -> RowsRead:
    """One row for each item of each user.

    Args:
        users: String (n,).
        items: List(String) (n,), each user's items.
        lines: where each of them stands in the file, integers (n,).
        what: the format, for the note.
    """
    counts = items.list.len().to_numpy().astype(np.int64)
    notes = [f"recognised as {what}"]
    alone = int((counts == 0).sum())
    if alone:
        notes.append(f"{alone:,} lines without items: their users have no pairs here")
    each = np.repeat(np.arange(len(counts)), counts)
    pairs = {USER: users.gather(each), ITEM: items.filter(pl.Series(counts > 0)).explode()}
    return RowsRead(pl.DataFrame(pairs), lines[each], tuple(notes))
