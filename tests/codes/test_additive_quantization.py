"""The whole of additive quantisation, and the search for codes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrec.codes.additive_quantization import (
    AdditiveQuantizationConfig,
    additive_quantization,
    encode,
    popularity_weights,
    relative_error,
)
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import ItemMetric
from lightrec.codes.residual_kmeans import residual_kmeans
from lightrec.errors import ArgumentError

SMALL = AdditiveQuantizationConfig(num_codebooks=3, num_codewords=16, rounds=3, beam=4)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def factors(num_items: int = 500, width: int = 8) -> np.ndarray:
    """Vectors whose directions differ in spread, as learned factors do."""
    spread = np.geomspace(2.0, 0.2, width)
    return (rng(3).normal(size=(num_items, width)) * spread).astype(np.float32)


def random_books(num_codebooks: int, num_codewords: int, width: int, seed: int) -> np.ndarray:
    return rng(seed).normal(size=(num_codebooks, num_codewords, width)).astype(np.float32)


def exact_errors(vectors: np.ndarray, codes: ItemCodes, metric: ItemMetric) -> np.ndarray:
    difference = vectors.astype(np.float64) - codes.decode()
    cells = np.zeros(len(vectors), int) if metric.cells is None else metric.cells
    return np.einsum("nd,nde,ne->n", difference, metric.matrices[cells], difference)


def test_beats_residual_kmeans_in_weighted_error() -> None:
    vectors, weights = factors(), rng(1).lognormal(size=500).astype(np.float32)
    greedy = residual_kmeans(vectors, 3, 16, weights=weights, rng=rng())
    joint = additive_quantization(vectors, SMALL, weights=weights, rng=rng())
    before, after = (relative_error(vectors, each, weights=weights) for each in (greedy, joint))
    assert after < 0.93 * before


def test_each_round_lowers_the_error() -> None:
    vectors, weights = factors(), rng(1).lognormal(size=500).astype(np.float32)
    metric = ItemMetric.user_gram(rng(2).normal(size=(60, 8)).astype(np.float32))
    heard: list[tuple[int, float]] = []
    config = SMALL.model_copy(update={"rounds": 5})
    final = additive_quantization(
        vectors,
        config,
        weights=weights,
        metric=metric,
        rng=rng(),
        on_round=lambda number, error: heard.append((number, error)),
    )
    assert [number for number, _ in heard] == [1, 2, 3, 4, 5]
    errors = [error for _, error in heard]
    assert errors[1] < 0.95 * errors[0]  # codebooks and codes are fitted in turns
    errors.append(relative_error(vectors, final, weights=weights, metric=metric))
    assert (np.diff(errors) < 0).all()


def test_no_rounds_leave_weighted_residual_kmeans() -> None:
    vectors, weights = factors(), rng(1).lognormal(size=500).astype(np.float32)
    config = SMALL.model_copy(update={"rounds": 0})
    codes = additive_quantization(vectors, config, weights=weights, rng=rng())
    greedy = residual_kmeans(vectors, 3, 16, weights=weights, rng=rng())
    assert np.array_equal(codes.codes, greedy.codes)
    assert np.array_equal(codes.codebooks, greedy.codebooks)


def test_the_users_metric_lowers_the_error_of_scores_and_not_of_vectors() -> None:
    vectors = factors()
    users = (rng(4).normal(size=(200, 8)) * np.geomspace(0.1, 3.0, 8)).astype(np.float32)
    by_users = additive_quantization(
        vectors, SMALL, metric=ItemMetric.user_gram(users, 0.01), rng=rng()
    )
    by_distance = additive_quantization(vectors, SMALL, rng=rng())

    def score_error(codes: ItemCodes) -> float:
        return float(((users @ (vectors - codes.decode()).T) ** 2).mean())

    assert score_error(by_users) < 0.85 * score_error(by_distance)
    assert relative_error(vectors, by_users) > relative_error(vectors, by_distance)


def test_weights_move_the_error_to_light_items() -> None:
    vectors = factors()
    heavy = np.where(np.arange(500) < 100, 20.0, 1.0).astype(np.float32)
    plain = additive_quantization(vectors, SMALL, rng=rng())
    weighted = additive_quantization(vectors, SMALL, weights=heavy, rng=rng())
    lost = [((vectors - codes.decode()) ** 2).sum(axis=1) for codes in (plain, weighted)]
    assert lost[1][:100].mean() < 0.8 * lost[0][:100].mean()
    assert lost[1][100:].mean() > lost[0][100:].mean()


def test_a_seed_decides_everything() -> None:
    first, second = (additive_quantization(factors(), SMALL, rng=rng(7)) for _ in range(2))
    assert first.codes.tobytes() == second.codes.tobytes()
    assert first.codebooks.tobytes() == second.codebooks.tobytes()


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.integers(1, 30), st.integers(1, 4), st.integers(1, 12), st.integers(1, 5)),
    st.sampled_from([(0, 0), (0, 2), (1, 0), (3, 1), (16, 2)]),
    st.integers(0, 1_000),
)
def test_no_item_gets_a_worse_code_than_its_start(size, effort, seed: int) -> None:
    num_items, num_codebooks, num_codewords, width = size
    vectors = rng(seed).normal(size=(num_items, width)).astype(np.float32)
    books = random_books(num_codebooks, num_codewords, width, seed + 1)
    metric = ItemMetric(
        rng(seed).integers(0, 2, num_items).astype(np.int32),
        np.stack([np.eye(width), 3 * np.eye(width)]).astype(np.float32),
    )
    shape = (num_items, num_codebooks)
    start = rng(seed + 2).integers(0, num_codewords, shape, dtype=np.uint8)
    found = encode(vectors, books, metric=metric, beam=effort[0], icm_sweeps=effort[1], start=start)
    before = exact_errors(vectors, ItemCodes(start, books), metric)
    after = exact_errors(vectors, found, metric)
    assert (after <= before + 1e-4 * (1 + before)).all()


def test_a_wide_beam_finds_the_best_of_all_codes() -> None:
    vectors, books = factors(60, 4), random_books(3, 4, 4, seed=5)
    metric = ItemMetric.user_gram(rng(6).normal(size=(30, 4)).astype(np.float32))
    found = encode(vectors, books, metric=metric, beam=64, icm_sweeps=0)
    every = np.array(list(itertools.product(range(4), repeat=3)), np.uint8)
    all_errors = np.stack(
        [exact_errors(vectors, ItemCodes(np.tile(code, (60, 1)), books), metric) for code in every],
        axis=1,
    )
    best = exact_errors(vectors, found, metric)
    np.testing.assert_allclose(best, all_errors.min(axis=1), rtol=1e-3, atol=1e-4)


def test_items_of_a_cell_are_encoded_in_its_metric() -> None:
    # One codebook, two codewords: each nearer in one of two metrics.
    books = np.array([[[1.0, 0.0], [0.0, 1.0]]], np.float32)
    vectors = np.zeros((2, 2), np.float32) + 0.5
    matrices = np.stack([np.diag([9.0, 1.0]), np.diag([1.0, 9.0])]).astype(np.float32)
    vectors[0], vectors[1] = [0.6, 0.9], [0.9, 0.6]
    plain = encode(vectors, books)
    assert plain.codes.ravel().tolist() == [1, 0]
    by_cells = ItemMetric(np.array([0, 1], np.int32), matrices)
    assert encode(vectors, books, metric=by_cells).codes.ravel().tolist() == [0, 1]


def test_encoding_does_not_depend_on_threads_or_company() -> None:
    vectors, books = factors(300), random_books(3, 16, 8, seed=9)
    together = encode(vectors, books, threads=2)
    assert np.array_equal(encode(vectors, books, threads=1).codes, together.codes)
    errors = exact_errors(vectors, together, ItemMetric.euclidean(8))
    alone = encode(vectors[17:18], books)
    assert exact_errors(vectors[17:18], alone, ItemMetric.euclidean(8)) == pytest.approx(errors[17])


def test_relative_error_is_a_share() -> None:
    vectors = factors(30)
    zero = ItemCodes(np.zeros((30, 1), np.uint8), np.zeros((1, 1, 8), np.float32))
    assert relative_error(vectors, zero) == pytest.approx(1.0)
    exact = ItemCodes(np.arange(30, dtype=np.uint8)[:, None], vectors[None])
    assert relative_error(vectors, exact) == 0.0


def test_popularity_weights() -> None:
    degrees = np.array([0, 3, 15])
    assert popularity_weights(degrees, 0.0).tolist() == [1.0, 1.0, 1.0]
    weights = popularity_weights(degrees, 0.5)
    assert weights.dtype == np.float32
    assert weights.mean() == pytest.approx(1.0)
    assert weights[2] / weights[0] == pytest.approx(np.sqrt(15.5 / 0.5))


@pytest.mark.parametrize("fault", [np.nan, np.inf, -np.inf])
def test_refuses_vectors_that_are_not_finite(fault: float) -> None:
    vectors = factors(40)
    vectors[7, 2] = fault
    with pytest.raises(ArgumentError, match="finite"):
        additive_quantization(vectors, SMALL, rng=rng())


def test_refuses_fewer_items_than_codewords() -> None:
    with pytest.raises(ArgumentError, match="15 items"):
        additive_quantization(factors(15), SMALL, rng=rng())


def test_refuses_weights_of_another_catalogue() -> None:
    with pytest.raises(ArgumentError, match="weights"):
        additive_quantization(factors(40), SMALL, weights=np.ones(39, np.float32), rng=rng())


def test_refuses_to_refine_nothing() -> None:
    with pytest.raises(ArgumentError, match="beam 0"):
        encode(factors(10), random_books(2, 4, 8, seed=1), beam=0)
