"""The k best items for a query vector: score table, scan and post-ranking together."""

from __future__ import annotations

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.score_table import ScoreTableBuilder
from lightrec.errors import ArgumentError
from lightrec.native import KERNELS
from lightrec.search.filters import EVERYTHING, Filter
from lightrec.search.post_ranking import ItemVectors, plain_vectors, post_rank
from lightrec.search.scan import CompiledScan, Scan, make_scan, mask_arguments
from lightrec.search.top_k import TopK, checked_k


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
        if query.shape != (self._builder.width,) or query.dtype != np.float32:
            raise ArgumentError(
                f"query must be ({self._builder.width},) float32, not {query.shape} {query.dtype}"
            )
        k, rows = checked_k(k), rows or EVERYTHING
        if (candidates != 0) != (item_vectors is not None):
            raise ArgumentError("candidates and item_vectors go together")
        if item_vectors is not None:
            candidates = checked_k(candidates, "candidates")
            if candidates < min(k, self.scan.num_items):
                raise ArgumentError(f"candidates must be at least k: {candidates} < {k}")
        plain = (None, None) if item_vectors is None else plain_vectors(item_vectors)
        if KERNELS is not None and isinstance(self.scan, CompiledScan) and plain is not None:
            found = KERNELS.search(
                self._builder.kernel,
                self.scan.kernel,
                np.ascontiguousarray(query),
                k,
                rows.exclude,
                rows.allow,
                candidates,
                plain[0],
                scales=plain[1],
                **mask_arguments(rows, self.scan.num_items),
            )
            return TopK(*found)
        table = self._builder.build(query[np.newaxis])[0]
        if item_vectors is None:
            return self.scan.top_k(table, k, rows)
        if item_vectors.shape[0] != self.scan.num_items:
            raise ArgumentError("there must be one item vector for each item")
        return post_rank(self.scan.top_k(table, candidates, rows).rows, query, item_vectors, k)
