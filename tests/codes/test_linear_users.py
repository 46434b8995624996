"""Codebooks of another width than the users'."""

import numpy as np
import pytest

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.linear_users import linear_users
from lightrec.codes.user_codebooks import Usage
from lightrec.errors import ArgumentError

USERS, ITEMS, BOOKS, WORDS, WIDTH = 80, 500, 3, 12, 8


@pytest.fixture
def codes() -> ItemCodes:
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, WORDS, (ITEMS, BOOKS), dtype=np.uint8)
    return ItemCodes(chosen, rng.normal(size=(BOOKS, WORDS, WIDTH)).astype(np.float32))


@pytest.fixture
def users() -> np.ndarray:
    rng = np.random.default_rng(1)
    spread = np.geomspace(1, 0.05, WIDTH)
    turned = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
    return (rng.normal(size=(USERS, WIDTH)) * spread @ turned).astype(np.float32)


def lost(users: np.ndarray, codes: ItemCodes, own: ItemCodes, to_own: np.ndarray) -> float:
    """Squared error of score tables, less what is constant in a book, by use of the codewords."""
    usage = Usage.of(codes)
    right = usage.weighted(codes.score_tables(users))
    found = usage.weighted(own.score_tables((users @ to_own.T).astype(np.float32)))
    return float(np.square(right - found).sum())


def test_nothing_is_lost_at_the_users_own_width(users, codes) -> None:
    own, to_own = linear_users(users, codes, WIDTH)
    scores = codes.scores(codes.score_tables(users))
    mapped = own.scores(own.score_tables((users @ to_own.T).astype(np.float32)))
    np.testing.assert_allclose(mapped, scores, rtol=1e-3, atol=1e-3)
    assert np.array_equal(own.codes, codes.codes)


@pytest.mark.parametrize("width", [1, 3, 6])
def test_no_other_pair_of_that_width_loses_less(users, codes, width: int) -> None:
    own, to_own = linear_users(users, codes, width)
    assert own.codebooks.shape == (BOOKS, WORDS, width)
    assert to_own.shape == (width, WIDTH)
    least = lost(users, codes, own, to_own)
    # The optimum by the theorem of Eckart and Young, from the tables themselves.
    tables = Usage.of(codes).weighted(codes.score_tables(users)).astype(np.float64)
    rest = np.linalg.svd(tables, compute_uv=False)[width:]
    assert least == pytest.approx(float(np.square(rest).sum()), rel=1e-2)
    rng = np.random.default_rng(2)
    for _ in range(5):
        books = own.codebooks + 0.02 * rng.normal(size=own.codebooks.shape).astype(np.float32)
        other = to_own + 0.02 * rng.normal(size=to_own.shape)
        assert lost(users, codes, ItemCodes(codes.codes, books), other) > least


def test_directions_that_no_user_has_are_no_error(users, codes) -> None:
    users = users.copy()
    users[:, 2:] = 0
    own, to_own = linear_users(users, codes, 2)
    assert np.isfinite(to_own).all()
    assert lost(users, codes, own, to_own) < 1e-3 * lost(users, codes, own, 0 * to_own)


@pytest.mark.parametrize("width", [0, WIDTH + 1])
def test_widths_out_of_range(users, codes, width: int) -> None:
    with pytest.raises(ArgumentError, match=r"1\.\.8"):
        linear_users(users, codes, width)


@pytest.mark.parametrize("shape", [(0, WIDTH), (5, WIDTH + 1), (WIDTH,)])
def test_users_that_do_not_fit(codes, shape) -> None:
    with pytest.raises(ArgumentError, match="users must be"):
        linear_users(np.zeros(shape, np.float32), codes, 2)
