"""Codes for items that a model does not know, from a given vector or from who touched them.

A vector of the teacher's space is encoded as the catalogue was, with the codebooks as they are: one
codebook after the other, where a trained encoder chose the codes
(`lightrec.codes.trained_selection`), else in the metric of its cell, where the model holds one
(`lightrec.codes.cell_metrics`). Without a vector, the users who touched the item are folded in: the
closed form of `lightrec.serving.fold_in` with users and items exchanged. It says in which direction
the item lies; its length becomes that of the items that are about as popular. In an empty catalogue
it is the length that items have whose codewords are drawn by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lightrec.artifact.contents import Model
from lightrec.codes.additive_quantization import encode
from lightrec.codes.cell_metrics import CellMetrics
from lightrec.codes.item_metric import ItemMetric
from lightrec.codes.user_codebooks import vectors_for_tables
from lightrec.errors import ArgumentError
from lightrec.serving.fold_in import FoldIn
from lightrec.serving.item_vectors import FloatItems, ItemVectors

LOOKED_AT = 1 << 16
"""Users, and items, that stand for all where a mean or a median is wanted."""
AS_POPULAR = 100
"""Items whose median length a new item gets."""
_IDENTITY = 0.05  # in the metric of all users, where the model holds no cells


@dataclass(frozen=True, eq=False)
class NewItems:
    """What a model keeps of n new items.

    Attributes:
        codes: (n, B) uint8.
        float_vectors: (n, T) float32, where the model keeps float items; else None.
        found: (n,) bool; False where there was nothing to go by, and the codes mean nothing.
    """

    codes: np.ndarray
    float_vectors: np.ndarray | None
    found: np.ndarray


class ItemEncoder:
    """Encodes new items of one model.

    Args:
        model: The model.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def of_vectors(self, vectors: np.ndarray) -> NewItems:
        """Items with vectors of the teacher's space.

        Args:
            vectors: (n, T) float32, finite; T is the model's `item_width`.

        Raises:
            ArgumentError: The users' map is not linear, so that no item corresponds to a vector.
        """
        selection = self._model.selection
        trained = None if selection is None else selection.trained
        if trained is not None:
            codes = trained.encode(vectors, self._model.item_codes.codebooks).codes
        else:
            codes = _encoded(vectors, self._codebooks_for_queries(), self._metric(vectors))
        kept = None if self._model.float_items is None else vectors
        return NewItems(codes, kept, np.ones(len(vectors), np.bool_))

    def of_users(self, user_rows: Sequence[np.ndarray]) -> NewItems:
        """Items of which it is known who touched them.

        Args:
            user_rows: For each item the rows of its users, int32, without repetition.
        """
        directions = self._fold_in.vectors(user_rows)
        found: np.ndarray = (directions != 0).any(axis=1)
        norms = np.linalg.norm(directions, axis=1)
        wanted = self._lengths.of([len(rows) for rows in user_rows])
        vectors = directions * (wanted / np.where(found, norms, 1.0))[:, None].astype(np.float32)
        if self._in_teacher_space:
            made = self.of_vectors(vectors)
            return NewItems(made.codes, made.float_vectors, found)
        metric = ItemMetric.user_gram(self._users.of(self._sampled_users), _IDENTITY)
        return NewItems(_encoded(vectors, self._model.item_codes.codebooks, metric), None, found)

    @property
    def _in_teacher_space(self) -> bool:
        """Whether users and items meet in the teacher's space here, or in the codebooks'."""
        model = self._model
        return model.float_items is not None or model.users.form in ("identity", "table")

    @cached_property
    def _users(self) -> ItemVectors:
        """The users, in the space where new items are looked for."""
        model = self._model
        if model.users.form == "table" and model.float_items is None:
            return _TableUsers(model)
        if model.users.form == "identity" or model.float_items is None:
            return FloatItems(model.users.values)
        if model.history is None:
            raise ArgumentError(
                "new items are found from who touched them, which for a model with float items "
                "needs its training pairs, and it was saved without them; give vectors instead"
            )
        return _FoldedUsers(model)

    @cached_property
    def _fold_in(self) -> FoldIn:
        return FoldIn(self._users)

    @cached_property
    def _lengths(self) -> _Lengths:
        model = self._model
        if not model.num_items:
            return _Lengths(np.zeros(1, np.int64), np.array([self._length_by_chance()]))
        rows = _sample(model.num_items)
        floats = model.float_items if self._in_teacher_space else None
        vectors = model.item_codes.decode(rows) if floats is None else floats[rows]
        popularity = model.item_columns["popularity"].to_numpy()[rows]
        return _Lengths(popularity, np.linalg.norm(vectors.astype(np.float64), axis=1))

    def _length_by_chance(self) -> float:
        """Root of the mean squared length of a sum of codewords, one drawn from each codebook."""
        own = self._model.item_codes.codebooks
        books = (self._codebooks_for_queries() if self._in_teacher_space else own).astype(float)
        means = books.mean(axis=1)
        spread = (books**2).sum(axis=2).mean(axis=1) - (means**2).sum(axis=1)
        return float(np.sqrt((means.sum(axis=0) ** 2).sum() + spread.sum()))

    @property
    def _sampled_users(self) -> np.ndarray:
        return _sample(self._model.num_users)

    def _codebooks_for_queries(self) -> np.ndarray:
        """(B, W, T) the codewords as vectors of the teacher's space."""
        codebooks, weights = self._model.item_codes.codebooks, self._model.users.map_weights
        if not weights:
            return codebooks
        if weights.keys() - {"0.weight", "0.bias"}:
            otherwise = (
                "give the interactions of the new items"
                if self._model.float_items is None
                else "nor from interactions, as the model keeps float items; make the model again"
            )
            raise ArgumentError(
                "items cannot be encoded from vectors where the users' map has several layers; "
                + otherwise
            )
        return np.ascontiguousarray(codebooks @ weights["0.weight"])

    def _metric(self, vectors: np.ndarray) -> ItemMetric:
        cells = self._cells
        if cells is not None:
            return cells.metric_of(vectors)
        users = self._model.users
        if users.form == "identity" and len(users.values):
            return ItemMetric.user_gram(users.values[self._sampled_users], _IDENTITY)
        return ItemMetric.euclidean(self._model.query_width)

    @cached_property
    def _cells(self) -> CellMetrics | None:
        return None if self._model.selection is None else self._model.selection.cells


