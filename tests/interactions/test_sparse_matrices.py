"""Matrices of scipy as interactions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions import Interactions

DENSE = np.array([[1, 0, 2.5, 0], [0, 0, 0, 0], [0, 3, 1, 0]])


@pytest.mark.parametrize(
    "matrix",
    [
        sparse.csr_matrix(DENSE),
        sparse.csr_array(DENSE),
        sparse.csc_array(DENSE),
        sparse.coo_array(DENSE),
        sparse.lil_matrix(DENSE.astype(np.float32)),
        sparse.csr_array(DENSE.astype(np.int8)),
        sparse.csr_array(DENSE > 0),
    ],
)
def test_values_above_zero_are_pairs_and_columns_are_the_catalogue(matrix) -> None:
    for pairs in (Interactions.from_matrix(matrix), Interactions.from_table(matrix)):
        assert pairs.to_polars().rows() == [(0, 0), (0, 2), (2, 1), (2, 2)]
        assert pairs.users.ids(range(2)) == [0, 2]
        assert pairs.items.ids(range(4)) == [0, 1, 2, 3]
        assert pairs.report.items_without_pairs == 1
        assert (pairs.report.rows_in, pairs.report.rows_used) == (4, 4)


def test_ids_are_the_callers() -> None:
    pairs = Interactions.from_matrix(sparse.csr_array(DENSE), ["ann", "bob", "cat"], list("wxyz"))
    assert pairs.to_polars().rows() == [("ann", "w"), ("ann", "y"), ("cat", "x"), ("cat", "y")]


def test_zeros_and_dislikes_are_counted_and_repeats_added_up() -> None:
    data = [1.0, 0.0, -2.0, 4.0, 3.0, -3.0]
    rows, columns = [0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 1]
    starts = np.searchsorted(rows, range(3))
    matrix = sparse.csr_array((data, columns, starts), shape=(2, 3))
    assert matrix.nnz == 6  # two of them for one place
    pairs = Interactions.from_matrix(matrix)
    assert pairs.to_polars().rows() == [(0, 0), (1, 0)]
    report = pairs.report
    assert (report.rows_in, report.rows_used, report.below_rating) == (5, 2, 3)
    assert report.notes[:3] == (
        "1 values stored again for one place were added up, as scipy does",
        "2 stored values of 0 are no pairs",
        "1 values below 0 are no pairs",
    )
    assert "whatever its 'rating'" in report.notes[3]
    assert matrix.nnz == 6  # the caller's own is as it was


def test_a_bound_above_zero() -> None:
    pairs = Interactions.from_matrix(sparse.csr_array(DENSE), rating_above=1)
    assert pairs.to_polars().rows() == [(0, 2), (2, 1)]
    assert pairs.report.below_rating == 2


def test_minimum_counts() -> None:
    matrix = sparse.csr_array(DENSE)
    pairs = Interactions.from_matrix(matrix, min_pairs_per_item=2)
    assert pairs.to_polars().rows() == [(0, 2), (2, 2)]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(value: float) -> None:
    matrix = sparse.csr_array(DENSE)
    matrix.data[2:] = value
    with pytest.raises(InputError, match=rf"holds {value} in row 2, column 1 \(and 1 more\)"):
        Interactions.from_matrix(matrix)


def test_ids_that_do_not_fit() -> None:
    matrix = sparse.csr_array(DENSE)
    with pytest.raises(
        InputError, match=r"user_ids names 4 users, but the matrix has 3 rows; .*\.T"
    ):
        Interactions.from_matrix(matrix, user_ids=range(4))
    with pytest.raises(InputError, match=r"item_ids names 2 items, .* 4 columns; give one id each"):
        Interactions.from_matrix(matrix, item_ids=["a", "b"])
    with pytest.raises(InputError, match="occurs more than once"):
        Interactions.from_matrix(matrix, item_ids=list("abca"))


def test_what_is_no_such_matrix() -> None:
    with pytest.raises(ArgumentError, match=r"expected a matrix of scipy.sparse, found ndarray"):
        Interactions.from_matrix(DENSE)
    with pytest.raises(ArgumentError, match="users x items of numbers"):
        Interactions.from_matrix(sparse.csr_array(DENSE.astype(complex)))
    with pytest.raises(ArgumentError, match="users x items of numbers"):
        Interactions.from_table(sparse.coo_array(DENSE[0]))
    with pytest.raises(InputError, match=r"has no value above 0"):
        Interactions.from_matrix(sparse.csr_array((3, 4)))
