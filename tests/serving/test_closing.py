"""A recommender that has been closed."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lightrec.artifact import save_model
from lightrec.artifact.contents import Model
from lightrec.errors import ArgumentError
from lightrec.serving import Recommender

CALLS: dict[str, Callable[[Recommender], object]] = {
    "model": lambda recommender: recommender.model,
    "recommend": lambda recommender: recommender.recommend(users="u1"),
    "recommend_all": lambda recommender: list(recommender.recommend_all()),
    "score": lambda recommender: recommender.score(users="u1", items=["i1"]),
    "explain": lambda recommender: recommender.explain("i1", user="u1"),
    "similar_items": lambda recommender: recommender.similar_items("i1"),
    "set_available": lambda recommender: recommender.set_available("i1", False),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_closed_recommender_says_so(make_model: Callable[..., Model], name: str) -> None:
    recommender = Recommender(make_model())
    CALLS[name](recommender)
    recommender.close()
    recommender.close()
    with pytest.raises(ArgumentError, match="has been closed"):
        CALLS[name](recommender)
    with pytest.raises(ArgumentError, match="has been closed"):
        recommender.replace_model(make_model())
    with pytest.raises(ArgumentError, match="has been closed"), recommender:
        pass


def test_it_is_closed_at_the_end_of_a_with_statement(
    make_model: Callable[..., Model], tmp_path: Path
) -> None:
    save_model(make_model(), tmp_path / "model")
    with Recommender.load(tmp_path / "model") as recommender:
        model = weakref.ref(recommender.model)
        assert len(recommender.recommend(users="u1", k=3)) == 1
    gc.collect()
    assert model() is None  # and with it everything that it holds
    with pytest.raises(ArgumentError, match="has been closed"):
        recommender.recommend(users="u1")


def test_requests_that_have_begun_are_answered(make_model: Callable[..., Model]) -> None:
    model = make_model()
    expected = Recommender(model).recommend_all(k=3)
    recommender = Recommender(model)
    blocks = recommender.recommend_all(k=3)
    recommender.close()
    for block, other in zip(blocks, expected, strict=True):
        np.testing.assert_array_equal(block.item_scores, other.item_scores)
