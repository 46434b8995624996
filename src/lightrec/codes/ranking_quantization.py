"""Quantisation for the ranking: additive quantisation, continued in the metric of the ranking.

The start has the users' mean squared error in view, for the whole catalogue alike. A few rounds in
the metric of the ranking (`codes/ranking_metric.py`) then move the error to where no list feels it.
Of a large catalogue, codebooks are fitted to a sample of the items; then all items are encoded.
"""

from __future__ import annotations

from collections.abc import Callable

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
from lightrec.codes.item_metric import ItemMetric
from lightrec.codes.ranking_metric import RankingMetricConfig, ranking_metric
from lightrec.codes.refit_codebooks import refit_codebooks
from lightrec.errors import ArgumentError
from lightrec.interactions.history import History

CELL_POWER = 0.5  # of popularity, where cells are formed: rare items keep cells of their own


def quantize_for_ranking(
    items: np.ndarray,
    users: np.ndarray,
    config: AdditiveQuantizationConfig | None = None,
    ranking: RankingMetricConfig | None = None,
    *,
    start: ItemCodes | None = None,
    metric: ItemMetric | None = None,
    seen: History | None = None,
    degrees: np.ndarray | None = None,
    rng: np.random.Generator,
    on_round: Callable[[int, float], None] | None = None,
) -> ItemCodes:
    """Fits codes and codebooks so that users' lists survive.

    Args:
        items: (N, D) float32 item vectors.
        users: (M, D) float32 user vectors, M >= 1.
        config: Sizes and effort of the start; the defaults when None.
        ranking: The metric, and the rounds in it; the defaults when None.
        start: Codes and codebooks of these items to start from; additive quantisation in the
            users' Gram matrix when None.
        metric: The metric of these items, from `metric_for_quantization`; made here when None.
        seen: (M users, N items) pairs that lists leave out.
        degrees: (N,) training pairs of each item; items count the same when None.
        rng: Source of the start and of all samples.
        on_round: Called after each round in the metric of the ranking with its number, from 1, and
            the relative weighted error in that metric.

    Returns:
        Codes and codebooks.

    Raises:
        ArgumentError: Shapes do not fit, a vector is not finite, there is no user, or there are
            fewer items than codewords.
    """
    config, ranking = config or AdditiveQuantizationConfig(), ranking or RankingMetricConfig()
    items = np.ascontiguousarray(items, dtype=np.float32)
    degrees = np.zeros(len(items), np.int64) if degrees is None else degrees
    _check(items, start, degrees)
    if ranking.rounds == 0 and start is not None:
        return start
    if metric is None:
        metric = metric_for_quantization(items, users, ranking, seen=seen, degrees=degrees, rng=rng)
    rows = training_rows(len(items), config, rng)
    learnt = _fitted(
        items if rows is None else items[rows],
        users,
        metric if rows is None else metric.of_items(rows),
        config,
        ranking,
        start if rows is None or start is None else ItemCodes(start.codes[rows], start.codebooks),
        degrees if rows is None else degrees[rows],
        rng,
        on_round,
    )
    if rows is None:
        return learnt
    return encode(
        items,
        learnt.codebooks,
        metric=metric,
        beam=ranking.beam,
        icm_sweeps=config.icm_sweeps,
        start=None if start is None else start.codes,
    )


def metric_for_quantization(
    items: np.ndarray,
    users: np.ndarray,
    ranking: RankingMetricConfig | None = None,
    *,
    seen: History | None = None,
    degrees: np.ndarray | None = None,
    rng: np.random.Generator,
) -> ItemMetric:
    """The metric that `quantize_for_ranking` measures by; arguments and errors as there."""
    degrees = np.zeros(len(items), np.int64) if degrees is None else degrees
    weights = popularity_weights(degrees, CELL_POWER)
    return ranking_metric(items, users, seen=seen, weights=weights, config=ranking, rng=rng)


def _fitted(
    items: np.ndarray,
    users: np.ndarray,
    metric: ItemMetric,
    config: AdditiveQuantizationConfig,
    ranking: RankingMetricConfig,
    start: ItemCodes | None,
    degrees: np.ndarray,
    rng: np.random.Generator,
    on_round: Callable[[int, float], None] | None,
) -> ItemCodes:
    """The start, then rounds of encoding and of refitting codebooks."""
    codes = start or additive_quantization(
        items,
        config,
        weights=popularity_weights(degrees, config.popularity_power),
        metric=ItemMetric.user_gram(users),
        rng=rng,
    )
    weights = popularity_weights(degrees, ranking.popularity_power)
    for number in range(1, ranking.rounds + 1):
        found = encode(
            items,
            codes.codebooks,
            metric=metric,
            beam=ranking.beam,
            icm_sweeps=config.icm_sweeps,
            start=codes.codes,
        )
        codebooks = refit_codebooks(items, found, weights=weights, metric=metric)
        codes = ItemCodes(found.codes, codebooks)
        if on_round is not None:
            on_round(number, relative_error(items, codes, weights=weights, metric=metric))
    return codes


def _check(items: np.ndarray, start: ItemCodes | None, degrees: np.ndarray) -> None:
    if degrees.shape != (len(items),):
        raise ArgumentError(f"degrees must be ({len(items)},), one an item, not {degrees.shape}")
    if start is not None and (start.num_items, start.width) != items.shape:
        raise ArgumentError(
            f"start holds {start.num_items} items of width {start.width}, "
            f"but the item vectors are {items.shape}"
        )
