"""The linear map and the network that bring users to codebooks of their own."""

import numpy as np
import pytest

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.linear_users import RIDGE, linear_map
from lightrec.codes.mlp_users import Mlp, mlp_map
from lightrec.errors import ArgumentError

F = np.float32
USERS, WIDTH, OWN = 2_000, 6, 3


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def users(rng) -> np.ndarray:
    return rng.normal(size=(USERS, WIDTH)).astype(F)


@pytest.fixture
def codes(rng) -> ItemCodes:
    chosen = rng.integers(0, 12, (200, 2), dtype=np.uint8)
    return ItemCodes(chosen, rng.normal(size=(2, 12, OWN)).astype(F))


def error(found: np.ndarray, vectors: np.ndarray, codes: ItemCodes) -> float:
    """Mean squared error of the score tables."""
    return float(np.square(codes.score_tables(found) - codes.score_tables(vectors)).mean())


def test_the_linear_map_is_ridge_regression_in_any_metric(users, rng) -> None:
    vectors = (users[:, :OWN] + rng.normal(size=(USERS, OWN))).astype(F)
    found = linear_map(users, vectors)
    assert (found.shape, found.dtype) == ((OWN, WIDTH), np.float32)
    penalty = RIDGE * np.square(users.astype(float)).sum() / WIDTH
    stacked = np.vstack([users, np.sqrt(penalty) * np.eye(WIDTH)])
    metric = rng.normal(size=(OWN, OWN))  # whose inverse is taken back afterwards
    sought = np.vstack([vectors @ metric, np.zeros((WIDTH, OWN))])
    expected = np.linalg.lstsq(stacked, sought, rcond=None)[0] @ np.linalg.inv(metric)
    np.testing.assert_allclose(found, expected.T, atol=1e-4)


def test_directions_that_no_user_has_are_mapped_to_nothing(users) -> None:
    users[:, 4:] = 0
    found = linear_map(users, users[:, :OWN])
    assert np.isfinite(found).all()
    assert np.abs(found[:, 4:]).max() < 1e-6
    assert np.isfinite(linear_map(np.zeros_like(users), users)).all()


def test_a_network_learns_what_a_linear_map_cannot(users, codes, rng) -> None:
    vectors = np.tanh(2 * users @ rng.normal(size=(WIDTH, OWN))).astype(F)
    network = mlp_map(users[100:], vectors[100:], codes, rng=rng)
    new = users[:100]  # none of whom it has seen
    by_line = (new @ linear_map(users[100:], vectors[100:]).T).astype(F)
    assert error(network.of(new), vectors[:100], codes) < 0.8 * error(by_line, vectors[:100], codes)


def test_a_network_with_nothing_to_learn_stays_the_linear_map(users, codes, rng) -> None:
    noise = rng.normal(size=(USERS, OWN))
    vectors = (users @ rng.normal(size=(WIDTH, OWN)) + noise).astype(F)
    network = mlp_map(users, vectors, codes, rng=rng)
    found, expected = network.of(users), users @ linear_map(users, vectors).T
    assert error(found, expected.astype(F), codes) < 0.02 * error(expected, 0 * vectors, codes)


def test_the_layers_are_those_of_the_network(users, codes, rng) -> None:
    network = mlp_map(users, users[:, :OWN].copy(), codes, rng=rng)
    layers = network.layers()
    assert {name: array.dtype for name, array in layers.items()} == dict.fromkeys(
        ("0.weight", "0.bias", "2.weight", "2.bias"), np.dtype(F)
    )
    hidden = np.tanh(users @ layers["0.weight"].T + layers["0.bias"])
    expected = hidden @ layers["2.weight"].T + layers["2.bias"]
    np.testing.assert_allclose(network.of(users), expected, atol=1e-3)


def test_the_gradient_is_that_of_the_error(users, rng) -> None:
    network = Mlp.linear(users, rng.normal(size=(WIDTH, OWN)), rng)
    network.out[:, WIDTH:] = 0.1 * rng.normal(size=(OWN, len(network.bias) - WIDTH))
    users, targets = users[:20].astype(float), rng.normal(size=(20, OWN))
    for part, gradient in zip(network.learned, network.gradient(users, targets), strict=True):
        place = tuple(rng.integers(0, size) for size in part.shape)
        errors = []
        for step in (1e-5, -1e-5):
            part[place] += step
            errors.append(network.error(users, targets) * OWN / 2)
            part[place] -= step
        assert gradient[place] == pytest.approx((errors[0] - errors[1]) / 2e-5, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize(
    ("shape", "vectors"), [((0, WIDTH), (0, OWN)), ((5, WIDTH), (4, OWN)), ((WIDTH,), (5, OWN))]
)
def test_users_that_do_not_fit(codes, rng, shape, vectors) -> None:
    with pytest.raises(ArgumentError, match="users must be"):
        linear_map(np.zeros(shape, F), np.zeros(vectors, F))
    with pytest.raises(ArgumentError, match="users must be"):
        mlp_map(np.zeros(shape, F), np.zeros(vectors, F), codes, rng=rng)


def test_a_network_needs_two_users_and_codewords_of_the_vectors_width(users, codes, rng) -> None:
    with pytest.raises(ArgumentError, match="at least two users"):
        mlp_map(users[:1], users[:1, :OWN], codes, rng=rng)
    with pytest.raises(ArgumentError, match="2 wide, codewords 3"):
        mlp_map(users, users[:, :2], codes, rng=rng)
