"""Conditions on item columns."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from lightrec.errors import ArgumentError
from lightrec.serving.item_conditions import matching_rows

COLUMNS = pl.DataFrame(
    {
        "popularity": [5, 3, 0, 3],
        "genre": ["crime", None, "poetry", "crime"],
        "price": pl.Series([0.1, 0.2, None, float("nan")], dtype=pl.Float32),
        "new": [True, False, None, True],
        "day": [datetime.date(2024, 1, day) for day in (1, 2, 3, 4)],
        "tags": [["a", "b"], [], None, ["b", None]],
        "sizes": pl.Series([[1, 2], [2, 3], [3, 4], [1, 1]], dtype=pl.Array(pl.Int16, 2)),
    }
)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ({}, [0, 1, 2, 3]),
        ({"genre": "crime"}, [0, 3]),
        ({"genre": ["crime", "poetry"]}, [0, 2, 3]),
        ({"genre": {"crime"}}, [0, 3]),
        ({"genre": "travel"}, []),
        ({"genre": []}, []),
        ({"genre": None}, [1]),
        ({"genre": ["poetry", None]}, [1, 2]),
        ({"popularity": 3}, [1, 3]),
        ({"popularity": np.array([3, 0])}, [1, 2, 3]),
        ({"popularity": pl.Series([5])}, [0]),
        ({"popularity": range(1, 4)}, [1, 3]),
        ({"price": 0.1}, [0]),
        ({"new": True}, [0, 3]),
        ({"new": False}, [1]),
        ({"day": datetime.date(2024, 1, 2)}, [1]),
        ({"tags": "b"}, [0, 3]),
        ({"tags": ["a", "c"]}, [0]),
        ({"tags": None}, [2]),
        ({"sizes": 2}, [0, 1]),
        ({"genre": "crime", "popularity": 3}, [3]),
        ({"genre": "poetry", "popularity": 3}, []),
    ],
)
def test_rows_that_meet_every_condition(where: dict[str, Any], rows: Any) -> None:
    found = matching_rows(COLUMNS, where)
    assert found.dtype == np.int32
    assert found.tolist() == rows


def test_an_unknown_column_is_refused_with_those_there_are() -> None:
    with pytest.raises(ArgumentError, match="no column 'Genre'; there are popularity, genre"):
        matching_rows(COLUMNS, {"Genre": "crime"})


@pytest.mark.parametrize(
    "where",
    [
        {"genre": 5},
        {"genre": b"crime"},
        {"popularity": "3"},
        {"popularity": [3, "x"]},
        {"popularity": 2**70},
        {"popularity": 3.5},
        {"new": "yes"},
        {"day": "soon"},
        {"tags": 1},
        {"genre": {"a": 1}},
        {"genre": "\ud800"},
    ],
)
def test_a_value_of_another_type_is_refused(where: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=f"column '{next(iter(where))}' holds .* cannot be"):
        matching_rows(COLUMNS, where)
