"""Arguments as callers pass them: ids, one or any collection of them, and counts."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from lightrec.errors import ArgumentError, UnknownIdError
from lightrec.interactions.id_map import IdMap

Ids: TypeAlias = str | int | Iterable[Any]
"""One id, or a list, array or column of ids."""
IdList: TypeAlias = list[Any] | np.ndarray | pl.Series


def is_one_id(value: object) -> bool:
    """Whether `value` is an id by itself and not a collection of ids."""
    return isinstance(value, str | int | np.integer)


def id_list(value: object, argument: str) -> IdList:
    """One id as a list of one; a collection as something that an `IdMap` looks up.

    Args:
        value: What the caller passed.
        argument: Name of the argument, for the error message.

    Raises:
        ArgumentError: It is neither an id nor one dimension of ids.
    """
    if is_one_id(value):
        return [value]
    if isinstance(value, np.ndarray):
        if value.ndim != 1:
            raise ArgumentError(
                f"{argument} must be one list of ids, not an array of shape {value.shape}"
            )
        return value
    if isinstance(value, pl.Series):
        return value
    if isinstance(value, pl.DataFrame):
        raise ArgumentError(
            f"{argument} must be a list of ids, not a table; give one of its columns"
        )
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        as_list = getattr(value, "tolist", None)  # of tensors and of pandas, whose items are no ids
        return list(as_list() if callable(as_list) else value)
    raise ArgumentError(f"{argument} must be an id or a list of ids, not {value!r}")


def known_rows(known: IdMap, ids: IdList, what: str) -> np.ndarray:
    """Rows of ids, int64 (n,).

    Args:
        known: The model's ids.
        ids: What the caller asked for.
        what: `user` or `item`, for the error message.

    Raises:
        UnknownIdError: An id is unknown; where they are all of the other kind, it says so.
    """
    try:
        return known.rows(ids, what)
    except UnknownIdError:
        listed = ids.to_list() if isinstance(ids, pl.Series) else list(ids)
        text = known.dtype_name == "str"
        if not len(known):
            hint = f"the model knows no {what}s; ask by history or by vector"
        elif all(isinstance(value, str) != text for value in listed):
            hint = f"the model's ids are {'text' if text else 'integers'}, such as "
            hint += repr(known.ids([0])[0])
        else:
            raise
        unknown = [value for value, row in zip(listed, known.find(ids), strict=True) if row < 0]
        raise UnknownIdError(what, unknown, hint) from None


def truth(value: object, argument: str) -> bool:
    """True or False, and nothing that Python would take for one of them.

    Raises:
        ArgumentError: It is something else.
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise ArgumentError(f"{argument} must be True or False, not {value!r}")


def whole_number(value: Any, argument: str, *, at_least: int) -> int:  # noqa: ANN401
    """A count as an int.

    Raises:
        ArgumentError: It is no whole number, or too small.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise ArgumentError(f"{argument} must be a whole number, not {value!r}") from None
    if number < at_least:
        raise ArgumentError(f"{argument} must be at least {at_least}, not {number}")
    return number
