"""Every scan answers as the reference does, and the reference as the definition says."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError
from lightrec.native import KERNELS
from lightrec.search.filters import BatchFilter, Filter
from lightrec.search.reference_scan import ReferenceScan
from lightrec.search.row_mask import RowMask
from lightrec.search.scan import LAYOUTS, BoundScan, Layout, PortableScan, make_scan
from lightrec.search.score_table import largest_entry
from lightrec.search.top_k import TopK, TopKBatch

needs_kernels = pytest.mark.skipif(KERNELS is None, reason="the compiled kernels are not in use")

SETS = ("avx2", "avx512vbmi")
HERE = "portable" if KERNELS is None else KERNELS.instruction_set()


def bound_scan(instruction_set: str, layout: str):
    """A scan by bounds where items have four bytes, with codewords numbered at random.

    Codes of other widths get what `make_scan` gives them.
    """

    def make(codes: np.ndarray, num_codewords: int):
        if codes.ndim != 2 or not BoundScan.fits(codes.shape[1], num_codewords):
            return PortableScan(codes, num_codewords)
        labels = np.random.default_rng(len(codes)).permuted(
            np.tile(np.arange(256, dtype=np.uint8), (4, 1)), axis=1
        )
        return BoundScan(
            codes, num_codewords, labels, instruction_set=instruction_set, layout=layout
        )

    return make


BOUND_SCANS = [
    pytest.param(
        bound_scan(name, layout),
        id=f"{name}-{layout}",
        marks=pytest.mark.skipif(
            HERE == "portable" or SETS.index(name) > SETS.index(HERE),
            reason=f"this processor or installation has no {name}",
        ),
    )
    for name in SETS
    for layout in LAYOUTS[name]
]
FAST_SCANS = [pytest.param(PortableScan, id="portable", marks=needs_kernels), *BOUND_SCANS]
SCANS = [pytest.param(ReferenceScan, id="reference"), *FAST_SCANS]

TABLES = ["normal", "few values", "constant", "zeros of both signs", "huge", "denormal", "offset"]


def make_tables(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    if kind == "few values":  # ties everywhere
        tables = rng.integers(-1, 2, shape)
    elif kind == "constant":
        tables = np.full(shape, 0.1)
    elif kind == "zeros of both signs":
        tables = rng.choice([0.0, -0.0], shape)
    elif kind == "huge":
        tables = rng.normal(size=shape) * 1e30
    elif kind == "denormal":
        tables = rng.normal(size=shape) * 1e-44
    elif kind == "offset":  # differences at the edge of float32
        tables = 1000 + rng.normal(size=shape) * 1e-4
    else:
        tables = rng.normal(size=shape)
    return tables.astype(np.float32)


def assert_same(actual: TopK, expected: TopK) -> None:
    assert actual.rows.dtype == np.int64
    assert actual.scores.dtype == np.float32
    np.testing.assert_array_equal(actual.rows, expected.rows)
    np.testing.assert_array_equal(actual.scores.view(np.uint32), expected.scores.view(np.uint32))


def by_definition(codes: np.ndarray, table: np.ndarray, k: int, rows: Filter) -> list[int]:
    def score(code: np.ndarray) -> np.float32:
        total = table[0, code[0]]
        for book in range(1, len(code)):
            total = np.float32(total + table[book, code[book]])
        return total

    allowed = range(len(codes)) if rows.allow is None else rows.allow.tolist()
    excluded = set() if rows.exclude is None else set(rows.exclude.tolist())
    permitted = range(len(codes)) if rows.mask is None else np.flatnonzero(rows.mask.to_bool())
    kept = [row for row in allowed if row not in excluded and row in set(permitted)]
    return sorted(kept, key=lambda row: (-score(codes[row]), row))[:k]


@st.composite
def searches(draw):
    """A catalogue, tables, k and a filter for every query."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    num_items = draw(st.one_of(st.integers(1, 5), st.integers(60, 300)))
    num_codebooks = draw(st.one_of(st.sampled_from([4, 8]), st.integers(1, 8)))
    num_codewords = draw(st.sampled_from([1, 2, 16, 17, 255, 256]))
    distinct = draw(st.sampled_from([1, 3, 1000]))  # different codes: few make equal items
    pool = rng.integers(0, num_codewords, (distinct, num_codebooks), dtype=np.uint8)
    codes = pool[rng.integers(0, distinct, num_items)]
    num_queries = draw(st.integers(1, 11))
    kind = draw(st.sampled_from(TABLES))
    tables = make_tables(rng, kind, (num_queries, num_codebooks, num_codewords))
    k = draw(st.sampled_from([1, 2, 7, num_items, num_items + 3]))

    def some_rows() -> np.ndarray:
        share = rng.choice([0.0, 0.1, 0.9, 1.0])
        return np.flatnonzero(rng.random(num_items) < share)

    exclude = [some_rows() for _ in range(num_queries)] if draw(st.booleans()) else None
    allow = some_rows() if draw(st.booleans()) else None
    permitted = np.isin(np.arange(num_items), some_rows())
    mask = RowMask(permitted) if draw(st.booleans()) else None
    rows = BatchFilter.of(num_items, num_queries, exclude=exclude, allow=allow, mask=mask)
    return codes, num_codewords, tables, k, rows


