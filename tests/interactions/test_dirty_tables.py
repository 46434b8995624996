"""Dirty tables, each with what becomes of it: every row used or counted, or one precise error."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pytest

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions import ColumnNames, Interactions

RATED = "user,item,rating\n"
TIMED = "user,item,time\n"
PLAIN = "user,item\n"
Case = tuple[str, Any, dict[str, Any], Any]


def parquet(columns: dict[str, Any], damage: Callable[[bytes], bytes] = bytes) -> tuple[str, bytes]:
    """A Parquet file, damaged afterwards."""
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return "table.parquet", damage(buffer.getvalue())


def zipped(text: str, damage: Callable[[bytes], bytes] = bytes) -> tuple[str, bytes]:
    """A CSV file under gzip, damaged afterwards."""
    return "table.csv.gz", damage(gzip.compress(text.encode()))


READ: list[Case] = [
    # name, table, options, (rows in, used, {users}, {items}, other counts of the report)
    ("one pair", PLAIN + "a,x\n", {}, (1, 1, {"a"}, {"x"}, {})),
    ("no line end", PLAIN + "a,x", {}, (1, 1, {"a"}, {"x"}, {})),
    ("one user", PLAIN + "a,x\na,y\na,z\n", {}, (3, 3, {"a"}, {"x", "y", "z"}, {})),
    ("one item", PLAIN + "a,x\nb,x\nc,x\n", {}, (3, 3, {"a", "b", "c"}, {"x"}, {})),
    ("same pair", PLAIN + "a,x\na,x\nb,x\n", {}, (3, 2, {"a", "b"}, {"x"}, {"merged": 1})),
    ("one pair 500 times", PLAIN + "a,x\n" * 500, {}, (500, 1, {"a"}, {"x"}, {"merged": 499})),
    (
        "contradicting ratings without a time: the best one counts",
        RATED + "a,x,1\na,x,5\na,x,2\nb,x,1\n",
        {"rating_above": 3},
        (4, 1, {"a"}, {"x"}, {"merged": 2, "below": 1, "users": 1}),
    ),
    (
        "contradicting ratings with times: the latest one counts",
        "user,item,rating,time\na,x,5,1\na,x,1,2\nb,x,4,9\n",
        {"rating_above": 3},
        (3, 1, {"b"}, {"x"}, {"merged": 1, "below": 1, "users": 1}),
    ),
    (
        "contradicting ratings at one time: the best one counts",
        "user,item,rating,time\na,x,5,1\na,x,1,1\n",
        {"rating_above": 3},
        (2, 1, {"a"}, {"x"}, {"merged": 1}),
    ),
    (
        "all ratings equal, at the threshold",
        RATED + "a,x,3\nb,y,3.0\nc,z,3.5\n",
        {"rating_above": 3},
        (3, 1, {"c"}, {"z"}, {"below": 2, "users": 2, "items": 2}),
    ),
    ("ratings of zero", RATED + "a,x,0\nb,y,0\n", {}, (2, 2, {"a", "b"}, {"x", "y"}, {})),
    ("ratings of minus zero", RATED + "a,x,-0.0\n", {}, (1, 1, {"a"}, {"x"}, {})),
    (
        "huge ratings",
        RATED + "a,x,1e308\nb,y,99999999999999999999\n",
        {"rating_above": 1e300},
        (2, 1, {"a"}, {"x"}, {"below": 1, "users": 1, "items": 1}),
    ),
    ("tiny ratings", RATED + "a,x,1e-320\n", {"rating_above": 0}, (1, 1, {"a"}, {"x"}, {})),
    (
        "ratings that are true and false",
        {"user": ["a", "b"], "item": ["x", "y"], "rating": [True, False]},
        {"rating_above": 0},
        (2, 1, {"a"}, {"x"}, {"below": 1, "users": 1, "items": 1}),
    ),
    (
        "a bad rating column that is left out",
        RATED + "a,x,good\n",
        {"columns": ColumnNames(rating="")},
        (1, 1, {"a"}, {"x"}, {}),
    ),
    (
        "users with too few pairs, and items that lose theirs with them",
        PLAIN + "a,x\na,y\nb,x\nc,z\n",
        {"min_pairs_per_user": 2},
        (4, 2, {"a"}, {"x", "y"}, {"user minimum": 2, "users": 2, "items": 1}),
    ),
    (
        "items with too few pairs",
        PLAIN + "a,x\na,y\nb,x\n",
        {"min_pairs_per_item": 2},
        (3, 2, {"a", "b"}, {"x"}, {"item minimum": 1, "items": 1}),
    ),
    (
        "both minima, users first",
        PLAIN + "a,x\na,y\nb,x\nc,y\nc,z\n",
        {"min_pairs_per_user": 2, "min_pairs_per_item": 2},
        (5, 2, {"a", "c"}, {"y"}, {"user minimum": 1, "item minimum": 2, "users": 1, "items": 2}),
    ),
    (
        "items of the catalogue without a pair, and pairs of items that it lacks",
        PLAIN + "a,x\na,new\n",
        {"items": {"item_id": ["x", "y", "z"]}},
        (2, 2, {"a"}, {"x", "y", "z", "new"}, {"without pairs": 2, "added": 1}),
    ),
    (
        "a byte order mark",
        "\ufeff" + PLAIN + "a,x\n",
        {},
        (1, 1, {"a"}, {"x"}, {}),
    ),
    (
        "a byte order mark before a quoted name",
        '\ufeff"user","item"\n"a","x"\n',
        {},
        (1, 1, {"a"}, {"x"}, {}),
    ),
    ("CRLF", "user,item\r\na,x\r\nb,y\r\n", {}, (2, 2, {"a", "b"}, {"x", "y"}, {})),
    ("LF and CRLF", "user,item\r\na,x\nb,y\r\n", {}, (2, 2, {"a", "b"}, {"x", "y"}, {})),
    ("blank lines", PLAIN + "\na,x\n\n\nb,y\n\n", {}, (2, 2, {"a", "b"}, {"x", "y"}, {})),
    (
        "line breaks in quotes",
        PLAIN + '"a\nb",x\n"a\r\nb","y\n\n"\n',
        {},
        (2, 2, {"a\nb", "a\r\nb"}, {"x", "y\n\n"}, {}),
    ),
    (
        "separators and quotes in quotes",
        PLAIN + '"a,b","x""y"\n""",""","\t;|"\n',
        {},
        (2, 2, {"a,b", '","'}, {'x"y', "\t;|"}, {}),
    ),
    ("semicolons", "user;item\na,1;x\n", {}, (1, 1, {"a,1"}, {"x"}, {})),
    ("tabs in .csv", "user\titem\na b\tx\n", {}, (1, 1, {"a b"}, {"x"}, {})),
    ("bars", "user|item\na|x\n", {}, (1, 1, {"a"}, {"x"}, {})),
    ("spaces around ids", PLAIN + " a,x \na,x\n", {}, (2, 2, {" a", "a"}, {"x ", "x"}, {})),
    (
        "ids that look like numbers or like nothing",
        PLAIN + "007,7\n7,07\nnan,NA\nnull,None\n1.0,1e5\n-1,TRUE\n",
        {},
        (
            6,
            6,
            {"007", "7", "nan", "null", "1.0", "-1"},
            {"7", "07", "NA", "None", "1e5", "TRUE"},
            {},
        ),
    ),
    (
        "one letter in two ways",
        PLAIN + "\u00e9,x\ne\u0301,x\n",
        {},
        (2, 2, {"\u00e9", "e\u0301"}, {"x"}, {}),
    ),
    ("NUL in an id", PLAIN + "a\0b,x\n", {}, (1, 1, {"a\0b"}, {"x"}, {})),
    ("an id of a megabyte", PLAIN + "a" * 2**20 + ",x\n", {}, (1, 1, {"a" * 2**20}, {"x"}, {})),
    (
        "a thousand columns",
        ",".join(["user", "item", *map(str, range(998))]) + "\na,x" + ",0" * 998,
        {},
        (1, 1, {"a"}, {"x"}, {}),
    ),
    ("gzip", zipped(PLAIN + "a,x\n"), {}, (1, 1, {"a"}, {"x"}, {})),
    (
        "two gzip parts in one file",
        ("table.csv.gz", gzip.compress(b"user,item\na,x\n") + gzip.compress(b"b,y\n")),
        {},
        (2, 2, {"a", "b"}, {"x", "y"}, {}),
    ),
    (
        "a thousandfold gzip",
        zipped(PLAIN + "a,x\n" * 500_000),
        {},
        (500_000, 1, {"a"}, {"x"}, {"merged": 499_999}),
    ),
    (
        "integers of all widths",
        {
            "user": pl.Series([255, 0], dtype=pl.UInt8),
            "item": pl.Series([2**63 - 1, 0], dtype=pl.UInt64),
        },
        {},
        (2, 2, {255, 0}, {2**63 - 1, 0}, {}),
    ),
    (
        "categories",
        {"user": pl.Series(["nan", "b"], dtype=pl.Categorical), "item": ["x", "y"]},
        {},
        (2, 2, {"nan", "b"}, {"x", "y"}, {}),
    ),
    (
        "integer items and a catalogue of text",
        {"user": ["a", "b"], "item": [7, 8]},
        {"items": {"item_id": ["007", "7"]}},
        (2, 2, {"a", "b"}, {"007", "7", "8"}, {"without pairs": 1, "added": 1}),
    ),
    (
        "a column of no type in the catalogue",
        {"user": ["a"], "item": ["x"], "note": [None]},
        {},
        (1, 1, {"a"}, {"x"}, {}),
    ),
    (
        "times of all signs and widths",
        TIMED + "a,x,-9223372036854775808\na,x,9223372036854775807\n",
        {},
        (2, 1, {"a"}, {"x"}, {"merged": 1}),
    ),
    (
        "ISO dates and moments in one column",
        TIMED + "a,x,2024-02-29\na,x,2024-02-29T12:00:00Z\na,x,2024-02-29 12:00:00.5+01:00\n",
        {},
        (3, 1, {"a"}, {"x"}, {"merged": 2}),
    ),
    (
        "dates of a frame",
        {"user": ["a", "a"], "item": ["x", "x"], "date": [date(1, 1, 1), date(9999, 12, 31)]},
        {},
        (2, 1, {"a"}, {"x"}, {"merged": 1}),
    ),
    (
        "Parquet with nanoseconds",
        parquet(
            {
                "user": ["a"],
                "item": ["x"],
                "time": pl.Series([datetime(2024, 1, 1)], dtype=pl.Datetime("ns")),
            }
        ),
        {},
        (1, 1, {"a"}, {"x"}, {}),
    ),
]

REFUSED: list[Case] = [
    # name, table, options, what the error says ({file} stands for the path)
    ("an empty file", "", {}, "{file} is empty"),
    ("white space", " \n", {}, "{file} has no column user_id"),
    ("column names alone", PLAIN, {}, "{file} has no rows"),
    ("an empty frame", {"user": [], "item": []}, {}, "has no rows"),
    ("no column names", "a,x\nb,y\n", {}, "has no column user_id; columns found: 'a', 'x'"),
    ("a missing column", "user,thing\na,x\n", {}, "has no column item_id; columns found: 'user'"),
    (
        "two columns that fit",
        "user,movie,book\na,x,y\n",
        {},
        "columns 'movie' and 'book' both could be item_id; say which it is with --item-column",
    ),
    ("a column twice", "user,item,item\na,x,y\n", {}, "column 'item' occurs twice"),
    (
        "one column for two purposes",
        PLAIN + "a,x\n",
        {"columns": ColumnNames(item_id="user")},
        "column 'user' was chosen for two purposes",
    ),
    (
        "a column that is not there",
        PLAIN + "a,x\n",
        {"columns": ColumnNames(rating="stars")},
        "has no column 'stars' (asked for as rating)",
    ),
    ("CR alone", "user,item\ra,x\r", {}, "lines end with CR alone"),
    ("a row too long", PLAIN + "a,x\nb,y,z\n", {}, "{file}, line 3: 3 fields, but there are 2"),
    ("a row too short", RATED + "a,x,1\nb,y\n", {}, "{file}, line 3: 2 fields, but there are 3"),
    ("an open quote", PLAIN + 'a,x\n"b,y\nc,z\n', {}, "{file}, line 3: unexpected end of data"),
    (
        "inches",
        PLAIN + '"a\nb",x\nb,5" disc\nc,y\n',
        {},
        "{file}, line 4: a quote inside a field that is not quoted; quote the field",
    ),
    ("a quote open to the end", PLAIN + 'a,x\nb,"y\nc,""', {}, "{file}, line 3: unexpected end of"),
    ("a quote open at the end", PLAIN + 'a,x\nb,"y""', {}, "{file}, line 3: unexpected end of"),
    ("a quote in the middle", PLAIN + 'a,x\n"b"c,y\n', {}, "{file}, line 3: "),
    ("an empty user", PLAIN + "a,x\n,y\n", {}, "{file}, line 3, column 'user': the id is missing"),
    ("an empty item in quotes", PLAIN + 'a,""\n', {}, "{file}, line 2, column 'item': the id is"),
    (
        "many empty ids",
        PLAIN + "a,x\n" + ",y\n" * 7,
        {},
        "{file}, line 3, column 'user': the id is missing (and in 6 more rows)",
    ),
    ("Latin-1", PLAIN.encode() + b"a,x\n\xe9,y\n", {}, "{file}, line 3: not UTF-8; convert"),
    (
        "two encodings in one file",
        PLAIN.encode() + "é,x\n".encode() + "é,y\n".encode("latin-1"),
        {},
        "{file}, line 3: not UTF-8",
    ),
    ("UTF-16", (PLAIN + "a,x\n").encode("utf-16"), {}, "{file}, line 1: not UTF-8"),
    ("a rating of NaN", RATED + "a,x,1\nb,y,nan\n", {}, "{file}, line 3, column 'rating': the"),
    ("an infinite rating", RATED + "a,x,inf\n", {}, "is not a finite number >= 0 ('inf')"),
    ("a rating beyond float64", RATED + "a,x,1e999\n", {}, "is not a finite number >= 0 ('1e999')"),
    ("a negative rating", RATED + "a,x,-1\n", {}, "is not a finite number >= 0 ('-1')"),
    ("a rating in words", RATED + "a,x,good\n", {}, "the rating is not a number ('good')"),
    ("a decimal comma", RATED + 'a,x,"3,5"\n', {}, "the rating is not a number ('3,5')"),
    ("a rating that is missing", RATED + "a,x,\n", {}, "{file}, line 2, column 'rating': the"),
    (
        "a rating of NaN in a frame",
        {"user": ["a", "b"], "item": ["x", "y"], "rating": [1.0, np.nan]},
        {},
        "row 2, column 'rating': the rating is not a finite number >= 0 (nan)",
    ),
    (
        "ratings that are lists",
        {"user": ["a"], "item": ["x"], "rating": [[1.0]]},
        {},
        "ratings must be numbers, not List(Float64)",
    ),
    (
        "a threshold that nobody passes",
        RATED + "a,x,1\nb,y,2\n",
        {"rating_above": 2},
        "none of 2 rows passes the filters",
    ),
    (
        "a threshold of NaN",
        RATED + "a,x,1\n",
        {"rating_above": float("nan")},
        "rating_above must be a number, not nan",
    ),
    (
        "half a pair as minimum",
        PLAIN + "a,x\n",
        {"min_pairs_per_user": 1.5},
        "must be whole numbers, at least 1",
    ),
    (
        "columns given as a dict",
        PLAIN + "a,x\n",
        {"columns": {"user_id": "user"}},
        "columns must be ColumnNames(user_id=...), not {{'user_id': 'user'}}",
    ),
    ("a threshold without ratings", PLAIN + "a,x\n", {"rating_above": 2}, "has no rating column"),
    (
        "dates mixed with integers",
        TIMED + "a,x,2024-01-01\nb,y,1704067200\n",
        {},
        "{file}, line 3, column 'time': the time is neither a number nor an ISO date",
    ),
    ("a date that does not exist", TIMED + "a,x,2023-02-29\n", {}, "neither a number nor an ISO"),
    ("an infinite time", TIMED + "a,x,inf\n", {}, "the time is not finite"),
    ("a time that is missing", TIMED + "a,x,1\nb,y,\n", {}, "{file}, line 3, column 'time': the"),
    (
        "a time beyond 64 bits",
        {"user": ["a"], "item": ["x"], "time": pl.Series([2**63], dtype=pl.UInt64)},
        {},
        "the time does not fit 64 bits",
    ),
    (
        "ids of mixed type",
        pd.DataFrame({"user": ["a", 1], "item": ["x", "y"]}),
        {},
        "cannot be read as a table: row 2, column 'user': 1 is int, where those before are str",
    ),
    (
        "truth among integers",
        {"user": [5, True], "item": ["x", "y"]},
        {},
        "row 2, column 'user': True is bool, where those before are int; give the column one type",
    ),
    (
        "an integer of 65 bits among smaller ones",
        {"user": [1, 2**64], "item": ["x", "y"]},
        {},
        "row 2, column 'user': 18446744073709551616 does not fit 64 bits with sign; cast ids to",
    ),
    (
        "ids that are floats",
        {"user": [1.0, 2.0], "item": ["x", "y"]},
        {},
        "column 'user': ids are floating-point numbers",
    ),
    (
        "ids beyond 64 bits",
        {"user": pl.Series([2**63], dtype=pl.UInt64), "item": ["x"]},
        {},
        "an integer does not fit 64 bits with sign; cast ids to text",
    ),
    ("ids that are dates", {"user": [date(2024, 1, 1)], "item": ["x"]}, {}, "ids must be text or"),
    ("ids that are lists", {"user": [["a"]], "item": ["x"]}, {}, "ids must be text or integers"),
    ("ids that are truth", {"user": [True], "item": ["x"]}, {}, "ids must be text or integers"),
    (
        "half a character",
        {"user": ["a", "b\ud800"], "item": ["x", "y"]},
        {},
        "cannot be read as a table: row 2, column 'user': 'b\\ud800' holds half a character",
    ),
    ("an id of None", {"user": [None, "a"], "item": ["x", "y"]}, {}, "row 1, column 'user': the"),
    ("ids of None alone", {"user": [None], "item": ["x"]}, {}, "row 1, column 'user': the id is"),
    (
        "an id of the catalogue twice",
        PLAIN + "a,x\n",
        {"items": {"item_id": ["x", "x"]}},
        "row 2, column 'item_id': item 'x' occurs again",
    ),
    ("gzip cut short", zipped(PLAIN + "a,x\n" * 99, lambda data: data[:-12]), {}, "{file}"),
    (
        "gzip with a wrong byte",
        zipped(PLAIN + "a,x\n" * 9, lambda d: d[:-5] + b"\0" * 5),
        {},
        "{file}",
    ),
    ("no gzip at all", ("table.csv.gz", b"\x1f\x8bnothing"), {}, "{file}"),
    ("bzip2 named gzip", ("table.csv.gz", bz2.compress(PLAIN.encode())), {}, "{file} is called"),
    ("xz named gzip", ("table.csv.gz", lzma.compress(PLAIN.encode())), {}, "{file} is called"),
    ("text named gzip", ("table.csv.gz", PLAIN.encode()), {}, "{file} is called"),
    ("no Parquet at all", ("table.parquet", b"PAR1"), {}, "{file} is no readable Parquet file"),
    (
        "Parquet cut short",
        parquet({"user": ["a"], "item": ["x"]}, lambda data: data[: len(data) // 2]),
        {},
        "{file} is no readable Parquet file",
    ),
    (
        "Parquet with a page of zeros",
        parquet(
            {"user": list(range(2000)), "item": ["x"] * 2000},
            lambda data: data[:40] + bytes(60) + data[100:],
        ),
        {},
        "{file} cannot be read",
    ),
    ("an empty Parquet table", parquet({"user": [], "item": []}), {}, "{file} has no rows"),
]

COUNTS = {
    "merged": "merged_duplicates",
    "below": "below_rating",
    "user minimum": "below_user_minimum",
    "item minimum": "below_item_minimum",
    "users": "users_dropped",
    "items": "items_dropped",
    "without pairs": "items_without_pairs",
    "added": "items_added",
}


def given(table: Any, folder: Path) -> Any:
    """The table itself, or the path of the file that it was written to."""
    if isinstance(table, str):
        table = table.encode()
    if isinstance(table, bytes):
        table = "table.csv", table
    if not isinstance(table, tuple):
        return table
    path = folder / table[0]
    path.write_bytes(table[1])
    return path


def names(cases: list[Case]) -> list[str]:
    return [case[0] for case in cases]


def test_there_are_sixty_cases_each_with_its_name() -> None:
    cases = names(READ + REFUSED)
    assert len(cases) == len(set(cases)) >= 60


@pytest.mark.parametrize(("_", "table", "options", "expected"), READ, ids=names(READ))
def test_every_row_is_used_or_reported(
    tmp_path: Path, _: str, table: Any, options: dict[str, Any], expected: Any
) -> None:
    rows_in, rows_used, users, items, counted = expected
    pairs = Interactions.from_table(given(table, tmp_path), **options)
    report = pairs.report
    assert (report.rows_in, report.rows_used, len(pairs)) == (rows_in, rows_used, rows_used)
    found = {name: getattr(report, field) for name, field in COUNTS.items()}
    assert found == dict.fromkeys(COUNTS, 0) | counted
    reasons = ("merged", "below", "user minimum", "item minimum")
    assert rows_in == rows_used + sum(found[reason] for reason in reasons)
    assert set(pairs.users.series.to_list()) == users
    assert set(pairs.items.series.to_list()) == items


@pytest.mark.parametrize(("_", "table", "options", "said"), REFUSED, ids=names(REFUSED))
def test_what_cannot_be_used_is_named(
    tmp_path: Path, _: str, table: Any, options: dict[str, Any], said: str
) -> None:
    source = given(table, tmp_path)
    with pytest.raises((InputError, ArgumentError)) as refusal:
        Interactions.from_table(source, **options)
    message = str(refusal.value)
    assert said.format(file=source) in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("name", ["a[1]", "a*", "a?", "[ab]", "{a}", "a b", "~", "file:a"])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".CSV.GZ", ".parquet"])
def test_a_file_name_is_no_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, ending: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, file in enumerate((name, "ab", "a1", "a")):
        frame = pl.DataFrame({"user": ["a"], "item": [str(number)]})
        data = io.BytesIO()
        frame.write_parquet(data) if ending == ".parquet" else frame.write_csv(data)
        zipped_too = ending.lower().endswith(".gz")
        content = gzip.compress(data.getvalue()) if zipped_too else data.getvalue()
        Path(file + ending).write_bytes(content)
    assert Interactions.from_table(name + ending).items.ids([0]) == ["0"]


def test_more_codewords_than_items_is_said_before_any_work() -> None:
    from lightrec import compress

    vectors = np.eye(5, dtype=np.float32)
    with pytest.raises(ArgumentError, match="5 items, fewer than num_codewords = 256; set"):
        compress(vectors)
