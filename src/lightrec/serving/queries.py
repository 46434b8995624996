"""Queries: users by id, histories of items, or vectors; one or many of a kind.

Here they are only read and checked. `encoding.py` turns them into score tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import polars as pl

from lightrec.artifact.contents import Model
from lightrec.artifact.verify import MAX_MAGNITUDE
from lightrec.codes.given_arrays import given_array
from lightrec.errors import ArgumentError
from lightrec.interactions.id_map import IdMap
from lightrec.serving.arguments import id_list, is_one_id, known_rows
from lightrec.serving.results import QueryColumn

_NO_ROWS = np.empty(0, np.int32)


@dataclass(frozen=True, eq=False)
class UserQueries:
    """Known users.

    Attributes:
        rows: (Q,) int64 user rows.
    """

    column: ClassVar[QueryColumn] = "user_id"
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def block(self, start: int, stop: int) -> UserQueries:
        """Queries `start` up to `stop`."""
        return UserQueries(self.rows[start:stop])

    def labels(self, model: Model) -> pl.Series:
        """What results call the queries: the users' ids."""
        return model.user_ids.series[self.rows]

    def seen(self, model: Model) -> Sequence[np.ndarray] | None:
        """For each query the item rows of its training pairs; None where the model lacks them."""
        if model.history is None:
            return None
        return [model.history.of(row) for row in self.rows.tolist()]


@dataclass(frozen=True, eq=False)
class HistoryQueries:
    """Users whom the model need not know, by what they liked.

    Attributes:
        item_rows: For each query the rows of its items, int32, ascending without repetition.
        first: Position of the first query in the request.
    """

    column: ClassVar[QueryColumn] = "query"
    item_rows: Sequence[np.ndarray]
    first: int = 0

    def __len__(self) -> int:
        return len(self.item_rows)

    def block(self, start: int, stop: int) -> HistoryQueries:
        """Queries `start` up to `stop`."""
        return HistoryQueries(self.item_rows[start:stop], self.first + start)

    def labels(self, model: Model) -> pl.Series:
        """What results call the queries: their positions in the request."""
        return pl.int_range(self.first, self.first + len(self), eager=True)

    def seen(self, model: Model) -> Sequence[np.ndarray]:
        """For each query the item rows given."""
        return self.item_rows


@dataclass(frozen=True, eq=False)
class VectorQueries:
    """Vectors in the space of the teacher's users.

    Attributes:
        vectors: (Q, T) float32, finite; T is the model's `query_width`.
        first: Position of the first query in the request.
    """

    column: ClassVar[QueryColumn] = "query"
    vectors: np.ndarray
    first: int = 0

    def __len__(self) -> int:
        return len(self.vectors)

    def block(self, start: int, stop: int) -> VectorQueries:
        """Queries `start` up to `stop`."""
        return VectorQueries(self.vectors[start:stop], self.first + start)

    def labels(self, model: Model) -> pl.Series:
        """What results call the queries: their positions in the request."""
        return pl.int_range(self.first, self.first + len(self), eager=True)

    def seen(self, model: Model) -> Sequence[np.ndarray]:
        """Nothing, for each query."""
        return [_NO_ROWS] * len(self)


Queries: TypeAlias = UserQueries | HistoryQueries | VectorQueries


def read_queries(model: Model, users: object, histories: object, vectors: object) -> Queries:
    """Reads the one of three arguments that was given; see `Recommender.recommend`.

    Raises:
        ArgumentError: None of them or several are given, or the one given is malformed.
        UnknownIdError: A user or an item of a history is unknown.
    """
    if sum(argument is not None for argument in (users, histories, vectors)) != 1:
        raise ArgumentError("give exactly one of users, histories and vectors")
    if users is not None:
        return UserQueries(known_rows(model.user_ids, id_list(users, "users"), "user"))
    if histories is not None:
        return HistoryQueries(_read_histories(histories, model.item_ids))
    return VectorQueries(_read_vectors(vectors, model.query_width))


def _read_histories(value: object, item_ids: IdMap) -> list[np.ndarray]:
    histories = [
        ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        for ids in (id_list(history, "a history") for history in _listed_histories(value))
    ]
    every_item = [item for history in histories for item in history]
    every_row = known_rows(item_ids, every_item, "item")
    ends = np.cumsum([len(history) for history in histories])
    return [np.unique(rows).astype(np.int32) for rows in np.split(every_row, ends)[:-1]]


def _listed_histories(value: object) -> list[object]:
    """Wraps a single history; tells one list of ids from a list of such lists."""
    if isinstance(value, np.ndarray):
        if value.ndim == 1 and value.dtype != object:
            return [value]
        value = value.tolist()
    if isinstance(value, pl.Series):
        return value.to_list() if value.dtype.is_nested() else [value]
    if is_one_id(value) or not isinstance(value, Iterable) or isinstance(value, bytes):
        raise ArgumentError(f"histories must be a list of item ids, or several, not {value!r}")
    entries = list(value)
    ids = [is_one_id(entry) for entry in entries]
    if all(ids):  # also when there are none: one empty history
        return [entries]
    if any(ids):
        raise ArgumentError("histories must not mix item ids with lists of item ids")
    return entries


def _read_vectors(value: object, width: int) -> np.ndarray:
    ragged = f"vectors must all be {width} wide; they differ in width"
    array = given_array(value, "vectors", ragged=ragged)
    if array.dtype.kind not in "fiu":
        raise ArgumentError(f"vectors must be numbers of width {width}, not {array.dtype}")
    given = array.shape
    if array.ndim == 1:
        array = array[np.newaxis]
    if array.ndim != 2 or array.shape[1] != width:
        raise ArgumentError(
            f"vectors must be of shape ({width},) or (queries, {width}), "
            f"as the model's query vectors are {width} wide, not {given}"
        )
    with np.errstate(over="ignore"):
        vectors = array.astype(np.float32)
    check_bounded(vectors, "vectors")
    return vectors


def check_bounded(vectors: np.ndarray, what: str) -> None:
    """Refuses vectors whose scores could be not finite.

    Args:
        vectors: (Q, D) float32.
        what: What they are, for the error message.

    Raises:
        ArgumentError: Naming the first row that holds NaN, infinity or a value beyond the bound.
    """
    sound = (np.abs(vectors) <= MAX_MAGNITUDE).all(axis=1)
    if not sound.all():
        row = int(np.flatnonzero(~sound)[0])
        raise ArgumentError(
            f"{what}: row {row} (of width {vectors.shape[1]}) holds NaN, infinity or a value "
            f"beyond {MAX_MAGNITUDE:g}; give finite numbers"
        )
