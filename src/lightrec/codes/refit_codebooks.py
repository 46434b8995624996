"""Codebooks by weighted least squares, the codes held.

Let S be the (N, B W) selector that has a one where an item uses a codeword, and X the codebooks as
one (B W, D) matrix, so that Y = S X decodes the items. X minimises the sum over items of
w_i (q_i - y_i)' H_i (q_i - y_i). Solved for is its change from the present codebooks: what those
leave is summed in float64, the steps towards the answer in float32.

The least squares are those of Martinez et al., "LSQ++", ECCV 2018, where H = I.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lightrec.codes.conjugate_gradients import conjugate_gradients
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import ItemMetric
from lightrec.errors import ArgumentError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

RIDGE = 1e-4  # of the mean diagonal: the least-squares system is singular (a shift between books)
CONJUGATE_GRADIENT_STEPS = 15  # the system is all but singular: it never quite converges
CLOSE_ENOUGH = 1e-9  # of the first residual, squared in the preconditioner's norm
BATCH = 4_096  # items decoded at once: their rows stay in the processor's cache


def refit_codebooks(
    vectors: np.ndarray,
    item_codes: ItemCodes,
    *,
    weights: np.ndarray | None = None,
    metric: ItemMetric | None = None,
) -> np.ndarray:
    """The codebooks that minimise the weighted error for the codes at hand.

    With one metric for all items the minimiser does not depend on it and the normal equations are
    solved directly. With a metric per cell they are solved by conjugate gradients, preconditioned
    by the equations with the mean metric in every cell. A small ridge towards the present
    codebooks settles directions that the data leave open.

    Args:
        vectors: (N, D) float32.
        item_codes: Codes to keep and codebooks to start from.
        weights: (N,) how much an item's error counts; equal when None.
        metric: How an item's error is measured; squared Euclidean distance when None.

    Returns:
        (B, W, D) float32.

    Raises:
        ArgumentError: Weights or the metric's cells are not one an item.
    """
    weights = checked_weights(weights, len(vectors))
    present = item_codes.codebooks.reshape(-1, item_codes.width)
    selector = _selector(item_codes)
    normal, ridge = _normal_matrix(selector, weights)
    if metric is None or metric.cells is None:
        change = np.linalg.solve(normal, _unexplained(vectors, selector, weights, present))
    else:
        batches = _batches(selector, weights, metric)
        change = conjugate_gradients(
            lambda books: _normal_product(batches, books) + ridge * books,
            _unexplained_in_cells(batches, vectors, present),
            precondition=_by_mean_metric(normal, metric.mean(weights)),
            steps=CONJUGATE_GRADIENT_STEPS,
            tolerance=CLOSE_ENOUGH,
            inner=_summed_products,
        )
    return (present + change).astype(np.float32).reshape(item_codes.codebooks.shape)


def checked_weights(weights: np.ndarray | None, num_items: int) -> np.ndarray:
    """(N,) float32 item weights; ones for None.

    Raises:
        ArgumentError: There is not one weight an item.
    """
    if weights is None:
        return np.ones(num_items, np.float32)
    if weights.shape != (num_items,):
        raise ArgumentError(f"weights must be ({num_items},), one an item, not {weights.shape}")
    return weights.astype(np.float32, copy=False)


def _selector(item_codes: ItemCodes) -> csr_matrix:
    """S, (N, B W) CSR float32: decoding is `selector @ codebooks`."""
    import scipy.sparse as sparse  # heavy, and serving never refits

    n, num_codebooks = item_codes.codes.shape
    offsets = np.arange(num_codebooks, dtype=np.int32) * item_codes.num_codewords
    return sparse.csr_matrix(
        (
            np.ones(n * num_codebooks, np.float32),
            (item_codes.codes + offsets).ravel(),
            np.arange(0, n * num_codebooks + 1, num_codebooks),
        ),
        shape=(n, num_codebooks * item_codes.num_codewords),
    )


def _normal_matrix(selector: csr_matrix, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """S' W S plus the ridge, (B W, B W) float64, and the ridge."""
    weighted = selector.multiply(weights.astype(np.float64)[:, None]).tocsr()
    normal: np.ndarray = (weighted.T @ selector).toarray()
    ridge = RIDGE * float(np.trace(normal)) / len(normal)
    normal[np.diag_indices_from(normal)] += ridge
    return normal, ridge


