"""Additive codes: what is valid, what they decode to, and that scores are sums of table entries."""

import copy
import pickle

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrec.codes.item_codes import ItemCodes, sharing_rows
from lightrec.errors import ArgumentError


def random_codes(
    num_items: int, num_codebooks: int, num_codewords: int, width: int, seed: int = 0
) -> ItemCodes:
    rng = np.random.default_rng(seed)
    return ItemCodes(
        rng.integers(0, num_codewords, (num_items, num_codebooks), dtype=np.uint8),
        rng.normal(size=(num_codebooks, num_codewords, width)).astype(np.float32),
    )


sizes = st.tuples(st.integers(0, 40), st.integers(1, 9), st.integers(1, 256), st.integers(1, 70))


@settings(deadline=None, max_examples=60)
@given(sizes, st.integers(0, 3), st.integers(0, 2**31))
def test_scores_are_sums_of_table_entries_in_book_order(size, num_queries: int, seed: int) -> None:
    codes = random_codes(*size, seed=seed)
    rng = np.random.default_rng(seed + 1)
    shape = (num_queries, codes.num_codebooks, codes.num_codewords)
    tables = rng.normal(size=shape).astype(np.float32)
    scores = codes.scores(tables)
    assert scores.shape == (num_queries, codes.num_items)
    assert scores.dtype == np.float32
    for query in range(num_queries):
        for item in range(codes.num_items):
            total = tables[query, 0, codes.codes[item, 0]]
            for book in range(1, codes.num_codebooks):
                total = np.float32(total + tables[query, book, codes.codes[item, book]])
            assert scores[query, item] == total


@settings(deadline=None, max_examples=40)
@given(sizes, st.integers(0, 2**31))
def test_scores_are_inner_products_with_decoded_vectors(size, seed: int) -> None:
    codes = random_codes(*size, seed=seed)
    queries = np.random.default_rng(seed).normal(size=(3, codes.width)).astype(np.float32)
    exact = queries.astype(np.float64) @ codes.decode().astype(np.float64).T
    scores = codes.scores(codes.score_tables(queries))
    np.testing.assert_allclose(scores, exact, rtol=1e-4, atol=1e-3)


def test_decode_sums_the_chosen_codewords() -> None:
    codes = random_codes(7, 3, 5, 4)
    expected = np.array(
        [
            sum(codes.codebooks[book, codes.codes[item, book]] for book in range(3))
            for item in range(7)
        ]
    )
    assert np.array_equal(codes.decode(), expected)
    assert np.array_equal(codes.decode(slice(2, 5)), expected[2:5])
    assert np.array_equal(codes.decode(np.array([6, 0])), expected[[6, 0]])


def test_decode_returns_memory_of_its_own() -> None:
    codes = random_codes(7, 1, 5, 4)
    before = codes.codebooks.copy()
    codes.decode()[:] = 0.0
    assert np.array_equal(codes.codebooks, before)


def test_a_slice_of_items_scores_as_among_all() -> None:
    codes = random_codes(50, 4, 256, 8)
    tables = codes.score_tables(np.random.default_rng(1).normal(size=(2, 8)).astype(np.float32))
    assert np.array_equal(codes.scores(tables, slice(13, 31)), codes.scores(tables)[:, 13:31])


def test_decodes_what_faiss_decodes() -> None:
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(600, 12)).astype(np.float32)
    faiss.omp_set_num_threads(1)
    quantizer = faiss.ResidualQuantizer(12, 3, 4)  # 3 books of 2^4 codewords
    quantizer.train(vectors)
    packed = quantizer.compute_codes(vectors)
    bits = np.unpackbits(packed, axis=1, bitorder="little")
    fields = bits[:, :12].reshape(-1, 3, 4)
    indices = (fields << np.arange(4, dtype=np.uint8)).sum(axis=2, dtype=np.uint8)
    codebooks = faiss.vector_to_array(quantizer.codebooks).reshape(3, 16, 12)
    codes = ItemCodes(np.ascontiguousarray(indices), codebooks)
    np.testing.assert_allclose(codes.decode(), quantizer.decode(packed), atol=1e-5)
    index = faiss.IndexResidualQuantizer(
        12, 3, 4, faiss.METRIC_INNER_PRODUCT, faiss.AdditiveQuantizer.ST_LUT_nonorm
    )
    index.rq = quantizer
    index.is_trained = True
    index.add(vectors)
    queries = rng.normal(size=(5, 12)).astype(np.float32)
    found, rows = index.search(queries, 20)
    ours = codes.scores(codes.score_tables(queries))
    np.testing.assert_allclose(np.take_along_axis(ours, rows, axis=1), found, atol=1e-4)
    np.testing.assert_allclose(-np.sort(-ours, axis=1)[:, :20], found, atol=1e-4)


