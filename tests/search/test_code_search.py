"""One call for table, scan and post-ranking, against the three one after the other."""

import numpy as np
import pytest

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.score_table import ScoreTableBuilder
from lightrec.errors import ArgumentError
from lightrec.native import KERNELS
from lightrec.search.code_search import CodeSearch
from lightrec.search.filters import Filter
from lightrec.search.post_ranking import ScaledVectors, post_rank
from lightrec.search.reference_scan import ReferenceScan
from lightrec.search.scan import BoundScan, PortableScan

SHAPES = [(4, 256, 16), (4, 100, 5), (2, 9, 3)]


def catalogue(shape: tuple[int, int, int], num_items: int, seed: int = 0) -> ItemCodes:
    """Items with many ties among them."""
    rng = np.random.default_rng(seed)
    codebooks = rng.integers(-3, 4, shape).astype(np.float32)
    return ItemCodes(rng.integers(0, shape[1], (num_items, shape[0])).astype(np.uint8), codebooks)


@pytest.fixture(params=["compiled", "numpy"])
def arm(request, monkeypatch):
    if request.param == "compiled" and KERNELS is None:
        pytest.skip("needs the compiled kernels")
    if request.param == "numpy":
        for module in ("scan", "code_search", "post_ranking"):
            monkeypatch.setattr(f"lightrec.search.{module}.KERNELS", None)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("num_items", [1, 70, 9000])
@pytest.mark.parametrize("float_type", [np.float32, np.float16, np.float64, np.int8])
def test_answers_as_its_parts_do(arm, shape, num_items: int, float_type) -> None:
    codes = catalogue(shape, num_items)
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(num_items, shape[2])).astype(np.float32)
    vectors = ScaledVectors.of(vectors) if float_type is np.int8 else vectors.astype(float_type)
    search, scan = CodeSearch(codes), ReferenceScan(codes.codes, shape[1])
    builder = ScoreTableBuilder(codes.codebooks)
    filters = [
        None,
        Filter.of(num_items, exclude=rng.choice(num_items, num_items // 3, replace=False)),
        Filter.of(num_items, allow=rng.choice(num_items, num_items // 2, replace=False)),
    ]
    for rows in filters:
        for k, candidates in [(1, 1), (5, 40), (40, 300), (10_000, 10_000)]:
            query = rng.normal(size=shape[2]).astype(np.float32)
            table = builder.build(query[np.newaxis])[0]
            right = scan.top_k(table, k, rows)
            found = search.top_k(query, k, rows)
            assert found.rows.tolist() == right.rows.tolist()
            assert found.scores.tobytes() == right.scores.tobytes()
            recalled = scan.top_k(table, candidates, rows)
            right = post_rank(recalled.rows, query, vectors, k)
            found = search.top_k(query, k, rows, candidates=candidates, item_vectors=vectors)
            assert found.rows.tolist() == right.rows.tolist()
            assert found.scores.tobytes() == right.scores.tobytes()


@pytest.mark.skipif(not BoundScan.available(), reason="needs AVX2")
@pytest.mark.parametrize("k", [1, 50, 333])
def test_candidates_are_chosen_among_ties_by_row(k: int) -> None:
    codes = ItemCodes(np.zeros((5000, 4), np.uint8), np.ones((4, 256, 3), np.float32))
    vectors = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    query = np.ones(3, np.float32)
    for scan in (PortableScan(codes.codes, 256), BoundScan(codes.codes, 256, layout="cells")):
        found = CodeSearch(codes, scan).top_k(query, k, candidates=k, item_vectors=vectors)
        assert sorted(found.rows.tolist()) == list(range(k))


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        (np.zeros(5, np.float32), {"k": 1}),
        (np.zeros(16), {"k": 1}),
        (np.zeros((1, 16), np.float32), {"k": 1}),
        (np.full(16, np.nan, np.float32), {"k": 1}),
        (np.full(16, 3e38, np.float32), {"k": 1}),
        (np.zeros(16, np.float32), {"k": 0}),
        (np.zeros(16, np.float32), {"k": 1, "candidates": 3}),
        (np.zeros(16, np.float32), {"k": 1, "item_vectors": np.zeros((70, 16), np.float32)}),
        (
            np.zeros(16, np.float32),
            {"k": 1, "candidates": 3, "item_vectors": np.zeros((69, 16), np.float32)},
        ),
        (
            np.zeros(16, np.float32),
            {"k": 1, "candidates": 3, "item_vectors": np.zeros((70, 15), np.float32)},
        ),
        (np.zeros(16, np.float32), {"k": 1, "rows": Filter(exclude=np.array([70], np.int32))}),
        *(
            (
                np.zeros(16, np.float32),
                {"k": k, "candidates": few, "item_vectors": np.zeros((70, 16), np.float32)},
            )
            for k, few in [(2, 1), (100, 69), (1, -1), (1, 1.5)]
        ),
    ],
)
def test_refuses_what_does_not_fit(arm, query, arguments: dict) -> None:
    with pytest.raises(ArgumentError):
        CodeSearch(catalogue((4, 256, 16), 70)).top_k(query, **arguments)


def test_a_query_that_is_not_finite_is_named(arm) -> None:
    query = np.zeros(16, np.float32)
    query[3] = np.nan
    with pytest.raises(ArgumentError, match="the query is not finite"):
        CodeSearch(catalogue((4, 256, 16), 70)).top_k(query, 1)


def test_the_scan_is_of_the_catalogue() -> None:
    codes = catalogue((4, 256, 16), 70)
    with pytest.raises(ArgumentError, match="69 items, the catalogue 70"):
        CodeSearch(codes, ReferenceScan(codes.codes[:69], 256))


def test_more_results_than_any_scan_holds(arm) -> None:
    codes = catalogue((4, 256, 16), 70)
    found = CodeSearch(codes).top_k(np.ones(16, np.float32), 1 << 80)
    assert sorted(found.rows.tolist()) == list(range(70))
