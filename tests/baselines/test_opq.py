"""Optimised product quantisation: faiss's answer, in the form that all codes share."""

from __future__ import annotations

import sys

import faiss
import numpy as np
import pytest

from lightrec.baselines import opq
from lightrec.baselines.opq import (
    as_additive_codes,
    eigenvalue_allocation,
    optimized_product_quantization,
    train_opq,
)
from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError, MissingExtraError


@pytest.fixture(autouse=True)
def one_thread():
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def correlated(num_items: int = 1_500, width: int = 12, seed: int = 1) -> np.ndarray:
    """Vectors with a mean, and few directions that matter, none of them along an axis."""
    random = rng(seed)
    spread = np.exp(-np.arange(width) / 2)
    vectors = random.normal(size=(num_items, width)) * spread
    mixed = vectors @ np.linalg.qr(random.normal(size=(width, width)))[0]
    return (mixed + random.normal(size=width)).astype(np.float32)


def error(vectors: np.ndarray, decoded: np.ndarray) -> float:
    return float(((vectors - decoded).astype(np.float64) ** 2).sum(axis=1).mean())


def plain_pq(vectors: np.ndarray, num_codebooks: int, bits: int) -> np.ndarray:
    """What faiss's product quantiser makes of the vectors without a rotation."""
    quantizer = faiss.ProductQuantizer(vectors.shape[1], num_codebooks, bits)
    quantizer.cp.min_points_per_centroid = 1
    quantizer.train(vectors)
    return quantizer.decode(quantizer.compute_codes(vectors))


@pytest.mark.parametrize(
    ("width", "num_codebooks", "num_codewords"),
    [(12, 4, 16), (12, 3, 256), (10, 4, 8), (7, 3, 32), (3, 4, 2), (5, 1, 128)],
)
def test_decodes_what_faiss_decodes(width: int, num_codebooks: int, num_codewords: int) -> None:
    vectors = correlated(400, width)
    transform, quantizer = train_opq(vectors, num_codebooks, num_codewords, rng=rng(), iterations=3)
    codes = as_additive_codes(vectors, transform, quantizer)
    packed = quantizer.compute_codes(transform.apply(vectors))
    theirs = transform.reverse_transform(quantizer.decode(packed))
    np.testing.assert_allclose(codes.decode(), theirs, atol=1e-4)
    assert codes.codes.shape == (400, num_codebooks)
    assert codes.codebooks.shape == (num_codebooks, num_codewords, width)
    assert codes.codes.max() < num_codewords


def test_takes_any_opq_that_faiss_trained() -> None:
    vectors = correlated(300, 8)
    index = faiss.index_factory(8, "OPQ2,PQ2x4")
    index.train(vectors)
    index.add(vectors)
    transform = faiss.downcast_VectorTransform(index.chain.at(0))
    quantizer = faiss.downcast_index(index.index).pq
    codes = as_additive_codes(vectors, transform, quantizer)
    np.testing.assert_allclose(codes.decode(), index.reconstruct_n(0, 300), atol=1e-4)


def test_blocks_of_items_change_nothing(monkeypatch) -> None:
    vectors = correlated(300, 10)
    whole = optimized_product_quantization(vectors, 4, 16, seed=0, iterations=2)
    monkeypatch.setattr(opq, "BLOCK", 37)
    blocked = optimized_product_quantization(vectors, 4, 16, seed=0, iterations=2)
    assert np.array_equal(blocked.codes, whole.codes)


def test_subspaces_are_orthogonal() -> None:
    codes = optimized_product_quantization(correlated(), 3, 16, seed=0, iterations=3)
    for first in range(3):
        for second in range(first):
            products = codes.codebooks[first] @ codes.codebooks[second].T
            np.testing.assert_allclose(products, 0.0, atol=1e-5)