CODES = np.zeros((3, 2), np.uint8)
CODEBOOKS = np.zeros((2, 4, 5), np.float32)


@pytest.mark.parametrize(
    ("codes", "codebooks", "fault"),
    [
        (CODES.astype(np.int64), CODEBOOKS, "uint8"),
        (CODES[0], CODEBOOKS, r"\(N, B\)"),
        (CODES, CODEBOOKS.astype(np.float64), "float32"),
        (CODES, CODEBOOKS[0], r"\(B, W, D\)"),
        (CODES[:, :1], CODEBOOKS, "do not belong together"),
        (np.zeros((3, 0), np.uint8), np.zeros((0, 4, 5), np.float32), "do not belong together"),
        (CODES, np.zeros((2, 4, 0), np.float32), "do not belong together"),
        (CODES, np.zeros((2, 0, 5), np.float32), "1 to 256"),
        (CODES, np.zeros((2, 257, 5), np.float32), "1 to 256"),
        (np.full((3, 2), 4, np.uint8), CODEBOOKS, "index 4, the codebooks have 4"),
        (CODES, np.full((2, 4, 5), np.nan, np.float32), "not finite"),
        (CODES, np.full((2, 4, 5), np.inf, np.float32), "not finite"),
    ],
)
def test_refuses_what_does_not_belong_together(codes, codebooks, fault: str) -> None:
    with pytest.raises(ArgumentError, match=fault):
        ItemCodes(codes, codebooks)


def test_refuses_tables_of_other_sizes() -> None:
    codes = random_codes(5, 2, 4, 3)
    for shape in [(2, 4), (1, 3, 4), (1, 2, 5)]:
        with pytest.raises(ArgumentError, match="score tables"):
            codes.scores(np.zeros(shape, np.float32))


def test_tells_its_sizes() -> None:
    codes = random_codes(10, 4, 256, 32)
    assert (codes.num_items, codes.num_codebooks, codes.num_codewords, codes.width) == (
        10, 4, 256, 32,
    )  # fmt: skip
    assert codes.bits_per_item == 32.0
    assert codes.bytes_per_item_all_in == 4 + 4 * 256 * 32 * 4 / 10  # the codebooks are counted
    assert random_codes(10, 3, 10, 2).bits_per_item == pytest.approx(3 * np.log2(10))


def test_codes_in_use_can_be_copied_and_sent_to_another_process() -> None:
    codes = random_codes(6, 2, 4, 3)
    queries = np.ones((1, 3), np.float32)
    scores = codes.scores(codes.score_tables(queries))
    for again in (copy.deepcopy(codes), pickle.loads(pickle.dumps(codes))):
        assert np.array_equal(again.codes, codes.codes)
        assert np.array_equal(again.scores(again.score_tables(queries)), scores)


def test_an_empty_catalogue_is_possible() -> None:
    codes = random_codes(0, 2, 4, 3)
    assert codes.decode().shape == (0, 3)
    assert codes.scores(np.zeros((2, 2, 4), np.float32)).shape == (2, 0)
    assert codes.health.collisions == 0


@pytest.mark.parametrize("num_codebooks", range(1, 10))
def test_items_share_a_code_where_all_of_its_bytes_agree(num_codebooks: int) -> None:
    codes = random_codes(300, num_codebooks, 3, 2).codes
    whole = [row.tobytes() for row in codes]
    expected = [row for row, code in enumerate(whole) if whole.count(code) > 1]
    found = sharing_rows(np.asfortranarray(codes))
    assert found.dtype == np.int64
    assert found.tolist() == expected
