"""Item columns of lists: kept exactly, found by `where`, and refused where they are forged."""

import dataclasses

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrec.artifact import Model, check_item_columns, list_columns
from lightrec.artifact.list_columns import SEPARATOR, flattened, restored
from lightrec.errors import ArtifactError, InputError
from lightrec.serving import Recommender

TEXT = st.text(st.characters(exclude_characters=SEPARATOR, exclude_categories=["Cs"]), max_size=5)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False)


def lists(elements):
    return st.lists(st.none() | st.lists(elements, max_size=4), min_size=1, max_size=6)


@given(lists(TEXT), lists(NUMBERS), lists(FLOATS))
def test_lists_come_back_exactly(texts, numbers, floats):
    height = min(map(len, (texts, numbers, floats)))
    columns = pl.DataFrame(
        {
            "plain": pl.Series(range(height), dtype=pl.Int64),
            "texts": pl.Series(texts[:height], dtype=pl.List(pl.String)),
            "numbers": pl.Series(numbers[:height], dtype=pl.List(pl.Int64)),
            "floats": pl.Series(floats[:height], dtype=pl.List(pl.Float64)),
        }
    )
    flat = flattened(columns)
    assert flat.columns == ["plain", "texts[text]", "numbers[int]", "floats[float]"]
    assert set(flat.dtypes) == {pl.Int64, pl.String}
    back = restored(flat, 0)
    assert back.schema == columns.schema
    assert back.to_dicts() == columns.to_dicts()


@pytest.fixture
def model(make_model):
    made = make_model()
    genres = pl.Series([["crime", "war"], [], None, ["war"], ["art"]])
    return dataclasses.replace(made, item_columns=made.item_columns.with_columns(genres=genres))


def test_a_model_keeps_them_and_where_finds_their_elements(model, tmp_path):
    model.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    assert loaded.item_columns.equals(model.item_columns)
    found = Recommender(loaded).recommend(
        users=loaded.user_ids.series[0], k=5, exclude_seen=False, where={"genres": "war"}
    )
    ids = model.item_ids.series
    assert sorted(found.item_ids) == sorted([ids[0], ids[3]])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pl.Series([["a"], ["b", None], [], None, []]), "missing element"),
        (pl.Series([["a"], [f"b{SEPARATOR}"], [], None, []]), "U\\+001F"),
        (pl.Series([[["a"]], [], [], None, []]), "cannot be kept"),
        (pl.Series([{"a": 1}] * 5), "cannot be kept"),
    ],
)
def test_what_cannot_be_kept_is_named(model, tmp_path, column, message):
    columns = model.item_columns.with_columns(odd=column)
    with pytest.raises(ArtifactError, match=message) as caught:
        dataclasses.replace(model, item_columns=columns).save(tmp_path / "model")
    assert "'odd'" in str(caught.value)


def test_names_of_lists_are_taken(model, tmp_path):
    columns = model.item_columns.rename({"title": "title[text]"})
    with pytest.raises(ArtifactError, match="rename"):
        dataclasses.replace(model, item_columns=columns).save(tmp_path / "model")


@pytest.mark.parametrize(
    ("name", "cells", "message"),
    [
        ("x[text]", ["a", "", None], "no list"),
        ("x[text]", [1, 2, 3], "must hold text"),
        ("x[int]", [f"1{SEPARATOR}", f"1.5{SEPARATOR}", ""], "not of int"),
        ("x[int]", [f"99999999999999999999{SEPARATOR}", "", ""], "not of int"),
        ("x[float]", [f"one{SEPARATOR}", "", ""], "not of float"),
    ],
)
def test_forged_lists_are_refused(name, cells, message):
    with pytest.raises(InputError, match=message):
        restored(pl.DataFrame({name: cells}), 0)


def test_ordinary_lists_are_kept_however_long_and_many():
    """What is not repeated is in the file once for each row, and may be as long as it is."""
    long = [[str(number) for number in range(row, row + 4_000)] for row in range(300)]
    short = [["crime", "war", "art", "drama", "history"]] * 300
    numbers = [[row * 64 + place for place in range(64)] for row in range(300)]
    columns = pl.DataFrame({"long": long, "short": short, "numbers": numbers})
    empty = pl.DataFrame({"x": [[""] * 10_000 + [str(row)] for row in range(300)]})
    for each in (columns, empty):
        flat = flattened(each)
        assert restored(flat, sum(len("".join(texts)) for texts in flat)).equals(each)


@pytest.mark.parametrize("split", [False, True])
def test_lists_that_repeat_themselves_are_bounded_over_all_columns(model, tmp_path, split):
    half = [str(number) for number in range(9_000)]
    lists = {"a": [half] * 20, "b": [half[::-1]] * 20} if split else {"a": [half + half] * 20}
    flat = pl.DataFrame(lists)
    assert restored(flattened(flat.head(10)), 0).equals(flat.head(10))
    with pytest.raises(InputError, match="more memory than the 4,194,304 bytes"):
        flattened(flat)
    texts = [f"{SEPARATOR.join(column[0])}{SEPARATOR}" for column in lists.values()]
    written = pl.DataFrame(
        {f"{name}[text]": [text] * 20 for name, text in zip(lists, texts, strict=True)}
    )
    with pytest.raises(InputError, match="more memory than the 4,194,304 bytes"):
        restored(written, sum(map(len, texts)))
    assert restored(written, 400_000).equals(flat)


def test_what_a_save_would_refuse_of_lists_is_told_before_a_long_run(make_model):
    columns = make_model().item_columns.head(5)
    for lists, told in (
        ([["a"], ["b", None], [], None, []], "missing element"),
        ([["a", ""] * 100_000] * 5, "more memory"),
    ):
        with pytest.raises(ArtifactError, match=rf"items\.parquet: column 'odd.*{told}"):
            check_item_columns(columns.with_columns(odd=pl.Series(lists)), 5)


def test_texts_too_long_to_be_counted_in_32_bits():
    column = pl.Series("x[text]", [f"a{SEPARATOR}" * (1 << 19)]).gather([0] * (1 << 12))
    with pytest.raises(InputError, match="more memory"):
        list_columns._check_memory([column], 0)  # and goes no further where it is not refused


def test_nested_columns_in_the_file_are_refused():
    with pytest.raises(InputError, match="only flat columns"):
        restored(pl.DataFrame({"x": [["a"]]}), 0)


def test_a_name_cannot_be_there_twice():
    with pytest.raises(InputError, match="twice"):
        restored(pl.DataFrame({"x": ["a"], "x[text]": [""]}), 0)
