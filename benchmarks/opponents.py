"""Who is asked for the k best items: this project's scans, and what others use."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from benchmarks.catalogues import SAMPLE, Catalogue
from lightrec.search.code_search import CodeSearch
from lightrec.search.faiss_index import to_faiss
from lightrec.search.filters import Filter
from lightrec.search.float_scan import FloatScan
from lightrec.search.inverted_file import InvertedFile
from lightrec.search.scan import BoundScan, CompiledScan, Layout, PortableScan

TopK = tuple[np.ndarray, np.ndarray]
"""Rows and scores, best first."""
ByNumber = Callable[[int, int], TopK]
"""Answers (number of a query, k)."""
NPROBES = (8, 32, 128)
EFS = (100, 200, 400, 800)
ANNOY_TREES = 30
ANNOY_VISITS = (1, 4, 16)  # times trees x k nodes


@dataclass(frozen=True)
class Opponent:
    """One way to search a catalogue.

    Attributes:
        engine: Its name in the results.
        top_k: Answers (query vector, k).
        by: What the answer is right by: `codes`, `float`, or `own` codes that are others.
        instruction_set: What it was made to use.
        setting: What an approximate search was told to spend, in its own words.
        scan: This project's scan, where it is one.
        of_batch: Answers (query vectors, k), where it can at once.
        build_seconds: To make it of what it searches, on all cores.
    """

    engine: str
    top_k: Callable[[np.ndarray, int], TopK]
    by: Literal["codes", "float", "own"]
    instruction_set: str = "none"
    setting: str = ""
    scan: CompiledScan | None = None
    of_batch: Callable[[np.ndarray, int], object] | None = None
    build_seconds: float = 0.0


def numpy_float(catalogue: Catalogue) -> Iterator[Opponent]:
    """One product of matrix and vector, then a selection."""
    items = np.array(catalogue.items)

    def top_k(query: np.ndarray, k: int) -> TopK:
        scores = items @ query
        best = np.argpartition(scores, len(scores) - k)[len(scores) - k :]
        best = best[np.argsort(-scores[best])]
        return best, scores[best]

    def of_batch(queries: np.ndarray, k: int) -> object:
        scores = queries @ items.T
        best = np.argpartition(scores, -k, axis=1)[:, -k:]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1)
        return np.take_along_axis(best, order, 1)

    yield Opponent("numpy_float", top_k, "float", of_batch=of_batch)


def fused_float(catalogue: Catalogue) -> Iterator[Opponent]:
    """The same in C++, without a place for the scores."""
    assert catalogue.items is not None
    scan = FloatScan(np.ascontiguousarray(catalogue.items))  # a copy of its own, in large pages
    yield Opponent("fused_float", lambda query, k: _pair(scan.top_k(query, k)), "float")


def lightrec(catalogue: Catalogue, instruction_set: str, layout: Layout | None = None) -> Opponent:
    """The scan by bounds; the score table is built for every query."""
    codes = catalogue.item_codes
    begun = time.perf_counter()
    scan = BoundScan(
        codes.codes,
        codes.num_codewords,
        BoundScan.labels(codes.codebooks),
        instruction_set=instruction_set,
        layout=layout,
    )
    seconds = time.perf_counter() - begun
    engine = "lightrec_flat" if layout == "flat" else "lightrec"
    return replace(_by_codes(engine, scan, catalogue, instruction_set), build_seconds=seconds)


def portable(catalogue: Catalogue) -> Opponent:
    """The compiled scan that assumes nothing of the processor."""
    codes = catalogue.item_codes
    scan = PortableScan(codes.codes, codes.num_codewords)
    return _by_codes("lightrec", scan, catalogue, "portable")


def _by_codes(
    engine: str, scan: CompiledScan, catalogue: Catalogue, instruction_set: str
) -> Opponent:
    search, item_codes = CodeSearch(catalogue.item_codes, scan), catalogue.item_codes
    return Opponent(
        engine,
        lambda query, k: _pair(search.top_k(query, k)),
        "codes",
        instruction_set=instruction_set,
        scan=scan,
        of_batch=lambda queries, k: scan.top_k_batch(
            item_codes.score_tables(queries), k, threads=1
        ),
    )


def inverted_file(catalogue: Catalogue) -> Iterator[Opponent]:
    """The paper's: the cells of the best first codewords only; approximate."""
    begun = time.perf_counter()
    file, item_codes = InvertedFile(catalogue.item_codes), catalogue.item_codes
    seconds = time.perf_counter() - begun
    for nprobe in NPROBES:
        if nprobe > item_codes.num_codewords:
            break  # that many cells there are not

        def top_k(query: np.ndarray, k: int, nprobe: int = nprobe) -> TopK:
            table = item_codes.score_tables(query[np.newaxis])[0]
            return _pair(file.top_k(table, k, nprobe=nprobe))

        setting = f"nprobe={nprobe}"
        yield Opponent(
            "lightrec_inverted_file", top_k, "own", setting=setting, build_seconds=seconds
        )


