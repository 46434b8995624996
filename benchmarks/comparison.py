"""Asks scans random searches and compares every answer with the reference, bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.adversaries import Asked, Searches
from benchmarks.results import Row
from lightrec.errors import ArgumentError
from lightrec.search.code_search import CodeSearch
from lightrec.search.post_ranking import ScaledVectors, inner_products
from lightrec.search.reference_scan import ReferenceScan
from lightrec.search.scan import Scan
from lightrec.search.top_k import TopK, TopKBatch, best_first

KEPT = 3  # differences of one scan in one catalogue that are told; one mistake makes thousands


@dataclass
class Tally:
    """What one scan of a catalogue was asked, and what it got wrong.

    Attributes:
        engine: Name of its class.
        isa: The instruction set it was made to use.
        layout: How it lays its items out.
        scan: The scan.
        search: The same by query vector.
        queries: Answers compared.
        differences: Answers among them that are not the reference's.
        found: The first of these, with all that it takes to see them again.
    """

    engine: str
    isa: str
    layout: str
    scan: Scan
    search: CodeSearch
    queries: int = 0
    differences: int = 0
    found: list[Row] = field(default_factory=list)

    def row(self) -> Row:
        """A row of results."""
        return {
            "system": "lightrec",
            "engine": self.engine,
            "isa": self.isa,
            "layout": self.layout,
            "queries": self.queries,
            "differences": self.differences,
            "found": self.found,
        }

    def count(self, answer: TopK | str, right: TopK, told: Row, **call: Any) -> None:  # noqa: ANN401
        """Counts one answer.

        Args:
            answer: What the scan returned, or what it refused to answer for.
            right: What it should have returned.
            told: What to say of the search beside a difference.
            call: And of the call.
        """
        self.queries += 1
        if isinstance(answer, TopK) and _same(answer, right):
            return
        self.differences += 1
        if len(self.found) < KEPT:
            which = {"engine": self.engine, "isa": self.isa, "layout": self.layout}
            self.found.append(told | which | call | _first_difference(answer, right))


def compare(given: Searches, tallies: list[Tally], told: Row) -> None:
    """Asks scans all searches of a catalogue: in batches, one by one, by vector, post-ranked.

    Args:
        given: The searches.
        tallies: The scans; the counts go there.
        told: What to say of the catalogue beside a difference.
    """
    reference = ReferenceScan(given.item_codes.codes, given.item_codes.num_codewords)
    for asked in given.asked:
        most = max(asked.ks)
        right = [
            reference.top_k(table, most, None if asked.rows is None else asked.rows.of_query(query))
            for query, table in enumerate(given.tables)
        ]
        ranked = [_post_ranked(given, query, best) for query, best in enumerate(right)]
        for k in asked.ks:
            those = told | {"about": given.about, "filter": asked.about, "k": k}
            first = [TopK(best.rows[:k], best.scores[:k]) for best in right]
            first_ranked = [TopK(best.rows[:k], best.scores[:k]) for best in ranked]
            for tally in tallies:
                _batch(tally, given, asked, k, first, those)
                _one_by_one(tally, given, asked, k, first, first_ranked, those)


def _batch(
    tally: Tally, given: Searches, asked: Asked, k: int, right: list[TopK], told: Row
) -> None:
    batch = _answer(tally.scan.top_k_batch, given.tables, k, asked.rows, threads=asked.threads)
    width = min(k, given.item_codes.num_items)
    for query, best in enumerate(right):
        answer = batch if isinstance(batch, str) else _of(batch, query, width)
        tally.count(answer, best, told, call="top_k_batch", query=query, threads=asked.threads)


def _of(batch: TopKBatch, query: int, width: int) -> TopK | str:
    """The answer to one query of a batch, or what is wrong with the batch."""
    if batch.rows.shape[1:] != (width,) or batch.scores.shape != batch.rows.shape:
        return f"a batch of shape {batch.rows.shape}"
    rest = slice(int(batch.counts[query]), None)
    if (batch.rows[query, rest] != -1).any() or (batch.scores[query, rest] != -np.inf).any():
        return "something past the end"
    return batch.of(query)


def _one_by_one(
    tally: Tally,
    given: Searches,
    asked: Asked,
    k: int,
    right: list[TopK],
    ranked: list[TopK],
    told: Row,
) -> None:
    most = max(asked.ks)
    for query, vector in enumerate(given.queries):
        rows = None if asked.rows is None else asked.rows.of_query(query)
        answer = _answer(tally.scan.top_k, given.tables[query], k, rows)
        tally.count(answer, right[query], told, call="top_k", query=query)
        answer = _answer(tally.search.top_k, vector, k, rows)
        tally.count(answer, right[query], told, call="CodeSearch.top_k", query=query)
        answer = _answer(
            tally.search.top_k, vector, k, rows, candidates=most, item_vectors=given.item_vectors
        )
        tally.count(
            answer, ranked[query], told, call="CodeSearch.top_k", query=query, candidates=most
        )


def _post_ranked(given: Searches, query: int, candidates: TopK) -> TopK:
    """All candidates in the order of their float vectors, by numpy."""
    vectors, rows = given.item_vectors, candidates.rows
    if isinstance(vectors, ScaledVectors):
        products = inner_products(vectors.values[rows].astype(np.float32), given.queries[query])
        scores = products * vectors.scales[rows]
    else:
        scores = inner_products(vectors[rows].astype(np.float32), given.queries[query])
    return best_first(candidates.rows, scores, max(len(candidates), 1))


def _answer(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:  # noqa: ANN401
    """What a call returns, or why it refuses: searches here are all to be answered."""
    try:
        return call(*arguments, **named)
    except ArgumentError as refusal:
        return f"refused: {refusal}"


def _same(answer: TopK, right: TopK) -> bool:
    return (
        answer.rows.dtype == np.int64
        and answer.scores.dtype == np.float32
        and answer.rows.tobytes() == right.rows.tobytes()
        and answer.scores.tobytes() == right.scores.tobytes()
    )


def _first_difference(answer: TopK | str, right: TopK) -> Row:
    """Where the answers part, as (row, score, bits of the score)."""
    if isinstance(answer, str):
        return {"answer": answer}
    ours, theirs = list(_results(answer)), list(_results(right))
    place = next(
        (place for place, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]),
        min(len(ours), len(theirs)),
    )
    return {
        "place": place,
        "answer": ours[place : place + 1],
        "right": theirs[place : place + 1],
        "lengths": [len(ours), len(theirs)],
    }


def _results(found: TopK) -> Iterator[tuple[int, float, str]]:
    for row, score in zip(found.rows.tolist(), found.scores, strict=True):
        yield row, float(score), score.tobytes()[::-1].hex()
