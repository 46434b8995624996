"""Optimised product quantisation (OPQ): rotate, cut into subspaces, cluster each; by faiss.

The paper's OPQ baseline: Ge et al., "Optimized product quantization for approximate nearest
neighbor search", CVPR 2013. Their parametric solution (eigenvalue allocation) is the start; faiss
then alternates between the sub-codebooks and the rotation that suits them best. What comes out are
additive codes: a codeword is a sub-centre, zero in all other subspaces, rotated back, so that
whoever reads the codes needs to know neither the rotation nor the subspaces.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from lightrec.codes.item_codes import MAX_CODEWORDS, ItemCodes
from lightrec.codes.residual_kmeans import MAX_POINTS_PER_CENTRE
from lightrec.errors import ArgumentError, MissingExtraError

if TYPE_CHECKING:
    import faiss

BLOCK = 65_536  # items rotated and encoded at once
ROTATION_POINTS = 65_536  # more points than this no longer turn the rotation visibly
KMEANS_ITERATIONS = 20  # Lloyd steps of the sub-codebooks once the rotation is fixed
EIGENVALUE_FLOOR = 1e-9  # of the largest: axes below hold nothing that could be shared out


def optimized_product_quantization(
    vectors: np.ndarray,
    num_codebooks: int = 4,
    num_codewords: int = 256,
    *,
    seed: int,
    iterations: int = 50,
) -> ItemCodes:
    """Fits OPQ codes and codebooks to item vectors.

    The same seed, faiss build, machine and number of threads give the same bytes. Nothing is
    promised between different numbers of threads or builds of faiss: its matrix products and
    decompositions add up in another order there.

    Args:
        vectors: (N, D) float32 item vectors of any width; where num_codebooks does not divide D,
            they are rotated into the next wider space that it divides.
        num_codebooks: B, subspaces.
        num_codewords: W, sub-centres in each subspace: a power of two, 2 to 256.
        seed: Source of the first sub-centres and of the samples that large inputs are trained on.
        iterations: Rounds of new sub-codebooks and a new rotation.

    Returns:
        Codes, and codebooks (B, W, D) in the space of `vectors`.

    Raises:
        ArgumentError: A size is out of range, there are fewer items than codewords, or a vector
            cannot be used.
        MissingExtraError: faiss is not installed.
    """
    _check_sizes(num_codebooks, num_codewords, seed, iterations)
    vectors = _checked_vectors(vectors, num_codewords)
    # faiss squares in float32 and ends the process where that overflows: it gets numbers below 1.
    # A power of two takes nothing from them.
    exponent = int(np.frexp(np.abs(vectors).max())[1])
    small = np.ldexp(vectors, -exponent)
    transform, quantizer = train_opq(
        small, num_codebooks, num_codewords, rng=np.random.default_rng(seed), iterations=iterations
    )
    item_codes = as_additive_codes(small, transform, quantizer)
    return ItemCodes(item_codes.codes, np.ldexp(item_codes.codebooks, exponent))


def train_opq(
    vectors: np.ndarray,
    num_codebooks: int,
    num_codewords: int,
    *,
    rng: np.random.Generator,
    iterations: int,
) -> tuple[faiss.OPQMatrix, faiss.ProductQuantizer]:
    """The rotation, and the sub-codebooks of the rotated vectors, in faiss's own objects.

    Args:
        vectors: (N, D) float32, finite, of moderate size (faiss squares them), with N at least W.
        num_codebooks: B.
        num_codewords: W, a power of two.
        rng: Source of samples and of the seed of faiss's k-means.
        iterations: Rounds of new sub-codebooks and a new rotation.

    Returns:
        The trained transform from D to B ceil(D / B) dimensions, and the trained quantiser.

    Raises:
        MissingExtraError: faiss is not installed.
    """
    faiss = _faiss()
    width = vectors.shape[1]
    rotated_width = num_codebooks * -(-width // num_codebooks)
    quantizer = faiss.ProductQuantizer(rotated_width, num_codebooks, num_codewords.bit_length() - 1)
    quantizer.cp.seed = int(rng.integers(2**31))
    quantizer.cp.min_points_per_centroid = 1  # few items are no reason for a warning

    points = _sample(vectors, ROTATION_POINTS, rng)
    transform = faiss.OPQMatrix(width, num_codebooks, rotated_width)
    transform.niter = iterations
    transform.pq = quantizer  # else faiss would train for 256 codewords, whatever W
    faiss.copy_array_to_vector(eigenvalue_allocation(points, num_codebooks).ravel(), transform.A)
    transform.train(points)
    transform.pq = None  # the pointer might outlive the quantiser

    # faiss centres the vectors while it seeks the rotation, but not when it applies it.
    mean = transform.apply(points.mean(axis=0, keepdims=True))
    centres = _sub_centres(quantizer) + mean.reshape(num_codebooks, 1, -1)
    faiss.copy_array_to_vector(centres.ravel(), quantizer.centroids)
    quantizer.train_type = faiss.ProductQuantizer.Train_hot_start
    quantizer.cp.niter = KMEANS_ITERATIONS
    quantizer.cp.max_points_per_centroid = MAX_POINTS_PER_CENTRE
    quantizer.train(transform.apply(_sample(vectors, MAX_POINTS_PER_CENTRE * num_codewords, rng)))
    return transform, quantizer


def as_additive_codes(
    vectors: np.ndarray, transform: faiss.OPQMatrix, quantizer: faiss.ProductQuantizer
) -> ItemCodes:
    """Items encoded by a trained OPQ, its sub-centres rotated back into the space of the vectors.

    Args:
        vectors: (N, D) float32.
        transform: From D to the quantiser's width, with orthonormal columns.
        quantizer: Of at most 8 bits a subspace.

    Returns:
        Codes and codebooks (B, W, D).
    """
    faiss = _faiss()
    num_codebooks = quantizer.M
    codes = np.empty((len(vectors), num_codebooks), np.uint8)
    for start in range(0, len(vectors), BLOCK):
        packed = quantizer.compute_codes(transform.apply(vectors[start : start + BLOCK]))
        codes[start : start + BLOCK] = faiss.unpack_bitstrings(
            packed, num_codebooks, quantizer.nbits
        )
    rotation = faiss.vector_to_array(transform.A).reshape(transform.d_out, transform.d_in)
    axes = rotation.reshape(num_codebooks, quantizer.dsub, transform.d_in)  # of each subspace
    return ItemCodes(codes, np.ascontiguousarray(_sub_centres(quantizer) @ axes))


def eigenvalue_allocation(vectors: np.ndarray, num_codebooks: int) -> np.ndarray:
    """The rotation for Gaussian vectors: principal axes, shared out so that subspaces balance.

    From the largest eigenvalue down, each goes to the subspace that has room and whose eigenvalues
    have the smallest product so far (Ge et al. 2013, "Parametric Solution").

    Args:
        vectors: (n, D) float32.
        num_codebooks: B.

    Returns:
        (D', D') float32, a new axis in each row, subspace by subspace; D' = B ceil(D / B), and the
        vectors are thought to be zero beyond D.
    """
    width = vectors.shape[1]
    room = -(-width // num_codebooks)
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    covariance = centred.T @ centred / len(vectors)
    padded = np.pad(covariance, (0, num_codebooks * room - width))
    eigenvalues, axes = np.linalg.eigh(padded)
    floor = max(EIGENVALUE_FLOOR * float(eigenvalues[-1]), np.finfo(np.float64).tiny)
    shares = np.log(np.maximum(eigenvalues, floor) / floor)  # none negative: a product only grows
    chosen: list[list[int]] = [[] for _ in range(num_codebooks)]
    for axis in reversed(range(len(eigenvalues))):
        with_room = [subspace for subspace in chosen if len(subspace) < room]
        min(with_room, key=lambda subspace: shares[subspace].sum()).append(axis)
    return np.ascontiguousarray(axes[:, np.concatenate(chosen)].T, dtype=np.float32)


def _faiss() -> ModuleType:
    try:
        import faiss
    except ModuleNotFoundError as error:
        raise MissingExtraError("optimized product quantization", "baselines") from error
    module: ModuleType = faiss
    return module


def _check_sizes(num_codebooks: int, num_codewords: int, seed: int, iterations: int) -> None:
    if num_codebooks < 1 or iterations < 1:
        raise ArgumentError(
            f"need num_codebooks >= 1 and iterations >= 1, not {num_codebooks} and {iterations}"
        )
    if not 2 <= num_codewords <= MAX_CODEWORDS or num_codewords.bit_count() != 1:
        raise ArgumentError(
            "product quantisation needs a power of two from 2 to "
            f"{MAX_CODEWORDS} as num_codewords, not {num_codewords}"
        )
    if seed < 0:
        raise ArgumentError(f"seed must not be negative, not {seed}")


def _checked_vectors(vectors: np.ndarray, num_codewords: int) -> np.ndarray:
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or not vectors.shape[1]:
        raise ArgumentError(f"item vectors must be (N, D), not {vectors.shape}")
    if len(vectors) < num_codewords:
        raise ArgumentError(
            f"the catalogue has {len(vectors)} items, fewer than num_codewords = {num_codewords}; "
            f"set num_codewords to a power of two that is at most {len(vectors)}"
        )
    usable = np.isfinite(vectors).all(axis=1)
    if not usable.all():
        raise ArgumentError(
            f"item vectors row {int(np.argmin(usable))} holds values that are not finite; "
            "correct or remove it"
        )
    return vectors


def _sample(vectors: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """All rows, or `most` of them in their order."""
    if len(vectors) <= most:
        return vectors
    return vectors[np.sort(rng.choice(len(vectors), most, replace=False))]


def _sub_centres(quantizer: faiss.ProductQuantizer) -> np.ndarray:
    """(B, W, D' / B) float32."""
    flat: np.ndarray = _faiss().vector_to_array(quantizer.centroids)
    return flat.reshape(quantizer.M, quantizer.ksub, quantizer.dsub)