def from_tables(opponent: Opponent, tables: Sequence[np.ndarray]) -> ByNumber:
    """The same scan for users that are stored as score tables."""
    scan = opponent.scan
    assert scan is not None
    return lambda number, k: _pair(scan.top_k(tables[number], k))


def filtered(opponent: Opponent, catalogue: Catalogue, filters: Sequence[Filter]) -> ByNumber:
    """The same scan with rows excluded for each query, or only some allowed."""
    search, queries = CodeSearch(catalogue.item_codes, opponent.scan), catalogue.queries
    return lambda number, k: _pair(search.top_k(queries[number], k, filters[number]))


def post_ranked(opponent: Opponent, catalogue: Catalogue, candidates: int) -> Opponent:
    """Candidates by codes, ordered by float vectors."""
    search, items = CodeSearch(catalogue.item_codes, opponent.scan), _aligned(catalogue.items)

    def top_k(query: np.ndarray, k: int) -> TopK:
        return _pair(search.top_k(query, k, candidates=candidates, item_vectors=items))

    return replace(opponent, top_k=top_k, by="float")


def _aligned(items: np.ndarray | None) -> np.ndarray:
    """A copy that begins where a line of a cache does, as a model's mapped file does."""
    assert items is not None
    line = 64
    place = np.empty(items.nbytes + line, np.uint8)
    begin = -place.ctypes.data % line
    copy = place[begin : begin + items.nbytes].view(items.dtype).reshape(items.shape)
    copy[:] = items
    return copy


def faiss_flat(catalogue: Catalogue) -> Iterator[Opponent]:
    """Brute force in faiss."""
    import faiss

    index = faiss.IndexFlatIP(catalogue.queries.shape[1])
    index.add(np.ascontiguousarray(catalogue.items))
    yield _faiss("faiss_flat", index, "float")


def faiss_pq(catalogue: Catalogue) -> Iterator[Opponent]:
    """IndexPQ of faiss over the very same codes (`lightrec.search.faiss_index`)."""
    yield _faiss("faiss_pq", to_faiss(catalogue.item_codes), "codes")


def faiss_fastscan(catalogue: Catalogue) -> Iterator[Opponent]:
    """PQFastScan of faiss: eight codebooks of sixteen, 4 bytes an item too; codes of its own."""
    import faiss

    width = catalogue.queries.shape[1]
    index = faiss.IndexPQFastScan(width, 8, 4, faiss.METRIC_INNER_PRODUCT)
    yield _faiss("faiss_fastscan", _filled(index, catalogue), "own")


