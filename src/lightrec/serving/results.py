"""What a recommendation returns: columns over all queries, never padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import polars as pl

from lightrec.errors import ArgumentError

Fallback: TypeAlias = Literal["popularity"]
QueryColumn: TypeAlias = Literal["user_id", "query", "similar_to"]


@dataclass(frozen=True, eq=False)
class RankedItems:
    """The answer to one query, best first.

    Attributes:
        query: The user's id, the position of a history or vector in the request, or the id of the
            item whose neighbours these are.
        items: Item ids.
        scores: (n,) float32, falling. Comparable within one query only.
        fallback: "popularity" where the query held nothing to go by; scores are then numbers of
            interactions. None everywhere else.
    """

    query: str | int
    items: list[Any]
    scores: np.ndarray
    fallback: Fallback | None = None

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, eq=False, repr=False)
class Recommendations:
    """The answers to Q queries, one after the other; iterate, index, or turn them into a table.

    A query has as many rows as items were found for it: fewer than k, or none, where fewer exist.

    Attributes:
        query_column: Name of the column of queries in tables: "user_id", "query" or "similar_to".
        queries: (Q,) the users' ids, or the positions of histories or vectors in the request.
        counts: (Q,) int64, the number of items of each query.
        item_ids: (sum of counts,) ids in the type in which they were given.
        item_scores: (sum of counts,) float32, falling within each query.
        fallbacks: For each query "popularity" or None; None as a whole where queries are vectors or
            items, which always hold something to go by.
        item_rows: (sum of counts,) int64 rows of `catalogue`.
        catalogue: The model's columns of all items: popularity, title, whatever was given.
    """

    query_column: QueryColumn
    queries: pl.Series
    counts: np.ndarray
    item_ids: pl.Series
    item_scores: np.ndarray
    fallbacks: tuple[Fallback | None, ...] | None = None
    item_rows: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    catalogue: pl.DataFrame = field(default_factory=pl.DataFrame)

    def __repr__(self) -> str:
        return f"<Recommendations: {len(self):,} queries, {len(self.item_ids):,} items in all>"

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, query: int) -> RankedItems:
        """The answer to one query, by its position."""
        if not -len(self) <= query < len(self):
            raise IndexError(f"query {query} of {len(self)}")
        query %= len(self)
        end = int(self.counts[: query + 1].sum())
        rows = slice(end - int(self.counts[query]), end)
        return self._ranked(query, rows)

    def __iter__(self) -> Iterator[RankedItems]:
        end = 0
        for query, count in enumerate(self.counts.tolist()):
            yield self._ranked(query, slice(end, end + count))
            end += count

    @property
    def items(self) -> list[Any]:
        """The item ids of a single query.

        Raises:
            ArgumentError: There is not exactly one query; iterate over the answers instead.
        """
        return self._single().items

    @property
    def scores(self) -> np.ndarray:
        """The scores of a single query, (n,) float32.

        Raises:
            ArgumentError: There is not exactly one query; iterate over the answers instead.
        """
        return self._single().scores

    @property
    def fallback(self) -> Fallback | None:
        """The fallback of a single query.

        Raises:
            ArgumentError: There is not exactly one query; iterate over the answers instead.
        """
        return self._single().fallback

    def to_polars(self, *, item_columns: bool | Sequence[str] = False) -> pl.DataFrame:
        """A table with one row per item.

        Args:
            item_columns: Whether the model's columns of the items follow, or which of them.

        Returns:
            Columns `user_id` (`query` for histories and vectors, `similar_to` for similar items),
            `item_id`, `score` (Float32), `rank` (Int64, from 1), and for users and histories
            `fallback` (String); then those of the items, with `item_` before a name that is taken.

        Raises:
            ArgumentError: The model has no such column of the items.
        """
        owners = np.repeat(np.arange(len(self)), self.counts)
        starts = np.cumsum(self.counts) - self.counts
        columns = [
            self.queries.gather(owners).alias(self.query_column),
            self.item_ids.alias("item_id"),
            pl.Series("score", self.item_scores),
            pl.Series("rank", np.arange(1, len(owners) + 1) - starts[owners]),
        ]
        if self.fallbacks is not None:
            fallbacks = pl.Series("fallback", self.fallbacks, dtype=pl.String)
            columns.append(fallbacks.gather(owners))
        table = pl.DataFrame(columns)
        columns_of_items = self._of_items(item_columns, table.columns)
        return table.hstack(columns_of_items) if columns_of_items.width else table

    def to_dicts(self, *, item_columns: bool | Sequence[str] = False) -> list[dict[str, Any]]:
        """The rows of `to_polars` as dictionaries."""
        return self.to_polars(item_columns=item_columns).to_dicts()

    def _of_items(self, wanted: bool | Sequence[str], taken: Sequence[str]) -> pl.DataFrame:
        """The model's columns of the items, renamed where a name is taken."""
        known = self.catalogue.columns
        if isinstance(wanted, bool):
            names = known if wanted else []
        else:
            names = [wanted] if isinstance(wanted, str) else list(wanted)
        if not names:
            return pl.DataFrame()
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ArgumentError(
                f"the model has no column {unknown[0]!r} of the items; there are {', '.join(known)}"
            )
        renamed = {}
        for name in names:
            free = name
            while free in taken or (free != name and free in names):
                free = f"item_{free}"
            renamed[name] = free
        return self.catalogue.select(names)[self.item_rows].rename(renamed)

    def _ranked(self, query: int, rows: slice) -> RankedItems:
        return RankedItems(
            query=self.queries[query],
            items=self.item_ids[rows].to_list(),
            scores=self.item_scores[rows],
            fallback=None if self.fallbacks is None else self.fallbacks[query],
        )

    def _single(self) -> RankedItems:
        if len(self) != 1:
            raise ArgumentError(
                f"there are answers to {len(self)} queries; iterate over them, index them, or use "
                "to_polars()"
            )
        return self[0]
