"""Ranks the catalogue for queries, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np

from lightrec.artifact.contents import Model
from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError
from lightrec.search.post_ranking import ItemVectors, post_rank, post_rank_batch
from lightrec.search.row_mask import RowMask
from lightrec.search.scan import Scan, make_scan
from lightrec.search.top_k import TopK
from lightrec.serving.candidates import Candidates
from lightrec.serving.encoding import EncodedQueries, QueryEncoder
from lightrec.serving.popularity import PopularityRanking
from lightrec.serving.queries import Queries, VectorQueries
from lightrec.serving.results import Fallback, Recommendations

ScanOrMaker: TypeAlias = Scan | Callable[[ItemCodes], Scan]
"""What searches a catalogue, or what makes that of the catalogue's codes."""

_BLOCK_BYTES = 64 << 20
_MOST_QUERIES = 4096
_NO_ROWS = np.empty(0, np.int32)


@dataclass(frozen=True, eq=False)
class Wish:
    """What is wanted of each query.

    Attributes:
        k: Results, at least 1.
        candidates: The items that may be returned.
        exclude_seen: Whether a user's own items are left out; None: where they are known.
        post_ranking: Items recalled by code and ordered by float vectors; 0 for none.
    """

    k: int
    candidates: Candidates
    exclude_seen: bool | None = None
    post_ranking: int = 0

    def __post_init__(self) -> None:
        if 0 < self.post_ranking < self.k:
            raise ArgumentError(
                f"post_ranking must be at least k = {self.k}, not {self.post_ranking}; "
                "it is the number of items that the k best are chosen from"
            )

    def among(self, available: RowMask | None) -> Wish:
        """The same wish, of what is available."""
        return replace(self, candidates=self.candidates.among(available))


