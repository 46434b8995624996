"""Telling one query from many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from lightrec.artifact.contents import Model
from lightrec.errors import ArgumentError
from lightrec.serving.queries import HistoryQueries, read_queries


def read_histories(model: Model, histories: Any) -> list[list[int]]:
    queries = read_queries(model, None, histories, None)
    assert isinstance(queries, HistoryQueries)
    assert all(rows.dtype == np.int32 for rows in queries.item_rows)
    return [rows.tolist() for rows in queries.item_rows]


@pytest.mark.parametrize(
    ("histories", "rows"),
    [
        (["i3", "i1", "i3"], [[1, 3]]),
        (np.array(["i3", "i1"]), [[1, 3]]),
        (np.array(["i3", "i1"], dtype=object), [[1, 3]]),
        (pl.Series(["i3", "i1"]), [[1, 3]]),
        (("i3",), [[3]]),
        ({"i3": 1}, [[3]]),
        ([], [[]]),
        ([[]], [[]]),
        ([["i3"]], [[3]]),
        ([["i3"], [], ("i2", "i1")], [[3], [], [1, 2]]),
        ([np.array(["i3"]), pl.Series(["i2", "i1"])], [[3], [1, 2]]),
        (np.array([["i3", "i1"], ["i0", "i2"]]), [[1, 3], [0, 2]]),
        (pl.Series([["i3"], ["i0", "i2"]]), [[3], [0, 2]]),
    ],
)
def test_one_history_or_many(make_model: Callable[..., Model], histories: Any, rows: Any) -> None:
    assert read_histories(make_model(), histories) == rows


def test_object_arrays_of_lists_are_many_histories(make_model: Callable[..., Model]) -> None:
    histories = np.empty(2, dtype=object)
    histories[:] = [["i3"], ["i0", "i2"]]
    assert read_histories(make_model(), histories) == [[3], [0, 2]]


def test_integer_histories(make_model: Callable[..., Model]) -> None:
    model = make_model(item_ids=[10 * row for row in range(60)])
    assert read_histories(model, [30, 10]) == [[1, 3]]
    assert read_histories(model, np.array([[30, 10]], np.uint64)) == [[1, 3]]
    assert read_histories(model, [np.int32(30), 10]) == [[1, 3]]


@pytest.mark.parametrize(
    ("histories", "message"),
    [
        ("i3", "must be a list of item ids"),
        (3, "must be a list of item ids"),
        (b"i3", "must be a list of item ids"),
        (["i3", ["i1"]], "must not mix"),
        (["i3", None], "must not mix"),
        ([["i3"], None], "a history must be an id or a list of ids, not None"),
    ],
)
def test_malformed_histories_are_refused(
    make_model: Callable[..., Model], histories: Any, message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        read_histories(make_model(), histories)
