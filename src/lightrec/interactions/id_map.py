"""External ids and row numbers, both ways.

Users of the library speak in ids (strings or 64-bit integers, kept exactly); everything inside
speaks in row numbers. An `IdMap` is the only bridge. Look-up uses sorted arrays rather than a
Python dict: 12 bytes an id beside the ids themselves, so that a map can hold 10^8 of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from lightrec.errors import ArgumentError, InputError, UnknownIdError
from lightrec.interactions.id_index import (
    INT64_MAX,
    INT64_MIN,
    IdValues,
    IntegerIndex,
    TextIndex,
    listed,
)

_POLARS_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


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
        self._index: IntegerIndex | TextIndex | None = None

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

        Raises:
            ArgumentError: a single id, or an array of more dimensions, in place of a list.
        """
        if isinstance(ids, np.ndarray) and ids.ndim != 1:
            raise ArgumentError(f"ids must have one dimension, found shape {ids.shape}")
        if self._index is None:
            if self.dtype_name == "str":
                self._index = TextIndex(self.series)
            else:
                self._index = IntegerIndex(self.series.to_numpy())
        return self._index.find(ids)

    def rows(self, ids: IdValues, what: str = "item") -> npt.NDArray[np.int64]:
        """Row numbers of ids that must all be known, int64 (n,).

        Args:
            ids: ids of this map's type.
            what: "user" or "item", for the error message.

        Raises:
            UnknownIdError: naming the ids that the map does not hold.
            ArgumentError: as in `find`.
        """
        values = ids if isinstance(ids, np.ndarray | pl.Series) else listed(ids)
        rows = self.find(values)
        if len(rows) and rows.min() < 0:
            asked = listed(values)
            raise UnknownIdError(what, [asked[place] for place in np.flatnonzero(rows < 0)])
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

    def knows(self, text: str) -> bool:
        """Whether a text is one of the ids, as `parse` reads it."""
        return bool(self.find([self.parse(text)])[0] >= 0)

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
        return number if str(number) == text and INT64_MIN <= number <= INT64_MAX else text


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
        if not _fits_int64(series):
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


def _series_of(values: IdValues, what: str) -> pl.Series:
    plain = isinstance(values, np.ndarray) and values.dtype != object
    if isinstance(values, np.ndarray) and values.ndim != 1 and plain:
        raise InputError(f"{what}: expected one dimension, found shape {values.shape}")
    given = values if plain else listed(values)
    kinds = set() if plain else set(map(type, given))
    try:
        if bool in kinds and len(kinds) > 1:  # polars would read True among integers as 1
            raise TypeError
        return pl.Series(given, strict=True)
    except (TypeError, ValueError, OverflowError, *_POLARS_ERRORS):
        raise InputError(
            f"{what}: ids must be all text or all integers within 64 bits; cast them to text"
        ) from None


def _fits_int64(series: pl.Series) -> bool:
    low, high = series.min(), series.max()
    if not isinstance(low, int) or not isinstance(high, int):
        return True  # there is no value
    return low >= INT64_MIN and high <= INT64_MAX
