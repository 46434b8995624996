"""Additive quantisation: codes and codebooks fitted jointly, without a gradient.

Residual k-means gives the start. Then, in rounds, the codebooks are refitted by least squares for
the codes at hand, and every item is encoded again, by beam search over the codebooks and by
iterated conditional modes (ICM: one codebook at a time, the others held), keeping the better
answer. Items may count differently (popular ones matter more) and their error may be measured by
any `ItemMetric`.

Babenko and Lempitsky, "Additive quantization for extreme vector compression", CVPR 2014; the least
squares and ICM steps are those of Martinez et al., "LSQ++", ECCV 2018.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import Field

from lightrec.codes.assignment import assign
from lightrec.codes.finite_vectors import first_row_not_finite
from lightrec.codes.item_codes import MAX_CODEWORDS, ItemCodes
from lightrec.codes.item_metric import ItemMetric
from lightrec.codes.refit_codebooks import checked_weights, refit_codebooks
from lightrec.codes.residual_kmeans import residual_kmeans
from lightrec.errors import ArgumentError
from lightrec.settings import Settings

BLOCK = 4_096  # items whose products with all codewords are held at once (16 MB at 4 x 256)


class AdditiveQuantizationConfig(Settings):
    """Settings of additive quantisation."""

    num_codebooks: int = Field(4, ge=1, le=64)
    """B, bytes per item."""
    num_codewords: int = Field(256, ge=1, le=MAX_CODEWORDS)
    """W, codewords in each codebook."""
    kmeans_iterations: int = Field(20, ge=1)
    """Lloyd steps per codebook of the residual k-means start."""
    rounds: int = Field(6, ge=0)
    """Rounds of refitting codebooks and encoding again."""
    beam: int = Field(16, ge=1)
    """Partial codes kept while encoding."""
    icm_sweeps: int = Field(2, ge=0)
    """ICM sweeps over the codebooks after the beam search."""
    popularity_power: float = Field(0.5, ge=0.0)
    """An item counts as (its training pairs + 1/2) to this power; 0: all items count the same."""
    training_items: int = Field(1_048_576, ge=MAX_CODEWORDS)
    """Codebooks of a larger catalogue are fitted to a random sample of as many items; then every
    item is encoded with them once."""

    def require_codes_that_differ(self, num_items: int) -> None:
        """Refuses one codeword for all items of a catalogue.

        Raises:
            ArgumentError: There is but one codeword, and more than one item.
        """
        if self.num_codewords == 1 < num_items:
            raise ArgumentError(
                f"codes.num_codewords = 1 gives all {num_items:,} items the same code; set it to "
                "256, or to as many as there are items where these are fewer"
            )


def popularity_weights(degrees: np.ndarray, power: float) -> np.ndarray:
    """Item weights for quantisation.

    Args:
        degrees: (N,) training pairs of each item.
        power: 0 for equal weights; 0.5 and 1 are usual.

    Returns:
        (N,) float32 with mean 1.
    """
    weights: np.ndarray = (degrees + 0.5) ** power
    weights /= weights.mean()
    return weights.astype(np.float32)


def additive_quantization(
    vectors: np.ndarray,
    config: AdditiveQuantizationConfig | None = None,
    *,
    weights: np.ndarray | None = None,
    metric: ItemMetric | None = None,
    rng: np.random.Generator,
    on_round: Callable[[int, float], None] | None = None,
) -> ItemCodes:
    """Fits codes and codebooks to item vectors.

    Args:
        vectors: (N, D) float32 item vectors.
        config: Sizes and effort; the defaults when None.
        weights: (N,) how much an item's error counts; equal when None.
        metric: How an item's error is measured; squared Euclidean distance when None.
        rng: Source of the k-means start and of the sample of a large catalogue.
        on_round: Called after each round with its number and the relative weighted error.

    Returns:
        Codes and codebooks.

    Raises:
        ArgumentError: The vectors hold NaN or infinity, or there are fewer items than codewords.
    """
    config = config or AdditiveQuantizationConfig()
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2:
        raise ArgumentError(f"item vectors must be (N, D), not {vectors.shape}")
    row = first_row_not_finite(vectors)
    if row is not None:
        raise ArgumentError(f"item vectors row {row} is not finite; mend or leave out such vectors")
    weights = checked_weights(weights, len(vectors))
    metric = metric or ItemMetric.euclidean(vectors.shape[1])
    rows = training_rows(len(vectors), config, rng)
    if rows is None:
        return _fitted(vectors, weights, metric, config, rng, on_round)
    learnt = _fitted(vectors[rows], weights[rows], metric.of_items(rows), config, rng, on_round)
    return encode(
        vectors, learnt.codebooks, metric=metric, beam=config.beam, icm_sweeps=config.icm_sweeps
    )


def training_rows(
    num_items: int, config: AdditiveQuantizationConfig, rng: np.random.Generator
) -> np.ndarray | None:
    """Ascending rows of the items that codebooks are fitted to; None where that is all items."""
    if num_items <= config.training_items:
        return None
    return np.sort(rng.choice(num_items, config.training_items, replace=False))


def _fitted(
    vectors: np.ndarray,
    weights: np.ndarray,
    metric: ItemMetric,
    config: AdditiveQuantizationConfig,
    rng: np.random.Generator,
    on_round: Callable[[int, float], None] | None,
) -> ItemCodes:
    """Residual k-means, then rounds of refitting codebooks and encoding again."""
    item_codes = residual_kmeans(
        vectors,
        config.num_codebooks,
        config.num_codewords,
        weights=weights,
        iterations=config.kmeans_iterations,
        rng=rng,
    )
    for number in range(1, config.rounds + 1):
        codebooks = refit_codebooks(vectors, item_codes, weights=weights, metric=metric)
        item_codes = encode(
            vectors,
            codebooks,
            metric=metric,
            beam=config.beam,
            icm_sweeps=config.icm_sweeps,
            start=item_codes.codes,
        )
        if on_round is not None:
            on_round(number, relative_error(vectors, item_codes, weights=weights, metric=metric))
    if config.rounds:
        codebooks = refit_codebooks(vectors, item_codes, weights=weights, metric=metric)
        item_codes = ItemCodes(item_codes.codes, codebooks)
    return item_codes


def encode(
    vectors: np.ndarray,
    codebooks: np.ndarray,
    *,
    metric: ItemMetric | None = None,
    beam: int = 16,
    icm_sweeps: int = 2,
    start: np.ndarray | None = None,
    threads: int = 0,
) -> ItemCodes:
    """Encodes item vectors with given codebooks.

    Args:
        vectors: (N, D) float32.
        codebooks: (B, W, D) float32.
        metric: How an item's error is measured; squared Euclidean distance when None.
        beam: Partial codes kept; 0 only refines `start`.
        icm_sweeps: ICM sweeps after the beam search, and from `start`.
        start: (N, B) uint8 codes to improve on: no item gets a worse code than its start.
        threads: 0 for all cores; the answer does not depend on it.

    Returns:
        The codes, with the codebooks as given.
    """
    num_codebooks, num_codewords, width = codebooks.shape
    metric = metric or ItemMetric.euclidean(width)
    flat = codebooks.reshape(-1, width)
    codes = np.empty((len(vectors), num_codebooks), np.uint8)
    for members, matrix in metric.groups(len(vectors)):
        measured = flat @ matrix
        gram = np.ascontiguousarray(measured @ flat.T)
        for begin in range(0, len(members), BLOCK):
            block = members[begin : begin + BLOCK]
            inner = (vectors[block] @ measured.T).reshape(-1, num_codebooks, num_codewords)
            codes[block] = assign(
                inner,
                gram,
                beam=beam,
                sweeps=icm_sweeps,
                start=None if start is None else np.ascontiguousarray(start[block]),
                threads=threads,
            ).codes
    return ItemCodes(codes, codebooks)


def relative_error(
    vectors: np.ndarray,
    item_codes: ItemCodes,
    *,
    weights: np.ndarray | None = None,
    metric: ItemMetric | None = None,
) -> float:
    """Weighted error of the decoded items, as a share of the error of decoding all to zero."""
    weights = checked_weights(weights, len(vectors))
    metric = metric or ItemMetric.euclidean(vectors.shape[1])
    lost = float(np.dot(metric.errors(vectors - item_codes.decode()), weights))
    return lost / max(float(np.dot(metric.errors(vectors), weights)), 1e-30)
