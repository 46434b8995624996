from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrec.codes import score_table
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.score_table import ScoreTableBuilder, score_tables
from lightrec.errors import ArgumentError


def by_definition(queries: np.ndarray, codebooks: np.ndarray) -> np.ndarray:
    """Entry by entry, every product and every sum rounded to float32."""
    tables = np.empty((len(queries), *codebooks.shape[:2]), np.float32)
    for q, query in enumerate(queries):
        for b, book in enumerate(codebooks):
            for w, word in enumerate(book):
                total = query[0] * word[0]
                for d in range(1, len(query)):
                    total = np.float32(total + np.float32(query[d] * word[d]))
                tables[q, b, w] = total
    return tables


def assert_same_bits(actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.dtype == expected.dtype == np.float32
    assert actual.shape == expected.shape
    np.testing.assert_array_equal(actual.view(np.uint32), expected.view(np.uint32))


@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 70), st.integers(1, 9)),
    num_queries=st.integers(1, 4),
    scale=st.sampled_from([1.0, 1e-42, 1e-20, 1e18]),
    seed=st.integers(0, 2**32 - 1),
)
def test_bits_follow_the_contract(shape, num_queries, scale, seed):
    rng = np.random.default_rng(seed)
    codebooks = (rng.normal(size=shape) * scale).astype(np.float32)
    queries = rng.normal(size=(num_queries, shape[2])).astype(np.float32)
    queries[rng.random(queries.shape) < 0.2] = -0.0
    assert_same_bits(score_tables(queries, codebooks), by_definition(queries, codebooks))


@pytest.mark.parametrize("shape", [(4, 256, 32), (4, 256, 128), (8, 16, 32), (3, 100, 7)])
def test_kernel_and_numpy_agree_to_the_last_bit(shape, monkeypatch):
    rng = np.random.default_rng(0)
    codebooks = rng.normal(size=shape).astype(np.float32)
    queries = rng.normal(size=(37, shape[2])).astype(np.float32)
    built = score_tables(queries, codebooks)
    monkeypatch.setattr(score_table, "KERNELS", None)
    assert_same_bits(built, score_tables(queries, codebooks))


def test_one_query_is_the_same_as_among_many():
    rng = np.random.default_rng(1)
    codebooks = rng.normal(size=(4, 256, 32)).astype(np.float32)
    queries = rng.normal(size=(13, 32)).astype(np.float32)
    builder = ScoreTableBuilder(codebooks)
    tables = builder.build(queries)
    for query, table in zip(queries, tables, strict=True):
        assert_same_bits(builder.build_one(query), table)


def test_layouts_that_are_not_contiguous_are_taken_too():
    rng = np.random.default_rng(2)
    codebooks = rng.normal(size=(5, 9, 4)).astype(np.float32).transpose(1, 0, 2)
    queries = rng.normal(size=(4, 6)).astype(np.float32).T
    assert_same_bits(
        score_tables(queries, codebooks), by_definition(queries.copy(), codebooks.copy())
    )


def test_no_queries():
    assert score_tables(np.empty((0, 3), np.float32), np.ones((2, 4, 3), np.float32)).shape == (
        0,
        2,
        4,
    )


@pytest.mark.parametrize(
    "queries, codebooks",
    [
        (np.zeros((2, 3), np.float32), np.zeros((1, 4, 5), np.float32)),
        (np.zeros((2, 3), np.float64), np.zeros((1, 4, 3), np.float32)),
        (np.zeros(3, np.float32), np.zeros((1, 4, 3), np.float32)),
        (np.zeros((2, 3), np.float32), np.zeros((1, 4, 3), np.float64)),
        (np.zeros((2, 3), np.float32), np.zeros((4, 3), np.float32)),
        (np.zeros((2, 3), np.float32), np.zeros((1, 257, 3), np.float32)),
        (np.zeros((2, 0), np.float32), np.zeros((1, 4, 0), np.float32)),
    ],
)
def test_what_does_not_fit_is_refused(queries, codebooks):
    with pytest.raises(ArgumentError):
        score_tables(queries, codebooks)


@pytest.mark.parametrize("num_queries", [1, 2, 8, 11])
@pytest.mark.parametrize("num_codebooks, num_codewords", [(4, 256), (1, 3), (7, 16)])
def test_scores_add_entries_in_book_order(num_queries, num_codebooks, num_codewords):
    rng = np.random.default_rng(3)
    codes = rng.integers(0, num_codewords, (101, num_codebooks), dtype=np.uint8)
    codebooks = rng.normal(size=(num_codebooks, num_codewords, 4)).astype(np.float32)
    items = ItemCodes(codes, codebooks)
    tables = items.score_tables(rng.normal(size=(num_queries, 4)).astype(np.float32))
    expected = np.empty((num_queries, 101), np.float32)
    for q in range(num_queries):
        for i, code in enumerate(codes):
            total = tables[q, 0, code[0]]
            for b in range(1, num_codebooks):
                total = np.float32(total + tables[q, b, code[b]])
            expected[q, i] = total
    assert_same_bits(items.scores(tables), expected)
