"""External ids and row numbers, both ways.

Users of the library speak in ids (strings or 64-bit integers, kept exactly); everything inside
speaks in row numbers. An `IdMap` is the only bridge. Look-up uses sorted arrays rather than a
Python dict: 12 bytes an id beside the ids themselves, so that a map can hold 10^8 of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from lightrec.errors import ArgumentError, InputError, UnknownIdError

IdValues: TypeAlias = Iterable[Any] | npt.NDArray[Any] | pl.Series
"""Anything that can be read as a column of ids."""

_INT64_MAX = 2**63 - 1
_INT64_MIN = -(2**63)


class IdMap:
    """The ids of users or items in row order; all `str` or all 64-bit integers.

    Args:
        ids: unique ids without nulls, in row order; a String or Int64 series.
        what: "user" or "item", for error messages.

    Raises:
        InputError: the series has another type, a null or an id twice.
    """

    def __init__(self, ids: pl.Series, what: str = "item") -> None:
        if ids.dtype not in (pl.String, pl.Int64):
            raise InputError(f"{what} ids must be text or 64-bit integers, not {ids.dtype}")
        if ids.null_count():
            row = int(ids.is_null().arg_max() or 0)
            raise InputError(f"{what} id {row + 1} of {len(ids)} is missing; give every row an id")
        if ids.n_unique() != len(ids):
            twice = ids.filter(ids.is_duplicated())[0]
            raise InputError(f"{what} id {twice!r} occurs more than once; give every row its own")
        self.series = ids.rechunk()
        self._index: _IntegerIndex | _StringIndex | None = None

    @classmethod
    def from_values(cls, values: IdValues, what: str = "item") -> IdMap:
        """Builds a map from a list, array or series of ids in row order.

        Args:
            values: text or integers of any width; not both.
            what: "user" or "item", for error messages.

        Raises:
            InputError: a value is missing, empty, neither text nor an integer that fits 64 bits, or
                occurs twice.
        """
        return cls(id_series(values, f"{what} ids"), what)

    def __len__(self) -> int:
        return len(self.series)

    def __repr__(self) -> str:
        return f"IdMap({len(self)} {self.dtype_name} ids)"

    @property
    def dtype_name(self) -> str:
        """Either "str" or "int"."""
        return "str" if self.series.dtype == pl.String else "int"

    def find(self, ids: IdValues) -> npt.NDArray[np.int64]:
        """Row numbers of ids, int64 (n,), with -1 for every id that the map does not hold.

        An id of the other type is simply unknown: `5` and `"5"` are different ids.
        """
        if self._index is None:
            if self.dtype_name == "str":
                self._index = _StringIndex(self.series)
            else:
                self._index = _IntegerIndex(self.series.to_numpy())
        return self._index.find(ids)

    def rows(self, ids: IdValues, what: str = "item") -> npt.NDArray[np.int64]:
        """Row numbers of ids that must all be known, int64 (n,).

        Args:
            ids: ids of this map's type.
            what: "user" or "item", for the error message.

        Raises:
            UnknownIdError: naming the ids that the map does not hold.
        """
        values = ids if isinstance(ids, np.ndarray | pl.Series | str) else list(ids)
        rows = self.find(values)
        if len(rows) and rows.min() < 0:
            unknown = np.flatnonzero(rows < 0).tolist()
            raise UnknownIdError(what, [_plain(values[row]) for row in unknown])
        return rows

    def ids(self, rows: Sequence[int] | npt.NDArray[np.integer[Any]]) -> list[Any]:
        """The ids of row numbers, as a list of `str` or of `int`.

        Raises:
            ArgumentError: a row number is negative or too large.
        """
        numbers = np.asarray(rows, dtype=np.int64)
        if numbers.size and (numbers.min() < 0 or numbers.max() >= len(self)):
            raise ArgumentError(f"row numbers must lie in 0..{len(self) - 1}")
        return self.series.gather(numbers).to_list()

    def parse(self, text: str) -> str | int:
        """Reads an id that was typed on a command line or sent over HTTP.

        A map of integers takes only canonical decimal text ("7", "-7"; not "007", "+7" or "7.0").
        Any other text is returned unchanged and is then simply unknown.
        """
        if self.dtype_name == "str":
            return text
        try:
            number = int(text)
        except ValueError:
            return text
        return number if str(number) == text and _INT64_MIN <= number <= _INT64_MAX else text


def id_series(values: IdValues, what: str) -> pl.Series:
    """Converts a column of ids to a String or Int64 series without changing any of them.

    Args:
        values: a list, array or series; missing values stay null.
        what: names the column in error messages, such as "column 'user'".

    Raises:
        InputError: the values are neither all text nor all integers of 64 bits, or one is empty.
    """
    series = values if isinstance(values, pl.Series) else _series_of(values, what)
    dtype = series.dtype
    if isinstance(dtype, pl.Categorical | pl.Enum | pl.Null):
        series = series.cast(pl.String)
    elif dtype.is_integer():
        if dtype in (pl.UInt64, pl.UInt128, pl.Int128) and not _fits_int64(series):
            raise InputError(f"{what}: an integer does not fit 64 bits with sign; cast ids to text")
        series = series.cast(pl.Int64)
    elif dtype.is_float():
        raise InputError(
            f"{what}: ids are floating-point numbers, which do not keep large ids exactly; cast "
            "them to integers or text (a missing value often turns integers into floats)"
        )
    elif dtype != pl.String:
        raise InputError(f"{what}: ids must be text or integers, not {dtype}")
    if series.dtype == pl.String and (series == "").any():
        row = int((series == "").arg_max() or 0)
        raise InputError(
            f"{what}: the id in row {row + 1} is empty text; give it an id or remove it"
        )
    return series


def _series_of(values: Iterable[Any], what: str) -> pl.Series:
    try:
        if isinstance(values, np.ndarray) and values.dtype != object:
            if values.ndim != 1:
                raise InputError(f"{what}: expected one dimension, found shape {values.shape}")
            return pl.Series(values)
        return pl.Series([_plain(value) for value in values], strict=True)
    except (TypeError, OverflowError, UnicodeError, pl.exceptions.PolarsError):
        raise InputError(
            f"{what}: ids must be all text or all integers within 64 bits; cast them to text"
        ) from None


def _fits_int64(series: pl.Series) -> bool:
    low, high = series.min(), series.max()
    return (
        not isinstance(low, int)
        or not isinstance(high, int)
        or (low >= _INT64_MIN and high <= _INT64_MAX)
    )


def _plain(value: Any) -> Any:  # noqa: ANN401
    """The Python value of a numpy scalar."""
    return value.item() if isinstance(value, np.generic) else value


def _listed(ids: IdValues) -> list[Any]:
    if isinstance(ids, str | bytes):
        raise ArgumentError(f"expected a list of ids, found the single text {ids!r}")
    if isinstance(ids, np.ndarray | pl.Series):
        return list(ids.tolist() if isinstance(ids, np.ndarray) else ids.to_list())
    return [_plain(value) for value in ids]


class _IntegerIndex:
    """Sorted integer ids with the row of each."""

    def __init__(self, ids: npt.NDArray[np.int64]) -> None:
        self._order = _compact(np.argsort(ids, kind="stable"))
        self._sorted = ids[self._order]

    def find(self, ids: IdValues) -> npt.NDArray[np.int64]:
        wanted, valid = _integer_queries(ids)
        if not len(self._sorted):
            return np.full(len(wanted), -1, dtype=np.int64)
        places = np.searchsorted(self._sorted, wanted)
        np.minimum(places, len(self._sorted) - 1, out=places)
        known = valid & (self._sorted[places] == wanted)
        return np.where(known, self._order[places], -1).astype(np.int64, copy=False)


def _integer_queries(ids: IdValues) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Queries as int64, and which of them are integers within 64 bits at all."""
    if isinstance(ids, pl.Series) and ids.dtype.is_integer():
        series = ids.cast(pl.Int64, strict=False)
        return series.fill_null(0).to_numpy(), series.is_not_null().to_numpy()
    if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu":
        fits = ids <= _INT64_MAX if ids.dtype == np.uint64 else np.ones(len(ids), dtype=np.bool_)
        return ids.astype(np.int64), fits
    values = _listed(ids)
    usable = [
        isinstance(value, int) and not isinstance(value, bool) and _INT64_MIN <= value <= _INT64_MAX
        for value in values
    ]
    numbers = [value if fits else 0 for value, fits in zip(values, usable, strict=True)]
    return np.array(numbers, dtype=np.int64), np.array(usable, dtype=np.bool_)


