"""Vectors compressed with an items table: titles, categories and filters, as after training."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from lightrec.artifact.contents import Model
from lightrec.compress import CompressConfig, compress
from lightrec.errors import ArtifactError, InputError
from lightrec.serving.recommender import Recommender
from lightrec.settings import validated
from lightrec.updates import update

USERS, ITEMS, WIDTH = 20, 60, 4
CONFIG = validated(
    CompressConfig, {"codes": {"num_codebooks": 2, "num_codewords": 16, "rounds": 1}}, "test"
)


@pytest.fixture(scope="module")
def items() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(ITEMS, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def users() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(USERS, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def films() -> pl.DataFrame:
    """A row for each item, in another order than that of the vectors."""
    rows = np.random.default_rng(2).permutation(ITEMS)
    return pl.DataFrame(
        {
            "item_id": rows,
            "title": [f"title {row}" for row in rows],
            "category": ["odd" if row % 2 else "even" for row in rows],
            "genres": [["Crime"] if row % 3 else ["Crime", "Drama"] for row in rows],
            "year": 1990 + rows % 7,
        }
    )


def of_table(model: Model) -> list[str]:
    """Notes on the items table."""
    return [note for note in model.config["notes"] if "items table" in note]


def test_columns_stand_in_the_rows_of_the_vectors_and_can_be_filtered_by(
    items, users, films, tmp_path
) -> None:
    model = compress(items, users, item_table=films, config=CONFIG)
    model.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    for made in (model, loaded):
        columns = made.item_columns
        assert columns.columns == ["popularity", "title", "category", "genres", "year"]
        assert columns["title"].to_list() == [f"title {row}" for row in range(ITEMS)]
        assert columns["genres"].list.len().to_list() == [1 + (row % 3 == 0) for row in range(60)]
        assert columns["year"].to_list() == [1990 + row % 7 for row in range(ITEMS)]
    recommender = Recommender.load(tmp_path / "model")
    (everything,) = recommender.recommend([3], k=ITEMS)
    for where, holds in (
        ({"category": "even"}, lambda row: row % 2 == 0),
        ({"genres": "Drama"}, lambda row: row % 3 == 0),
        ({"category": "odd", "year": [1990, 1991]}, lambda row: row % 2 and row % 7 < 2),
    ):
        (answer,) = recommender.recommend([3], k=7, where=where)
        assert answer.items == [row for row in everything.items if holds(row)][:7]
    table = recommender.recommend([3], k=2).to_polars(item_columns=True)
    assert table["title"].to_list() == [f"title {row}" for row in everything.items[:2]]
    assert of_table(model) == []
    assert model.config["item_columns_left_out"] == []


def test_codes_do_not_depend_on_the_table(items, users, films) -> None:
    plain = compress(items, users, config=CONFIG)
    model = compress(items, users, item_table=films, config=CONFIG)
    assert plain.item_columns.columns == ["popularity"]
    assert plain.config["item_columns_left_out"] == []
    assert np.array_equal(model.item_codes.codes, plain.item_codes.codes)
    assert np.array_equal(model.item_codes.codebooks, plain.item_codes.codebooks)
    assert model.item_columns["popularity"].equals(plain.item_columns["popularity"])


def test_rows_without_a_vector_and_items_without_a_row_are_counted(items, films, tmp_path) -> None:
    strangers = films.head(4).with_columns(item_id=pl.col("item_id") + ITEMS, category=pl.lit("no"))
    table = pl.concat([strangers, films.filter(pl.col("item_id") > 2)])
    model = compress(items, item_table=table, config=CONFIG)
    assert of_table(model) == [
        "4 rows of the items table were left out: their items have no vector",
        "3 items have no row in the items table: their columns are empty",
    ]
    assert model.item_columns["title"].to_list() == [
        *[None] * 3,
        *(f"title {row}" for row in range(3, ITEMS)),
    ]
    model.save(tmp_path / "model")
    recommender = Recommender.load(tmp_path / "model")
    (even,) = recommender.recommend(vectors=items[:1], k=ITEMS, where={"category": "even"})
    assert sorted(even.items) == list(range(4, ITEMS, 2))
    (none,) = recommender.recommend(vectors=items[:1], k=ITEMS, where={"category": "no"})
    assert none.items == []


@pytest.mark.parametrize("ids", ["integers", "text"])
def test_ids_of_files_are_matched_as_those_of_pairs_are(items, films, ids, tmp_path) -> None:
    """A CSV file holds text where Parquet holds integers; `007` and `7` are two items."""
    item_ids = [str(row) for row in range(ITEMS)] if ids == "text" else None
    films.drop("genres").write_csv(tmp_path / "films.csv")
    films.write_parquet(tmp_path / "films.parquet")
    for name in ("films.csv", "films.parquet"):
        model = compress(items, item_ids=item_ids, item_table=tmp_path / name, config=CONFIG)
        assert model.item_columns["title"].to_list() == [f"title {row}" for row in range(ITEMS)]
        assert of_table(model) == []
    odd = {"item_id": ["007", "8"], "title": ["seven", "eight"]}
    model = compress(items, item_ids=item_ids, item_table=odd, config=CONFIG)
    assert model.item_columns["title"].drop_nulls().to_list() == ["eight"]
    assert of_table(model)[0].startswith("1 rows of the items table were left out")


def test_structures_are_left_out_and_named_and_categories_are_text(items, films) -> None:
    table = films.with_columns(
        odd=pl.struct("title", "category"), category=pl.col("category").cast(pl.Categorical)
    )
    model = compress(items, item_table=table, config=CONFIG)
    assert model.config["item_columns_left_out"] == ["odd"]
    assert "odd" not in model.item_columns.columns
    assert model.item_columns["category"].dtype == pl.String


def test_an_update_takes_new_values_of_the_columns(items, films) -> None:
    model = compress(items, item_table=films, config=CONFIG)
    done = update(model, items={"item_id": [3, 4], "title": ["another", None]})
    assert done.items_described == 1
    assert done.notes == ()
    assert done.model.item_columns["title"][3:5].to_list() == ["another", "title 4"]


@pytest.mark.parametrize(
    ("table", "error", "said"),
    [
        ({"title": ["a"]}, InputError, "no column item_id"),
        ({"item_id": [1, 1], "title": ["a", "b"]}, InputError, "item 1 occurs again"),
        ({"item_id": [1, None], "title": ["a", "b"]}, InputError, "id is missing"),
        ({"item_id": [1], "popularity": [7]}, InputError, "the model's own; rename it"),
        ({"item_id": ["x", "y"]}, InputError, "none of the 2 items .* has a vector: .*'x'.* 0;"),
        ("nowhere.csv", InputError, "does not exist"),
        ({"item_id": [1], "length": [timedelta(1)]}, ArtifactError, "'length' .* cannot be kept"),
    ],
)
def test_unusable_tables_are_refused_before_the_work(
    items, table, error, said, monkeypatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise AssertionError("quantisation began")

    # The package binds `lightrec.compress` to the function, so the module is found by its name.
    monkeypatch.setattr(sys.modules["lightrec.compress"], "quantize_in_ranking_metric", failing)
    with pytest.raises(error, match=said):
        compress(items, item_table=table, config=CONFIG)


def test_what_became_of_the_rows_of_pairs_is_in_the_log(items, users, caplog) -> None:
    rows = np.arange(USERS)
    weighted = {"user_id": rows, "item_id": rows, "play_count": rows + 1}
    test = {"user_id": [0, 1, 1], "item_id": [1, 2, 2]}
    with caplog.at_level(logging.INFO, logger="lightrec"):
        compress(items, users, interactions=weighted, test=test, config=CONFIG)
    told = [record for record in caplog.records if "rows read" in record.getMessage()]
    assert [record.levelno for record in told] == [logging.INFO] * 2
    assert f"{USERS} rows read, {USERS} pairs used" in told[0].getMessage()
    assert "1 rows merged" in told[1].getMessage()
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "'play_count' is not used" in warning.getMessage()


def test_pairs_without_an_item_vector_are_counted_where_there_are_no_users(items) -> None:
    pairs = {"user_id": ["a", "b", "b"], "item_id": [1, 2, 999]}
    model = compress(items, interactions=pairs, config=CONFIG)
    assert model.item_columns["popularity"].sum() == 2
    note = "interactions: 1 pairs without an item vector were left out"
    assert note in model.config["notes"]
