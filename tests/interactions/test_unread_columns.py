"""Weights and counts are never left unread in silence, and sequences of items become lists."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from lightrec.errors import InputError
from lightrec.interactions import ColumnNames, Interactions, read_items

PAIR = {"user_id": ["a"], "item_id": ["x"]}


@pytest.mark.parametrize(
    "name", ["count", "play_count", "PlayCount:float", "confidence", "hours-played", "quantity"]
)
def test_a_count_is_named(name: str) -> None:
    notes = Interactions.from_table({**PAIR, name: [7], "shop": ["north"]}).report.notes
    assert len(notes) == 1
    assert notes[0].startswith(f"column {name!r} is not used: every row counts once")


@pytest.mark.parametrize("name", ["weight", "rating", "stars"])
def test_a_rating_without_a_bound_is_named(name: str) -> None:
    (note,) = Interactions.from_table({**PAIR, name: [7]}).report.notes
    assert note.startswith("ratings are not used")
    assert repr(name) in note
    assert Interactions.from_table({**PAIR, name: [7]}, rating_above=3).report.notes == ()


def test_of_two_the_one_that_is_not_read_is_named() -> None:
    table = {**PAIR, "rating": [4], "play_count": [7]}
    (note,) = Interactions.from_table(table, rating_above=3).report.notes
    assert "'play_count'" in note
    columns = ColumnNames(rating="play_count")
    (note,) = Interactions.from_table(table, columns, rating_above=3).report.notes
    assert "'rating'" in note
    (first, second) = Interactions.from_table(table, ColumnNames(rating="")).report.notes
    assert "'rating'" in first
    assert "'play_count'" in second


def test_a_count_can_be_used_as_a_bound() -> None:
    table = {"user_id": ["a", "a"], "item_id": ["x", "y"], "plays": [1, 9]}
    pairs = Interactions.from_table(table, ColumnNames(rating="plays"), rating_above=2)
    assert pairs.to_polars().rows() == [("a", "y")]
    assert pairs.report.below_rating == 1


def items_of(folder: Path, text: str) -> pl.DataFrame:
    path = folder / "films.item"
    path.write_text(text)
    return read_items(path)


def test_sequences_of_recbole(tmp_path: Path) -> None:
    items = items_of(
        tmp_path,
        "item_id:token\tmovie_title:token_seq\tclass:token_seq\tvector:float_seq\tyear:token\n"
        "1\tToy Story\tAnimation Comedy\t0.5 -1e-3\t1995\n"
        "2\tUp\t\t\t2009\n",
    )
    assert items.to_dicts() == [
        {
            "item_id": "1",
            "movie_title": "Toy Story",
            "class": ["Animation", "Comedy"],
            "vector": [0.5, -0.001],
            "year": 1995,
        },
        {"item_id": "2", "movie_title": "Up", "class": [], "vector": [], "year": 2009},
    ]


def test_a_sequence_of_numbers_holds_numbers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 3, column 'v:float_seq': '1 two' is not a seq"):
        items_of(tmp_path, "item_id:token\tv:float_seq\n1\t1 2\n2\t1 two\n3\tx\n")
