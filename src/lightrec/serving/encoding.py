"""From queries to score tables: the only place that knows how each user form meets the codes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lightrec.artifact.contents import Model
from lightrec.codes.score_table import ScoreTableBuilder
from lightrec.serving.fold_in import FoldIn, median_norm
from lightrec.serving.queries import HistoryQueries, Queries, UserQueries, check_bounded
from lightrec.serving.user_map import map_vectors


@dataclass(frozen=True, eq=False)
class EncodedQueries:
    """Queries ready to search.

    Attributes:
        tables: (Q, B, W) float32 score tables.
        float_vectors: (Q, T) float32, to be multiplied with float item vectors; None where the
            model has none for these queries.
        nothing_known: (Q,) bool, histories that hold nothing to go by, whose tables mean nothing;
            None where queries are not histories.
    """

    tables: np.ndarray
    float_vectors: np.ndarray | None
    nothing_known: np.ndarray | None = None


class QueryEncoder:
    """Builds score tables for one model.

    Args:
        model: The model.
    """

    def __init__(self, model: Model) -> None:
        self._codes, self._users = model.item_codes, model.users
        self._builder = ScoreTableBuilder(model.item_codes.codebooks)

    def encode(self, queries: Queries) -> EncodedQueries:
        """Score tables of queries, the same bits for one query as for many.

        Raises:
            ArgumentError: The map of the user form takes a vector beyond what scores can hold.
        """
        if isinstance(queries, UserQueries):
            return self._encode_users(queries.rows)
        if isinstance(queries, HistoryQueries):
            return self._encode_histories(queries)
        return EncodedQueries(
            self._builder.build(self._mapped(queries.vectors)), float_vectors=queries.vectors
        )

    @cached_property
    def _fold_in(self) -> FoldIn:
        return FoldIn(self._codes, median_norm(self._users))

    def _encode_users(self, rows: np.ndarray) -> EncodedQueries:
        values = self._users.values[rows].astype(np.float32)
        if self._users.form == "table":
            return EncodedQueries(values, float_vectors=None)
        # The vectors of `linear` and `mlp` have been through the map and left the teacher's space.
        in_teacher_space = self._users.map_weights is None
        return EncodedQueries(self._builder.build(values), values if in_teacher_space else None)

    def _encode_histories(self, queries: HistoryQueries) -> EncodedQueries:
        vectors = self._fold_in.vectors(queries.item_rows)
        in_teacher_space = self._users.map_weights is None
        return EncodedQueries(
            self._builder.build(vectors),
            float_vectors=vectors if in_teacher_space else None,
            nothing_known=(vectors == 0).all(axis=1),
        )

    def _mapped(self, vectors: np.ndarray) -> np.ndarray:
        weights = self._users.map_weights
        if weights is None:
            return vectors
        with np.errstate(over="ignore", invalid="ignore"):
            mapped = map_vectors(weights, vectors)
        check_bounded(mapped, "vectors after the model's user map")
        return mapped