def test_every_item_has_the_nearest_code() -> None:
    vectors = correlated(200, 6)
    codes = optimized_product_quantization(vectors, 2, 4, seed=0, iterations=3)
    pairs = codes.codebooks[0][:, None] + codes.codebooks[1][None]  # all 16 that can be decoded
    distances = ((vectors[:, None] - pairs.reshape(1, 16, 6)) ** 2).sum(axis=2)
    chosen = ((vectors - codes.decode()) ** 2).sum(axis=1)
    np.testing.assert_allclose(chosen, distances.min(axis=1), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_rotation_helps_correlated_vectors(seed: int) -> None:
    vectors = correlated(seed=seed)
    codes = optimized_product_quantization(vectors, 4, 16, seed=seed)
    # By far: without a rotation every subspace spends its codewords on the same few directions.
    assert error(vectors, codes.decode()) < 0.7 * error(vectors, plain_pq(vectors, 4, 4))


def test_is_as_good_as_the_same_rounds_from_the_random_rotation_of_faiss() -> None:
    ours, theirs = [], []
    for seed in range(3):
        vectors = correlated(width=16, seed=seed)
        codes = optimized_product_quantization(vectors, 4, 16, seed=seed)
        ours.append(error(vectors, codes.decode()))
        transform, quantizer = faiss.OPQMatrix(16, 4), faiss.ProductQuantizer(16, 4, 4)
        transform.pq = quantizer
        transform.train(vectors)
        rotated = transform.apply(vectors)
        theirs.append(error(rotated, plain_pq(rotated, 4, 4)))
    assert np.mean(ours) < 1.02 * np.mean(theirs)


def test_rounds_of_rotation_lower_the_error() -> None:
    few, many = [], []
    for seed in range(3):  # two circles, in planes that no covariance shows
        random = rng(seed)
        angles = random.uniform(0.0, 2.0 * np.pi, size=(3_000, 2))
        circles = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
        turned = circles @ np.linalg.qr(random.normal(size=(4, 4)))[0]
        vectors = turned.astype(np.float32)
        for errors, rounds in ((few, 1), (many, 50)):
            codes = optimized_product_quantization(vectors, 2, 16, seed=seed, iterations=rounds)
            errors.append(error(vectors, codes.decode()))
    assert np.mean(many) < 0.9 * np.mean(few)


def test_more_codewords_lower_the_error() -> None:
    vectors = correlated()
    errors = [
        error(vectors, optimized_product_quantization(vectors, 2, words, seed=0).decode())
        for words in (2, 8, 32, 128)
    ]
    assert (np.diff(errors) < 0).all()


def test_the_first_rotation_shares_variance_out() -> None:
    spread = np.array([8.0, 4.0, 2.0, 1.0])
    vectors = (rng().normal(size=(20_000, 4)) * spread).astype(np.float32)
    rotation = eigenvalue_allocation(vectors, 2)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(4), atol=1e-5)
    # 8 x 1 in one subspace and 4 x 2 in the other: equal products, as in the paper.
    along = np.abs(rotation).argmax(axis=1)
    assert [sorted(along[:2]), sorted(along[2:])] == [[0, 3], [1, 2]]


def test_the_first_rotation_does_not_depend_on_the_unit() -> None:
    vectors = correlated(width=10)
    expected = eigenvalue_allocation(vectors, 4)
    for unit in (2.0**-20, 2.0**20):
        assert np.array_equal(eigenvalue_allocation(vectors * np.float32(unit), 4), expected)


def test_a_seed_decides_everything_on_one_thread() -> None:
    vectors = correlated()
    first, second = (optimized_product_quantization(vectors, 3, 16, seed=5) for _ in range(2))
    other = optimized_product_quantization(vectors, 3, 16, seed=6)
    assert first.codes.tobytes() == second.codes.tobytes()
    assert first.codebooks.tobytes() == second.codebooks.tobytes()
    assert other.codebooks.tobytes() != first.codebooks.tobytes()


def test_large_inputs_are_fitted_to_a_sample_and_encoded_whole(monkeypatch) -> None:
    vectors = correlated(2_000)
    exact = optimized_product_quantization(vectors, 2, 8, seed=0)
    monkeypatch.setattr(opq, "ROTATION_POINTS", 300)
    monkeypatch.setattr(opq, "MAX_POINTS_PER_CENTRE", 50)
    sampled, again = (optimized_product_quantization(vectors, 2, 8, seed=0) for _ in range(2))
    assert sampled.codes.shape == (2_000, 2)
    assert sampled.codebooks.tobytes() == again.codebooks.tobytes() != exact.codebooks.tobytes()
    assert error(vectors, sampled.decode()) < 1.3 * error(vectors, exact.decode())


