"""Conjugate gradients against direct solutions."""

from __future__ import annotations

import numpy as np
import pytest

from lightrec.codes.conjugate_gradients import conjugate_gradients, product


def system(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    return root @ root.T + np.eye(size), rng.normal(size=size)


def solve(matrix: np.ndarray, right_side: np.ndarray, **options) -> np.ndarray:
    diagonal = np.diag(matrix).astype(right_side.dtype)
    given = {"precondition": lambda r: r / diagonal, "steps": 200, "tolerance": 1e-24}
    return conjugate_gradients(lambda x: matrix @ x, right_side, **(given | options))


def test_comes_to_the_solution_and_keeps_the_dtype() -> None:
    matrix, right_side = system(12)
    expected = np.linalg.solve(matrix, right_side)
    np.testing.assert_allclose(solve(matrix, right_side), expected, rtol=1e-9)
    narrow = solve(matrix.astype(np.float32), right_side.astype(np.float32), tolerance=1e-12)
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, expected, rtol=1e-2, atol=1e-3)


def test_every_step_lowers_the_objective() -> None:
    matrix, right_side = system(12, seed=1)
    found = [solve(matrix, right_side, steps=steps) for steps in range(6)]
    values = [x @ matrix @ x / 2 - right_side @ x for x in found]
    assert values[0] == 0.0
    assert (np.diff(values) < 0).all()


def test_with_the_inverse_for_a_preconditioner_one_step_is_enough() -> None:
    matrix, right_side = system(5, seed=2)
    inverse = np.linalg.inv(matrix)
    found = solve(matrix, right_side, precondition=lambda r: inverse @ r, steps=1)
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right_side), rtol=1e-9)


def test_solves_for_matrices_by_any_inner_product() -> None:
    matrix, _ = system(6, seed=3)
    right_side = np.random.default_rng(4).normal(size=(6, 3))
    for inner in (product, lambda one, other: float((one * other).sum())):
        found = solve(
            matrix,
            right_side,
            precondition=lambda r: r / np.diag(matrix)[:, None],
            inner=inner,
        )
        np.testing.assert_allclose(found, np.linalg.solve(matrix, right_side), rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_to_solve_is_zero(dtype) -> None:
    matrix, right_side = system(4)
    assert not solve(matrix, np.zeros_like(right_side, dtype=dtype)).any()


def test_no_curvature_ends_no_run() -> None:
    tiny = conjugate_gradients(
        np.zeros_like, np.ones(3), precondition=lambda r: r, steps=1, tolerance=0.0
    )
    assert np.isfinite(tiny).all()