class Ranking:
    """Searches and scores one model's catalogue.

    Args:
        model: The model.
        scan: Searches the codes, or makes what does; the fastest that runs here when None.
        threads: Threads for many queries at once, 0 for all available cores.

    Raises:
        ArgumentError: The scan is of another catalogue, or the model is none.
    """

    def __init__(self, model: Model, scan: ScanOrMaker | None = None, threads: int = 0) -> None:
        if not isinstance(model, Model):
            raise ArgumentError(
                f"a model is wanted, not {type(model).__name__}; Model.load and "
                "Recommender.load read folders"
            )
        self._model = model
        self.encoder = QueryEncoder(model, threads)
        if scan is None:
            scan = make_scan
        self._scan = scan(model.item_codes) if callable(scan) else scan
        self._threads = threads
        if self._scan.num_items != model.num_items:
            raise ArgumentError(
                f"the scan searches {self._scan.num_items:,} items, the model has "
                f"{model.num_items:,}; make the scan of model.item_codes"
            )

    def rank(self, queries: Queries, wish: Wish) -> Recommendations:
        """The best items of each query.

        Raises:
            ArgumentError: Seen items or float vectors are asked for that the model does not hold.
        """
        found: list[TopK] = []
        nothing_known = np.zeros(len(queries), np.bool_)
        for start, block in self._blocks(queries, wish):
            encoded = self.encoder.encode(block)
            seen = self._seen(block, wish.exclude_seen)
            answers = self._search(encoded, seen, wish)
            if encoded.nothing_known is not None:
                nothing_known[start : start + len(block)] = encoded.nothing_known
                for query in np.flatnonzero(encoded.nothing_known).tolist():
                    rows = wish.candidates.without(seen[query])
                    answers[query] = self._popularity.top_k(wish.k, rows)
            found += answers
        return _joined(self._model, queries, found, nothing_known)

    def score(self, queries: Queries, item_rows: np.ndarray) -> np.ndarray:
        """Scores of given items: those that `rank` finds them by.

        Args:
            queries: Q queries.
            item_rows: (n,) int64.

        Returns:
            (Q, n) float32.
        """
        item_codes = self._model.item_codes
        listed = ItemCodes(item_codes.codes[item_rows], item_codes.codebooks)
        scores = np.empty((len(queries), len(item_rows)), np.float32)
        for start, block in self._blocks(queries):
            encoded = self.encoder.encode(block)
            part = scores[start : start + len(block)]
            part[:] = listed.scores(encoded.tables)
            if encoded.nothing_known is not None:
                part[encoded.nothing_known] = self._popularity.scores[item_rows]
        return scores + np.float32(0)  # as a search, which has no -0.0

    @cached_property
    def _popularity(self) -> PopularityRanking:
        return PopularityRanking(self._model.item_columns["popularity"].to_numpy())

    def _seen(self, queries: Queries, exclude_seen: bool | None) -> Sequence[np.ndarray]:
        nothing = [_NO_ROWS] * len(queries)
        if exclude_seen is not None and not exclude_seen:
            return nothing
        seen = queries.seen(self._model)
        if seen is None and exclude_seen:
            raise ArgumentError(
                "exclude_seen=True needs the training pairs, and this model was saved without "
                "them; save it with them, deny the seen items, or pass exclude_seen=False"
            )
        return nothing if seen is None else seen

    def _blocks(self, queries: Queries, wish: Wish | None = None) -> Iterator[tuple[int, Queries]]:
        item_codes = self._model.item_codes
        num_bytes = 4 * item_codes.num_codebooks * item_codes.num_codewords
        if wish is not None:
            num_results = min(max(wish.k, wish.post_ranking), item_codes.num_items)
            num_bytes += 12 * num_results + 4 * len(wish.candidates.deny)
        size = min(max(_BLOCK_BYTES // num_bytes, 1), _MOST_QUERIES)
        for start in range(0, len(queries), size):
            yield start, queries.block(start, start + size)

    def _search(
        self, encoded: EncodedQueries, seen: Sequence[np.ndarray], wish: Wish
    ) -> list[TopK]:
        k = min(wish.post_ranking or wish.k, max(self._scan.num_items, 1))
        tables = encoded.tables
        if len(tables) == 1:
            best = self._scan.top_k(tables[0], k, wish.candidates.without(seen[0]))
            if wish.post_ranking:
                vectors, items = self._float_vectors(encoded)
                best = post_rank(best.rows, vectors[0], items, wish.k)
            return [best]
        rows = wish.candidates.without_each(seen)
        batch = self._scan.top_k_batch(tables, k, rows, threads=self._threads)
        if wish.post_ranking:
            vectors, items = self._float_vectors(encoded)
            batch = post_rank_batch(batch, vectors, items, wish.k, threads=self._threads)
        return [batch.of(query) for query in range(len(batch))]

    def _float_vectors(self, encoded: EncodedQueries) -> tuple[np.ndarray, ItemVectors]:
        """Of queries and items, for post-ranking."""
        items = self._model.float_items
        if items is None:
            raise ArgumentError(
                "post_ranking needs float item vectors, and this model was saved without them; "
                "make it with float items, or leave post_ranking out"
            )
        if encoded.float_vectors is None:
            form = self._model.users.form
            raise ArgumentError(
                "post_ranking needs each query's vector in the space of the float item vectors, "
                f"which users of the form {form!r} do not have; ask with vectors=..."
                f"{' or histories=...' if form in ('fitted', 'table') else ''}, "
                "or leave post_ranking out"
            )
        return encoded.float_vectors, items


def _joined(
    model: Model, queries: Queries, found: Sequence[TopK], nothing_known: np.ndarray
) -> Recommendations:
    rows = np.concatenate([np.empty(0, np.int64), *(top.rows for top in found)])
    fallbacks: list[Fallback | None] = ["popularity" if n else None for n in nothing_known.tolist()]
    return Recommendations(
        query_column=queries.column,
        queries=queries.labels(model),
        counts=np.array([len(top) for top in found], np.int64),
        item_ids=model.item_ids.series[rows],
        item_scores=np.concatenate([np.empty(0, np.float32), *(top.scores for top in found)]),
        fallbacks=None if isinstance(queries, VectorQueries) else tuple(fallbacks),
        item_rows=rows,
        catalogue=model.item_columns,
    )
