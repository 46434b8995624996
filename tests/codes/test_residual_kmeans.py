"""k-means and its residual chain."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.vq import kmeans2

from lightrec.codes import residual_kmeans as module
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.residual_kmeans import kmeans, residual_kmeans
from lightrec.errors import ArgumentError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def blobs(num_items: int = 900, width: int = 6, seed: int = 1) -> np.ndarray:
    random = rng(seed)
    centres = 3 * random.normal(size=(12, width))
    vectors = centres[random.integers(0, 12, num_items)] + random.normal(size=(num_items, width))
    return vectors.astype(np.float32)


def error(vectors: np.ndarray, codes: ItemCodes, weights: np.ndarray | None = None) -> float:
    squared = ((vectors - codes.decode()).astype(np.float64) ** 2).sum(axis=1)
    return float(np.average(squared, weights=weights))


def test_finds_planted_clusters() -> None:
    centres = np.array([[0, 0], [10, 0], [0, 10]], np.float32)
    members = rng().integers(0, 3, 300)
    points = centres[members] + rng(1).normal(scale=0.1, size=(300, 2)).astype(np.float32)
    errors = []
    for seed in range(5):  # Lloyd may start badly, but not five times
        found = kmeans(points, 3, rng=rng(seed))
        errors.append(((points - found.centres[found.nearest]) ** 2).sum(axis=1).mean())
    assert min(errors) < 0.03


def test_is_as_good_as_scipy_from_the_same_kind_of_start() -> None:
    vectors = blobs()
    ours, theirs = [], []
    for seed in range(4):
        found = kmeans(vectors, 20, rng=rng(seed))
        ours.append(((vectors - found.centres[found.nearest]) ** 2).sum())
        centres, labels = kmeans2(
            vectors.astype(np.float64), 20, iter=20, minit="points", seed=seed, missing="warn"
        )
        theirs.append(((vectors - centres[labels]) ** 2).sum())
    assert np.mean(ours) < 1.05 * np.mean(theirs)


def test_every_point_gets_its_nearest_centre() -> None:
    vectors = blobs(num_items=400)
    found = kmeans(vectors, 17, rng=rng())
    distances = ((vectors[:, None] - found.centres[None]) ** 2).sum(axis=2)
    chosen = distances[np.arange(400), found.nearest]
    np.testing.assert_allclose(chosen, distances.min(axis=1), rtol=1e-4, atol=1e-3)


def test_a_centre_is_the_weighted_mean_of_its_points() -> None:
    points = np.array([[0.0], [1.0], [9.0]], np.float32)
    found = kmeans(points, 1, weights=np.array([1, 2, 1], np.float32), rng=rng())
    assert found.centres.tolist() == [[11 / 4]]


def test_weights_decide_where_centres_go() -> None:
    vectors = blobs()
    heavy = np.where(vectors[:, 0] > 0, 50.0, 1.0).astype(np.float32)
    weighted = residual_kmeans(vectors, 2, 8, weights=heavy, rng=rng())
    plain = residual_kmeans(vectors, 2, 8, rng=rng())
    assert error(vectors, weighted, heavy) < 0.95 * error(vectors, plain, heavy)
    assert error(vectors, weighted) > error(vectors, plain)


def test_a_point_without_weight_pulls_no_centre() -> None:
    vectors = blobs(num_items=200)
    outlier = np.concatenate([vectors, np.full((1, vectors.shape[1]), 500.0, np.float32)])
    weights = np.ones(201, np.float32)
    weights[-1] = 0.0
    found = kmeans(outlier, 8, weights=weights, rng=rng())
    assert ((vectors - found.centres[found.nearest[:-1]]) ** 2).sum(axis=1).max() < 1_000


def test_each_codebook_lowers_the_error() -> None:
    vectors = blobs()
    errors = [
        error(vectors, residual_kmeans(vectors, books, 16, rng=rng())) for books in range(1, 6)
    ]
    assert (np.diff(errors) < 0).all()
    assert errors[0] < (vectors.astype(np.float64) ** 2).sum(axis=1).mean()


def test_later_codebooks_cluster_what_is_left_over() -> None:
    vectors = blobs()
    codes = residual_kmeans(vectors, 2, 16, rng=rng())
    first = kmeans(vectors, 16, rng=rng())
    assert np.array_equal(codes.codes[:, 0], first.nearest)
    residual = vectors - first.centres[first.nearest]
    distances = ((residual[:, None] - codes.codebooks[1][None]) ** 2).sum(axis=2)
    chosen = distances[np.arange(len(vectors)), codes.codes[:, 1]]
    np.testing.assert_allclose(chosen, distances.min(axis=1), rtol=1e-3, atol=1e-3)


def test_a_seed_decides_everything() -> None:
    vectors = blobs()
    first, second = (residual_kmeans(vectors, 3, 16, rng=rng(5)) for _ in range(2))
    other = residual_kmeans(vectors, 3, 16, rng=rng(6))
    assert first.codes.tobytes() == second.codes.tobytes()
    assert first.codebooks.tobytes() == second.codebooks.tobytes()
    assert other.codebooks.tobytes() != first.codebooks.tobytes()


def test_large_inputs_are_fitted_to_a_sample_and_encoded_whole(monkeypatch) -> None:
    vectors = blobs(num_items=2_000)
    exact = residual_kmeans(vectors, 1, 8, rng=rng())
    monkeypatch.setattr(module, "MAX_POINTS_PER_CENTRE", 30)
    monkeypatch.setattr(module, "BLOCK", 64)
    sampled = residual_kmeans(vectors, 1, 8, rng=rng())
    assert sampled.codes.shape == (2_000, 1)
    assert error(vectors, sampled) < 1.3 * error(vectors, exact)


def test_blocks_of_rows_change_nothing(monkeypatch) -> None:
    vectors = blobs(num_items=300)
    whole = residual_kmeans(vectors, 2, 8, rng=rng())
    monkeypatch.setattr(module, "BLOCK", 37)
    blocked = residual_kmeans(vectors, 2, 8, rng=rng())
    assert np.array_equal(blocked.codes, whole.codes)
    np.testing.assert_allclose(blocked.codebooks, whole.codebooks, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(0, 30), st.integers(1, 3), st.integers(0, 1_000))
def test_survives_repeated_and_constant_vectors(
    num_codewords: int, extra: int, distinct: int, seed: int
) -> None:
    random = rng(seed)
    values = random.normal(size=(distinct, 3)).astype(np.float32)
    vectors = values[random.integers(0, distinct, num_codewords + extra)]
    codes = residual_kmeans(vectors, 2, num_codewords, rng=random)
    assert np.isfinite(codes.codebooks).all()
    about_the_mean = ((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean()
    assert error(vectors, codes) <= about_the_mean + 1e-5


def test_a_centre_without_points_moves_to_where_the_error_is() -> None:
    values = np.array([[0.0], [1.0], [5.0], [9.0], [30.0]], np.float32)
    vectors = np.concatenate([np.repeat(values[:1], 100, axis=0), values[1:]])
    for seed in range(5):  # nearly every start is five times the same point
        found = kmeans(vectors, 5, rng=rng(seed))
        assert np.array_equal(found.centres[found.nearest], vectors)


def test_survives_weights_of_nothing() -> None:
    codes = residual_kmeans(blobs(50), 2, 4, weights=np.zeros(50, np.float32), rng=rng())
    assert np.isfinite(codes.codebooks).all()


def test_as_many_items_as_codewords_are_kept_exactly() -> None:
    vectors = blobs(num_items=40)
    codes = residual_kmeans(vectors, 1, 40, rng=rng())
    np.testing.assert_allclose(codes.decode(), vectors, atol=1e-5)


def test_refuses_fewer_items_than_codewords_and_names_the_remedy() -> None:
    with pytest.raises(ArgumentError, match=r"9 items.*num_codewords = 10.*at most 9"):
        residual_kmeans(blobs(9), 2, 10, rng=rng())


@pytest.mark.parametrize("sizes", [(0, 4), (2, 0), (2, 257)])
def test_refuses_sizes_out_of_range(sizes: tuple[int, int]) -> None:
    with pytest.raises(ArgumentError, match="num_codebooks >= 1"):
        residual_kmeans(blobs(300), *sizes, rng=rng())


def test_kmeans_refuses_more_centres_than_a_byte_can_number() -> None:
    with pytest.raises(ArgumentError, match="256"):
        kmeans(blobs(400), 300, iterations=1, rng=rng())


def test_does_not_change_its_input() -> None:
    vectors = blobs()
    before = vectors.copy()
    residual_kmeans(vectors, 3, 8, rng=rng())
    assert np.array_equal(vectors, before)
