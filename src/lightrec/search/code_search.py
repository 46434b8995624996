"""The k best items for a query vector: score table, scan and post-ranking together."""

from __future__ import annotations

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.score_table import ScoreTableBuilder
from lightrec.errors import ArgumentError
from lightrec.native import KERNELS
from lightrec.search.filters import Filter
from lightrec.search.post_ranking import ItemVectors, plain_vectors, post_rank
from lightrec.search.scan import CompiledScan, Scan, make_scan, mask_arguments
from lightrec.search.top_k import TopK, checked_k

_FLOAT32 = np.dtype(np.float32)


class CodeSearch:
    """Searches item codes by query vectors; compiled, a query is one call. Safe to share.

    The answers are those of `ScoreTableBuilder`, `Scan.top_k` and `post_rank` one after the other.

    Args:
        item_codes: The catalogue.
        scan: Searches the codes; the fastest that runs here when None.

    Raises:
        ArgumentError: The scan is of another number of items.
    """

    def __init__(self, item_codes: ItemCodes, scan: Scan | None = None) -> None:
        self.scan = scan or make_scan(item_codes)
        if self.scan.num_items != item_codes.num_items:
            raise ArgumentError(
                f"the scan has {self.scan.num_items} items, the catalogue {item_codes.num_items}"
            )
        self._builder = ScoreTableBuilder(item_codes.codebooks)
        self._query_shape = (self._builder.width,)
        self._compiled = isinstance(self.scan, CompiledScan)

    def top_k(
        self,
        query: np.ndarray,
        k: int,
        rows: Filter | None = None,
        *,
        candidates: int = 0,
        item_vectors: ItemVectors | None = None,
    ) -> TopK:
        """The k best rows.

        Args:
            query: (D,) float32, D the width of the codewords.
            k: Results wanted, at least 1; fewer are returned where fewer rows are left.
            rows: Which rows may be returned, all when None.
            candidates: Recall so many rows, at least k, by their codes and order them by float
                vectors, whose inner products are the scores then; 0 for none.
            item_vectors: (N, D), wanted with `candidates`, as `post_rank` takes them.

        Raises:
            ArgumentError: k is less than 1, or an argument does not fit or is not finite.
        """
        if query.shape != self._query_shape or query.dtype != _FLOAT32:
            raise ArgumentError(
                f"query must be ({self._builder.width},) float32, not {query.shape} {query.dtype}"
            )
        k = checked_k(k)
        exclude = allow = mask = vectors = scales = None
        permitted = 0
        if rows is not None:
            exclude, allow = rows.exclude, rows.allow
            mask, permitted = mask_arguments(rows, self.scan.num_items)
        compiled = self._compiled
        if item_vectors is not None:
            candidates = self._checked_candidates(candidates, k)
            plain = plain_vectors(item_vectors)
            if plain is None:
                compiled = False
            else:
                vectors, scales = plain
        elif candidates != 0:
            raise ArgumentError("candidates and item_vectors go together")
        if compiled and KERNELS is not None:
            found = KERNELS.search(
                self._builder.kernel,
                self.scan.kernel,  # type: ignore[attr-defined]
                np.ascontiguousarray(query),
                k,
                exclude,
                allow,
                candidates,
                vectors,
                mask,
                permitted,
                scales,
            )
            return TopK(*found)
        if not np.isfinite(query).all():
            raise ArgumentError("the query is not finite")
        table = self._builder.build(query[np.newaxis])[0]
        if item_vectors is None:
            return self.scan.top_k(table, k, rows)
        if item_vectors.shape[0] != self.scan.num_items:
            raise ArgumentError("there must be one item vector for each item")
        return post_rank(self.scan.top_k(table, candidates, rows).rows, query, item_vectors, k)

    def _checked_candidates(self, candidates: int, k: int) -> int:
        if candidates == 0:
            raise ArgumentError("candidates and item_vectors go together")
        candidates = checked_k(candidates, "candidates")
        if candidates < min(k, self.scan.num_items):
            raise ArgumentError(f"candidates must be at least k: {candidates} < {k}")
        return candidates