@given(searches())
def test_reference_is_the_definition(search):
    codes, num_codewords, tables, k, rows = search
    found = ReferenceScan(codes, num_codewords).top_k(tables[0], k, rows.of_query(0))
    assert found.rows.tolist() == by_definition(codes, tables[0], k, rows.of_query(0))


@pytest.mark.parametrize("scan_class", FAST_SCANS)
@given(search=searches())
def test_scan_equals_reference(scan_class, search):
    codes, num_codewords, tables, k, rows = search
    scan, reference = scan_class(codes, num_codewords), ReferenceScan(codes, num_codewords)
    for query, table in enumerate(tables):
        only = rows.of_query(query)
        assert_same(scan.top_k(table, k, only), reference.top_k(table, k, only))
    assert_same(scan.top_k(tables[0], k), reference.top_k(tables[0], k))


@pytest.mark.parametrize("scan_class", SCANS)
@given(search=searches(), threads=st.integers(0, 3))
def test_batch_equals_single(scan_class, search, threads):
    codes, num_codewords, tables, k, rows = search
    scan = scan_class(codes, num_codewords)
    batch = scan.top_k_batch(tables, k, rows, threads=threads)
    unfiltered = scan.top_k_batch(tables, k, threads=threads)
    assert len(batch) == len(tables)
    for query, table in enumerate(tables):
        assert_same(batch.of(query), scan.top_k(table, k, rows.of_query(query)))
        assert_same(unfiltered.of(query), scan.top_k(table, k))
        rest = slice(int(batch.counts[query]), None)
        assert (batch.rows[query, rest] == -1).all()
        assert (batch.scores[query, rest] == -np.inf).all()


