"""The metric of the ranking against direct loops, and what it must not depend on."""

import numpy as np
import pytest

from lightrec.codes import ranking_metric as module
from lightrec.codes.item_metric import ItemMetric
from lightrec.codes.ranking_metric import (
    RankingMetricConfig,
    calibrated_temperatures,
    cell_masses,
    ranking_metric,
)
from lightrec.errors import ArgumentError
from lightrec.interactions.history import History

NUM_ITEMS, NUM_USERS, WIDTH = 96, 40, 5
CONFIG = RankingMetricConfig(perplexity=12.0, cells=4, identity=0.1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def vectors(count: int, seed: int, width: int = WIDTH) -> np.ndarray:
    spread = np.geomspace(2.0, 0.3, width)
    return (rng(seed).normal(size=(count, width)) * spread).astype(np.float32)


ITEMS, USERS = vectors(NUM_ITEMS, 1), vectors(NUM_USERS, 2)


def random_history(num_users: int = NUM_USERS, num_items: int = NUM_ITEMS) -> History:
    pairs = rng(3).integers(0, [num_users, num_items], size=(6 * num_users, 2))
    return History.from_pairs(pairs[:, 0], pairs[:, 1], num_users, num_items)


SEEN = random_history()


def entropy_of(scores: np.ndarray, temperature: float) -> tuple[float, np.ndarray]:
    """Entropy and probabilities of a softmax, in float64."""
    likelihoods = np.exp((scores - scores.max()) / temperature)
    probabilities = likelihoods / likelihoods.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(-np.nansum(probabilities * np.log(probabilities))), probabilities


def probabilities_by_hand(scores: np.ndarray, perplexity: float) -> np.ndarray:
    """One user's probabilities, by bisection to the last digit."""
    low, high = 1e-9, 1e9
    for _ in range(200):
        middle = float(np.sqrt(low * high))
        if entropy_of(scores, middle)[0] > np.log(perplexity):
            high = middle
        else:
            low = middle
    return entropy_of(scores, low)[1]


def test_is_the_sum_over_users_by_their_probabilities() -> None:
    metric = ranking_metric(ITEMS, USERS, seen=SEEN, config=CONFIG, rng=rng())
    everybody = module.LISTS_OF_EVERYBODY * USERS.T.astype(np.float64) @ USERS / NUM_USERS
    moments = np.stack([everybody] * 4)
    for row, user in enumerate(USERS.astype(np.float64)):
        scores = ITEMS.astype(np.float64) @ user
        scores[SEEN.of(row)] = -np.inf
        for item, share in enumerate(probabilities_by_hand(scores, 12.0)):
            moments[metric.cells[item]] += share * np.outer(user, user)
    assert len(np.unique(metric.cells)) == 4
    for moment, matrix in zip(moments, metric.matrices, strict=True):
        by_hand = 0.9 * WIDTH * moment / np.trace(moment) + 0.1 * np.eye(WIDTH)
        np.testing.assert_allclose(matrix, by_hand, atol=5e-3)


@pytest.mark.parametrize("perplexity", [1.5, 10.0, 40.0])
def test_every_users_perplexity_is_the_one_asked_for(perplexity: float) -> None:
    scores = USERS @ ITEMS.T * np.geomspace(1e-3, 1e3, NUM_USERS)[:, None].astype(np.float32)
    scores -= scores.max(axis=1, keepdims=True)
    temperatures = calibrated_temperatures(scores, perplexity)
    for row, temperature in zip(scores.astype(np.float64), temperatures[:, 0], strict=True):
        found = np.exp(entropy_of(row, float(temperature))[0])
        assert found == pytest.approx(perplexity, rel=5e-3)


def test_perplexity_is_at_most_half_the_catalogue() -> None:
    cells, every = np.arange(NUM_ITEMS), np.arange(NUM_ITEMS)
    masses = cell_masses(ITEMS, USERS, cells, every, np.arange(NUM_USERS), None, 1e6)
    for row in masses.astype(np.float64):
        assert np.exp(-(row * np.log(row)).sum()) == pytest.approx(NUM_ITEMS / 2, rel=5e-3)


def test_largest_scores_suffice_to_calibrate(monkeypatch) -> None:
    cells, every = np.arange(NUM_ITEMS), np.arange(NUM_ITEMS)
    exact = cell_masses(ITEMS, USERS, cells, every, np.arange(NUM_USERS), SEEN, 6.0)
    monkeypatch.setattr(module, "LARGEST_SCORES", 80)
    near = cell_masses(ITEMS, USERS, cells, every, np.arange(NUM_USERS), SEEN, 6.0)
    assert not np.array_equal(near, exact)
    np.testing.assert_allclose(near, exact, atol=5e-3)


@pytest.mark.parametrize(("items_by", "users_by"), [(10, 1), (1, 10), (1e-3, 1), (10, 1e6)])
def test_scale_of_vectors_does_not_matter(items_by: float, users_by: float) -> None:
    plain = ranking_metric(ITEMS, USERS, seen=SEEN, config=CONFIG, rng=rng())
    scaled = ranking_metric(
        ITEMS * np.float32(items_by),
        USERS * np.float32(users_by),
        seen=SEEN,
        config=CONFIG,
        rng=rng(),
    )
    assert np.array_equal(scaled.cells, plain.cells)
    np.testing.assert_allclose(scaled.matrices, plain.matrices, atol=2e-3)


def test_seen_items_have_no_mass() -> None:
    cells, every = np.arange(NUM_ITEMS, dtype=np.int32), np.arange(NUM_ITEMS)
    masses = cell_masses(ITEMS, USERS, cells, every, np.arange(NUM_USERS), SEEN, 12.0)
    np.testing.assert_allclose(masses.sum(axis=1), 1.0, rtol=1e-5)
    assert not masses[SEEN.user_rows(), SEEN.item_rows].any()
    assert (masses > 0).sum() > NUM_USERS * 12


def test_a_user_who_has_seen_everything_does_not_judge() -> None:
    pairs = np.stack([np.zeros(NUM_ITEMS, np.int64), np.arange(NUM_ITEMS)])
    seen = History.from_pairs(pairs[0], pairs[1], NUM_USERS, NUM_ITEMS)
    cells, every = np.arange(NUM_ITEMS), np.arange(NUM_ITEMS)
    masses = cell_masses(ITEMS, USERS, cells, every, np.arange(NUM_USERS), seen, 12.0)
    assert not masses[0].any()
    np.testing.assert_allclose(masses[1:].sum(axis=1), 1.0, rtol=1e-5)


def test_a_cell_that_nobody_ranks_gets_the_users_gram_matrix() -> None:
    items = np.concatenate([vectors(40, 4), vectors(40, 5)])
    items[:, 0] += np.repeat([30.0, -30.0], 40).astype(np.float32)  # everybody ranks the first 40
    users = vectors(NUM_USERS, 6)
    users[:, 0] = 10.0
    metric = ranking_metric(
        items, users, config=CONFIG.model_copy(update={"cells": 2, "perplexity": 5.0}), rng=rng()
    )
    gram = ItemMetric.user_gram(users, CONFIG.identity).matrices[0]
    assert len(np.unique(metric.cells[:40])) == len(np.unique(metric.cells[40:])) == 1
    np.testing.assert_allclose(metric.matrices[metric.cells[79]], gram, rtol=1e-4)


def test_users_of_zeros_give_a_usable_metric() -> None:
    metric = ranking_metric(ITEMS, np.zeros_like(USERS), config=CONFIG, rng=rng())
    assert np.linalg.eigvalsh(metric.matrices).min() > 0


@pytest.mark.parametrize("identity", [0.02, 0.5, 1.0])
def test_the_identitys_share_and_the_trace(identity: float) -> None:
    users = USERS.copy()
    users[:, 4] = 0.0  # a direction that no user looks into
    config = CONFIG.model_copy(update={"identity": identity})
    metric = ranking_metric(ITEMS, users, seen=SEEN, config=config, rng=rng())
    np.testing.assert_allclose(np.trace(metric.matrices, axis1=1, axis2=2), WIDTH, rtol=1e-5)
    np.testing.assert_allclose(metric.matrices[:, 4, 4], identity, rtol=1e-5)
    np.testing.assert_allclose(metric.matrices, metric.matrices.transpose(0, 2, 1), atol=1e-7)


@pytest.mark.parametrize(("num_items", "num_cells"), [(1, 1), (7, 1), (17, 2), (96, 12)])
def test_a_small_catalogue_has_fewer_cells(num_items: int, num_cells: int) -> None:
    metric = ranking_metric(ITEMS[:num_items], USERS, rng=rng())
    assert metric.matrices.shape == (num_cells, WIDTH, WIDTH)
    assert metric.cells.shape == (num_items,)
    assert np.isfinite(metric.matrices).all()


def test_very_wide_vectors_have_fewer_cells(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_MATRIX_NUMBERS", 3 * WIDTH**2 + 1)
    assert len(ranking_metric(ITEMS, USERS, rng=rng()).matrices) == 3


def test_blocks_do_not_matter(monkeypatch) -> None:
    whole = ranking_metric(ITEMS, USERS, seen=SEEN, config=CONFIG, rng=rng())
    monkeypatch.setattr(module, "BLOCK_SCORES", 7 * NUM_ITEMS)
    parts = ranking_metric(ITEMS, USERS, seen=SEEN, config=CONFIG, rng=rng())
    np.testing.assert_allclose(parts.matrices, whole.matrices, atol=1e-5)


def test_a_large_catalogue_is_judged_by_a_sample(monkeypatch) -> None:
    items, users = vectors(4_000, 7), vectors(600, 8)
    seen = random_history(600, 4_000)
    config = RankingMetricConfig(perplexity=100.0, cells=8)
    whole = ranking_metric(items, users, seen=seen, config=config, rng=rng())
    blocks = []
    probabilities = module._probabilities
    monkeypatch.setattr(module, "MAX_ITEMS", 1_000)
    monkeypatch.setattr(module, "MAX_SCORES", 1_000 * 300)
    monkeypatch.setattr(module, "FEWEST_USERS", 10)

    def heard(scores: np.ndarray, perplexity: float) -> np.ndarray:
        blocks.append((scores.shape, perplexity))
        return probabilities(scores, perplexity)

    monkeypatch.setattr(module, "_probabilities", heard)
    sampled = ranking_metric(items, users, seen=seen, config=config, rng=rng())
    assert blocks == [((300, 1_000), 25.0)]  # a quarter of the items: a list of a quarter's length
    assert np.array_equal(sampled.cells, whole.cells)  # every item has its cell all the same
    apart = np.abs(sampled.matrices - whole.matrices).max(axis=(1, 2))
    between = np.abs(whole.matrices - whole.matrices.mean(axis=0)).max(axis=(1, 2))
    assert apart.mean() < 0.5 * between.mean()


def test_a_sampled_list_is_not_too_short(monkeypatch) -> None:
    perplexities = []
    probabilities = module._probabilities
    monkeypatch.setattr(module, "MAX_ITEMS", 48)

    def heard(scores: np.ndarray, perplexity: float) -> np.ndarray:
        perplexities.append(perplexity)
        return probabilities(scores, perplexity)

    monkeypatch.setattr(module, "_probabilities", heard)
    ranking_metric(ITEMS, USERS, config=CONFIG, rng=rng())
    assert perplexities == [16.0]


def test_no_fewer_users_than_the_fewest(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_SCORES", 1)
    monkeypatch.setattr(module, "FEWEST_USERS", 30)
    monkeypatch.setattr(module, "_matrices", lambda users, masses, identity: np.eye(5)[None] * 0)
    monkeypatch.setattr(module, "_cells", lambda items, *_: np.zeros(len(items), np.int32))
    judges = []
    masses = module.cell_masses

    def heard(*args: object) -> np.ndarray:
        judges.append(args[4])
        return masses(*args)

    monkeypatch.setattr(module, "cell_masses", heard)
    ranking_metric(ITEMS, USERS, config=CONFIG, rng=rng())
    ranking_metric(ITEMS, USERS, config=CONFIG.model_copy(update={"users": 11}), rng=rng())
    assert [len(np.unique(each)) for each in judges] == [30, 11]


def test_takes_vectors_of_any_precision() -> None:
    single = ranking_metric(ITEMS, USERS, seen=SEEN, config=CONFIG, rng=rng())
    double = ranking_metric(
        ITEMS.astype(np.float64), USERS.astype(np.float64), seen=SEEN, config=CONFIG, rng=rng()
    )
    assert double.matrices.tobytes() == single.matrices.tobytes()


def test_a_seed_decides_everything() -> None:
    config = CONFIG.model_copy(update={"users": 15})
    first, second = (
        ranking_metric(ITEMS, USERS, seen=SEEN, config=config, rng=rng(5)) for _ in range(2)
    )
    assert first.matrices.tobytes() == second.matrices.tobytes()
    assert first.cells.tobytes() == second.cells.tobytes()


@pytest.mark.parametrize(
    ("items", "users", "seen", "fault"),
    [
        (ITEMS, USERS[:, :3], None, "same width"),
        (ITEMS, USERS[0], None, "same width"),
        (ITEMS, USERS[:0], None, "at least one user"),
        (ITEMS[:0], USERS, None, "at least one user"),
        (ITEMS[:50], USERS, SEEN, "seen is about 40 users and 96 items, not 40 and 50"),
        (ITEMS, np.where(np.arange(40)[:, None] == 7, np.nan, USERS), None, "users row 7"),
        (np.where(np.arange(96)[:, None] == 3, np.inf, ITEMS), USERS, None, "items row 3"),
    ],
)
def test_refuses_what_does_not_fit(items, users, seen, fault: str) -> None:
    with pytest.raises(ArgumentError, match=fault):
        ranking_metric(items, users, seen=seen, config=CONFIG, rng=rng())
