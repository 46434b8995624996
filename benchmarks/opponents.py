"""Who is asked for the k best items: this project's scans, and what others use."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.catalogues import Catalogue
from lightrec.search.code_search import CodeSearch
from lightrec.search.faiss_index import to_faiss
from lightrec.search.filters import Filter
from lightrec.search.float_scan import FloatScan
from lightrec.search.scan import BoundScan, CompiledScan, PortableScan

TopK = tuple[np.ndarray, np.ndarray]
"""Rows and scores, best first."""
SAMPLE = 100_000  # items that an opponent's own codebooks are trained on
NPROBE = 32
EF = 400


@dataclass(frozen=True)
class Opponent:
    """One way to search a catalogue.

    Attributes:
        top_k: Answers (query vector, k).
        by: What the answer is right by: `codes`, `float`, or `own` codes that are others.
        memory: Bytes it keeps, where that is known.
        instruction_set: What it was made to use.
        scan: This project's scan, where it is one.
    """

    top_k: Callable[[np.ndarray, int], TopK]
    by: str
    memory: int | None = None
    instruction_set: str = "none"
    scan: CompiledScan | None = None


def numpy_float(catalogue: Catalogue) -> Opponent:
    """One product of matrix and vector, then a selection."""
    items = np.array(catalogue.items)

    def top_k(query: np.ndarray, k: int) -> TopK:
        scores = items @ query
        best = np.argpartition(scores, len(scores) - k)[len(scores) - k :]
        best = best[np.argsort(-scores[best])]
        return best, scores[best]

    return Opponent(top_k, "float", items.nbytes)


def fused_float(catalogue: Catalogue) -> Opponent:
    """The same in C++, without a place for the scores, at the speed of memory."""
    assert catalogue.items is not None
    scan = FloatScan(np.ascontiguousarray(catalogue.items))
    return Opponent(lambda query, k: _pair(scan.top_k(query, k)), "float", catalogue.items.nbytes)


def lightrec(catalogue: Catalogue, instruction_set: str, layout: str | None = None) -> Opponent:
    """The scan by bounds; the score table is built for every query."""
    codes = catalogue.item_codes
    scan = BoundScan(
        codes.codes,
        codes.num_codewords,
        BoundScan.labels(codes.codebooks),
        instruction_set=instruction_set,
        layout=layout,
    )
    return _by_codes(scan, catalogue, instruction_set)


def portable(catalogue: Catalogue) -> Opponent:
    """The compiled scan that assumes nothing of the processor."""
    codes = catalogue.item_codes
    return _by_codes(PortableScan(codes.codes, codes.num_codewords), catalogue, "portable")


def _by_codes(scan: CompiledScan, catalogue: Catalogue, instruction_set: str) -> Opponent:
    search = CodeSearch(catalogue.item_codes, scan)
    return Opponent(
        lambda query, k: _pair(search.top_k(query, k)), "codes", scan.memory, instruction_set, scan
    )


def from_tables(opponent: Opponent, tables: dict[bytes, np.ndarray]) -> Opponent:
    """The same scan for users that are stored as score tables."""
    scan = opponent.scan
    assert scan is not None

    def top_k(query: np.ndarray, k: int) -> TopK:
        return _pair(scan.top_k(tables[query.tobytes()], k))

    return Opponent(top_k, "codes", opponent.memory, opponent.instruction_set, scan)


def filtered(opponent: Opponent, catalogue: Catalogue, filters: dict[bytes, Filter]) -> Opponent:
    """The same scan with rows excluded, or only some allowed."""
    scan = opponent.scan
    assert scan is not None
    search = CodeSearch(catalogue.item_codes, scan)

    def top_k(query: np.ndarray, k: int) -> TopK:
        return _pair(search.top_k(query, k, filters[query.tobytes()]))

    return Opponent(top_k, "codes", opponent.memory, opponent.instruction_set, scan)


def post_ranked(opponent: Opponent, catalogue: Catalogue, candidates: int) -> Opponent:
    """Candidates by codes, ordered by float vectors."""
    scan = opponent.scan
    assert scan is not None
    search, items = CodeSearch(catalogue.item_codes, scan), np.array(catalogue.items)

    def top_k(query: np.ndarray, k: int) -> TopK:
        return _pair(search.top_k(query, k, candidates=candidates, item_vectors=items))

    return Opponent(top_k, "float", opponent.memory, opponent.instruction_set, scan)


def faiss_flat(catalogue: Catalogue) -> Opponent:
    """Brute force in faiss."""
    import faiss

    index = faiss.IndexFlatIP(catalogue.queries.shape[1])
    index.add(np.ascontiguousarray(catalogue.items))
    return _faiss(index, "float")


def faiss_pq(catalogue: Catalogue) -> Opponent:
    """IndexPQ of faiss over the very same codes (`lightrec.search.faiss_index`)."""
    return _faiss(to_faiss(catalogue.item_codes), "codes")


def faiss_fastscan(catalogue: Catalogue) -> Opponent:
    """PQFastScan of faiss: eight codebooks of sixteen, 4 bytes an item too; codes of its own."""
    import faiss

    width = catalogue.queries.shape[1]
    index = faiss.IndexPQFastScan(width, 8, 4, faiss.METRIC_INNER_PRODUCT)
    return _faiss(_filled(index, catalogue), "own")


def faiss_ivfpq(catalogue: Catalogue) -> Opponent:
    """IVFPQ of faiss: 4 bytes an item, in cells of which some are visited; codes of its own."""
    import faiss

    width = catalogue.queries.shape[1]
    cells = faiss.IndexFlatIP(width)
    index = faiss.IndexIVFPQ(cells, width, 256, 4, 8, faiss.METRIC_INNER_PRODUCT)
    index.nprobe = NPROBE
    return _faiss(_filled(index, catalogue), "own")


def hnswlib(catalogue: Catalogue) -> Opponent:
    """A graph over float vectors, by inner product."""
    import hnswlib as library

    assert catalogue.items is not None
    index = library.Index(space="ip", dim=catalogue.items.shape[1])
    index.init_index(max_elements=len(catalogue.items), M=16, ef_construction=200)
    index.add_items(catalogue.items, num_threads=-1)
    index.set_num_threads(1)

    def top_k(query: np.ndarray, k: int) -> TopK:
        index.set_ef(max(EF, k))
        rows, distances = index.knn_query(query[np.newaxis], k=k)
        return rows[0].astype(np.int64), 1.0 - distances[0]

    return Opponent(top_k, "float", catalogue.items.nbytes + len(catalogue.items) * 16 * 2 * 4)


def annoy(catalogue: Catalogue) -> Opponent:
    """Trees over float vectors, by inner product."""
    import annoy as library

    assert catalogue.items is not None
    index = library.AnnoyIndex(catalogue.items.shape[1], "dot")
    for row, vector in enumerate(catalogue.items):
        index.add_item(row, vector)
    index.build(30, n_jobs=-1)

    def top_k(query: np.ndarray, k: int) -> TopK:
        rows, scores = index.get_nns_by_vector(query, k, include_distances=True)
        return np.array(rows), np.array(scores)

    return Opponent(top_k, "float")


def _filled(index: Any, catalogue: Catalogue) -> Any:  # noqa: ANN401
    assert catalogue.items is not None
    rng = np.random.default_rng(0)
    size = min(SAMPLE, len(catalogue.items))
    rows = np.sort(rng.choice(len(catalogue.items), size, replace=False))
    index.train(np.ascontiguousarray(catalogue.items[rows]))
    for begin in range(0, len(catalogue.items), 1_000_000):
        index.add(np.ascontiguousarray(catalogue.items[begin : begin + 1_000_000]))
    return index


def _faiss(index: Any, by: str) -> Opponent:  # noqa: ANN401
    def top_k(query: np.ndarray, k: int) -> TopK:
        scores, rows = index.search(query[np.newaxis], k)
        return rows[0], scores[0]

    return Opponent(top_k, by)


def one_thread() -> None:
    """numpy, BLAS and faiss on one thread, and no settings that would slow numpy down."""
    import faiss
    import threadpoolctl

    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        if name in os.environ:
            raise SystemExit(f"unset {name}: it slows numpy down, which would flatter the rest")
    threadpoolctl.threadpool_limits(1)
    faiss.omp_set_num_threads(1)


def _pair(found: Any) -> TopK:  # noqa: ANN401
    return found.rows, found.scores
