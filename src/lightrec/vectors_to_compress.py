"""What is compressed: vectors, their ids, and pairs of them, checked and made ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from lightrec.artifact.item_columns import item_columns
from lightrec.artifact.verify import MAX_MAGNITUDE
from lightrec.codes.finite_vectors import first_row_beyond
from lightrec.codes.given_arrays import given_array
from lightrec.errors import ArgumentError, InputError
from lightrec.factors import Factors
from lightrec.interactions import History, IdMap, Interactions
from lightrec.interactions.given_pairs import given_pairs
from lightrec.interactions.matching_ids import matching_rows
from lightrec.interactions.read_tables import TableSource
from lightrec.interactions.shared_pairs import shared_pair_keys

UNIT_LENGTH = 1e-3  # how far from 1 the norms of normalised vectors may be


@dataclass(frozen=True)
class PreparedVectors:
    """What is compressed: factors, and how they were made ready.

    Attributes:
        factors: Users (M may be 0) and items, float32.
        notes: What was done to them, one sentence each.
    """

    factors: Factors
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Given:
    """What is compressed, and what is known beside it, in the rows of the vectors.

    Attributes:
        factors: Users (M may be 0) and items, float32.
        user_ids: M ids.
        item_ids: N ids, at least one.
        history: Pairs that the vectors were trained on, M users by N items; None where there are
            none, or no users.
        test: Pairs that they were not trained on, likewise.
        degrees: (N,) int64, the pairs of each item that the vectors were trained on.
        item_columns: Those numbers as `popularity`, and the columns of the items table; N rows.
        notes: What was done to vectors, pairs and items table, one sentence each.
    """

    factors: Factors
    user_ids: IdMap
    item_ids: IdMap
    history: History | None
    test: History | None
    degrees: np.ndarray
    item_columns: pl.DataFrame
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        vectors: PreparedVectors,
        user_ids: IdMap,
        item_ids: IdMap,
        interactions: Interactions | TableSource | None,
        test: Interactions | TableSource | None,
        items_table: pl.DataFrame | None,
    ) -> Given:
        """Brings pairs and an items table into the rows of vectors.

        Args:
            vectors: From `prepare`.
            user_ids: Ids of the user vectors.
            item_ids: Ids of the item vectors.
            interactions: Pairs that the vectors were trained on.
            test: Pairs that they were not trained on.
            items_table: What is known of the items, as `read_items` gives it.

        Raises:
            ArgumentError: There is no item, or a test pair that is an interaction, too.
            InputError: There are pairs, or rows of the items table, but none with vectors; or a
                table cannot be used.
        """
        read = None if interactions is None else given_pairs(interactions)
        history = held_out = None
        notes = vectors.notes
        if len(user_ids):
            history, left_out = history_of(read, user_ids, item_ids, "interactions")
            held_out, left_out_too = history_of(test, user_ids, item_ids, "test")
            notes = (*notes, *left_out, *left_out_too)
        elif read is not None or test is not None:
            without = "no user vectors: interactions weigh items, and ranking is not measured"
            notes = (*notes, without)
        if not len(item_ids):
            raise ArgumentError("there are no items to compress")
        if history is not None and held_out is not None:
            check_disjoint(history, held_out)
        degrees, strays = item_degrees(read, item_ids, history)
        columns = item_columns(item_ids, degrees, items_table)
        notes = (*notes, *strays, *unmatched_rows(item_ids, items_table))
        return cls(vectors.factors, user_ids, item_ids, history, held_out, degrees, columns, notes)


def prepare(
    items: np.ndarray, users: np.ndarray | None, item_bias: np.ndarray | None
) -> PreparedVectors:
    """Float32 factors of one width, with the bias folded in and unit length respected.

    Args:
        items: (N, T) numbers.
        users: (M, T) numbers.
        item_bias: (N,) numbers, or (N, 1).

    Raises:
        ArgumentError: A matrix is none, or a value is not finite or too large for a model; the row
            is named. Or the widths differ.
    """
    notes = []
    item_vectors = _matrix(items, "items")
    width = item_vectors.shape[1]
    user_vectors = np.zeros((0, width), np.float32) if users is None else _matrix(users, "users")
    norms = np.sqrt(np.einsum("nd,nd->n", item_vectors, item_vectors))  # without a copy of all
    of_unit_length = bool(len(norms)) and bool(np.abs(norms - 1.0).max() < UNIT_LENGTH)
    if item_bias is None and of_unit_length and len(user_vectors):
        lengths = np.linalg.norm(user_vectors, axis=1, keepdims=True)
        user_vectors = (user_vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
        notes.append(
            "items are of unit length: stored users were normalised too, so their scores are "
            "cosines; query vectors are used as they come"
        )
    if item_bias is not None:
        bias = _bias(item_bias, len(item_vectors))
        item_vectors = np.hstack([item_vectors, bias])
        ones = np.ones((len(user_vectors), 1), np.float32)
        user_vectors = np.hstack([user_vectors, ones])
        notes.append(f"the item bias is dimension {width + 1}; a query vector has 1 there")
    return PreparedVectors(Factors(user_vectors, item_vectors), tuple(notes))


def _bias(values: np.ndarray, num_items: int) -> np.ndarray:
    """(N, 1) float32."""
    bias = _array(values, "item_bias")
    if bias.dtype.kind not in "fiu" or bias.shape not in ((num_items,), (num_items, 1)):
        raise ArgumentError(
            f"item_bias must be {num_items} numbers, one an item, not {bias.shape} {bias.dtype}"
        )
    return _matrix(bias.reshape(-1, 1), "item_bias")


def _matrix(values: np.ndarray, name: str) -> np.ndarray:
    matrix = _array(values, name)
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu" or not matrix.shape[1]:
        raise ArgumentError(
            f"{name} must be a matrix of numbers, not {matrix.shape} {matrix.dtype}"
        )
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        matrix = np.ascontiguousarray(matrix, dtype=np.float32)
    row = first_row_beyond(matrix, MAX_MAGNITUDE)
    if row is not None:
        raise ArgumentError(
            f"{name} row {row} holds a value that is not finite, or is beyond the "
            f"{MAX_MAGNITUDE:g} that a model folder can keep"
        )
    return matrix


def _array(values: np.ndarray, name: str) -> np.ndarray:
    if isinstance(values, str | Path):
        raise ArgumentError(
            f"{name} must be an array, not a path: give numpy.load({str(values)!r}), or use the "
            "command `lightrec compress`"
        )
    ragged = f"{name} must be a matrix: its rows differ in width"
    return given_array(values, name, ragged=ragged)


def id_map_of(ids: Sequence[str] | Sequence[int] | IdMap | None, count: int, what: str) -> IdMap:
    """The ids given for so many vectors; row numbers where none are given.

    Raises:
        ArgumentError: They are not as many.
        InputError: One is missing, or comes twice.
    """
    if ids is None:
        return IdMap(pl.Series(np.arange(count, dtype=np.int64)))
    id_map = ids if isinstance(ids, IdMap) else IdMap.from_values(ids, what)
    if len(id_map) != count:
        raise ArgumentError(f"there are {len(id_map)} {what} ids for {count} {what} vectors")
    return id_map


def item_degrees(
    interactions: Interactions | None, items: IdMap, history: History | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(N,) int64 pairs of each item, and a note that counts pairs without one.

    Args:
        interactions: The pairs; their users do not matter here.
        items: Ids of the item vectors.
        history: The pairs in rows of the vectors, where there are users; those without a vector
            were noted when it was made.

    Raises:
        InputError: There are pairs, but none of these items.
    """
    if history is not None:
        return history.item_degrees(), ()
    if interactions is None:
        return np.zeros(len(items), np.int64), ()
    rows = matching_rows(interactions.items, items)[interactions.item_rows]
    if len(rows) and not (rows >= 0).any():
        raise InputError("interactions: no pair has an item vector; check the item ids")
    degrees = np.bincount(rows[rows >= 0], minlength=len(items)).astype(np.int64)
    strays = int((rows < 0).sum())
    note = f"interactions: {strays:,} pairs without an item vector were left out"
    return degrees, (note,) if strays else ()