class _StringIndex:
    """Sorted 64-bit hashes of text ids with the row of each; hits are verified on the text."""

    def __init__(self, ids: pl.Series) -> None:
        hashes = _hashes(ids)
        self._ids = ids
        self._order = _compact(np.argsort(hashes, kind="stable"))
        self._sorted = hashes[self._order]

    def find(self, ids: IdValues) -> npt.NDArray[np.int64]:
        wanted = _text_queries(ids)
        rows = np.full(len(wanted), -1, dtype=np.int64)
        if not len(self._sorted):
            return rows
        hashes = _hashes(wanted)
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


def _text_queries(ids: IdValues) -> pl.Series:
    """Queries as a String series, null where a value is not text."""
    if isinstance(ids, pl.Series):
        if isinstance(ids.dtype, pl.String | pl.Categorical | pl.Enum):
            return ids.cast(pl.String)
        return pl.Series([None] * len(ids), dtype=pl.String)
    texts = [value if isinstance(value, str) else None for value in _listed(ids)]
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


def _hashes(ids: pl.Series) -> npt.NDArray[np.uint64]:
    """64-bit hashes, uint64 (n,); equal text has equal hashes within one process."""
    return ids.hash(seed=0).to_numpy()


def _compact(order: npt.NDArray[np.intp]) -> npt.NDArray[np.integer[Any]]:
    """Row numbers in 4 bytes where they fit."""
    return order.astype(np.int32) if len(order) <= np.iinfo(np.int32).max else order
