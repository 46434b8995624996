"""Recall by codes, order by float vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lightrec.artifact.contents import Model
from lightrec.errors import ArgumentError
from lightrec.serving import Recommender
from lightrec.serving.fold_in import FoldIn
from lightrec.serving.item_vectors import FloatItems


@pytest.mark.parametrize("form", ["identity", "free", "fitted"])
def test_recalled_items_are_ordered_by_float_products(
    make_model: Callable[..., Model], form: str
) -> None:
    model = make_model(form)
    recommender = Recommender(model)
    recalled = recommender.recommend("u2", k=20).items
    answer = recommender.recommend("u2", k=5, post_ranking=20)
    rows = np.array([int(item[1:]) for item in recalled])
    assert model.float_items is not None
    products = model.float_items[rows].astype(np.float64) @ model.users.values[2]
    assert answer.items == [recalled[place] for place in np.argsort(-products)[:5]]
    np.testing.assert_allclose(answer.scores, -np.sort(-products)[:5], rtol=1e-5)


def test_post_ranking_the_whole_catalogue_is_ranking_by_floats(
    make_model: Callable[..., Model],
) -> None:
    model = make_model()
    assert model.float_items is not None
    vector = np.arange(6) - 2.0
    answer = Recommender(model).recommend(vectors=vector, k=60, post_ranking=10**6)
    assert answer.items == [f"i{row}" for row in np.argsort(-(model.float_items @ vector))]


@pytest.mark.parametrize("form", ["linear", "fitted"])
def test_vectors_meet_float_items_before_the_map(
    make_model: Callable[..., Model], form: str
) -> None:
    model = make_model(form, mapped=True)
    vector = np.array([1.0, -2.0, 0.5, 3.0])
    answer = Recommender(model).recommend(vectors=[vector, -vector], k=60, post_ranking=60)
    assert model.float_items is not None
    products = model.float_items @ vector
    assert answer[0].items == [f"i{row}" for row in np.argsort(-products)]
    assert answer[1].items == [f"i{row}" for row in np.argsort(products)]


@pytest.mark.parametrize(
    ("form", "request_"),
    [
        ("table", {"users": "u1"}),
        ("fitted", {"users": "u1"}),
        ("linear", {"users": "u1"}),
        ("mlp", {"users": ["u1", "u2"]}),
        ("linear", {"histories": ["i1"]}),
    ],
)
def test_queries_outside_the_teachers_space_are_refused(
    make_model: Callable[..., Model], form: str, request_: dict[str, Any]
) -> None:
    with pytest.raises(ArgumentError, match=f"form '{form}' do not have.*vectors=") as caught:
        Recommender(make_model(form, mapped=True)).recommend(**request_, post_ranking=20)
    assert ("histories=" in str(caught.value)) == (form in ("fitted", "table"))


def test_histories_can_be_post_ranked(make_model: Callable[..., Model]) -> None:
    for form in ("identity", "table", "fitted"):
        recommender = Recommender(make_model(form, mapped=True))
        plain = recommender.recommend(histories=["i1", "i2"], k=20)
        answer = recommender.recommend(histories=["i1", "i2"], k=20, post_ranking=20)
        assert set(answer.items) == set(plain.items)
        assert answer.items != plain.items


@pytest.mark.parametrize("form", ["identity", "table", "fitted"])
def test_histories_meet_float_items_as_users_of_the_teacher(
    make_model: Callable[..., Model], form: str
) -> None:
    model = make_model(form, mapped=True)
    assert model.float_items is not None
    (vector,) = FoldIn(FloatItems(model.float_items)).vectors([np.array([1, 2])])
    answer = Recommender(model).recommend(
        histories=["i1", "i2"], k=60, post_ranking=60, exclude_seen=False
    )
    assert answer.items == [f"i{row}" for row in np.argsort(-(model.float_items @ vector))]


def test_filters_hold_before_and_after(make_model: Callable[..., Model]) -> None:
    answer = Recommender(make_model()).recommend(
        ["u1", "u2"], k=10, post_ranking=30, where={"genre": "poetry"}, deny=["i1", "i4"]
    )
    for ranked in answer:
        assert len(ranked.items) == 10
        assert all(int(item[1:]) % 3 == 1 and item not in ("i1", "i4") for item in ranked.items)


def test_a_model_without_float_items_says_what_to_do(make_model: Callable[..., Model]) -> None:
    with pytest.raises(ArgumentError, match=r"float item vectors.*leave post_ranking out"):
        Recommender(make_model(with_float_items=False)).recommend("u1", post_ranking=20)
