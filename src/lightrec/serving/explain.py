"""Why an item has the score that it has: by codebook, and by the history behind the query."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from lightrec.artifact.contents import Model
from lightrec.errors import ArgumentError
from lightrec.serving.encoding import QueryEncoder
from lightrec.serving.queries import HistoryQueries, Queries, UserQueries
from lightrec.serving.results import Fallback


@dataclass(frozen=True, eq=False)
class Explanation:
    """One score, taken apart.

    Attributes:
        item_id: The item.
        score: Its score for the query: the sum of `codebooks["score"]`, or where `fallback` says
            so, its popularity.
        codebooks: One row a codebook, in order: `codebook` (from 0), `codeword` (the item's code),
            `score` (the entry of the query's table) and `above_mean`, how far that is above the
            mean of the catalogue's items in this codebook. Only differences between items rank, so
            it is `above_mean` that raises or lowers an item.
        history: The items of the history, the one that raises the score most first: `item_id`,
            `contribution`; None where the query has no history. Contributions are those of the
            fold-in (`lightrec.serving.fold_in`): without the item, the score of a user folded in
            from this history would lack about that much. They are scaled to the user's score where
            that and their sum are positive.
        fallback: "popularity" where the query held nothing to go by; None everywhere else.
    """

    item_id: str | int
    score: float
    codebooks: pl.DataFrame
    history: pl.DataFrame | None
    fallback: Fallback | None = None


def explain(model: Model, encoder: QueryEncoder, queries: Queries, item_row: int) -> Explanation:
    """Takes the score of an item apart.

    Args:
        model: The model.
        encoder: Of this model.
        queries: One query.
        item_row: The item.

    Raises:
        ArgumentError: There is more than one query.
    """
    if len(queries) != 1:
        raise ArgumentError(f"explain one user, history or vector at a time, not {len(queries)}")
    encoded = encoder.encode(queries)
    (table,) = encoded.tables
    codes = model.item_codes.codes
    books = np.arange(len(table))
    own = table[books, codes[item_row]].astype(np.float64)
    means = [table[book][codes[:, book]].mean(dtype=np.float64) for book in books]
    by_book = {
        "codebook": books,
        "codeword": codes[item_row].astype(np.int64),
        "score": own,
        "above_mean": own - means,
    }
    score = float(own.sum())
    rows = _history(model, queries)
    parts = None if rows is None else _parts(model, encoder, rows, item_row, score)
    item_id = model.item_ids.ids([item_row])[0]
    told = Explanation(item_id, score, pl.DataFrame(by_book), parts)
    if encoded.nothing_known is not None and encoded.nothing_known[0]:
        popularity = float(model.item_columns["popularity"][item_row])
        return replace(told, score=popularity, fallback="popularity")
    return told


def _history(model: Model, queries: Queries) -> np.ndarray | None:
    """The item rows behind a query; None where there are none."""
    seen = queries.seen(model) if isinstance(queries, UserQueries | HistoryQueries) else None
    return None if seen is None else seen[0]


def _parts(
    model: Model, encoder: QueryEncoder, rows: np.ndarray, item_row: int, score: float
) -> pl.DataFrame:
    parts = encoder.fold_in.contributions(rows, item_row)
    total = parts.sum()
    if total > 0 and score > 0:
        parts = parts * (score / total)
    order = np.argsort(-parts, kind="stable")
    ids = model.item_ids.series.gather(rows[order])
    return pl.DataFrame({"item_id": ids, "contribution": parts[order]})