@pytest.mark.parametrize("scan_class", FAST_SCANS)
@pytest.mark.parametrize("num_codebooks, num_codewords", [(4, 256), (8, 16), (1, 256), (5, 100)])
@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("order", ["random", "best last", "best first"])
def test_large_catalogues(scan_class, num_codebooks, num_codewords, kind, order):
    """Large enough for the sampled starting bar, in orders that are hard on it."""
    rng = np.random.default_rng(7)
    codes = rng.integers(0, num_codewords, (20_011, num_codebooks), dtype=np.uint8)
    tables = make_tables(rng, kind, (9, num_codebooks, num_codewords))
    if order != "random":
        scores = sum(tables[0, b].astype(float)[codes[:, b]] for b in range(num_codebooks))
        codes = codes[np.argsort(scores if order == "best last" else -scores)]
    scan, reference = scan_class(codes, num_codewords), ReferenceScan(codes, num_codewords)
    best = reference.top_k(tables[0], 700).rows
    seen = np.concatenate([best[:600], rng.choice(20_011, 300, replace=False)])
    half, tenth = (RowMask(rng.random(20_011) < share) for share in (0.5, 0.1))
    all_but_best = RowMask(~np.isin(np.arange(20_011), best))
    many = rng.choice(20_011, 9_000, replace=False)
    for k in (1, 10, 100, 500):
        expected = reference.top_k_batch(tables, k)
        assert_same(scan.top_k(tables[0], k), expected.of(0))
        batch = scan.top_k_batch(tables, k, threads=2)
        for query in range(9):
            assert_same(batch.of(query), expected.of(query))
        for rows in (
            Filter.of(20_011, exclude=seen),
            Filter.of(20_011, exclude=best[:100]),
            Filter.of(20_011, exclude=best[1::6], mask=half),
            Filter.of(20_011, exclude=best[:100], mask=tenth),
            Filter.of(20_011, exclude=best[:100], allow=many),
            Filter.of(20_011, allow=seen),
            Filter.of(20_011, exclude=best[::2], allow=seen),
            Filter.of(20_011, allow=best[:3]),
            Filter.of(20_011, allow=many, exclude=seen),
            Filter.of(20_011, mask=half),
            Filter.of(20_011, mask=tenth, exclude=seen),
            Filter.of(20_011, mask=half, allow=many),
            Filter.of(20_011, mask=all_but_best, allow=seen),
            Filter.of(20_011, mask=all_but_best),
            Filter.of(20_011, mask=RowMask(np.zeros(20_011, np.bool_))),
        ):
            assert_same(scan.top_k(tables[0], k, rows), reference.top_k(tables[0], k, rows))


@pytest.mark.parametrize("scan_class", FAST_SCANS)
def test_one_first_codeword_for_almost_all(scan_class):
    """A run of more items than are scored at once, in cells that nearly all pass."""
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 256, (150_001, 4), dtype=np.uint8)
    codes[10:, 0] = 3
    tables = make_tables(rng, "normal", (3, 4, 256))
    tables[1, 0, 3] = -1  # the few others come first
    tables[2] = 0.0  # nothing to prune by
    scan, reference = scan_class(codes, 256), ReferenceScan(codes, 256)
    for table in tables:
        for k in (1, 100, 3_000):
            assert_same(scan.top_k(table, k), reference.top_k(table, k))


@pytest.mark.parametrize(
    ("instruction_set", "layout"),
    [("avx2", "cells"), ("avx512vbmi", "cells"), ("avx512vbmi", "tiles")],
)
def test_new_deficits_amid_a_first_codeword(instruction_set: str, layout: Layout) -> None:
    """A first codeword has more cells, and tiles, than are looked at in one go.

    The bar rises between the two looks, deficits are measured anew, and the best item comes after.
    """
    if HERE == "portable" or SETS.index(instruction_set) > SETS.index(HERE):
        pytest.skip(f"this processor or installation has no {instruction_set}")
    rng = np.random.default_rng(0)
    bulk, near = np.zeros((4_200_000, 4), np.uint8), np.zeros((2_000, 4), np.uint8)
    bulk[:, 0], bulk[:, 2] = 2, np.where(rng.random(len(bulk)) < 0.2, 10, 11)
    near[:, 2] = np.where(np.arange(2_000) < 60, 12, 11)
    long = np.zeros((64 * 1_100, 4), np.uint8)  # whole tiles: the best item gets its own
    long[:, 0], long[:, 2] = 1, np.where(np.arange(len(long)) < 60, 13, 11)
    best = np.array([[1, 200, 0, 0]], np.uint8)
    table = np.zeros((4, 256), np.float32)
    table[0, 2:], table[1, 128:] = -100, -180
    table[2, 10:14] = -150, -400, -212, -190
    codes = np.concatenate([bulk, near, long, best])
    scan = BoundScan(codes, 256, instruction_set=instruction_set, layout=layout)
    found = scan.top_k(table, 10)
    assert found.rows[0] == len(codes) - 1
    assert_same(found, PortableScan(codes, 256).top_k(table, 10))


