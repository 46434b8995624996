"""Residual k-means: each codebook clusters what the earlier codebooks left over.

The paper's RVQ baseline (Chen et al. 2010) when unweighted, and the first step of additive
quantisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightrec.codes.item_codes import MAX_CODEWORDS, ItemCodes
from lightrec.errors import ArgumentError

BLOCK = 2_048  # rows whose distances to all centres are held at once (2 MB at 256 centres)
MAX_POINTS_PER_CENTRE = 2_048  # more points than this no longer move a centre visibly


@dataclass(frozen=True)
class Clustering:
    """A k-means solution.

    Attributes:
        centres: (W, D) float32.
        nearest: (N,) uint8, each point's nearest centre.
    """

    centres: np.ndarray
    nearest: np.ndarray


def kmeans(
    vectors: np.ndarray,
    num_centres: int,
    *,
    weights: np.ndarray | None = None,
    iterations: int = 20,
    rng: np.random.Generator,
) -> Clustering:
    """Weighted k-means (Lloyd) from random distinct points; an emptied centre moves to a far point.

    Args:
        vectors: (N, D) float32.
        num_centres: W, at most 256.
        weights: (N,) non-negative, how much a point's error counts; equal when None.
        iterations: Lloyd steps.
        rng: Source of the first centres and of the sample on which large inputs are trained.

    Returns:
        Centres and the nearest centre of every point.

    Raises:
        ArgumentError: There are fewer points than centres.
    """
    if not 1 <= num_centres <= MAX_CODEWORDS:
        raise ArgumentError(f"num_centres must be 1 to {MAX_CODEWORDS}, not {num_centres}")
    if len(vectors) < num_centres:
        raise ArgumentError(
            f"the catalogue has {len(vectors)} items, fewer than num_codewords = {num_centres}; "
            f"set num_codewords to at most {len(vectors)}"
        )
    weights = np.ones(len(vectors), np.float32) if weights is None else weights
    points, mass = vectors, weights.astype(np.float64)
    most = MAX_POINTS_PER_CENTRE * num_centres
    if len(points) > most:
        sample = np.sort(rng.choice(len(points), most, replace=False))
        points, mass = points[sample], mass[sample]
    centres = points[rng.choice(len(points), num_centres, replace=False)].copy()
    for _ in range(iterations):
        nearest, distances = _nearest(points, centres)
        centres = weighted_means(points, mass, nearest, num_centres, centres)
        empty = np.flatnonzero(np.bincount(nearest, weights=mass, minlength=num_centres) <= 0)
        if len(empty):
            far = np.argpartition(-distances * mass, len(empty) - 1)[: len(empty)]
            centres[empty] = points[far]
    return Clustering(centres, _nearest(vectors, centres)[0])


def residual_kmeans(
    vectors: np.ndarray,
    num_codebooks: int = 4,
    num_codewords: int = 256,
    *,
    weights: np.ndarray | None = None,
    iterations: int = 20,
    rng: np.random.Generator,
) -> ItemCodes:
    """Greedy residual vector quantisation.

    Args:
        vectors: (N, D) float32 item vectors.
        num_codebooks: B.
        num_codewords: W, at most 256.
        weights: (N,) how much an item's error counts; equal when None (the paper's baseline).
        iterations: Lloyd steps per codebook.
        rng: Source of the first centres.

    Returns:
        Codes and codebooks.

    Raises:
        ArgumentError: A size is out of range, or there are fewer items than codewords.
    """
    if num_codebooks < 1 or not 1 <= num_codewords <= MAX_CODEWORDS:
        raise ArgumentError(
            f"need num_codebooks >= 1 and 1 <= num_codewords <= {MAX_CODEWORDS}, "
            f"not {num_codebooks} and {num_codewords}"
        )
    residual = np.array(vectors, dtype=np.float32)
    codebooks, codes = [], []
    for _ in range(num_codebooks):
        found = kmeans(residual, num_codewords, weights=weights, iterations=iterations, rng=rng)
        residual -= found.centres[found.nearest]
        codebooks.append(found.centres)
        codes.append(found.nearest)
    return ItemCodes(np.stack(codes, axis=1), np.stack(codebooks))


def _nearest(points: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest centre (uint8) and squared distance of each point, in blocks of rows."""
    half_norms = 0.5 * np.einsum("wd,wd->w", centres, centres)
    nearest = np.empty(len(points), np.uint8)
    distances = np.empty(len(points), np.float32)
    columns = np.ascontiguousarray(centres.T)
    buffer = np.empty((min(BLOCK, len(points)), len(centres)), np.float32)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        closeness = np.matmul(block, columns, out=buffer[: len(block)])
        closeness -= half_norms
        best = closeness.argmax(axis=1)
        nearest[start : start + BLOCK] = best
        norms = np.einsum("nd,nd->n", block, block)
        distances[start : start + BLOCK] = norms - 2.0 * closeness[np.arange(len(block)), best]
    return nearest, np.maximum(distances, 0.0)


def weighted_means(
    points: np.ndarray,
    mass: np.ndarray,
    nearest: np.ndarray,
    num_centres: int,
    previous: np.ndarray,
) -> np.ndarray:
    """Weighted mean of each centre's points; the previous centre where there are none."""
    import scipy.sparse as sparse  # heavy, and serving never clusters

    total = np.bincount(nearest, weights=mass, minlength=num_centres)
    sums = np.zeros(previous.shape)
    for start in range(0, len(points), BLOCK):
        rows = slice(start, start + BLOCK)
        block = points[rows].astype(np.float64)
        memberships = sparse.csc_matrix(
            (mass[rows], nearest[rows].astype(np.int32), np.arange(len(block) + 1)),
            shape=(num_centres, len(block)),
        )
        sums += memberships @ block
    means = (sums / np.maximum(total, 1e-30)[:, None]).astype(previous.dtype)
    means[total <= 0] = previous[total <= 0]
    return means
