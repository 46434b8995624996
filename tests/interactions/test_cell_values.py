import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pytest

from lightrec.errors import InputError
from lightrec.interactions import ColumnNames, Interactions

MICROSECONDS = 1_000_000


def times(values: Any) -> list[float]:
    table = {"user": ["u"] * len(values), "item": list(range(len(values))), "time": values}
    stamps = Interactions.from_table(table).timestamps
    assert stamps is not None
    return [float(stamp) if stamps.dtype == np.float64 else int(stamp) for stamp in stamps]


def refused_cell(column: str, values: Any, path: Path | None = None) -> str:
    frame = pl.DataFrame(
        {"user": ["u"] * len(values), "item": list(range(len(values))), column: values}
    )
    if path is not None:
        frame.write_csv(path)
    with pytest.raises(InputError) as caught:
        Interactions.from_table(frame if path is None else path)
    return str(caught.value)


@pytest.mark.parametrize("values", [[3, 1], [3.5, 1.0], [2**63 - 1, -(2**63)]])
def test_numbers_are_kept(values: list[float]) -> None:
    assert times(values) == values


def test_integer_times_stay_exact_in_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("user,item,ts\n1,1,9007199254740993\n1,2,5\n")
    stamps = Interactions.from_table(path).timestamps
    assert stamps is not None
    assert stamps.dtype == np.int64
    assert stamps.tolist() == [9007199254740993, 5]


def test_dates_become_microseconds_of_utc() -> None:
    day = 86400 * MICROSECONDS
    assert times([dt.date(1970, 1, 2), dt.date(1969, 12, 31)]) == [day, -day]
    assert times([dt.datetime(1970, 1, 1, 0, 0, 1)]) == [MICROSECONDS]
    paris = pd.to_datetime(["1970-01-01 01:00:01"]).tz_localize("Europe/Paris")
    assert times(pl.Series(paris)) == [MICROSECONDS]
    assert times(pl.Series([1_000_001], dtype=pl.Datetime("ns"))) == [1000]


@pytest.mark.parametrize(
    "text",
    [
        "1970-01-02",
        "1970-01-02T00:00",
        "1970-01-02 00:00:00",
        "1970-01-02T00:00:00.000",
        "1970-01-02T00:00:00Z",
        "1970-01-02 02:00:00+02:00",
        "1970-01-02T02:00+02:00",
        "1970-01-01T22:30:00.0-0130",
    ],
)
def test_iso_text(text: str) -> None:
    mixed = [text, "1970-01-01"]
    assert times(mixed) == [86400 * MICROSECONDS, 0]


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (["1970-01-01", "soon"], "neither a number nor an ISO date ('soon')"),
        (["1970-01-01", "1970-13-01"], "neither a number nor an ISO date"),
        ([1.0, float("nan")], "not finite"),
        ([1.0, float("inf")], "not finite"),
        ([1, None], "the time is missing"),
    ],
)
def test_unusable_times_are_named(values: list[Any], fault: str) -> None:
    message = refused_cell("time", values)
    assert "row 2, column 'time'" in message
    assert fault in message
    assert "--timestamp-column ''" in message


def test_times_of_other_types_are_refused() -> None:
    assert "numbers or dates" in refused_cell("time", [dt.timedelta(1)])
    assert "64 bits" in refused_cell("time", pl.Series([2**63], dtype=pl.UInt64))


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (["1", "x"], "the rating is not a number ('x');"),
        (["1", "nan", "inf", "-1"], "not a finite number >= 0 ('nan') (and in 2 more rows);"),
        ([1.0, -0.5], "not a finite number >= 0 ("),
        ([1, None], "the rating is missing;"),
    ],
)
def test_unusable_ratings_are_named(values: list[Any], fault: str, tmp_path: Path) -> None:
    message = refused_cell("rating", values)
    assert "row 2, column 'rating'" in message
    assert fault in message
    from_file = refused_cell("rating", values, tmp_path / "a.csv")
    assert "a.csv, line 3, column 'rating'" in from_file
    assert fault in from_file


def test_ratings_of_other_types_are_refused() -> None:
    assert "must be numbers" in refused_cell("rating", [dt.date(2020, 1, 1)])


def test_truth_values_are_ratings() -> None:
    table = {"user": [1, 1], "item": [1, 2], "liked": [True, False]}
    liked = Interactions.from_table(table, ColumnNames(rating="liked"), rating_above=0)
    assert liked.to_polars().rows() == [(1, 1)]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1.0, None], "floating-point"),
        ([True, False], "not Boolean"),
        (pl.Series([1, 2**63], dtype=pl.UInt64), "cast ids to text"),
        (["a", None], "row 2, column 'user': the id is missing"),
        (["a", ""], "row 2, column 'user': the id is missing"),
        ([1, None], "row 2, column 'user': the id is missing"),
        ([dt.date(2020, 1, 1)] * 2, "must be text or integers"),
    ],
)
def test_unusable_ids_are_named(ids: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Interactions.from_table({"user": ids, "item": [1, 2]})
    assert "column 'user'" in str(caught.value)
    assert message in str(caught.value)


def test_a_rating_filter_needs_ratings() -> None:
    with pytest.raises(InputError, match="no rating column for rating_above=3"):
        Interactions.from_table({"user": [1], "item": [1]}, rating_above=3)
