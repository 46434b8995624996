"""Items that come and go: the same answers as a scan made anew, also while they do."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError
from lightrec.native import KERNELS
from lightrec.search.changing_scan import ChangingScan
from lightrec.search.filters import BatchFilter, Filter
from lightrec.search.reference_scan import ReferenceScan
from lightrec.search.row_mask import RowMask

B, W = 4, 16


@pytest.fixture(params=["compiled", "numpy"])
def arm(request, monkeypatch):
    if request.param == "compiled" and KERNELS is None:
        pytest.skip("needs the compiled kernels")
    if request.param == "numpy":
        monkeypatch.setattr("lightrec.search.scan.KERNELS", None)


def codes_of(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(0, W, (count, B)).astype(np.uint8)


def tables_of(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(-3, 4, (count, B, W)).astype(np.float32)  # ties everywhere


def scan_of(codes: np.ndarray) -> ChangingScan:
    codebooks = np.random.default_rng(0).normal(size=(B, W, 3)).astype(np.float32)
    return ChangingScan(ItemCodes(codes, codebooks))


def some(rng: np.random.Generator, num_rows: int) -> np.ndarray:
    return np.flatnonzero(rng.random(num_rows) < rng.choice([0.0, 0.1, 0.7, 1.0]))


def assert_as_made_anew(
    scan: ChangingScan, codes: np.ndarray, live: np.ndarray, rng: np.random.Generator
) -> None:
    reference, num_rows = ReferenceScan(codes, W), len(codes)
    assert scan.num_items == num_rows
    assert scan.num_live == live.sum()
    tables = tables_of(rng, 3)
    exclude = [some(rng, num_rows) for _ in tables]
    allow = some(rng, num_rows) if rng.random() < 0.4 else None
    permitted = rng.random(num_rows) < 0.6 if rng.random() < 0.4 else np.ones(num_rows, np.bool_)
    mask = None if permitted.all() else RowMask(permitted)
    rows = BatchFilter.of(num_rows, 3, exclude=exclude, allow=allow, mask=mask)
    right = BatchFilter.of(
        num_rows, 3, exclude=exclude, allow=allow, mask=RowMask(permitted & live)
    )
    for k in (1, 9, num_rows + 5):
        batch, expected = scan.top_k_batch(tables, k, rows), reference.top_k_batch(tables, k, right)
        np.testing.assert_array_equal(batch.rows, expected.rows)
        np.testing.assert_array_equal(batch.scores, expected.scores)
        np.testing.assert_array_equal(batch.counts, expected.counts)
        plain = scan.top_k(tables[0], k)
        only_live = reference.top_k(tables[0], k, Filter.of(num_rows, mask=RowMask(live)))
        assert plain.rows.tolist() == only_live.rows.tolist()
        assert plain.scores.tolist() == only_live.scores.tolist()
        one = scan.top_k(tables[2], k, rows.of_query(2))
        assert one.rows.tolist() == expected.of(2).rows.tolist()


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 90),
    st.lists(st.sampled_from(["add", "remove", "compact"]), max_size=12),
)
def test_any_changes_in_any_order(seed: int, size: int, changes: list[str]) -> None:
    rng = np.random.default_rng(seed)
    codes = codes_of(rng, size)
    scan, live = scan_of(codes.copy()), np.ones(size, np.bool_)
    for change in changes:
        if change == "add":
            more = codes_of(rng, int(rng.integers(0, 40)))
            given_out = scan.add(more)
            assert given_out.tolist() == list(range(len(codes), len(codes) + len(more)))
            codes = np.concatenate([codes, more])
            live = np.concatenate([live, np.ones(len(more), np.bool_)])
        elif change == "remove":
            gone = rng.integers(
                0, max(len(codes), 1), int(rng.integers(0, 30)) if len(codes) else 0
            )
            scan.remove(gone)
            live[gone] = False
        else:
            scan.compact()
        assert_as_made_anew(scan, codes, live, rng)


def test_both_arms(arm) -> None:
    rng = np.random.default_rng(5)
    codes = codes_of(rng, 3_000)
    scan, live = scan_of(codes), np.ones(3_000, np.bool_)
    for _ in range(3):
        scan.remove(range(0, len(codes), 7))
        live[::7] = False
        more = codes_of(rng, 500)
        scan.add(more)
        codes, live = np.concatenate([codes, more]), np.concatenate([live, np.ones(500, np.bool_)])
        assert_as_made_anew(scan, codes, live, rng)
        scan.compact()
        assert_as_made_anew(scan, codes, live, rng)


def test_what_is_added_later_may_change_in_the_callers_hands() -> None:
    scan, more = scan_of(np.zeros((3, B), np.uint8)), np.ones((2, B), np.uint8)
    scan.add(more)
    table = np.zeros((B, W), np.float32)
    table[:, 1] = 1
    more[:] = 0
    assert scan.top_k(table, 2).scores.tolist() == [4.0, 4.0]


@pytest.mark.parametrize(
    "codes",
    [
        np.full((1, B), W, np.uint8),
        np.zeros((1, B), np.int64),
        np.zeros((1, B + 1), np.uint8),
        np.zeros(B, np.uint8),
    ],
)
def test_codes_that_do_not_fit_change_nothing(codes) -> None:
    scan = scan_of(np.zeros((3, B), np.uint8))
    with pytest.raises(ArgumentError, match="code"):
        scan.add(codes)
    assert scan.num_items == scan.num_live == 3


@pytest.mark.parametrize("rows", [[3], [-1], [0.5]])
def test_rows_that_were_never_given_out(rows) -> None:
    scan = scan_of(np.zeros((3, B), np.uint8))
    with pytest.raises(ArgumentError):
        scan.remove(rows)
    assert scan.num_live == 3
    table = np.zeros((B, W), np.float32)
    for wrong in (
        Filter(exclude=np.array([3], np.int32)),
        Filter(allow=np.array([3], np.int32)),
        Filter(mask=RowMask(np.ones(2, np.bool_))),
    ):
        with pytest.raises(ArgumentError):
            scan.top_k(table, 1, wrong)
    outside = BatchFilter(np.array([0, 1]), np.array([3], np.int32))
    with pytest.raises(ArgumentError, match="exclude"):
        scan.top_k_batch(table[np.newaxis], 1, outside)


def test_a_mask_is_extended_before_items_are_added(arm) -> None:
    rng = np.random.default_rng(3)
    codes = codes_of(rng, 200)
    scan, permitted = scan_of(codes), rng.random(100) < 0.5
    mask = RowMask(permitted).extended(200, True)
    right = Filter(mask=RowMask(np.append(permitted, np.ones(100, np.bool_))))
    table = tables_of(rng, 1)[0]
    grown = scan_of(codes[:100])
    for added in (codes[:0], codes[100:130], codes[130:]):
        grown.add(added)
        part = ReferenceScan(codes[: grown.num_items], W)
        expected = part.top_k(table, 200, Filter(mask=mask.part(0, grown.num_items)))
        found = grown.top_k(table, 200, Filter(mask=mask))
        assert found.rows.tolist() == expected.rows.tolist()
        batch = BatchFilter.of(200, 1, mask=mask)
        found = grown.top_k_batch(table[np.newaxis], 200, batch).of(0)
        assert found.rows.tolist() == expected.rows.tolist()
    assert found.rows.tolist() == scan.top_k(table, 200, right).rows.tolist()


def test_a_search_keeps_the_state_that_it_began_with() -> None:
    scan = scan_of(codes_of(np.random.default_rng(0), 100))
    before = scan._state
    scan.remove([3])
    assert before.parts[0].live.count == 100
    assert scan._state.parts[0].live.count == scan.num_live == 99


def test_readers_see_one_state_after_another() -> None:
    """While a writer adds, removes and compacts, no answer is torn.

    Items are added in order of rising scores and removed from the worst on, so that the k best at
    any moment are the last k rows given out: whatever moment a search caught, its answer is k rows
    that follow each other, and searches one after the other never go back.
    """
    k, start, steps, step = 20, 200, 120, 5
    total = start + steps * step
    codes = np.zeros((total, B), np.uint8)
    codes[:, 0], codes[:, 1] = np.arange(total) // 64 % W, np.arange(total) // 4 % W
    codes[:, 2] = np.arange(total) % 4
    table = np.zeros((B, W), np.float32)
    table[0], table[1], table[2, :4] = np.arange(W) * 64, np.arange(W) * 4, np.arange(4)
    scan = scan_of(codes[:start])
    wrong: list[list[int]] = []
    reads: list[int] = []
    done = threading.Event()

    def read() -> None:
        newest = 0
        while not done.is_set():
            best = scan.top_k_batch(table[np.newaxis], k, threads=1).of(0).rows.tolist()
            if best != list(range(best[0], best[0] - k, -1)) or best[0] < newest:
                wrong.append(best)
            newest = best[0]
            reads.append(newest)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(steps):
        begin = start + number * step
        scan.add(codes[begin : begin + step])
        scan.remove(range(number * step, (number + 1) * step))
        if number % 10 == 0:
            scan.compact()
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert len(set(reads)) > 1
    assert scan.top_k(table, 1).rows.tolist() == [total - 1]


def test_a_mask_is_translated_once_for_each_of_its_versions(arm, monkeypatch) -> None:
    rng = np.random.default_rng(1)
    codes, table = codes_of(rng, 500), tables_of(rng, 1)[0]
    scan = scan_of(codes)
    scan.remove(range(0, 500, 5))
    scan.compact()
    translations = []
    translate = type(scan._state.parts[0])._translate
    monkeypatch.setattr(
        "lightrec.search.changing_scan._Part._translate",
        lambda part, mask: translations.append(mask) or translate(part, mask),
    )
    mask, live = RowMask(rng.random(500) < 0.5), np.arange(500) % 5 != 0
    for version in range(1, 4):
        for _ in range(3):
            found = scan.top_k(table, 30, Filter(mask=mask))
            batch = scan.top_k_batch(table[np.newaxis], 30, BatchFilter([0, 0], [], mask=mask))
            assert len(translations) == version
            right = Filter(mask=RowMask(mask.to_bool() & live))
            expected = ReferenceScan(codes, W).top_k(table, 30, right)
            assert found.rows.tolist() == batch.of(0).rows.tolist() == expected.rows.tolist()
        mask.set(found.rows[:5], False)
    del mask, translations[:]
    assert len(scan._state.parts[0].translated) == 0  # kept no longer than the mask itself


@pytest.mark.skipif(KERNELS is None, reason="needs the compiled kernels")
def test_codes_in_a_mapped_file_are_given_back(monkeypatch) -> None:
    given_back: list[np.ndarray] = []
    monkeypatch.setattr("lightrec.search.scan.give_back", given_back.append)
    codes = codes_of(np.random.default_rng(1), 100)
    scan_of(codes)
    assert any(one is codes for one in given_back)
