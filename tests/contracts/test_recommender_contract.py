"""What holds for every coded model, whichever scan searches it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightrec.artifact.contents import Model
from lightrec.serving import Recommender

SHELVES = [1, 3]


def exact_scores(model: Model, user_row: int) -> np.ndarray:
    """A stored user's scores of all items, by the arithmetic that the design fixes.

    Of a user whose values are all zero nothing is known, and the scores are popularities.
    """
    values = model.users.values[user_row].astype(np.float32)
    if not values.any():
        return model.item_columns["popularity"].to_numpy().astype(np.float32)
    books = model.item_codes.codebooks
    table = values
    if model.users.form != "table":
        table = values[0] * books[:, :, 0]
        for dimension in range(1, len(values)):
            table = table + values[dimension] * books[:, :, dimension]
    codes = model.item_codes.codes
    scores = table[0][codes[:, 0]]
    for book in range(1, codes.shape[1]):
        scores = scores + table[book][codes[:, book]]
    return np.asarray(scores + np.float32(0))


def exact_answer(
    model: Model, user_row: int, k: int, kept: np.ndarray
) -> tuple[list[int], np.ndarray]:
    """Rows and scores of the k best rows of `kept`: score descending, then row ascending."""
    scores = exact_scores(model, user_row)
    order = [row for row in np.lexsort((np.arange(len(scores)), -scores)) if kept[row]][:k]
    return order, scores[order]


def some_rows(model: Model, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.unique(rng.integers(0, model.num_items, max(model.num_items // 3, 1)))


def query_kinds(model: Model) -> dict[str, Any]:
    """Each kind of query, as keyword arguments, several at once."""
    rng = np.random.default_rng(5)
    rows = [rng.integers(0, model.num_items, size=size) for size in (1, 0, 4, 30, 2)]
    return {
        "users": model.user_ids.ids(range(model.num_users)),
        "histories": [model.item_ids.ids(history) for history in rows],
        "vectors": rng.normal(size=(11, model.query_width)),
    }


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("k", [1, 10, 100, 10_000])
def test_users_get_exactly_the_best_items_that_may_be_returned(
    recommender: Recommender, k: int, filtered: bool
) -> None:
    model = recommender.model
    shelves = model.item_columns["shelf"].to_list()
    allow, deny = some_rows(model, 1), some_rows(model, 2)
    filters: dict[str, Any] = {
        "allow": model.item_ids.ids(allow),
        "deny": model.item_ids.ids(deny),
        "where": {"shelf": SHELVES},
    }
    answer = recommender.recommend(
        model.user_ids.ids(range(model.num_users)), k=k, **(filters if filtered else {})
    )
    assert model.history is not None
    for user_row, ranked in enumerate(answer):
        kept = np.ones(model.num_items, bool)
        kept[model.history.of(user_row)] = False
        if filtered:
            kept &= np.isin(np.arange(len(kept)), allow) & ~np.isin(np.arange(len(kept)), deny)
            kept &= np.isin(shelves, SHELVES)
        rows, scores = exact_answer(model, user_row, k, kept)
        assert ranked.items == model.item_ids.ids(rows)
        assert ranked.scores.tobytes() == scores.tobytes()


@pytest.mark.parametrize("kind", ["users", "histories", "vectors"])
def test_answers_hold_k_known_distinct_items_in_order(recommender: Recommender, kind: str) -> None:
    model = recommender.model
    queries = query_kinds(model)[kind]
    for k in (1, 7, model.num_items):
        for ranked in recommender.recommend(**{kind: queries}, k=k, exclude_seen=False):
            assert len(ranked) == len(ranked.scores) == min(k, model.num_items)
            rows = model.item_ids.rows(ranked.items)
            assert len(set(rows.tolist())) == len(rows)
            pairs = list(zip((-ranked.scores).tolist(), rows.tolist(), strict=True))
            assert pairs == sorted(pairs)
            assert np.isfinite(ranked.scores).all()


@pytest.mark.parametrize("kind", ["users", "histories", "vectors"])
def test_one_query_or_many_is_the_same_answer(recommender: Recommender, kind: str) -> None:
    queries = query_kinds(recommender.model)[kind]
    for where in (None, {"shelf": SHELVES}):
        together = recommender.recommend(**{kind: queries}, k=12, where=where)
        for query, ranked in zip(queries, together, strict=True):
            one: dict[str, Any] = {kind: [query]}
            alone = recommender.recommend(**one, k=12, where=where)[0]
            assert alone.items == ranked.items
            assert alone.scores.tobytes() == ranked.scores.tobytes()
            assert alone.fallback == ranked.fallback


@pytest.mark.parametrize("kind", ["users", "histories", "vectors"])
def test_filters_are_honoured_and_nothing_else_is_lost(recommender: Recommender, kind: str) -> None:
    model = recommender.model
    queries = query_kinds(model)[kind]
    allow, deny = (
        set(model.item_ids.ids(some_rows(model, 3))),
        set(model.item_ids.ids(some_rows(model, 4))),
    )
    everything = recommender.recommend(**{kind: queries}, k=model.num_items, exclude_seen=False)
    filtered = recommender.recommend(
        **{kind: queries}, k=5, exclude_seen=False, allow=allow, deny=list(deny)
    )
    for ranked, before in zip(filtered, everything, strict=True):
        assert ranked.items == [item for item in before.items if item in allow - deny][:5]


@pytest.mark.parametrize("kind", ["users", "histories", "vectors"])
def test_scores_agree_with_recommendations(recommender: Recommender, kind: str) -> None:
    model = recommender.model
    queries = query_kinds(model)[kind]
    answer = recommender.recommend(**{kind: queries}, k=model.num_items, exclude_seen=False)
    scores = recommender.score(**{kind: queries}, items=model.item_ids.ids(range(model.num_items)))
    for ranked, row in zip(answer, scores, strict=True):
        assert row[model.item_ids.rows(ranked.items)].tobytes() == ranked.scores.tobytes()


def test_similar_items_are_other_items_and_k_of_them(recommender: Recommender) -> None:
    model = recommender.model
    (item,) = model.item_ids.ids([model.num_items // 2])
    for k in (1, 9, model.num_items):
        answer = recommender.similar_items(item, k=k)
        assert len(answer.items) == len(set(answer.items)) == min(k, model.num_items - 1)
        assert item not in answer.items
        assert (np.diff(answer.scores) <= 0).all()
        assert (np.abs(answer.scores) <= 1).all()


@pytest.fixture
def loaded(model: Model, tmp_path: Path) -> Recommender:
    """The same model, saved and loaded."""
    model.save(tmp_path / "model")
    return Recommender.load(tmp_path / "model")


def test_a_saved_model_gives_the_same_answers(model: Model, loaded: Recommender) -> None:
    here = Recommender(model)
    for kind, queries in query_kinds(model).items():
        for wanted in ({}, {"where": {"shelf": SHELVES}}, {"exclude_seen": False}):
            expected = here.recommend(**{kind: queries}, k=9, **wanted).to_polars()
            answer = loaded.recommend(**{kind: queries}, k=9, **wanted).to_polars()
            assert answer.equals(expected)
    post_ranked = ["vectors"]
    if model.users.form in ("identity", "fitted", "table"):
        post_ranked.append("histories")  # folded in against the float items
    for kind in post_ranked:
        queries = {kind: query_kinds(model)[kind]}
        expected = here.recommend(**queries, k=9, post_ranking=50).to_polars()
        assert loaded.recommend(**queries, k=9, post_ranking=50).to_polars().equals(expected)
    (item,) = model.item_ids.ids([0])
    assert loaded.similar_items(item).to_polars().equals(here.similar_items(item).to_polars())
