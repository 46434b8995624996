"""Brute force over float vectors against numpy."""

import numpy as np
import pytest

from lightrec.errors import ArgumentError
from lightrec.search.float_scan import FloatScan


@pytest.fixture(params=["compiled", "numpy"])
def arm(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr("lightrec.search.float_scan.KERNELS", None)


@pytest.mark.parametrize("num_items", [0, 1, 15, 16, 17, 300, 5000])
@pytest.mark.parametrize("width", [1, 3, 8, 33])
def test_finds_the_best_products(arm, num_items: int, width: int) -> None:
    rng = np.random.default_rng(num_items + width)
    # whole numbers: products are exact in any order, and there are ties
    vectors = rng.integers(-4, 5, (num_items, width)).astype(np.float32)
    scan = FloatScan(vectors)
    for k in (1, 7, 100, 6000):
        query = rng.integers(-4, 5, width).astype(np.float32)
        scores = vectors @ query
        expected = np.lexsort((np.arange(num_items), -scores))[:k]
        found = scan.top_k(query, k)
        assert found.rows.tolist() == expected.tolist()
        assert found.scores.tolist() == scores[expected].tolist()


def test_keeps_its_own_copy(arm) -> None:
    vectors = np.eye(3, dtype=np.float32)
    scan = FloatScan(vectors)
    vectors[:] = 7
    assert scan.top_k(np.array([1, 0, 0], np.float32), 1).scores.tolist() == [1.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refuses_vectors_that_are_not_finite(arm, bad: float) -> None:
    with pytest.raises(ArgumentError, match="not finite"):
        FloatScan(np.array([[0.0], [bad]], np.float32))


@pytest.mark.parametrize(
    "vectors",
    [np.zeros(3, np.float32), np.zeros((3, 2)), np.zeros((3, 0), np.float32)],
)
def test_refuses_other_shapes_and_types(arm, vectors) -> None:
    with pytest.raises(ArgumentError, match="must be"):
        FloatScan(vectors)


@pytest.mark.parametrize(
    ("query", "k"),
    [
        (np.zeros(3, np.float32), 1),
        (np.zeros(2), 1),
        (np.zeros((1, 2), np.float32), 1),
        (np.zeros(2, np.float32), 0),
        (np.array([0, np.nan], np.float32), 1),
    ],
)
def test_refuses_queries_that_do_not_fit(arm, query, k: int) -> None:
    with pytest.raises(ArgumentError):
        FloatScan(np.ones((4, 2), np.float32)).top_k(query, k)


@pytest.mark.parametrize("vectors", [[[1e30, 1e30]], [[1e30, -1e30]]])
def test_refuses_scores_that_could_be_infinite(arm, vectors: list[list[float]]) -> None:
    scan = FloatScan(np.array(vectors, np.float32))
    with pytest.raises(ArgumentError, match="too large"):
        scan.top_k(np.full(2, 3e30, np.float32), 1)
    assert len(scan.top_k(np.full(2, 3.0, np.float32), 1)) == 1