class _TableUsers:
    """Users that are score tables, as the vectors whose tables come closest to them."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def num_items(self) -> int:
        return self._model.num_users

    @property
    def width(self) -> int:
        return self._model.item_codes.width

    def of(self, rows: np.ndarray) -> np.ndarray:
        tables = self._model.users.values[rows].astype(np.float32)
        return vectors_for_tables(tables, self._model.item_codes)

    def gram(self) -> np.ndarray:
        return _sampled_gram(self)


class _FoldedUsers:
    """Users whose teacher vectors are not kept, as their histories say them among float items."""

    def __init__(self, model: Model) -> None:
        assert model.float_items is not None
        assert model.history is not None
        self._history = model.history
        self._fold_in = FoldIn(FloatItems(model.float_items), norm=1.0)
        self._width = int(model.float_items.shape[1])

    @property
    def num_items(self) -> int:
        return self._history.num_users

    @property
    def width(self) -> int:
        return self._width

    def of(self, rows: np.ndarray) -> np.ndarray:
        return self._fold_in.vectors([self._history.of(int(row)) for row in rows])

    def gram(self) -> np.ndarray:
        return _sampled_gram(self)


class _Lengths:
    """How long items are, by how often they were touched.

    Args:
        popularity: (n,) integers, at least one.
        norms: (n,) lengths of the items' vectors.
    """

    def __init__(self, popularity: np.ndarray, norms: np.ndarray) -> None:
        order = np.argsort(popularity, kind="stable")
        self._popularity, self._norms = popularity[order], norms[order]

    def of(self, degrees: Sequence[int]) -> np.ndarray:
        """(n,) float64, the median length of the items that are about as popular."""
        last = max(len(self._norms) - AS_POPULAR, 0)
        starts = np.searchsorted(self._popularity, degrees) - AS_POPULAR // 2
        windows = np.clip(starts, 0, last)
        return np.array([np.median(self._norms[start : start + AS_POPULAR]) for start in windows])


def _encoded(vectors: np.ndarray, codebooks: np.ndarray, metric: ItemMetric) -> np.ndarray:
    if not len(vectors):
        return np.empty((0, len(codebooks)), np.uint8)
    return encode(np.ascontiguousarray(vectors, np.float32), codebooks, metric=metric).codes


def _sampled_gram(users: ItemVectors) -> np.ndarray:
    rows = _sample(users.num_items, LOOKED_AT // 8)
    vectors = users.of(rows).astype(np.float64)
    return vectors.T @ vectors * (users.num_items / max(len(rows), 1))


def _sample(count: int, most: int = LOOKED_AT) -> np.ndarray:
    """Row numbers, evenly spaced, at most so many."""
    return np.arange(0, count, max(1, -(-count // most)))
