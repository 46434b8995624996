"""Cells of a table read as ids, ratings and timestamps; every error names the place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from lightrec.errors import InputError
from lightrec.interactions.id_map import id_series
from lightrec.interactions.read_tables import Table

Timestamps = npt.NDArray[np.int64] | npt.NDArray[np.float64]


def ids_of(frame: pl.DataFrame, column: str, table: Table) -> pl.Series:
    """The ids of a column, String or Int64 (n,), none missing.

    Raises:
        InputError: an id is missing or empty, or the column is neither text nor integers.
    """
    series = _cells(frame, column)
    if series.dtype == pl.String:  # before the general check, so that the error can name the line
        _refuse(series.is_null() | (series == ""), "the id is missing", column, table)
    series = id_series(series, f"{table.label}, column {column!r}")
    _refuse(series.is_null(), "the id is missing", column, table)
    return series


def ratings_of(frame: pl.DataFrame, column: str, table: Table) -> npt.NDArray[np.float64]:
    """The ratings of a column, float64 (n,), finite and not negative; true counts 1, false 0.

    Raises:
        InputError: a rating is missing, not a number, not finite or negative.
    """
    series = _cells(frame, column)
    remedy = "correct it, or leave the column out with --rating-column '' (ColumnNames(rating=''))"
    if not (series.dtype in (pl.String, pl.Boolean) or series.dtype.is_numeric()):
        raise InputError(
            f"{table.label}, column {column!r}: ratings must be numbers, not {series.dtype}; "
            f"{remedy}"
        )
    _refuse(series.is_null(), "the rating is missing", column, table, remedy)
    numbers = series.cast(pl.Float64, strict=False)
    _refuse(numbers.is_null(), "the rating is not a number", column, table, remedy, series)
    unusable = ~numbers.is_finite() | (numbers < 0)
    _refuse(unusable, "the rating is not a finite number >= 0", column, table, remedy, series)
    return numbers.to_numpy()


def timestamps_of(frame: pl.DataFrame, column: str, table: Table) -> Timestamps:
    """The times of a column, int64 or float64 (n,); only their order matters.

    Numbers are kept as they are. Dates and datetimes (also as ISO 8601 text) become microseconds
    since 1970 in UTC, int64.

    Raises:
        InputError: a time is missing, not finite, or neither a number nor a date.
    """
    series = _cells(frame, column)
    remedy = (
        "correct it, or leave the column out with --timestamp-column '' (ColumnNames(timestamp=''))"
    )
    _refuse(series.is_null(), "the time is missing", column, table, remedy)
    if series.dtype == pl.String:
        series = _times_of_text(series, column, table, remedy)
    if series.dtype == pl.Date:
        series = series.cast(pl.Datetime("us"))
    if series.dtype == pl.Datetime:
        series = series.dt.cast_time_unit("us").to_physical()  # counts from 1970 in UTC
    if series.dtype.is_integer():
        integers = series.cast(pl.Int64, strict=False)
        _refuse(integers.is_null(), "the time does not fit 64 bits", column, table, remedy, series)
        return integers.to_numpy()
    if series.dtype.is_float():
        series = series.cast(pl.Float64)
        _refuse(~series.is_finite(), "the time is not finite", column, table, remedy, series)
        return series.to_numpy()
    raise InputError(
        f"{table.label}, column {column!r}: times must be numbers or dates, not {series.dtype}; "
        f"{remedy}"
    )


def _cells(frame: pl.DataFrame, column: str) -> pl.Series:
    # Under the table's own name, polars would read a column called "^a.*$" as a pattern.
    return frame.get_column(column).alias("cells")


def _times_of_text(series: pl.Series, column: str, table: Table, remedy: str) -> pl.Series:
    """Integers if all are, else numbers if all are, else ISO dates as Datetime in microseconds."""
    for numbers in (pl.Int64, pl.Float64):
        parsed = series.cast(numbers, strict=False)
        if not parsed.null_count():
            return parsed
    # A space for the T and Z for +00:00 are common; a date without a zone is taken as UTC.
    text = series.str.replace(r"^(\d{4}-\d{2}-\d{2}) (\d)", "${1}T${2}").str.replace("Z$", "+00:00")
    dates = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
    for naive in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"):
        dates = dates.fill_null(text.str.to_datetime(naive, time_unit="us", strict=False))
    for zoned in ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M%:z"):
        parsed = text.str.to_datetime(zoned, time_unit="us", time_zone="UTC", strict=False)
        dates = dates.fill_null(parsed.dt.replace_time_zone(None))
    fault = "the time is neither a number nor an ISO date"
    _refuse(dates.is_null(), fault, column, table, remedy, series)
    return dates


def _refuse(
    faulty: pl.Series,
    fault: str,
    column: str,
    table: Table,
    remedy: str = "give it a value or remove the row",
    values: pl.Series | None = None,
) -> None:
    """Raises an InputError for the first faulty row, and says how many there are."""
    count = int(faulty.sum() or 0)
    if not count:
        return
    row = int(faulty.arg_max() or 0)
    found = "" if values is None else f" ({values[row]!r})"
    others = f" (and in {count - 1:,} more rows)" if count > 1 else ""
    raise InputError(f"{table.place(row)}, column {column!r}: {fault}{found}{others}; {remedy}")