def unmatched_rows(items: IdMap, items_table: pl.DataFrame | None) -> tuple[str, ...]:
    """Counts, in a sentence each, a table's rows without a vector and the vectors without a row.

    Args:
        items: Ids of the item vectors.
        items_table: Has a column `item_id`; None for no table, and no note.

    Raises:
        InputError: No row has a vector.
    """
    if items_table is None:
        return ()
    ids = items_table["item_id"]
    strangers = int((matching_rows(IdMap(ids), items) < 0).sum())
    if strangers == len(ids):
        raise InputError(
            f"none of the {len(ids):,} items of the items table has a vector: its first id is "
            f"{ids[0]!r}, that of the vectors {items.ids([0])[0]!r}; check that both hold the same "
            "kind of item ids"
        )
    bare = len(items) - (len(ids) - strangers)
    counted = (
        (strangers, "rows of the items table were left out: their items have no vector"),
        (bare, "items have no row in the items table: their columns are empty"),
    )
    return tuple(f"{count:,} {meaning}" for count, meaning in counted if count)


def history_of(
    pairs: Interactions | TableSource | None,
    users: IdMap,
    items: IdMap,
    what: str,
) -> tuple[History | None, tuple[str, ...]]:
    """The pairs in rows of the vectors, and a note that counts pairs without a vector.

    Args:
        pairs: What is read; None gives None, and no note.
        users: Ids of the user vectors.
        items: Ids of the item vectors.
        what: What the pairs are, for errors and notes.

    Raises:
        InputError: There are pairs, but none with both vectors.
    """
    if pairs is None:
        return None, ()
    read = given_pairs(pairs)
    user_rows = matching_rows(read.users, users)[read.user_rows]
    item_rows = matching_rows(read.items, items)[read.item_rows]
    known = (user_rows >= 0) & (item_rows >= 0)
    if len(read) and not known.any():
        raise InputError(
            f"{what}: no pair has both a user and an item vector; "
            "check that ids and vectors belong together"
        )
    found = History.from_pairs(user_rows[known], item_rows[known], len(users), len(items))
    if known.all():
        return found, ()
    return found, (f"{what}: {int((~known).sum()):,} pairs without a vector were left out",)


def check_disjoint(history: History, test: History) -> None:
    """Refuses test pairs that the vectors were trained on, before the long work.

    Raises:
        ArgumentError: There are some.
    """
    common = len(shared_pair_keys(history, test))
    if common:
        raise ArgumentError(
            f"{common:,} test pairs are also among the interactions that the vectors were trained "
            "on; leave them out of one of the two"
        )
