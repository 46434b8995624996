"""A sparse matrix of users by items, as scipy and the libraries on it (implicit, irspack) have it.

The rule for its stored values: above 0 is a pair. 0 and below (a dislike, for some libraries) are
no pairs; they are left out and counted. NaN and infinity are errors. Values stored twice for one
place are summed first, as scipy itself reads them.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
import polars as pl

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions.columns import ITEM, RATING, USER
from lightrec.interactions.id_index import IdValues
from lightrec.interactions.id_map import IdMap
from lightrec.interactions.rows_read import RowsRead

SparseMatrix = Any
"""A scipy.sparse matrix or array of any layout (users, items)."""


def is_sparse_matrix(source: object) -> TypeGuard[SparseMatrix]:
    """Whether this is a matrix of scipy.sparse; scipy is not loaded to find out."""
    return type(source).__module__.startswith("scipy.sparse") and hasattr(source, "tocsr")


def read_matrix(
    matrix: SparseMatrix, user_ids: IdValues | None = None, item_ids: IdValues | None = None
) -> RowsRead:
    """The pairs of a matrix, by user, then item; its columns are the whole catalogue.

    Args:
        matrix: users x items, of numbers or booleans.
        user_ids: one id a row; the row numbers by default.
        item_ids: one id a column; the column numbers by default.

    Raises:
        ArgumentError: this is no such matrix.
        InputError: a value is not finite, the ids do not fit the shape, or no value is above 0.
    """
    if not is_sparse_matrix(matrix):
        raise ArgumentError(
            f"expected a matrix of scipy.sparse, found {type(matrix).__name__}; wrap a dense one "
            "with scipy.sparse.csr_matrix(...)"
        )
    if matrix.ndim != 2 or not (matrix.dtype == np.bool_ or matrix.dtype.kind in "iuf"):
        raise ArgumentError(
            f"the matrix must be users x items of numbers, not {matrix.dtype} {matrix.shape}"
        )
    csr = matrix.tocsr(copy=True)
    stored = csr.nnz
    csr.sum_duplicates()
    values = csr.data.astype(np.float64)
    users = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr))
    _refuse_not_finite(values, users, csr.indices)
    row_ids = _ids(user_ids, csr.shape, 0)
    column_ids = _ids(item_ids, csr.shape, 1)
    kept = values > 0
    if not kept.any():
        raise InputError(f"the matrix of shape {csr.shape} has no value above 0, so no pair")
    frame = {USER: row_ids.gather(users[kept]), ITEM: column_ids.gather(csr.indices[kept])}
    if (values[kept] != 1).any():
        frame[RATING] = pl.Series(values[kept])
    return RowsRead(
        pl.DataFrame(frame),
        notes=tuple(_notes(values, stored)),
        left_out=int((~kept).sum()),
        catalogue=pl.DataFrame({ITEM: column_ids}),
    )


def _ids(given: IdValues | None, shape: tuple[int, int], axis: int) -> pl.Series:
    what, of = (("user", "rows"), ("item", "columns"))[axis]
    if given is None:
        return pl.Series(np.arange(shape[axis], dtype=np.int64))
    ids = IdMap.from_values(given, what)
    if len(ids) != shape[axis]:
        swapped = len(ids) == shape[1 - axis]
        raise InputError(
            f"{what}_ids names {len(ids):,} {what}s, but the matrix has {shape[axis]:,} {of}"
            + ("; it must be users x items: give matrix.T" if swapped else "; give one id each")
        )
    return ids.series


def _refuse_not_finite(values: np.ndarray, users: np.ndarray, items: np.ndarray) -> None:
    faulty = np.flatnonzero(~np.isfinite(values))
    if len(faulty):
        first = faulty[0]
        more = f" (and {len(faulty) - 1:,} more)" if len(faulty) > 1 else ""
        raise InputError(
            f"the matrix holds {values[first]} in row {users[first]}, column {items[first]}{more}; "
            "replace it, or remove it from the stored values"
        )


def _notes(values: np.ndarray, stored: int) -> list[str]:
    counted = (
        (stored - len(values), "values stored again for one place were added up, as scipy does"),
        (int((values == 0).sum()), "stored values of 0 are no pairs"),
        (int((values < 0).sum()), "values below 0 are no pairs"),
    )
    return [f"{count:,} {meaning}" for count, meaning in counted if count]
