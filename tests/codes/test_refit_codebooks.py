"""Refitted codebooks against direct solutions of the same least-squares problem."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrec.codes import refit_codebooks as module
from lightrec.codes.additive_quantization import relative_error
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import ItemMetric
from lightrec.codes.refit_codebooks import RIDGE, refit_codebooks


def problem(
    num_items: int, num_codebooks: int, num_codewords: int, width: int, seed: int
) -> tuple[np.ndarray, ItemCodes, np.ndarray]:
    """Vectors, codes with arbitrary codebooks, and item weights."""
    rng = np.random.default_rng(seed)
    codes = ItemCodes(
        rng.integers(0, num_codewords, (num_items, num_codebooks), dtype=np.uint8),
        rng.normal(size=(num_codebooks, num_codewords, width)).astype(np.float32),
    )
    weights = rng.uniform(0.1, 5.0, num_items).astype(np.float32)
    return rng.normal(size=(num_items, width)).astype(np.float32), codes, weights


def selector_of(codes: ItemCodes) -> np.ndarray:
    """(N, B W): a one where an item uses a codeword."""
    selector = np.zeros((codes.num_items, codes.num_codebooks, codes.num_codewords))
    for item, row in enumerate(codes.codes):
        selector[item, np.arange(codes.num_codebooks), row] = 1.0
    return selector.reshape(codes.num_items, -1)


def by_cells(num_items: int, width: int, num_cells: int, seed: int) -> ItemMetric:
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(num_cells, width, width))
    matrices = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(width)
    cells = rng.integers(0, num_cells, num_items).astype(np.int32)
    return ItemMetric(cells, matrices.astype(np.float32))


def ridge_of(selector: np.ndarray, weights: np.ndarray) -> float:
    """The documented ridge: RIDGE of the mean diagonal of the normal equations."""
    return RIDGE * float((weights[:, None] * selector).sum()) / selector.shape[1]


def test_equals_weighted_least_squares() -> None:
    vectors, codes, weights = problem(200, 3, 6, 5, seed=1)
    selector = selector_of(codes)
    root = np.sqrt(weights.astype(np.float64))[:, None]
    best, *_ = np.linalg.lstsq(root * selector, root * vectors, rcond=None)
    fitted = ItemCodes(codes.codes, refit_codebooks(vectors, codes, weights=weights))
    np.testing.assert_allclose(fitted.decode(), selector @ best, atol=3e-3)
    least = float((root**2 * (vectors - selector @ best) ** 2).sum())
    found = float((root**2 * (vectors - fitted.decode()) ** 2).sum())
    assert found == pytest.approx(least, rel=1e-5)


def test_equals_the_documented_ridge_problem_exactly() -> None:
    vectors, codes, weights = problem(60, 2, 8, 3, seed=2)
    selector = selector_of(codes)
    root = np.sqrt(weights.astype(np.float64))[:, None]
    pull = np.sqrt(ridge_of(selector, weights.astype(np.float64)))
    present = codes.codebooks.reshape(-1, 3).astype(np.float64)
    best, *_ = np.linalg.lstsq(
        np.vstack([root * selector, pull * np.eye(16)]),
        np.vstack([root * vectors, pull * present]),
        rcond=None,
    )
    fitted = refit_codebooks(vectors, codes, weights=weights)
    assert fitted.dtype == np.float32
    np.testing.assert_allclose(fitted.reshape(-1, 3), best, atol=1e-5)


def test_one_metric_for_all_items_has_the_same_minimiser() -> None:
    vectors, codes, weights = problem(120, 3, 5, 4, seed=3)
    metric = ItemMetric(None, by_cells(1, 4, 1, seed=3).matrices)
    measured = refit_codebooks(vectors, codes, weights=weights, metric=metric)
    assert np.array_equal(measured, refit_codebooks(vectors, codes, weights=weights))


@pytest.mark.parametrize("num_cells", [1, 3])
def test_a_metric_per_cell_equals_the_direct_solution(num_cells: int) -> None:
    vectors, codes, weights = problem(40, 2, 3, 3, seed=4)
    metric = by_cells(40, 3, num_cells, seed=5)
    selector = selector_of(codes)
    ridge = ridge_of(selector, weights.astype(np.float64))
    normal, target = ridge * np.eye(18), ridge * codes.codebooks.ravel().astype(np.float64)
    for item in range(40):  # sum of w (s s') x H over items, unknowns row by row
        matrix = metric.matrices[metric.cells[item]].astype(np.float64)
        normal += weights[item] * np.kron(np.outer(selector[item], selector[item]), matrix)
        target += weights[item] * np.kron(selector[item], matrix @ vectors[item])
    direct = np.linalg.solve(normal, target).reshape(2, 3, 3)
    fitted = refit_codebooks(vectors, codes, weights=weights, metric=metric)
    np.testing.assert_allclose(fitted, direct, atol=2e-3)
    before, after, best = (
        relative_error(vectors, each, weights=weights, metric=metric)
        for each in (
            codes,
            ItemCodes(codes.codes, fitted),
            ItemCodes(codes.codes, direct.astype(np.float32)),
        )
    )
    assert after == pytest.approx(best, rel=1e-5)
    assert after < before


@settings(deadline=None, max_examples=50)
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 4), st.integers(1, 9), st.integers(1, 6)),
    st.integers(0, 1_000),
    st.sampled_from([0, 1, 3]),
)
def test_never_raises_the_weighted_error(size, seed: int, num_cells: int) -> None:
    vectors, codes, weights = problem(*size, seed=seed)
    metric = by_cells(size[0], size[3], num_cells, seed) if num_cells else None
    before = relative_error(vectors, codes, weights=weights, metric=metric)
    fitted = ItemCodes(codes.codes, refit_codebooks(vectors, codes, weights=weights, metric=metric))
    after = relative_error(vectors, fitted, weights=weights, metric=metric)
    assert after <= before * (1 + 1e-5) + 1e-6


def test_a_codeword_that_no_item_uses_stays() -> None:
    vectors, codes, weights = problem(50, 2, 6, 4, seed=6)
    codes.codes[codes.codes == 3] = 2
    fitted = refit_codebooks(vectors, codes, weights=weights)
    np.testing.assert_allclose(fitted[:, 3], codes.codebooks[:, 3], atol=1e-6)


def test_a_heavy_item_is_fitted_better() -> None:
    vectors, codes, weights = problem(80, 2, 3, 4, seed=7)
    heavy = weights.copy()
    heavy[0] = 1e4
    lost = [
        float(((vectors - ItemCodes(codes.codes, books).decode())[0] ** 2).sum())
        for books in (
            refit_codebooks(vectors, codes, weights=weights),
            refit_codebooks(vectors, codes, weights=heavy),
        )
    ]
    assert lost[1] < 0.01 * lost[0]


def test_conjugate_gradients_stop_where_the_answer_is_known() -> None:
    vectors, codes, weights = problem(40, 2, 3, 3, seed=8)
    metric = by_cells(40, 3, 2, seed=8)
    once = refit_codebooks(vectors, codes, weights=weights, metric=metric)
    again = refit_codebooks(vectors, ItemCodes(codes.codes, once), weights=weights, metric=metric)
    first = relative_error(vectors, ItemCodes(codes.codes, once), weights=weights, metric=metric)
    second = relative_error(vectors, ItemCodes(codes.codes, again), weights=weights, metric=metric)
    assert second == pytest.approx(first, rel=1e-4)


def test_more_conjugate_gradient_steps_never_hurt(monkeypatch) -> None:
    vectors, codes, weights = problem(150, 3, 8, 6, seed=9)
    metric = by_cells(150, 6, 4, seed=9)
    errors = []
    for steps in (0, 1, 3, 10, 40):
        monkeypatch.setattr(module, "CONJUGATE_GRADIENT_STEPS", steps)
        books = refit_codebooks(vectors, codes, weights=weights, metric=metric)
        fitted = ItemCodes(codes.codes, books)
        errors.append(relative_error(vectors, fitted, weights=weights, metric=metric))
    assert (np.diff(errors) <= 1e-7).all()
    assert errors[-1] < 0.5 * errors[0]
