import time

import numpy as np
import polars as pl
import pytest
from scipy.sparse.linalg import svds

from lightrec.errors import ArgumentError
from lightrec.interactions import (
    History,
    Interactions,
    SyntheticData,
    paper_split,
    synthetic_catalogue,
)


@pytest.fixture(scope="module")
def data() -> SyntheticData:
    return synthetic_catalogue(2000, 3000, seed=0)


def test_it_is_quick() -> None:
    start = time.process_time()
    synthetic_catalogue(2000, 3000, seed=0)
    assert time.process_time() - start < 6  # about 0.4; wide of the goal of 2 for busy machines


def test_tables_have_the_promised_form(data: SyntheticData) -> None:
    assert data.interactions.schema == {
        "user_id": pl.String,
        "item_id": pl.String,
        "timestamp": pl.Int64,
    }
    assert data.items.schema == dict.fromkeys(("item_id", "title", "category"), pl.String)
    assert data.items["title"].n_unique() == data.items["item_id"].n_unique() == 3000
    assert data.interactions["user_id"].n_unique() == 2000
    assert data.interactions.select("user_id", "item_id").is_duplicated().sum() == 0
    assert data.interactions["timestamp"].is_sorted()
    assert data.items["title"].str.contains("^The [A-Z]").all()


def test_same_seed_same_data() -> None:
    first, again, other = (synthetic_catalogue(30, 40, seed=seed) for seed in (1, 1, 2))
    assert first.interactions.equals(again.interactions)
    assert first.items.equals(again.items)
    assert not first.interactions.equals(other.interactions)


def test_popularity_has_a_long_tail(data: SyntheticData) -> None:
    degrees = np.sort(data.interactions["item_id"].value_counts()["count"].to_numpy())[::-1]
    assert degrees[:300].sum() > 0.25 * degrees.sum()
    assert degrees[0] < 0.5 * 2000


def test_tastes_can_be_learned(data: SyntheticData) -> None:
    interactions = Interactions.from_table(data.interactions, items=data.items)
    split = paper_split(interactions, 0)
    train, test = split.train.history(), split.test.history()
    matrix = np.zeros((2000, 3000))
    matrix[train.user_rows(), train.item_rows] = 1
    left, strengths, right = svds(matrix, k=16, random_state=0)
    popular = np.broadcast_to(train.item_degrees().astype(float), matrix.shape)
    assert recall(left * strengths @ right, train, test) > 1.5 * recall(popular, train, test)


def recall(scores: np.ndarray, train: History, test: History, k: int = 100) -> float:
    ranked = scores.copy()
    ranked[train.user_rows(), train.item_rows] = -np.inf
    best = np.argpartition(-ranked, k, axis=1)[:, :k]
    hits = [np.isin(test.of(user), best[user]).mean() for user in range(len(best))]
    return float(np.mean(hits))


def test_titles_stay_unique_in_large_catalogues() -> None:
    items = synthetic_catalogue(1, 100_000, seed=0).items
    assert items["title"].n_unique() == 100_000


def test_small_and_impossible_sizes() -> None:
    assert len(synthetic_catalogue(1, 20, seed=0).items) == 20
    for users, items in ((0, 20), (1, 19)):
        with pytest.raises(ArgumentError, match="needs 1 user and 20 items"):
            synthetic_catalogue(users, items, seed=0)
    with pytest.raises(ArgumentError, match="at least 5"):
        synthetic_catalogue(1, 20, seed=0, pairs_per_user=2)
