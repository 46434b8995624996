"""From queries to score tables: the only place that knows how each user form meets the codes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from lightrec.artifact.contents import Model
from lightrec.codes.score_table import ScoreTableBuilder
from lightrec.serving.fold_in import FoldIn, median_norm
from lightrec.serving.item_vectors import DecodedItems, FloatItems
from lightrec.serving.queries import HistoryQueries, Queries, UserQueries, check_bounded
from lightrec.serving.user_map import map_vectors

if TYPE_CHECKING:
    from lightrec.serving.new_users import NewUserFit


@dataclass(frozen=True, eq=False)
class EncodedQueries:
    """Queries ready to search.

    Attributes:
        tables: (Q, B, W) float32 score tables.
        float_vectors: (Q, T) float32, to be multiplied with float item vectors; None where the
            model has none for these queries.
        nothing_known: (Q,) bool, known users and histories that hold nothing to go by, whose tables
            mean nothing; None where queries are vectors.
    """

    tables: np.ndarray
    float_vectors: np.ndarray | None
    nothing_known: np.ndarray | None = None


class QueryEncoder:
    """Builds score tables for one model.

    Args:
        model: The model.
        threads: Threads for fitting new users, 0 for all available cores.
    """

    def __init__(self, model: Model, threads: int = 0) -> None:
        self._model, self._codes, self._users = model, model.item_codes, model.users
        self._threads = threads
        self._builder = ScoreTableBuilder(model.item_codes.codebooks)

    def encode(self, queries: Queries) -> EncodedQueries:
        """Score tables of queries, the same bits for one query as for many.

        Raises:
            ArgumentError: The map of the user form takes a vector beyond what scores can hold, or
                no finite user fits a history.
            ConfigError: The model's own settings, by which new users are fitted, are none.
        """
        if isinstance(queries, UserQueries):
            return self._encode_users(queries.rows)
        if isinstance(queries, HistoryQueries):
            return self._encode_histories(queries)
        return EncodedQueries(
            self._builder.build(self._mapped(queries.vectors)), float_vectors=queries.vectors
        )

    @cached_property
    def _float_items(self) -> FloatItems | None:
        """The teacher's items, where the model holds them and its users came from them as such.

        Of `free` users, who were trained beside the codebooks, and of `linear` and `mlp` users the
        model holds only what meets the codes: their fold-in is against the decoded items.
        """
        items, form = self._model.float_items, self._users.form
        if items is None or not len(items) or form not in ("identity", "fitted", "table"):
            return None
        return FloatItems(items)

    @cached_property
    def fold_in(self) -> FoldIn:
        """What turns histories into vectors."""
        norm = median_norm(self._users)
        if self._float_items is None:
            return FoldIn(DecodedItems(self._codes), norm)
        # Stored `fitted` users and tables do not tell how long the teacher's vectors were; the fit
        # is linear in their length, so that no ranking depends on it.
        return FoldIn(self._float_items, norm if self._users.form == "identity" else None)

    @cached_property
    def _new_user_fit(self) -> NewUserFit | None:
        """What folded-in users go through before they meet the codes; None where nothing."""
        if self._float_items is None or self._users.form == "identity":
            return None
        # Settings are read with pydantic, which no other query needs.
        from lightrec.serving.new_users import NewUserFit, fit_settings

        config, seed = fit_settings(self._model.config)
        return NewUserFit(self._float_items, self._codes, config, seed=seed, threads=self._threads)

    def _encode_users(self, rows: np.ndarray) -> EncodedQueries:
        values = self._users.values[rows].astype(np.float32)
        nothing_known = ~values.any(axis=tuple(range(1, values.ndim)))
        if self._users.form == "table":
            return EncodedQueries(values, None, nothing_known)
        # Where there is a map, stored vectors are beyond it and have left the teacher's space.
        floats = values if self._users.map_weights is None else None
        return EncodedQueries(self._builder.build(values), floats, nothing_known)

    def user_values(self, queries: HistoryQueries) -> np.ndarray:
        """What the model would store of users with these histories.

        Returns:
            (Q, D) float32 vectors, or (Q, B, W) score tables for users of the form `table`.

        Raises:
            ArgumentError: No finite user fits a history.
            ConfigError: As for `encode`.
        """
        return self._values_of_new_users(self.fold_in.vectors(queries.item_rows), queries)

    def _encode_histories(self, queries: HistoryQueries) -> EncodedQueries:
        vectors = self.fold_in.vectors(queries.item_rows)
        in_teacher_space = self._float_items is not None or self._users.map_weights is None
        values = self._values_of_new_users(vectors, queries)
        return EncodedQueries(
            values if values.ndim == 3 else self._builder.build(values),
            float_vectors=vectors if in_teacher_space else None,
            nothing_known=(vectors == 0).all(axis=1),
        )

    def _values_of_new_users(self, vectors: np.ndarray, queries: HistoryQueries) -> np.ndarray:
        fit = self._new_user_fit
        if self._users.form == "table":
            if fit is None:
                return self._builder.build(vectors)
            return fit.tables(vectors, queries.item_rows)
        if fit is None:
            return vectors
        return fit.vectors(vectors, queries.item_rows, start=self._mapped(vectors))

    def _mapped(self, vectors: np.ndarray) -> np.ndarray:
        weights = self._users.map_weights
        if weights is None:
            return vectors
        with np.errstate(over="ignore", invalid="ignore"):
            mapped = map_vectors(weights, vectors)
        check_bounded(mapped, "vectors after the model's user map")
        return mapped
