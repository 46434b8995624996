"""Quantisation in the metric of the ranking, on a catalogue whose users occupy a subspace."""

import numpy as np
import pytest

from lightrec.codes import additive_quantization as additive_module
from lightrec.codes import ranking_metric as metric_module
from lightrec.codes.additive_quantization import (
    AdditiveQuantizationConfig,
    additive_quantization,
    encode,
    popularity_weights,
    relative_error,
)
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.ranking_metric import RankingMetricConfig, ranking_metric
from lightrec.codes.ranking_quantization import CELL_POWER, quantize_for_ranking
from lightrec.errors import ArgumentError
from lightrec.interactions.history import History

SMALL = AdditiveQuantizationConfig(num_codebooks=2, num_codewords=16, rounds=3, beam=4)
RANKING = RankingMetricConfig(perplexity=40.0, cells=16)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def catalogue(num_items: int = 1_200, num_users: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Items in eight dimensions; users with tastes of three kinds, in two dimensions each."""
    items = rng(1).normal(size=(num_items, 8)).astype(np.float32)
    planes = np.eye(8)[[0, 1, 2, 3, 4, 5]].reshape(3, 2, 8)
    tastes = rng(2).normal(size=(num_users, 1, 2))
    users = (tastes @ planes[rng(3).integers(0, 3, num_users)])[:, 0]
    return items, users.astype(np.float32)


def overlap(items: np.ndarray, users: np.ndarray, codes: ItemCodes, at: int = 30) -> float:
    """Share of the users' float lists that the codes' lists hold."""
    lists = [
        np.argsort(-(users @ each.T), axis=1, kind="stable")[:, :at]
        for each in (items, codes.decode())
    ]
    shared = [len(np.intersect1d(*pair)) for pair in zip(*lists, strict=True)]
    return float(np.mean(shared)) / at


def test_lists_survive_better_than_under_euclid_and_gram() -> None:
    items, users = catalogue()
    degrees = np.ones(len(items), np.int64)
    euclidean = additive_quantization(items, SMALL, rng=rng())
    by_ranking = quantize_for_ranking(items, users, SMALL, RANKING, degrees=degrees, rng=rng())
    start = quantize_for_ranking(
        items, users, SMALL, RANKING.model_copy(update={"rounds": 0}), degrees=degrees, rng=rng()
    )
    metric = ranking_metric(items, users, config=RANKING, rng=rng())
    errors = [relative_error(items, each, metric=metric) for each in (euclidean, start, by_ranking)]
    assert errors[2] < 0.9 * errors[1] < 0.9 * errors[0]
    kept = [overlap(items, users, each) for each in (euclidean, start, by_ranking)]
    assert kept[0] < kept[1] < kept[2]


def test_each_round_lowers_the_error_in_the_metric() -> None:
    items, users = catalogue()
    degrees = rng(4).integers(0, 50, len(items))
    heard: list[tuple[int, float]] = []
    final = quantize_for_ranking(
        items,
        users,
        SMALL,
        RANKING,
        degrees=degrees,
        rng=rng(),
        on_round=lambda number, error: heard.append((number, error)),
    )
    assert [number for number, _ in heard] == [1, 2, 3]
    assert heard[0][1] > heard[1][1] > heard[2][1]
    metric = ranking_metric(
        items, users, weights=popularity_weights(degrees, CELL_POWER), config=RANKING, rng=rng()
    )
    weights = popularity_weights(degrees, 1.0)
    assert heard[2][1] == pytest.approx(
        relative_error(items, final, weights=weights, metric=metric), rel=1e-6
    )


def test_goes_on_from_a_start() -> None:
    items, users = catalogue()
    start = additive_quantization(items, SMALL, rng=rng(9))
    unmoved = RANKING.model_copy(update={"rounds": 0})
    assert quantize_for_ranking(items, users, SMALL, unmoved, start=start, rng=rng()) is start
    moved = quantize_for_ranking(items, users, SMALL, RANKING, start=start, rng=rng())
    metric = ranking_metric(items, users, config=RANKING, rng=rng())
    before, after = (relative_error(items, each, metric=metric) for each in (start, moved))
    assert after < 0.8 * before


def test_a_large_catalogue_is_learnt_on_a_sample(monkeypatch) -> None:
    items, users = catalogue(3_000)
    monkeypatch.setattr(metric_module, "MAX_ITEMS", 700)
    monkeypatch.setattr(metric_module, "MAX_SCORES", 700 * 200)
    monkeypatch.setattr(metric_module, "FEWEST_USERS", 50)
    seen = History.from_pairs(np.arange(300), np.arange(300) * 10, 300, 3_000)
    arguments = {"seen": seen, "degrees": np.ones(3_000, np.int64)}
    config = SMALL.model_copy(update={"training_items": 1_000})
    sampled = quantize_for_ranking(items, users, config, RANKING, rng=rng(), **arguments)
    whole = quantize_for_ranking(items, users, SMALL, RANKING, rng=rng(), **arguments)
    assert sampled.codes.shape == (3_000, 2)
    metric = ranking_metric(items, users, seen=seen, config=RANKING, rng=rng())
    near, best = (relative_error(items, each, metric=metric) for each in (sampled, whole))
    assert best < near < 1.25 * best
    again = encode(items, sampled.codebooks, metric=metric, beam=RANKING.beam)
    assert np.array_equal(again.codes, sampled.codes)


def test_a_start_is_sampled_along_with_its_items() -> None:
    items, users = catalogue(1_000)
    start = additive_quantization(items, SMALL, rng=rng(9))
    config = SMALL.model_copy(update={"training_items": 400})
    found = quantize_for_ranking(items, users, config, RANKING, start=start, rng=rng())
    metric = ranking_metric(items, users, config=RANKING, rng=rng())
    before, after = (relative_error(items, each, metric=metric) for each in (start, found))
    assert after < before


def test_additive_quantization_learns_on_a_sample(monkeypatch) -> None:
    items, _ = catalogue(3_000)
    fitted_to = []
    residual_kmeans = additive_module.residual_kmeans

    def heard(vectors: np.ndarray, *args: object, **more: object) -> ItemCodes:
        fitted_to.append(len(vectors))
        return residual_kmeans(vectors, *args, **more)

    monkeypatch.setattr(additive_module, "residual_kmeans", heard)
    weights = rng(5).uniform(0.5, 2.0, 3_000).astype(np.float32)
    config = SMALL.model_copy(update={"training_items": 1_000})
    sampled = additive_quantization(items, config, weights=weights, rng=rng())
    whole = additive_quantization(items, SMALL, weights=weights, rng=rng())
    assert fitted_to == [1_000, 3_000]
    near, best = (relative_error(items, each, weights=weights) for each in (sampled, whole))
    assert near < 1.1 * best


def test_a_seed_decides_everything() -> None:
    items, users = catalogue(400)
    config = SMALL.model_copy(update={"training_items": 300})
    first, second = (
        quantize_for_ranking(items, users, config, RANKING, rng=rng(7)) for _ in range(2)
    )
    assert first.codes.tobytes() == second.codes.tobytes()
    assert first.codebooks.tobytes() == second.codebooks.tobytes()


def test_refuses_what_does_not_belong_together() -> None:
    items, users = catalogue(100)
    start = additive_quantization(items[:90], SMALL, rng=rng())
    with pytest.raises(ArgumentError, match="start holds 90 items"):
        quantize_for_ranking(items, users, SMALL, RANKING, start=start, rng=rng())
    with pytest.raises(ArgumentError, match="degrees must be"):
        quantize_for_ranking(items, users, SMALL, RANKING, degrees=np.ones(99), rng=rng())
