"""Post-ranking: candidates recalled by their codes, put in order by float vectors (Table 7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightrec.errors import ArgumentError
from lightrec.native import KERNELS, available_cores
from lightrec.search.top_k import TopK, TopKBatch, best_first, checked_k, checked_threads

_FLOATS = (np.dtype(np.float32), np.dtype(np.float16))  # made once: one search asks for them
LANES = 16  # partial sums of an inner product, which take turns over the dimensions


@dataclass(frozen=True)
class ScaledVectors:
    """Item vectors in a byte a number: row i is `scales[i] * values[i]`.

    Attributes:
        values: (N, D) int8; may be memory-mapped.
        scales: (N,) float32.
    """

    values: np.ndarray
    scales: np.ndarray

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.int8:
            raise ArgumentError(
                f"values must be (N, D) int8, not {self.values.shape} {self.values.dtype}"
            )
        if self.scales.shape != self.values.shape[:1] or self.scales.dtype != np.float32:
            raise ArgumentError(
                f"scales must be ({len(self.values)},) float32, not {self.scales.shape} "
                f"{self.scales.dtype}"
            )

    @classmethod
    def of(cls, vectors: np.ndarray) -> ScaledVectors:
        """Rounds each row to 127 steps either way of its largest number.

        Args:
            vectors: (N, D) float, finite.

        Raises:
            ArgumentError: A row is not finite.
        """
        largest = np.abs(vectors).max(axis=1, initial=0.0).astype(np.float32)
        if not np.isfinite(largest).all():
            row = int(np.flatnonzero(~np.isfinite(largest))[0])
            raise ArgumentError(f"item vector {row} is not finite")
        steps = np.where(largest > 0, largest, 1.0)[:, np.newaxis]
        values = np.rint(vectors / steps * np.float32(127)).astype(np.int8)
        return cls(values, largest / np.float32(127))

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""
        return self.values.shape


ItemVectors = np.ndarray | ScaledVectors
"""Item vectors for post-ranking: (N, D) of any float dtype, or of bytes with a scale a row."""


def post_rank(candidates: np.ndarray, query: np.ndarray, item_vectors: ItemVectors, k: int) -> TopK:
    """Orders candidate rows by the inner products of query and item vectors.

    Args:
        candidates: (n,) item rows, integers in any order; one that comes twice counts once.
        query: (D,) float32.
        item_vectors: (N, D); float16 and bytes are widened first. They may be memory-mapped: only
            the candidates' rows are read.
        k: Results wanted, at least 1.

    Returns:
        The best candidates; scores are float32 inner products. What a candidate scores does not
        depend on the other candidates, nor on whether the compiled kernels are installed.

    Raises:
        ArgumentError: The widths differ, a row is none of the items' or no integer, or a score is
            not finite.
    """
    shape = item_vectors.shape
    if query.ndim != 1 or len(shape) != 2 or shape[1] != len(query):
        raise ArgumentError(f"query {query.shape} and item vectors {shape} do not belong together")
    k, candidates = checked_k(k), _row_numbers(candidates, "candidate rows")
    query = np.ascontiguousarray(query, np.float32)
    plain = plain_vectors(item_vectors)
    if KERNELS is not None and plain is not None and len(query):
        return TopK(*KERNELS.post_rank(candidates, query, plain[0], k, plain[1]))
    candidates = np.unique(candidates)
    if len(candidates) and not 0 <= candidates.min() <= candidates.max() < shape[0]:
        raise ArgumentError("candidate rows must be rows of items")
    if isinstance(item_vectors, ScaledVectors):
        rows = item_vectors.values[candidates].astype(np.float32)
        scores = inner_products(rows, query) * item_vectors.scales[candidates]
    else:
        scores = inner_products(item_vectors[candidates].astype(np.float32), query)
    if not np.isfinite(scores).all():
        row = candidates[np.flatnonzero(~np.isfinite(scores))[0]]
        raise ArgumentError(f"the score of item row {row} by float vectors is not finite")
    return best_first(candidates, scores, k)


def post_rank_batch(
    recalled: TopKBatch,
    queries: np.ndarray,
    item_vectors: ItemVectors,
    k: int,
    *,
    threads: int = 0,
) -> TopKBatch:
    """Orders the candidates of many queries; equal to `post_rank` one by one, and faster.

    Args:
        recalled: The candidates of Q queries, in rows and counts.
        queries: (Q, D) float32.
        item_vectors: (N, D), as `post_rank` takes them.
        k: Results wanted for each query, at least 1.
        threads: Threads to use at most, 0 for all available cores; the answer does not depend on
            it.

    Raises:
        ArgumentError: As for `post_rank`, the first query named; or there are not as many queries
            as candidate lists, or a count is none.
    """
    if len(queries) != len(recalled):
        raise ArgumentError(f"{len(queries)} queries for the candidates of {len(recalled)}")
    k, threads = checked_k(k), checked_threads(threads)
    rows, counts = _row_numbers(recalled.rows, "candidate rows"), _row_numbers(recalled.counts)
    if rows.ndim != 2 or counts.shape != rows.shape[:1]:
        raise ArgumentError(f"candidate rows {rows.shape} and counts {counts.shape} do not fit")
    if counts.size and not 0 <= counts.min() <= counts.max() <= rows.shape[1]:
        raise ArgumentError(f"a count must be 0 to {rows.shape[1]}, the width of the rows")
    plain = plain_vectors(item_vectors)
    compiled = KERNELS is not None and plain is not None and queries.ndim == 2
    if not compiled or not queries.size or queries.shape[1:] != item_vectors.shape[1:]:
        found = []
        for query, vector in enumerate(queries):
            try:
                found.append(post_rank(rows[query, : counts[query]], vector, item_vectors, k))
            except ArgumentError as error:
                raise ArgumentError(f"query {query}: {error}") from error
        return TopKBatch.stacked(found, min(k, rows.shape[1]))
    assert KERNELS is not None and plain is not None
    ranked = KERNELS.post_rank_batch(
        rows,
        counts,
        np.ascontiguousarray(queries, np.float32),
        plain[0],
        k,
        plain[1],
        threads or available_cores(),
    )
    return TopKBatch(*ranked)


def _row_numbers(given: np.ndarray, what: str = "counts") -> np.ndarray:
    """As int64, if they are integers."""
    array = np.asarray(given)
    if array.size and array.dtype.kind not in "iu":
        raise ArgumentError(f"{what} must be integers, not {array.dtype}")
    return np.ascontiguousarray(array, np.int64)


def plain_vectors(vectors: ItemVectors) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Values and scales as the compiled kernels read them; None where they cannot."""
    if isinstance(vectors, ScaledVectors):
        fits = vectors.values.flags.c_contiguous
        return (vectors.values, np.ascontiguousarray(vectors.scales)) if fits else None
    fits = vectors.dtype in _FLOATS and vectors.flags.c_contiguous
    return (vectors, None) if fits else None


def inner_products(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Inner products, summed in the order of the compiled kernel.

    Args:
        vectors: (n, D) float32.
        query: (D,) float32.

    Returns:
        (n,) float32.
    """
    turns = max(1, -(-len(query) // LANES))
    products = np.zeros((len(vectors), turns * LANES), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # the caller refuses what is not finite
        products[:, : len(query)] = vectors * query
        sums = products[:, :LANES].copy()
        for turn in range(1, turns):
            sums += products[:, turn * LANES : (turn + 1) * LANES]
        while sums.shape[1] > 1:
            half = sums.shape[1] // 2
            sums = sums[:, :half] + sums[:, half:]
    return sums[:, 0]