def faiss_ivfpq(catalogue: Catalogue) -> Iterator[Opponent]:
    """IVFPQ of faiss: 4 bytes an item and its id, in cells of which some are visited."""
    import faiss

    width = catalogue.queries.shape[1]
    cells = faiss.IndexFlatIP(width)
    index = faiss.IndexIVFPQ(cells, width, 256, 4, 8, faiss.METRIC_INNER_PRODUCT)
    _filled(index, catalogue)
    for nprobe in NPROBES:

        def top_k(query: np.ndarray, k: int, nprobe: int = nprobe) -> TopK:
            index.nprobe = nprobe
            scores, rows = index.search(query[np.newaxis], k)
            return rows[0], scores[0]

        yield Opponent("faiss_ivfpq", top_k, "own", setting=f"nprobe={nprobe}")


def hnswlib(catalogue: Catalogue) -> Iterator[Opponent]:
    """A graph over float vectors, by inner product."""
    import hnswlib as library

    assert catalogue.items is not None
    begun = time.perf_counter()
    index = library.Index(space="ip", dim=catalogue.items.shape[1])
    index.init_index(max_elements=len(catalogue.items), M=16, ef_construction=200)
    index.add_items(catalogue.items, num_threads=-1)
    index.set_num_threads(1)
    seconds = time.perf_counter() - begun
    for ef in EFS:

        def top_k(query: np.ndarray, k: int, ef: int = ef) -> TopK:
            index.set_ef(max(ef, k))
            rows, distances = index.knn_query(query[np.newaxis], k=k)
            return rows[0].astype(np.int64), 1.0 - distances[0]

        yield Opponent("hnswlib", top_k, "float", setting=f"ef={ef}", build_seconds=seconds)


def annoy(catalogue: Catalogue) -> Iterator[Opponent]:
    """Trees over float vectors, by inner product."""
    import annoy as library

    assert catalogue.items is not None
    begun = time.perf_counter()
    index = library.AnnoyIndex(catalogue.items.shape[1], "dot")
    for row, vector in enumerate(catalogue.items):
        index.add_item(row, vector)
    index.build(ANNOY_TREES, n_jobs=-1)
    seconds = time.perf_counter() - begun
    for times in ANNOY_VISITS:

        def top_k(query: np.ndarray, k: int, times: int = times) -> TopK:
            rows, scores = index.get_nns_by_vector(
                query, k, search_k=times * ANNOY_TREES * k, include_distances=True
            )
            return np.array(rows), np.array(scores)

        setting = f"search_k={times}x{ANNOY_TREES}k"
        yield Opponent("annoy", top_k, "float", setting=setting, build_seconds=seconds)


def _filled(index: Any, catalogue: Catalogue) -> Any:  # noqa: ANN401
    """An index with codebooks trained on as many items as this project's own."""
    assert catalogue.items is not None
    rng = np.random.default_rng(0)
    size = min(SAMPLE, len(catalogue.items))
    rows = np.sort(rng.choice(len(catalogue.items), size, replace=False))
    index.train(np.ascontiguousarray(catalogue.items[rows]))
    for begin in range(0, len(catalogue.items), 1_000_000):
        index.add(np.ascontiguousarray(catalogue.items[begin : begin + 1_000_000]))
    return index


def _faiss(engine: str, index: Any, by: Literal["codes", "float", "own"]) -> Opponent:  # noqa: ANN401
    def top_k(query: np.ndarray, k: int) -> TopK:
        scores, rows = index.search(query[np.newaxis], k)
        return rows[0], scores[0]

    return Opponent(engine, top_k, by, of_batch=lambda queries, k: index.search(queries, k))


def check_environment() -> None:
    """Refuses settings that would slow numpy down."""
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        if name in os.environ:
            raise SystemExit(f"unset {name}: it slows numpy down, which would flatter the rest")


@contextmanager
def one_thread() -> Iterator[None]:
    """numpy, BLAS and faiss on one thread; before and after, as many as there are cores."""
    import faiss
    import threadpoolctl

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        with threadpoolctl.threadpool_limits(1):
            yield
    finally:
        faiss.omp_set_num_threads(before)


def _pair(found: Any) -> TopK:  # noqa: ANN401
    return found.rows, found.scores