def _unexplained(
    vectors: np.ndarray, selector: csr_matrix, weights: np.ndarray, present: np.ndarray
) -> np.ndarray:
    """S' W (Q - S X), (B W, D) float64: what the present codebooks leave of the items."""
    books = present.astype(np.float64)
    total = np.zeros_like(books)
    for start in range(0, len(vectors), BATCH):
        rows = slice(start, start + BATCH)
        left = vectors[rows] - selector[rows] @ books
        total += selector[rows].T @ (weights[rows, None] * left)
    return total


@dataclass(frozen=True)
class _Batch:
    """Items of a few cells, the items of a cell side by side.

    Attributes:
        rows: (n,) the items.
        selector: (n, B W) CSR, their rows of S.
        weights: (n, 1) float32.
        cells: Which of the rows belong to a cell, and its (D, D) matrix.
    """

    rows: np.ndarray
    selector: csr_matrix
    weights: np.ndarray
    cells: list[tuple[slice, np.ndarray]]

    def gather(self, differences: np.ndarray) -> np.ndarray:
        """(B W, D), each codeword's sum of weight x H x difference over the items that use it."""
        measured = np.empty_like(differences)
        for rows, matrix in self.cells:
            np.matmul(differences[rows], matrix, out=measured[rows])
        measured *= self.weights
        return np.asarray(self.selector.T @ measured)


def _batches(selector: csr_matrix, weights: np.ndarray, metric: ItemMetric) -> list[_Batch]:
    return [
        _Batch(rows, selector[rows], weights[rows, None], cells)
        for rows, cells in _joined_cells(metric, len(weights))
    ]


def _joined_cells(
    metric: ItemMetric, num_items: int
) -> Iterator[tuple[np.ndarray, list[tuple[slice, np.ndarray]]]]:
    """Rows of items, a few cells or a part of a large one at a time, with the cells' places."""
    rows: list[np.ndarray] = []
    cells: list[tuple[slice, np.ndarray]] = []
    size = 0
    for members, matrix in metric.groups(num_items):
        for start in range(0, len(members), BATCH):
            part = members[start : start + BATCH]
            rows.append(part)
            cells.append((slice(size, size + len(part)), matrix))
            size += len(part)
            if size >= BATCH:
                yield np.concatenate(rows), cells
                rows, cells, size = [], [], 0
    if size:
        yield np.concatenate(rows), cells


def _normal_product(batches: list[_Batch], books: np.ndarray) -> np.ndarray:
    """The sum over items of weight x selector' (selector X) H, (B W, D) float64."""
    books32 = books.astype(np.float32)
    total = np.zeros(books.shape)
    for batch in batches:
        total += batch.gather(batch.selector @ books32)
    return total


def _unexplained_in_cells(
    batches: list[_Batch], vectors: np.ndarray, present: np.ndarray
) -> np.ndarray:
    """The sum over items of weight x selector' (q - y) H, (B W, D) float64."""
    books = present.astype(np.float64)
    total = np.zeros_like(books)
    for batch in batches:
        total += batch.gather(vectors[batch.rows] - batch.selector @ books)
    return total


def _by_mean_metric(normal: np.ndarray, matrix: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Solves the equations with the same `matrix` for every item."""
    import scipy.linalg as linalg

    factor, inverse = linalg.cho_factor(normal), np.linalg.inv(matrix)
    return lambda residual: np.asarray(linalg.cho_solve(factor, residual) @ inverse)


def _summed_products(one: np.ndarray, other: np.ndarray) -> float:
    return float((one * other).sum())
