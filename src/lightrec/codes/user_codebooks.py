"""Codebooks made for users, for users that are vectors fitted to the codes.

A score table has B W numbers for a user to fit, a vector only D: the codebooks decide which tables
vectors can make. Those of the quantiser reproduce the item vectors; these reproduce what the
users' own tables came out as. The codes stay as they are.

A constant added to one book of a user's table changes no ranking, so tables are compared less
their mean in each book, where a codeword counts as often as items use it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_fit_task import require_finite
from lightrec.errors import ArgumentError

_USERS_AT_ONCE = 1_024  # whose tables are held at once: 4 MB at 4 x 256


def codebooks_for_users(tables: np.ndarray, item_codes: ItemCodes, width: int) -> np.ndarray:
    """The codebooks of a given width whose score tables come closest to the users' own.

    Closest in the sum over users and books of the squared differences, weighted by the number of
    items that use a codeword: the leading right singular vectors of the centred and weighted
    tables. They are scaled so that the squared norms of an item's codewords add up to 1 on average.

    Args:
        tables: (M, B, W) float32, from `fit_tables`.
        item_codes: The codes; their codebooks are not read.
        width: D of the codebooks to make. Past the rank of the tables, dimensions are zero.

    Returns:
        (B, W, D) float32; codewords that no item uses are zero.

    Raises:
        ArgumentError: The shape, dtype or width does not fit, or a table is not finite.
    """
    _require_tables(tables, item_codes)
    if width < 1:
        raise ArgumentError(f"width must be at least 1, not {width}")
    usage = Usage.of(item_codes)
    size = usage.counts.size
    gram = np.zeros((size, size))
    for begin in range(0, len(tables), _USERS_AT_ONCE):
        rows = usage.weighted(tables[begin : begin + _USERS_AT_ONCE])
        gram += rows.T @ rows
    values, vectors = np.linalg.eigh(gram)
    kept = np.flatnonzero(values > size * np.finfo(np.float32).eps * values[-1])[::-1][:width]
    codebooks = np.zeros((size, width))
    codebooks[:, : len(kept)] = vectors[:, kept] * usage.inverse_roots[:, None]
    squared = float(usage.counts.ravel() @ (codebooks**2).sum(axis=1)) / max(
        item_codes.num_items, 1
    )
    codebooks /= np.sqrt(squared) if squared > 0.0 else 1.0
    return codebooks.reshape(*usage.counts.shape, width).astype(np.float32)


def vectors_for_tables(tables: np.ndarray, item_codes: ItemCodes) -> np.ndarray:
    """The vectors whose score tables come closest to given ones, by the same measure.

    Args:
        tables: (M, B, W) float32.
        item_codes: Codes, and the codebooks that the vectors are to go with.

    Returns:
        (M, D) float32, where `fit_vectors` may start.

    Raises:
        ArgumentError: The shape or dtype does not fit, or a table is not finite.
    """
    _require_tables(tables, item_codes)
    usage = Usage.of(item_codes)
    inverse = np.linalg.pinv(usage.weighted_codebooks(item_codes))
    vectors = np.empty((len(tables), item_codes.width), np.float32)
    for begin in range(0, len(tables), _USERS_AT_ONCE):
        block = slice(begin, begin + _USERS_AT_ONCE)
        vectors[block] = usage.weighted(tables[block]) @ inverse.T
    return vectors


def level_codebooks(
    item_codes: ItemCodes, vectors: np.ndarray, users: np.ndarray, items: np.ndarray
) -> ItemCodes:
    """The codes with codebooks whose scores are on the teacher's level.

    Fitting leaves a constant a user open, which changes no ranking. One vector added to all
    codewords of the first book changes nothing but that constant; here it is the one that brings
    the mean of a user's scores over the catalogue closest to the teacher's. Scores then mean what
    the teacher's do, and a new item can be encoded from a vector of the teacher's space.

    Args:
        item_codes: Codes, and codebooks of width D.
        vectors: (n, D) float32, users among these codebooks.
        users: (n, T) float32, the same users of the teacher.
        items: (N, T) float32, the teacher's items.

    Returns:
        The same codes with codebooks (B, W, D) float32, of which the first is another.
    """
    wanted = users.astype(np.float64) @ items.mean(axis=0, dtype=np.float64)
    counts = Usage.of(item_codes).counts
    mean = np.einsum("bw,bwd->d", counts, item_codes.codebooks) / max(item_codes.num_items, 1)
    wide = vectors.astype(np.float64)
    added = np.linalg.lstsq(wide, wanted - wide @ mean, rcond=None)[0]
    codebooks = item_codes.codebooks.copy()
    codebooks[0] += added.astype(np.float32)
    return ItemCodes(item_codes.codes, codebooks)


@dataclass(frozen=True)
class Usage:
    """How often each codeword is used, and tables weighted by it.

    Attributes:
        counts: (B, W) float64, the number of items with a codeword.
    """

    counts: np.ndarray

    @classmethod
    def of(cls, item_codes: ItemCodes) -> Usage:
        """Counts the codewords."""
        words = item_codes.num_codewords
        columns = [np.bincount(column, minlength=words) for column in item_codes.codes.T]
        return cls(np.array(columns, dtype=np.float64))

    @property
    def inverse_roots(self) -> np.ndarray:
        """(B W,) one by the root of each count; 0 where it is 0."""
        roots = np.sqrt(self.counts).ravel()
        inverse: np.ndarray = np.zeros_like(roots)
        np.divide(1.0, roots, out=inverse, where=roots > 0.0)
        return inverse

    def weighted(self, tables: np.ndarray) -> np.ndarray:
        """Tables (n, B, W) less their means per book, times the roots of the counts: (n, B W)."""
        items = max(float(self.counts[0].sum()), 1.0)  # every item has one codeword of each book
        means = np.einsum("nbw,bw->nb", tables.astype(np.float64), self.counts) / items
        scaled = (tables - means[:, :, None]) * np.sqrt(self.counts)
        return np.asarray(scaled.reshape(len(tables), -1))

    def weighted_codebooks(self, item_codes: ItemCodes) -> np.ndarray:
        """Codebooks as columns of tables, weighted likewise: (B W, D)."""
        return self.weighted(item_codes.codebooks.transpose(2, 0, 1)).T


def _require_tables(tables: np.ndarray, item_codes: ItemCodes) -> None:
    expected = item_codes.codebooks.shape[:2]
    if tables.ndim != 3 or tables.shape[1:] != expected or tables.dtype != np.float32:
        raise ArgumentError(
            f"tables must be (M, {expected[0]}, {expected[1]}) float32, "
            f"not {tables.shape} {tables.dtype}"
        )
    require_finite("tables", tables)
