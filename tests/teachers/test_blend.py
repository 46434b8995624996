"""Blends: the weighted sum of scores, and the best approximation of it at a given width."""

import numpy as np
import pytest

from lightrec.errors import ArgumentError
from lightrec.factors import Factors
from lightrec.teachers.blend import blend, spread, truncated

USERS, ITEMS = 40, 150


def made(width: int, seed: int, *, users: int = USERS, items: int = ITEMS) -> Factors:
    rng = np.random.default_rng(seed)
    return Factors(
        rng.normal(size=(users, width)).astype(np.float32),
        (seed + 1) * rng.normal(size=(items, width)).astype(np.float32),
    )


def scores(factors: Factors) -> np.ndarray:
    return factors.users.astype(np.float64) @ factors.items.astype(np.float64).T


def spread_by_hand(factors: Factors, top: int = 100) -> float:
    """Mean over all users with a vector of the standard deviation of their best scores."""
    known = scores(factors)[factors.users.any(axis=1)]
    return float(np.mean([np.std(sorted(row)[-top:]) for row in known]))


PARTS = [made(3, seed=1), made(5, seed=2), made(4, seed=3)]
WEIGHTS = [1.0, 0.5, 0.25]


def weighted_sum(parts=PARTS, weights=WEIGHTS) -> np.ndarray:
    return sum(
        weight / spread_by_hand(part) * scores(part)
        for part, weight in zip(parts, weights, strict=True)
    )


@pytest.mark.parametrize("width", [12, 13, 256])
def test_scores_are_the_weighted_sum_where_the_width_suffices(width: int) -> None:
    mixed = blend(PARTS, WEIGHTS, width)
    assert mixed.width == 12  # no wider than the parts together
    np.testing.assert_allclose(scores(mixed), weighted_sum(), atol=1e-5)


@pytest.mark.parametrize("width", [1, 5, 11])
def test_a_narrower_blend_is_the_truncated_svd_of_the_sum(width: int) -> None:
    mixed = blend(PARTS, WEIGHTS, width)
    assert mixed.width == width
    assert mixed.users.flags.c_contiguous
    assert mixed.items.flags.c_contiguous
    left, strengths, right = np.linalg.svd(weighted_sum())
    best = (left[:, :width] * strengths[:width]) @ right[:width]
    np.testing.assert_allclose(scores(mixed), best, atol=2e-5)


def test_truncation_shares_strength_between_users_and_items() -> None:
    """So that neither side's vectors are out of proportion, whatever the other's were."""
    mixed = truncated(Factors(1e-3 * PARTS[1].users, 1e3 * PARTS[1].items), 3)
    grams = mixed.users.T @ mixed.users, mixed.items.T @ mixed.items
    strengths = np.linalg.svd(scores(PARTS[1]), compute_uv=False)[:3]
    for gram in grams:
        np.testing.assert_allclose(gram, np.diag(strengths), atol=1e-3 * strengths[0])


def test_what_is_narrow_enough_is_left_as_it_is() -> None:
    assert truncated(PARTS[0], 3) is PARTS[0]


@pytest.mark.parametrize(("users", "items"), [(7, ITEMS), (USERS, 6), (5, 9)])
@pytest.mark.parametrize("width", [3, 5])
def test_wide_parts_of_few_users_or_items(users: int, items: int, width: int) -> None:
    parts = [made(8, seed, users=users, items=items) for seed in (1, 2)]
    left, strengths, right = np.linalg.svd(weighted_sum(parts, [1.0, 2.0]))
    best = (left[:, :width] * strengths[:width]) @ right[:width]
    np.testing.assert_allclose(scores(blend(parts, [1.0, 2.0], width)), best, atol=2e-5)


@pytest.mark.parametrize(("users", "items"), [(7, ITEMS), (USERS, 6), (5, 9)])
def test_fewer_users_or_items_than_the_width(users: int, items: int) -> None:
    """As when a teacher 128 wide and one 256 wide are blended for 200 items: the sum fits."""
    parts = [made(8, seed, users=users, items=items) for seed in (1, 2)]
    mixed = blend(parts, [1.0, 2.0], 12)
    np.testing.assert_allclose(scores(mixed), weighted_sum(parts, [1.0, 2.0]), atol=2e-5)


@pytest.mark.parametrize("width", [4, 12])
def test_the_scale_of_a_part_does_not_matter(width: int) -> None:
    expected = scores(blend(PARTS, WEIGHTS, width))
    for place, part in enumerate(PARTS):
        for factor in (1e-3, 20.0):
            scaled = list(PARTS)
            scaled[place] = Factors(np.float32(factor) * part.users, part.items)
            np.testing.assert_allclose(
                scores(blend(scaled, WEIGHTS, width)), expected, atol=2e-5 * np.abs(expected).max()
            )


def test_weights_are_in_units_of_spread() -> None:
    """A part alone has the spread that its weight says; twice the weight, twice the spread."""
    for weight in (1.0, 2.0):
        assert spread_by_hand(blend(PARTS[:1], [weight], 8)) == pytest.approx(weight, rel=1e-5)
    double = blend(PARTS, [2 * weight for weight in WEIGHTS], 8)
    np.testing.assert_allclose(scores(double), 2 * scores(blend(PARTS, WEIGHTS, 8)), atol=2e-5)


def test_a_weight_of_nothing_leaves_a_part_out() -> None:
    with_it, without = blend(PARTS, [1.0, 0.0, 0.25], 8), blend(PARTS[::2], [1.0, 0.25], 8)
    np.testing.assert_allclose(scores(with_it), scores(without), atol=2e-5)


@pytest.mark.parametrize("items", [1, 60, 100, ITEMS])
def test_spread_is_that_of_the_best_scores_of_users_with_a_vector(items: int) -> None:
    part = made(4, seed=2, items=items)
    part.users[[3, 17]] = 0.0
    assert spread(part) == pytest.approx(spread_by_hand(part), rel=1e-5, abs=1e-6)


def test_spread_of_many_users_is_estimated_on_some() -> None:
    many = made(3, seed=1, users=4_000)
    assert spread(many) == pytest.approx(spread_by_hand(many), rel=0.05)


def test_users_of_whom_nothing_is_known_keep_no_vector() -> None:
    """iALS gives zero to users without a pair; a part of such users only has no say."""
    nobody = Factors(np.zeros((USERS, 2), np.float32), made(2, seed=0).items)
    assert spread(nobody) == 0.0
    mixed = blend([PARTS[0], nobody], [1.0, 1.0], 8)
    np.testing.assert_allclose(scores(mixed), scores(blend(PARTS[:1], [1.0], 8)), atol=1e-5)


@pytest.mark.parametrize(
    ("parts", "weights", "fault"),
    [
        ([], [], "0 models"),
        (PARTS, [1.0, 2.0], "3 models cannot be blended by 2 weights"),
        (PARTS[:1], [1.0, 2.0], "1 models cannot be blended by 2 weights"),
        ([PARTS[0], made(3, seed=1, users=USERS + 1)], [1.0, 1.0], "the same users and items"),
        ([PARTS[0], made(3, seed=1, items=ITEMS - 1)], [1.0, 1.0], "the same users and items"),
    ],
)
def test_refuses_what_does_not_go_together(parts, weights, fault: str) -> None:
    with pytest.raises(ArgumentError, match=fault):
        blend(parts, weights, 8)
