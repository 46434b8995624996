"""Answers as columns, tables and dictionaries."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from lightrec.errors import ArgumentError
from lightrec.serving import Recommendations


@pytest.fixture
def answer() -> Recommendations:
    return Recommendations(
        query_column="user_id",
        queries=pl.Series(["b", "a", "c"]),
        counts=np.array([2, 0, 1]),
        item_ids=pl.Series([7, -1, 7]),
        item_scores=np.array([2.5, 2.5, -1.0], np.float32),
    )


def test_iterating_gives_one_answer_a_query(answer: Recommendations) -> None:
    assert [(one.query, one.items, one.scores.tolist()) for one in answer] == [
        ("b", [7, -1], [2.5, 2.5]),
        ("a", [], []),
        ("c", [7], [-1.0]),
    ]
    assert [len(one) for one in answer] == [2, 0, 1]
    assert all(one.fallback is None for one in answer)


def test_indexing_agrees_with_iterating(answer: Recommendations) -> None:
    for query, one in enumerate(answer):
        assert answer[query].items == answer[query - 3].items == one.items
        assert answer[query].query == one.query
    for query in (3, -4):
        with pytest.raises(IndexError):
            answer[query]


def test_the_table_has_a_row_an_item(answer: Recommendations) -> None:
    expected = pl.DataFrame(
        {
            "user_id": ["b", "b", "c"],
            "item_id": [7, -1, 7],
            "score": [2.5, 2.5, -1.0],
            "rank": [1, 2, 1],
        },
        schema_overrides={"score": pl.Float32},
    )
    assert answer.to_polars().equals(expected)
    assert answer.to_polars().schema == expected.schema
    assert answer.to_dicts()[1] == {"user_id": "b", "item_id": -1, "score": 2.5, "rank": 2}


def test_items_and_scores_are_for_a_single_query(answer: Recommendations) -> None:
    for name in ("items", "scores", "fallback"):
        with pytest.raises(ArgumentError, match="answers to 3 queries; iterate"):
            getattr(answer, name)


def test_fallbacks_are_a_column_where_there_can_be_some() -> None:
    answer = Recommendations(
        query_column="query",
        queries=pl.Series([0, 1]),
        counts=np.array([1, 1]),
        item_ids=pl.Series(["x", "y"]),
        item_scores=np.ones(2, np.float32),
        fallbacks=(None, "popularity"),
    )
    table = answer.to_polars()
    assert table.columns == ["query", "item_id", "score", "rank", "fallback"]
    assert table.schema["fallback"] == pl.String
    assert table["fallback"].to_list() == [None, "popularity"]
    assert answer[1].fallback == "popularity"