@pytest.mark.parametrize("scan_class", SCANS)
def test_a_mask_may_change_between_searches(scan_class):
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 16, (3_000, 4), dtype=np.uint8)
    table = make_tables(rng, "normal", (4, 16))
    scan, mask = scan_class(codes, 16), RowMask(np.ones(3_000, np.bool_))
    all_rows = scan.top_k(table, 50)
    mask.set(all_rows.rows[:20], False)
    without = scan.top_k(table, 30, Filter.of(3_000, mask=mask))
    assert without.rows.tolist() == all_rows.rows[20:].tolist()
    mask.set(all_rows.rows[:20], True)
    assert_same(scan.top_k(table, 50, Filter.of(3_000, mask=mask)), all_rows)


@pytest.mark.parametrize("scan_class", SCANS)
def test_few_rows_of_a_mask_among_many_allowed(scan_class):
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 256, (9_000, 4)).astype(np.uint8)
    table = rng.integers(-9, 9, (4, 256)).astype(np.float32)
    rows = Filter.of(
        9_000,
        exclude=np.arange(0, 9_000, 5),
        allow=np.arange(0, 9_000, 2),
        mask=RowMask.of_rows(9_000, rng.choice(9_000, 40, replace=False)),
    )
    right = ReferenceScan(codes, 256).top_k(table, 30, rows)
    found = scan_class(codes, 256).top_k(table, 30, rows)
    assert found.rows.tolist() == right.rows.tolist()


@pytest.mark.parametrize("scan_class", SCANS)
def test_a_mask_that_changes_while_others_search(scan_class):
    """Some of the best rows are switched on and off; the others do not come and go with them."""
    rng = np.random.default_rng(6)
    codes = rng.integers(0, 256, (20_000, 4)).astype(np.uint8)
    table = rng.normal(size=(4, 256)).astype(np.float32)
    scan, mask = scan_class(codes, 256), RowMask(np.ones(20_000, np.bool_))
    whole = ReferenceScan(codes, 256).top_k(table, 300)
    switched, steady = whole.rows[::3], np.setdiff1d(whole.rows, whole.rows[::3])
    done, torn = threading.Event(), []

    def read() -> None:
        while not done.is_set():
            best = scan.top_k(table, 200, Filter(mask=mask))
            places = np.flatnonzero(np.isin(whole.rows, best.rows))
            due = np.intersect1d(steady, whole.rows[: places.max()])
            if len(best) != 200 or len(places) != 200 or not np.isin(due, best.rows).all():
                torn.append(best)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for step in range(300):
        mask.set(switched, step % 2 == 1)
    done.set()
    for reader in readers:
        reader.join()
    assert not torn
    assert mask.count == 20_000


@pytest.mark.parametrize("scan_class", FAST_SCANS)
def test_a_sample_that_promises_too_much(scan_class):
    """The rows of the sample tower above the rest: it misleads, and the scan is made once more."""
    codes = np.zeros((4_096, 4), np.uint8)
    sampled = sampled_rows(4_096)
    codes[sampled, 1] = 1
    table = np.zeros((4, 256), np.float32)
    table[1, 1] = 1
    scan, k = scan_class(codes, 256), len(sampled) + 44
    if isinstance(scan, BoundScan):
        assert scan.num_scored(table, k) > 4_096
    assert_same(scan.top_k(table, k), ReferenceScan(codes, 256).top_k(table, k))
    others = Filter.of(4_096, exclude=sampled[::3])
    assert_same(scan.top_k(table, k, others), ReferenceScan(codes, 256).top_k(table, k, others))
    batch = scan.top_k_batch(np.stack([table, table]), k)
    assert_same(batch.of(1), scan.top_k(table, k))


