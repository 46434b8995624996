"""Quantisation for the ranking: additive quantisation, continued in the metric of the ranking.

The start has the users' mean squared error in view, for the whole catalogue alike. A few rounds in
the metric of the ranking (`codes/ranking_metric.py`) then move the error to where no list feels it.
Of a large catalogue, codebooks are fitted to a sample of the items; then all items are encoded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from lightrec.codes.additive_quantization import (
    AdditiveQuantizationConfig,
    additive_quantization,
    encode,
    popularity_weights,
    relative_error,
    training_rows,
)
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import ItemMetric, MetricConfig
from lightrec.codes.ranking_metric import RankingMetricConfig, ranking_metric
from lightrec.codes.refit_codebooks import refit_codebooks
from lightrec.codes.residual_kmeans import residual_kmeans
from lightrec.interactions.history import History

CELL_POWER = 0.5  # of popularity, where cells are formed: rare items keep cells of their own

OnRound = Callable[[str, int, float], None]
"""Called after each round with the kind of quantisation, the round's number, from 1, and the
relative weighted error in the metric of that quantisation."""


class QuantizationConfig(Protocol):
    """What the configuration of a run says about quantisation."""

    @property
    def codes(self) -> AdditiveQuantizationConfig:
        """Sizes and effort."""

    @property
    def metric(self) -> MetricConfig:
        """How an item's error is measured at first."""

    @property
    def ranking(self) -> RankingMetricConfig:
        """How it is measured at last, and the rounds of that."""


@dataclass(frozen=True)
class RankedCodes:
    """Codes quantised for the ranking, and how their errors were measured at last.

    Attributes:
        item_codes: The catalogue.
        metric: The metric of the ranking; None where no round was made in it.
    """

    item_codes: ItemCodes
    metric: ItemMetric | None


def quantize_in_ranking_metric(
    items: np.ndarray,
    users: np.ndarray,
    config: QuantizationConfig,
    *,
    seen: History | None,
    degrees: np.ndarray,
    rng: np.random.Generator,
    on_round: OnRound | None = None,
) -> RankedCodes:
    """Fits codes and codebooks so that users' lists survive: the start `metric`.

    Args:
        items: (N, D) float32 item vectors.
        users: (M, D) float32 user vectors; without any, codes are of the item vectors alone.
        config: Sizes, effort and metrics.
        seen: (M users, N items) pairs that lists leave out.
        degrees: (N,) training pairs of each item.
        rng: Source of the start and of all samples.
        on_round: Hears of every round.

    Returns:
        The codes, with the metric of the ranking; without users or rounds in it those of
        `additive_start`, with none.

    Raises:
        ArgumentError: Shapes do not fit, a vector is not finite, or there are fewer items than
            codewords.
    """
    start = additive_start(items, users, config, degrees=degrees, rng=rng, on_round=on_round)
    ranking = config.ranking
    if not len(users) or not ranking.rounds:
        return RankedCodes(start, None)
    metric = metric_for_quantization(items, users, ranking, seen=seen, degrees=degrees, rng=rng)
    items = np.ascontiguousarray(items, dtype=np.float32)
    rows = training_rows(len(items), config.codes, rng)
    if rows is None:
        return RankedCodes(_continued(items, start, metric, degrees, config, on_round), metric)
    sampled = ItemCodes(start.codes[rows], start.codebooks)
    of_rows = metric.of_items(rows)
    learnt = _continued(items[rows], sampled, of_rows, degrees[rows], config, on_round)
    return RankedCodes(_encoded(items, learnt.codebooks, metric, start.codes, config), metric)


def plain_start(items: np.ndarray, config: AdditiveQuantizationConfig, seed: int) -> ItemCodes:
    """Residual k-means, all items alike: the start `rvq`, which is the paper's baseline.

    Args:
        items: (N, D) float32.
        config: Sizes and effort.
        seed: Of the first centres.

    Raises:
        ArgumentError: There are fewer items than codewords.
    """
    return residual_kmeans(
        items,
        config.num_codebooks,
        config.num_codewords,
        iterations=config.kmeans_iterations,
        rng=np.random.default_rng(seed),
    )


def additive_start(
    items: np.ndarray,
    users: np.ndarray,
    config: QuantizationConfig,
    *,
    degrees: np.ndarray,
    rng: np.random.Generator,
    on_round: OnRound | None = None,
) -> ItemCodes:
    """Additive quantisation in the metric that is configured to be the first: the start `aq`.

    Arguments and errors are those of `quantize_in_ranking_metric`.
    """
    return additive_quantization(
        items,
        config.codes,
        weights=popularity_weights(degrees, config.codes.popularity_power),
        metric=ItemMetric.configured(config.metric, users, items.shape[1]),
        rng=rng,
        on_round=on_round and partial(on_round, "additive quantisation"),
    )


def metric_for_quantization(
    items: np.ndarray,
    users: np.ndarray,
    ranking: RankingMetricConfig,
    *,
    seen: History | None,
    degrees: np.ndarray,
    rng: np.random.Generator,
) -> ItemMetric:
    """The metric that `quantize_in_ranking_metric` measures by; arguments and errors as there."""
    weights = popularity_weights(degrees, CELL_POWER)
    return ranking_metric(items, users, seen=seen, weights=weights, config=ranking, rng=rng)


def _continued(
    items: np.ndarray,
    codes: ItemCodes,
    metric: ItemMetric,
    degrees: np.ndarray,
    config: QuantizationConfig,
    on_round: OnRound | None,
) -> ItemCodes:
    """Rounds of encoding and of refitting codebooks."""
    weights = popularity_weights(degrees, config.ranking.popularity_power)
    for number in range(1, config.ranking.rounds + 1):
        found = _encoded(items, codes.codebooks, metric, codes.codes, config)
        codebooks = refit_codebooks(items, found, weights=weights, metric=metric)
        codes = ItemCodes(found.codes, codebooks)
        if on_round is not None:
            error = relative_error(items, codes, weights=weights, metric=metric)
            on_round("the metric of the ranking", number, error)
    return codes


def _encoded(
    items: np.ndarray,
    codebooks: np.ndarray,
    metric: ItemMetric,
    present: np.ndarray,
    config: QuantizationConfig,
) -> ItemCodes:
    """Codes no worse than the present ones, in the metric of the ranking."""
    return encode(
        items,
        codebooks,
        metric=metric,
        beam=config.ranking.beam,
        icm_sweeps=config.codes.icm_sweeps,
        start=present,
    )
