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


def test_columns_of_the_items_follow_where_they_are_wanted() -> None:
    answer = Recommendations(
        query_column="query",
        queries=pl.Series([0, 1]),
        counts=np.array([2, 1]),
        item_ids=pl.Series(["c", "a", "b"]),
        item_scores=np.ones(3, np.float32),
        item_rows=np.array([2, 0, 1]),
        catalogue=pl.DataFrame(
            {"title": ["A", "B", "C"], "rank": [7, 8, 9], "item_rank": [1, 2, 3], "tags": [[1]] * 3}
        ),
    )
    assert answer.to_polars().columns == ["query", "item_id", "score", "rank"]
    table = answer.to_polars(item_columns=True)
    own = ["title", "item_item_rank", "item_rank", "tags"]
    assert table.columns == ["query", "item_id", "score", "rank", *own]
    assert table["title"].to_list() == ["C", "A", "B"]
    assert table["rank"].to_list() == [1, 2, 1]
    assert table["item_item_rank"].to_list() == [9, 7, 8]
    assert table["item_rank"].to_list() == [3, 1, 2]
    assert answer.to_dicts(item_columns=["title"])[0]["title"] == "C"
    assert answer.to_polars(item_columns=[]).equals(answer.to_polars())
    assert answer.to_polars(item_columns="title").columns[4:] == ["title"]
    with pytest.raises(ArgumentError, match="no column 'genre' of the items; there are title"):
        answer.to_polars(item_columns=["genre"])
