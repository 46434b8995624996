from __future__ import annotations

import numpy as np
import pytest

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError
from lightrec.search.filters import Filter
from lightrec.search.post_ranking import post_rank
from lightrec.search.scan import make_scan


@pytest.fixture
def world():
    rng = np.random.default_rng(0)
    codebooks = rng.normal(size=(2, 8, 4)).astype(np.float32)
    items = ItemCodes(rng.integers(0, 8, (200, 2), dtype=np.uint8), codebooks)
    vectors = items.decode() + 0.3 * rng.normal(size=(200, 4)).astype(np.float32)
    query = rng.normal(size=4).astype(np.float32)
    return items, vectors.astype(np.float32), query, items.score_tables(query[None])[0]


def test_all_candidates_give_the_float_ranking(world):
    items, vectors, query, table = world
    found = post_rank(make_scan(items).top_k(table, 200).rows, query, vectors, 20)
    assert found.rows.tolist() == np.argsort(-(vectors @ query), kind="stable")[:20].tolist()
    np.testing.assert_allclose(found.scores, (vectors @ query)[found.rows], rtol=1e-5)


def test_only_candidates_are_ranked(world):
    items, vectors, query, table = world
    candidates = make_scan(items).top_k(table, 30).rows
    found = post_rank(candidates, query, vectors, 10)
    assert set(found.rows) <= set(candidates)
    assert (np.diff(found.scores) <= 0).all()


def test_filters_hold(world):
    items, vectors, query, table = world
    rows = Filter.of(200, exclude=range(100))
    found = post_rank(make_scan(items).top_k(table, 50, rows).rows, query, vectors, 10)
    assert found.rows.min() >= 100


def test_ties_go_to_the_lower_row():
    found = post_rank(np.array([3, 1, 2]), np.ones(2, np.float32), np.ones((4, 2), np.float16), 2)
    assert found.rows.tolist() == [1, 2]
    assert found.scores.dtype == np.float32


def test_a_score_does_not_depend_on_the_other_candidates(world):
    _, vectors, query, _ = world
    together = post_rank(np.arange(200), query, vectors, 200)
    for row, score in list(zip(together.rows, together.scores, strict=True))[::20]:
        assert post_rank(np.array([row]), query, vectors, 1).scores[0] == score


def test_what_does_not_fit_is_refused(world):
    _, vectors, query, _ = world
    with pytest.raises(ArgumentError, match="belong together"):
        post_rank(np.array([0]), query[:3], vectors, 1)
    with pytest.raises(ArgumentError, match="k must be"):
        post_rank(np.array([0]), query, vectors, 0)
    vectors[17] = np.nan
    with pytest.raises(ArgumentError, match="row 17"):
        post_rank(np.array([3, 17]), query, vectors, 1)
