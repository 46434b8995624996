"""Quantisation in the metric of the ranking, on a catalogue whose users occupy a subspace."""

from typing import NamedTuple

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
from lightrec.codes.item_metric import ItemMetric, MetricConfig
from lightrec.codes.ranking_metric import RankingMetricConfig, ranking_metric
from lightrec.codes.ranking_quantization import (
    CELL_POWER,
    RankedCodes,
    additive_start,
    quantize_in_ranking_metric,
)
from lightrec.errors import ArgumentError
from lightrec.interactions.history import History

SMALL = AdditiveQuantizationConfig(num_codebooks=2, num_codewords=16, rounds=3, beam=4)
RANKING = RankingMetricConfig(perplexity=40.0, cells=16)


class Config(NamedTuple):
    codes: AdditiveQuantizationConfig = SMALL
    ranking: RankingMetricConfig = RANKING
    metric: MetricConfig = MetricConfig()


def quantized(
    items: np.ndarray,
    users: np.ndarray,
    config: Config | None = None,
    *,
    seen: History | None = None,
    degrees: np.ndarray | None = None,
    seed: int = 0,
    on_round=None,
) -> RankedCodes:
    degrees = np.ones(len(items), np.int64) if degrees is None else degrees
    return quantize_in_ranking_metric(
        items,
        users,
        config or Config(),
        seen=seen,
        degrees=degrees,
        rng=rng(seed),
        on_round=on_round,
    )


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
    euclidean = additive_quantization(items, SMALL, rng=rng())
    ranked = quantized(items, users)
    start = quantized(items, users, Config(ranking=RANKING.model_copy(update={"rounds": 0})))
    assert start.metric is None
    tried = (euclidean, start.item_codes, ranked.item_codes)
    errors = [relative_error(items, each, metric=ranked.metric) for each in tried]
    assert errors[2] < 0.9 * errors[1] < 0.9 * errors[0]
    kept = [overlap(items, users, each) for each in tried]
    assert kept[0] < kept[1] < kept[2]


def test_each_round_lowers_the_error_in_the_metric() -> None:
    items, users = catalogue()
    degrees = rng(4).integers(0, 50, len(items))
    heard: list[tuple[str, int, float]] = []
    ranked = quantized(items, users, degrees=degrees, on_round=lambda *round_: heard.append(round_))
    additive, ranking = "additive quantisation", "the metric of the ranking"
    assert [(of, number) for of, number, _ in heard] == [
        *((additive, number) for number in (1, 2, 3)),
        *((ranking, number) for number in (1, 2, 3)),
    ]
    errors = [error for of, _, error in heard if of == ranking]
    assert errors[0] > errors[1] > errors[2]
    weights = popularity_weights(degrees, 1.0)
    assert errors[2] == relative_error(
        items, ranked.item_codes, weights=weights, metric=ranked.metric
    )


def test_goes_on_from_additive_quantisation_with_the_same_generator() -> None:
    items, users = catalogue()
    degrees = rng(4).integers(0, 50, len(items))
    source = rng()
    start = additive_start(items, users, Config(), degrees=degrees, rng=source)
    metric = ranking_metric(
        items, users, weights=popularity_weights(degrees, CELL_POWER), config=RANKING, rng=source
    )
    ranked = quantized(items, users, degrees=degrees)
    assert ranked.metric is not None
    assert np.array_equal(ranked.metric.cells, metric.cells)
    assert np.array_equal(ranked.metric.matrices, metric.matrices)
    weights = popularity_weights(degrees, 1.0)
    before, after = (
        relative_error(items, each, weights=weights, metric=metric)
        for each in (start, ranked.item_codes)
    )
    assert after < 0.8 * before


def test_the_start_weighs_items_by_popularity_and_errors_as_configured() -> None:
    items, users = catalogue(400)
    degrees = rng(4).integers(0, 50, len(items))
    for kind, metric in (("user_gram", ItemMetric.user_gram(users)), ("euclidean", None)):
        config = Config(metric=MetricConfig(kind=kind))
        start = additive_start(items, users, config, degrees=degrees, rng=rng())
        weights = popularity_weights(degrees, SMALL.popularity_power)
        expected = additive_quantization(items, SMALL, weights=weights, metric=metric, rng=rng())
        assert np.array_equal(start.codes, expected.codes)
        assert np.array_equal(start.codebooks, expected.codebooks)


def test_without_users_codes_are_of_the_vectors_alone() -> None:
    items, users = catalogue(400)
    ranked = quantized(items, users[:0])
    assert ranked.metric is None
    weights = np.ones(len(items), np.float32)
    expected = additive_quantization(items, SMALL, weights=weights, rng=rng())
    assert np.array_equal(ranked.item_codes.codes, expected.codes)
    assert np.array_equal(ranked.item_codes.codebooks, expected.codebooks)


def test_a_large_catalogue_is_learnt_on_a_sample(monkeypatch) -> None:
    items, users = catalogue(3_000)
    monkeypatch.setattr(metric_module, "MAX_ITEMS", 700)
    monkeypatch.setattr(metric_module, "MAX_SCORES", 700 * 200)
    monkeypatch.setattr(metric_module, "FEWEST_USERS", 50)
    seen = History.from_pairs(np.arange(300), np.arange(300) * 10, 300, 3_000)
    config = Config(codes=SMALL.model_copy(update={"training_items": 1_000}))
    sampled = quantized(items, users, config, seen=seen)
    whole = quantized(items, users, seen=seen)
    assert sampled.item_codes.codes.shape == (3_000, 2)
    near, best = (
        relative_error(items, each.item_codes, metric=each.metric) for each in (sampled, whole)
    )
    assert best < near < 1.25 * best
    start = additive_start(items, users, config, degrees=np.ones(3_000, np.int64), rng=rng())
    again = encode(
        items,
        sampled.item_codes.codebooks,
        metric=sampled.metric,
        beam=RANKING.beam,
        icm_sweeps=SMALL.icm_sweeps,
        start=start.codes,
    )
    assert np.array_equal(again.codes, sampled.item_codes.codes)


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
    config = Config(codes=SMALL.model_copy(update={"training_items": 300}))
    first, second = (quantized(items, users, config, seed=7).item_codes for _ in range(2))
    assert first.codes.tobytes() == second.codes.tobytes()
    assert first.codebooks.tobytes() == second.codebooks.tobytes()


def test_refuses_degrees_of_other_items() -> None:
    items, users = catalogue(100)
    with pytest.raises(ArgumentError, match="one an item"):
        quantized(items, users, degrees=np.ones(99))