def sampled_rows(num_items: int) -> list[int]:
    """The rows from which the kernels guess a bar (native/starting_bar.cpp)."""
    size = num_items // 16
    numbers = mersenne_twister(20190519)
    bounds = [i * num_items // size for i in range(size + 1)]
    return [
        begin + number % (end - begin)
        for begin, end, number in zip(bounds, bounds[1:], numbers, strict=False)
    ]


def mersenne_twister(seed: int) -> list[int]:
    """The first 312 numbers of C++'s `mt19937_64`."""
    words = [seed]
    for i in range(1, 312):
        last = words[-1] ^ words[-1] >> 62
        words.append((6364136223846793005 * last + i) % 2**64)
    for i in range(312):
        mixed = words[i] >> 31 << 31 | words[(i + 1) % 312] % 2**31
        words[i] = words[(i + 156) % 312] ^ mixed >> 1 ^ (mixed & 1) * 0xB5026F5AA96619E9
    numbers = []
    for word in words:
        number = word ^ (word >> 29 & 0x5555555555555555)
        number ^= number << 17 & 0x71D67FFFEDA60000
        number ^= number << 37 & 0xFFF7EEE000000000
        numbers.append(number ^ number >> 43)
    return numbers


@pytest.mark.parametrize("scan_class", SCANS)
def test_fewer_results_than_wanted(scan_class):
    scan = scan_class(np.array([[0], [1], [0]], np.uint8), 2)
    table = np.array([[1.0, 2.0]], np.float32)
    assert scan.num_items == 3
    assert scan.top_k(table, 10).rows.tolist() == [1, 0, 2]
    assert scan.top_k(table, 10, Filter.of(3, exclude=[1])).rows.tolist() == [0, 2]
    assert scan.top_k(table, 10, Filter.of(3, allow=[2, 1], exclude=[1])).rows.tolist() == [2]
    assert scan.top_k(table, 1, Filter.of(3, allow=[])).rows.tolist() == []
    assert scan.top_k(table, 1, Filter.of(3, exclude=[0, 1, 2])).rows.tolist() == []
    assert scan.top_k(table, 2, Filter()).rows.tolist() == [1, 0]


@pytest.mark.parametrize("scan_class", SCANS)
def test_an_empty_catalogue_and_no_queries(scan_class):
    scan = scan_class(np.empty((0, 2), np.uint8), 4)
    table = np.zeros((2, 4), np.float32)
    assert len(scan.top_k(table, 5)) == 0
    assert scan.top_k_batch(table[None], 5).counts.tolist() == [0]
    assert len(scan.top_k_batch(np.empty((0, 2, 4), np.float32), 5)) == 0


@pytest.mark.parametrize("scan_class", SCANS)
def test_negative_zero_ties_with_zero_and_comes_back_as_zero(scan_class):
    scan = scan_class(np.array([[1], [0], [1]], np.uint8), 2)
    found = scan.top_k(np.array([[0.0, -0.0]], np.float32), 3)
    assert found.rows.tolist() == [0, 1, 2]
    assert not np.signbit(found.scores).any()


@pytest.mark.parametrize("scan_class", SCANS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_scores_that_are_not_finite_are_refused(scan_class, value):
    scan = scan_class(np.zeros((3, 2), np.uint8), 4)
    tables = np.zeros((2, 2, 4), np.float32)
    tables[1, 1, 3] = value
    with pytest.raises(ArgumentError, match="not finite or too large"):
        scan.top_k(tables[1], 1)
    with pytest.raises(ArgumentError, match="not finite or too large"):
        scan.top_k_batch(tables, 1)


@pytest.mark.parametrize("scan_class", SCANS)
def test_arguments_that_do_not_fit_are_refused(scan_class):
    scan = scan_class(np.zeros((3, 2), np.uint8), 4)
    table = np.zeros((2, 4), np.float32)
    for k in (0, -1):
        with pytest.raises(ArgumentError, match="k must be at least 1"):
            scan.top_k(table, k)
        with pytest.raises(ArgumentError, match="k must be at least 1"):
            scan.top_k_batch(table[None], k)
    for wrong in (table[:, :3], table[:1], table.astype(np.float64)):
        with pytest.raises(ArgumentError, match="score tables must be"):
            scan.top_k(wrong, 1)
        with pytest.raises(ArgumentError, match="score tables must be"):
            scan.top_k_batch(wrong[None], 1)
    with pytest.raises(ArgumentError, match=r"\(2, 4\) float32"):
        scan.top_k(table[None], 1)
    with pytest.raises(ArgumentError, match=r"\(Q, 2, 4\) float32"):
        scan.top_k_batch(table, 1)
    one_query = BatchFilter.of(3, 1)
    with pytest.raises(ArgumentError, match="queries"):
        scan.top_k_batch(np.stack([table, table]), 1, one_query)
    for rows in ([0, 3], [-1, 0], [1, 1], [1, 0]):
        for what in ("exclude", "allow"):
            unchecked = Filter(**{what: np.array(rows, np.int32)})
            with pytest.raises(ArgumentError, match=f"{what} rows"):
                scan.top_k(table, 1, unchecked)
    of_others = RowMask(np.ones(4, np.bool_))
    with pytest.raises(ArgumentError, match="for 4 rows, not 3 items"):
        scan.top_k(table, 1, Filter(mask=of_others))
    with pytest.raises(ArgumentError, match="for 4 rows, not 3 items"):
        scan.top_k_batch(
            table[None],
            1,
            BatchFilter(np.zeros(2, np.int64), np.empty(0, np.int32), mask=of_others),
        )


@pytest.mark.parametrize("scan_class", SCANS)
@pytest.mark.parametrize(
    "codes, num_codewords",
    [
        (np.array([[0, 4]], np.uint8), 4),
        (np.array([[0, 1]], np.int64), 4),
        (np.array([0, 1], np.uint8), 4),
        (np.empty((3, 0), np.uint8), 4),
        (np.array([[0]], np.uint8), 0),
        (np.array([[0]], np.uint8), 257),
    ],
)
def test_codes_that_do_not_fit_are_refused(scan_class, codes, num_codewords):
    with pytest.raises(ArgumentError, match="code"):
        scan_class(codes, num_codewords)


@pytest.mark.parametrize("scan_class", SCANS)
def test_layouts_that_are_not_contiguous_are_taken_too(scan_class):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 16, (3, 50), dtype=np.uint8).T
    table = rng.normal(size=(16, 3)).astype(np.float32).T
    expected = ReferenceScan(codes.copy(), 16).top_k(table.copy(), 5)
    assert_same(scan_class(codes, 16).top_k(table, 5), expected)


def test_make_scan_takes_the_kernels_where_there_are_any():
    items = ItemCodes(np.array([[0], [1]], np.uint8), np.array([[[1.0], [2.0]]], np.float32))
    scan = make_scan(items)
    assert isinstance(scan, ReferenceScan if KERNELS is None else PortableScan)
    assert scan.top_k(items.score_tables(np.ones((1, 1), np.float32))[0], 1).rows.tolist() == [1]


def test_batch_results_by_query():
    batch = TopKBatch(
        rows=np.array([[4, 2], [1, -1]]),
        scores=np.array([[3.0, 1.0], [2.0, -np.inf]], np.float32),
        counts=np.array([2, 1]),
    )
    assert batch.of(1).rows.tolist() == [1]
    assert batch.of(0).scores.tolist() == [3.0, 1.0]


@pytest.mark.parametrize("scan_class", SCANS)
@pytest.mark.parametrize("num_codebooks", [4, 8, 10, 18, 20])
def test_tables_that_are_taken_give_finite_scores(scan_class, num_codebooks: int) -> None:
    """A tenth of the largest float, ten times, is more than the largest: sums are rounded."""
    scan = scan_class(np.zeros((3, num_codebooks), np.uint8), 16)
    limit = largest_entry(num_codebooks)
    for sign in (1, -1):
        found = scan.top_k(np.full((num_codebooks, 16), sign * limit, np.float32), 3)
        assert found.rows.tolist() == [0, 1, 2]
        assert np.isfinite(found.scores).all()
    more = np.full((num_codebooks, 16), np.nextafter(limit, np.float32(np.inf)))
    with pytest.raises(ArgumentError, match="too large to add up"):
        scan.top_k(more, 3)
    with pytest.raises(ArgumentError, match="too large to add up"):
        scan.top_k_batch(more[np.newaxis], 3)


@pytest.mark.parametrize("scan_class", SCANS)
def test_filters_of_other_integers_are_taken(scan_class) -> None:
    rng = np.random.default_rng(0)
    codes, table = rng.integers(0, 9, (200, 4), dtype=np.uint8), make_tables(rng, "normal", (4, 9))
    scan = scan_class(codes, 9)
    rows = np.arange(0, 200, 3, dtype=np.int32)
    twice = np.stack([rows, rows], axis=1)
    alike = [rows.tolist(), rows.astype(np.int64), rows.astype(np.uint64), twice[:, 0]]
    for what in ("exclude", "allow"):
        right = scan.top_k(table, 150, Filter(**{what: rows}))
        for other in alike:
            assert_same(scan.top_k(table, 150, Filter(**{what: other})), right)
    excluded = scan.top_k(table, 150, Filter(exclude=rows))
    for indptr in ([0, len(rows)], np.array([0, len(rows)], np.int32)):
        for other in alike:
            batch = scan.top_k_batch(table[np.newaxis], 150, BatchFilter(indptr, other))
            assert_same(batch.of(0), excluded)


@pytest.mark.parametrize("scan_class", SCANS)
@pytest.mark.parametrize("threads", [1.5, "2", None, -1])
def test_threads_that_are_no_number_are_refused(scan_class, threads) -> None:
    scan = scan_class(np.zeros((3, 2), np.uint8), 4)
    with pytest.raises(ArgumentError, match="threads must"):
        scan.top_k_batch(np.zeros((1, 2, 4), np.float32), 1, threads=threads)


@pytest.mark.skipif(not BoundScan.available(), reason="needs AVX2")
def test_layouts_that_the_instructions_do_not_know() -> None:
    for layout in ("tree", "tiles"):
        with pytest.raises(
            ArgumentError, match=f"layout must be 'flat' or 'cells' with avx2, not '{layout}'"
        ):
            BoundScan(
                np.zeros((3, 4), np.uint8),
                4,
                instruction_set="avx2",
                layout=layout,  # type: ignore[arg-type]
            )


@pytest.mark.parametrize("instruction_set", SETS[: SETS.index(HERE) + 1 if HERE in SETS else 0])
def test_the_layout_follows_from_the_number_of_items(instruction_set: str) -> None:
    layouts = list(LAYOUTS[instruction_set].items())
    for (before, _), (layout, fewest) in itertools.pairwise(layouts):
        codes = np.zeros((fewest, 4), np.uint8)
        scan = BoundScan(codes, 1, instruction_set=instruction_set)
        fewer = BoundScan(codes[1:], 1, instruction_set=instruction_set)
        assert (scan.layout, fewer.layout) == (layout, before)
        assert 4 * fewest < scan.memory < 12 * fewest + 70_000


@pytest.mark.parametrize("scan_class", FAST_SCANS)
@pytest.mark.parametrize("num_excluded", [1, 100, 128, 129, 3000])
def test_the_best_rows_are_excluded(scan_class, num_excluded: int) -> None:
    """Few excluded rows are told by their scores, many by a bitmap; what is best is among them."""
    rng = np.random.default_rng(num_excluded)
    codes = rng.integers(0, 256, (40_000, 4), dtype=np.uint8)
    codes[20_000:30_000] = codes[0]  # ties among the excluded and the rest
    scan, reference = scan_class(codes, 256), ReferenceScan(codes, 256)
    for kind in ("normal", "few values"):
        table = make_tables(rng, kind, (4, 256))
        best = reference.top_k(table, num_excluded).rows
        for exclude in (best, rng.choice(reference.top_k(table, 9_000).rows, num_excluded, False)):
            rows = Filter.of(40_000, exclude=exclude)
            for k in (1, 10, 100, 2_000):
                assert_same(scan.top_k(table, k, rows), reference.top_k(table, k, rows))
