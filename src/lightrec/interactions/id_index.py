"""Look-up of ids in sorted arrays: compact, and fast for one id as for a million."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from lightrec.errors import ArgumentError

IdValues: TypeAlias = Iterable[Any] | npt.NDArray[Any] | pl.Series
"""Anything that can be read as a column of ids."""

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


class IntegerIndex:
    """Sorted integer ids with the row of each."""

    def __init__(self, ids: npt.NDArray[np.int64]) -> None:
        self._order = _compact(np.argsort(ids, kind="stable"))
        self._sorted = ids[self._order]

    def find(self, ids: IdValues) -> npt.NDArray[np.int64]:
        """Rows of ids, int64 (n,), -1 where unknown."""
        wanted, valid = _integer_queries(ids)
        if not len(self._sorted):
            return np.full(len(wanted), -1, dtype=np.int64)
        places = np.searchsorted(self._sorted, wanted)
        np.minimum(places, len(self._sorted) - 1, out=places)
        known = valid & (self._sorted[places] == wanted)
        return np.where(known, self._order[places], -1).astype(np.int64, copy=False)


class TextIndex:
    """Sorted 64-bit hashes of text ids with the row of each; hits are verified on the text."""

    def __init__(self, ids: pl.Series) -> None:
        hashes = text_hashes(ids)
        self._ids = ids
        self._order = _compact(np.argsort(hashes, kind="stable"))
        self._sorted = hashes[self._order]

    def find(self, ids: IdValues) -> npt.NDArray[np.int64]:
        """Rows of ids, int64 (n,), -1 where unknown."""
        wanted = _text_queries(ids)
        rows = np.full(len(wanted), -1, dtype=np.int64)
        if not len(self._sorted):
            return rows
        hashes = text_hashes(wanted)
        places = np.searchsorted(self._sorted, hashes)
        unresolved = np.arange(len(wanted))
        if wanted.null_count():
            unresolved = unresolved[wanted.is_not_null().to_numpy()]
        # One round settles all but colliding hashes; each further one looks one place to the right.
        while len(unresolved):
            unresolved = unresolved[places[unresolved] < len(self._sorted)]
            unresolved = unresolved[self._sorted[places[unresolved]] == hashes[unresolved]]
            candidates = self._order[places[unresolved]].astype(np.int64)
            same = self._same_text(candidates, wanted, unresolved)
            rows[unresolved[same]] = candidates[same]
            unresolved = unresolved[~same]
            places[unresolved] += 1
        return rows

    def _same_text(
        self, rows: npt.NDArray[np.int64], wanted: pl.Series, places: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.bool_]:
        if len(rows) <= 16:  # a request for one user should not pay for setting up a gather
            pairs = zip(rows.tolist(), places.tolist(), strict=True)
            return np.array([self._ids[row] == wanted[place] for row, place in pairs], np.bool_)
        return (self._ids.gather(rows) == wanted.gather(places)).to_numpy()


def text_hashes(ids: pl.Series) -> npt.NDArray[np.uint64]:
    """64-bit hashes, uint64 (n,); equal text has equal hashes within one process."""
    return ids.hash(seed=0).to_numpy()


def listed(ids: IdValues) -> list[Any]:
    """Ids as a list of Python values.

    Raises:
        ArgumentError: a single id was given where a list is expected.
    """
    if isinstance(ids, np.ndarray | pl.Series):
        values: list[Any] = ids.tolist() if isinstance(ids, np.ndarray) else ids.to_list()
        return values
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise ArgumentError(f"expected a list of ids, found {ids!r} alone; write [{ids!r}]")
    return [value.item() if isinstance(value, np.generic) else value for value in ids]


def _integer_queries(ids: IdValues) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Queries as int64, and which of them are integers within 64 bits at all."""
    if isinstance(ids, pl.Series) and ids.dtype.is_integer():
        series = ids.cast(pl.Int64, strict=False)
        return series.fill_null(0).to_numpy(), series.is_not_null().to_numpy()
    if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
        fits = ids <= INT64_MAX if ids.dtype == np.uint64 else np.ones(len(ids), dtype=np.bool_)
        return ids.astype(np.int64), fits
    values = listed(ids)
    usable = [
        isinstance(value, int) and not isinstance(value, bool) and INT64_MIN <= value <= INT64_MAX
        for value in values
    ]
    numbers = [value if fits else 0 for value, fits in zip(values, usable, strict=True)]
    return np.array(numbers, dtype=np.int64), np.array(usable, dtype=np.bool_)


def _text_queries(ids: IdValues) -> pl.Series:
    """Queries as a String series, null where a value is not text."""
    if isinstance(ids, pl.Series):
        if isinstance(ids.dtype, pl.String | pl.Categorical | pl.Enum):
            return ids.cast(pl.String)
        return pl.Series([None] * len(ids), dtype=pl.String)
    texts = [value if isinstance(value, str) else None for value in listed(ids)]
    try:
        return pl.Series(texts, dtype=pl.String)
    except UnicodeError:  # lone surrogates cannot be ids of a stored map
        return pl.Series([_encodable(text) for text in texts], dtype=pl.String)


def _encodable(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        text.encode()
    except UnicodeError:
        return None
    return text


def _compact(order: npt.NDArray[np.intp]) -> npt.NDArray[np.integer[Any]]:
    """Row numbers in 4 bytes where they fit."""
    return order.astype(np.int32) if len(order) <= np.iinfo(np.int32).max else order
