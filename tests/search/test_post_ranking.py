from __future__ import annotations

import platform
import shutil
import subprocess

import numpy as np
import pytest

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError
from lightrec.native import KERNELS
from lightrec.search.filters import Filter
from lightrec.search.post_ranking import (
    ScaledVectors,
    inner_products,
    post_rank,
    post_rank_batch,
)
from lightrec.search.scan import make_scan
from lightrec.search.top_k import TopKBatch, best_first


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


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("width", [1, 7, 8, 16, 17, 32, 100, 256])
def test_scores_are_the_same_bits_with_and_without_the_kernel(dtype, width: int) -> None:
    rng = np.random.default_rng(width)
    vectors = (rng.normal(size=(300, width)) * 10.0 ** rng.integers(-7, 3, (300, 1))).astype(dtype)
    query = rng.normal(size=width).astype(np.float32)
    rows = rng.permutation(300)[:170]
    found = post_rank(rows, query, vectors, 60)
    scores = inner_products(vectors[rows].astype(np.float32), query)
    expected = best_first(rows, scores, 60)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.scores, expected.scores)
    exact = vectors[rows].astype(np.float32).astype(float) @ query
    np.testing.assert_allclose(scores, exact, rtol=1e-4, atol=1e-6 * np.abs(exact).max())