def test_as_many_items_as_codewords_are_kept_exactly() -> None:
    vectors = correlated(32)
    codes = optimized_product_quantization(vectors, 3, 32, seed=0)
    np.testing.assert_allclose(codes.decode(), vectors, atol=1e-5)


@pytest.mark.parametrize("vectors", [np.zeros((40, 5)), np.full((40, 5), 3.0), np.eye(40)[:, :6]])
def test_survives_repeated_and_constant_vectors(vectors: np.ndarray) -> None:
    codes = optimized_product_quantization(vectors.astype(np.float32), 2, 16, seed=0)
    np.testing.assert_allclose(codes.decode(), vectors, atol=1e-4)


@pytest.mark.parametrize("exponent", [-90, 90])  # squares would be 0, or infinite
def test_the_unit_of_the_vectors_does_not_matter(exponent: int) -> None:
    vectors = correlated(300)
    expected = optimized_product_quantization(vectors, 3, 16, seed=0)
    scaled = optimized_product_quantization(np.ldexp(vectors, exponent), 3, 16, seed=0)
    assert np.array_equal(scaled.codes, expected.codes)
    assert np.array_equal(scaled.codebooks, np.ldexp(expected.codebooks, exponent))


def test_few_items_are_no_reason_for_a_warning(capfd) -> None:
    optimized_product_quantization(correlated(300), 4, 256, seed=0, iterations=2)
    assert capfd.readouterr() == ("", "")


def test_does_not_change_its_input() -> None:
    vectors = correlated(300)
    before = vectors.copy()
    optimized_product_quantization(vectors, 3, 16, seed=0, iterations=2)
    assert np.array_equal(vectors, before)


def test_serves_scores_as_all_codes_do() -> None:
    vectors = correlated(300)
    codes = optimized_product_quantization(vectors, 3, 64, seed=0, iterations=2)
    assert isinstance(codes, ItemCodes)
    queries = rng(7).normal(size=(4, 12)).astype(np.float32)
    scores = codes.scores(codes.score_tables(queries))
    np.testing.assert_allclose(scores, queries @ codes.decode().T, atol=1e-4)


@pytest.mark.parametrize("num_codewords", [0, 1, 3, 100, 255, 512, -4])
def test_refuses_codewords_that_are_no_power_of_two(num_codewords: int) -> None:
    with pytest.raises(ArgumentError, match=f"power of two from 2 to 256.*not {num_codewords}"):
        optimized_product_quantization(correlated(), 4, num_codewords, seed=0)


def test_refuses_fewer_items_than_codewords_and_names_the_remedy() -> None:
    with pytest.raises(ArgumentError, match=r"9 items.*num_codewords = 16.*at most 9"):
        optimized_product_quantization(correlated(9), 2, 16, seed=0)


@pytest.mark.parametrize(
    ("sizes", "fault"),
    [
        ({"num_codebooks": 0}, "num_codebooks >= 1"),
        ({"iterations": 0}, "iterations >= 1"),
        ({"seed": -1}, "seed must not be negative"),
    ],
)
def test_refuses_sizes_out_of_range(sizes: dict[str, int], fault: str) -> None:
    with pytest.raises(ArgumentError, match=fault):
        optimized_product_quantization(correlated(), **{"seed": 0, **sizes})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_refuses_values_that_are_not_finite_and_names_the_row(value: float) -> None:
    vectors = correlated(300)
    vectors[[17, 20], 3] = value
    with pytest.raises(ArgumentError, match=r"row 17 .*not finite"):
        optimized_product_quantization(vectors, seed=0)


@pytest.mark.parametrize("shape", [(300,), (300, 0), (300, 2, 2)])
def test_refuses_what_is_no_matrix(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match=r"must be \(N, D\)"):
        optimized_product_quantization(np.zeros(shape, np.float32), seed=0)


def test_without_faiss_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lightrec\[baselines\]'"):
        optimized_product_quantization(correlated(300), seed=0)