def test_every_half_float_is_widened_exactly() -> None:
    halves = np.arange(65_536, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    rows = np.arange(len(halves))
    for width in (1, 9):  # one by one, and eight at a time
        vectors = np.zeros((len(halves), width), np.float16)
        vectors[:, -1] = halves
        found = post_rank(rows, np.ones(width, np.float32), vectors, len(rows))
        assert found.scores[np.argsort(found.rows)].tolist() == halves.astype(np.float32).tolist()


def test_rows_out_of_range_are_refused(world) -> None:
    _, vectors, query, _ = world
    for row in (-1, 200):
        for dtype in (np.float32, np.float64):  # with the kernel, and without
            with pytest.raises(ArgumentError, match="candidate rows must be"):
                post_rank(np.array([row]), query, vectors.astype(dtype), 1)


def test_no_candidates_give_nothing(world) -> None:
    _, vectors, query, _ = world
    assert len(post_rank(np.empty(0, np.int64), query, vectors, 3)) == 0


@pytest.mark.parametrize("width", [1, 7, 16, 33, 100])
def test_bytes_score_the_same_bits_with_and_without_the_kernel(width: int, monkeypatch) -> None:
    rng = np.random.default_rng(width)
    vectors = (rng.normal(size=(300, width)) * 10.0 ** rng.integers(-7, 3, (300, 1))).astype("f4")
    vectors[5] = 0
    scaled = ScaledVectors.of(vectors)
    assert scaled.values.dtype == np.int8
    assert np.abs(scaled.values).max() == 127
    restored = scaled.values * scaled.scales[:, np.newaxis]
    np.testing.assert_allclose(restored, vectors, atol=np.abs(vectors).max(1).max() / 253)
    assert (np.abs(restored - vectors) <= np.abs(vectors).max(1, keepdims=True) / 253).all()
    query, rows = rng.normal(size=width).astype(np.float32), rng.permutation(300)[:170]
    found = post_rank(rows, query, scaled, 60)
    monkeypatch.setattr("lightrec.search.post_ranking.KERNELS", None)
    expected = post_rank(rows, query, scaled, 60)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.scores, expected.scores)
    exact = restored[found.rows].astype(float) @ query
    np.testing.assert_allclose(found.scores, exact, rtol=1e-4, atol=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize(
    ("values", "scales"),
    [
        (np.zeros((3, 2)), np.zeros(3, np.float32)),
        (np.zeros(3, np.int8), np.zeros(3, np.float32)),
        (np.zeros((3, 2), np.int8), np.zeros(2, np.float32)),
        (np.zeros((3, 2), np.int8), np.zeros(3)),
    ],
)
def test_bytes_need_a_scale_a_row(values, scales) -> None:
    with pytest.raises(ArgumentError, match="must be"):
        ScaledVectors(values, scales)


def test_vectors_that_are_not_finite_are_not_scaled() -> None:
    with pytest.raises(ArgumentError, match="item vector 1 is not finite"):
        ScaledVectors.of(np.array([[0.0], [np.inf]], np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_candidates_that_come_twice_count_once(world, dtype) -> None:
    _, vectors, query, _ = world
    vectors = vectors.astype(dtype)  # with the kernel, and without
    found = post_rank(np.array([5, 3, 5, 3, 3]), query, vectors, 4)
    assert sorted(found.rows.tolist()) == [3, 5]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, np.int8])
@pytest.mark.parametrize("threads", [0, 1, 3])
def test_a_batch_is_ranked_as_one_by_one(dtype, threads: int) -> None:
    rng = np.random.default_rng(2)
    vectors, queries = (rng.normal(size=(n, 64)).astype(np.float32) for n in (500, 120))
    recalled = made_batch(rng.integers(0, 500, (120, 200)), rng.integers(0, 201, 120))
    of_items = ScaledVectors.of(vectors) if dtype == np.int8 else vectors.astype(dtype)
    for k in (1, 10, 500):
        batch = post_rank_batch(recalled, queries, of_items, k, threads=threads)
        alone = [
            post_rank(recalled.of(number).rows, query, of_items, k)
            for number, query in enumerate(queries)
        ]
        expected = TopKBatch.stacked(alone, min(k, 200))
        np.testing.assert_array_equal(batch.rows, expected.rows)
        np.testing.assert_array_equal(batch.scores, expected.scores)
        np.testing.assert_array_equal(batch.counts, expected.counts)


def made_batch(rows, counts) -> TopKBatch:
    return TopKBatch(rows, np.zeros(np.shape(rows), np.float32), np.asarray(counts))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_batch_that_does_not_fit_is_refused(world, dtype) -> None:
    _items, vectors, query, _table = world
    vectors, rows = vectors.astype(dtype), np.arange(20).reshape(2, 10)
    queries, recalled = np.stack([query, query]), made_batch(rows, [10, 10])
    assert post_rank_batch(recalled, queries, vectors, 3).counts.tolist() == [3, 3]
    with pytest.raises(ArgumentError, match="1 queries for the candidates of 2"):
        post_rank_batch(recalled, queries[:1], vectors, 3)
    with pytest.raises(ArgumentError, match=r"differ in width|do not belong together"):
        post_rank_batch(recalled, queries[:, :3], vectors, 3)
    with pytest.raises(ArgumentError, match=r"query 1: .*rows of items"):
        post_rank_batch(recalled, queries, vectors[:12], 3)
    queries[:, 0] = [1, np.inf]
    with pytest.raises(ArgumentError, match=r"query 1: the score of item row 10 .*not finite"):
        post_rank_batch(recalled, queries, vectors, 3)
    for counts in ([10, 11], [-1, 10]):
        with pytest.raises(ArgumentError, match="a count must be 0 to 10"):
            post_rank_batch(made_batch(rows, counts), queries, vectors, 3)
    with pytest.raises(ArgumentError, match="do not fit"):
        post_rank_batch(made_batch(rows.ravel(), [10, 10]), queries, vectors, 3)
    for broken in (made_batch(rows + 0.7, [10, 10]), made_batch(rows, [9.5, 10])):
        with pytest.raises(ArgumentError, match="must be integers, not float64"):
            post_rank_batch(broken, queries, vectors, 3)


def test_candidates_are_integers(world) -> None:
    _, vectors, query, _ = world
    for wrong in (np.array([1.0, 2.0]), [0.5], [True]):
        with pytest.raises(ArgumentError, match="candidate rows must be integers"):
            post_rank(wrong, query, vectors, 1)
    assert post_rank(np.array([7], np.uint8), query, vectors, 1).rows.tolist() == [7]


@pytest.mark.skipif(
    KERNELS is None or platform.machine() != "x86_64" or shutil.which("objdump") is None,
    reason="needs compiled kernels and objdump",
)
def test_rows_are_prefetched() -> None:
    """Compilers delete calls of functions that only prefetch; that costs half of the speed."""
    assert KERNELS is not None
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", KERNELS.__file__],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # First rows and rows ahead, their lines and their last one, with and without AVX-512: 16 for
    # post-ranking alone; 5 for scans.
    assert listing.count("prefetcht0") >= 20
