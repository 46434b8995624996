from __future__ import annotations

import numpy as np
import pytest

from lightrec.errors import ArgumentError
from lightrec.search.filters import BatchFilter, Filter
from lightrec.search.row_mask import RowMask


def test_rows_are_sorted_and_made_unique():
    rows = Filter.of(10, exclude=[7, 1, 7], allow=np.array([3, 2], np.int64))
    assert rows.exclude is not None
    assert rows.allow is not None
    assert rows.exclude.tolist() == [1, 7]
    assert rows.allow.tolist() == [2, 3]
    assert rows.exclude.dtype == rows.allow.dtype == np.int32
    rows.check(10)


def test_nothing_allowed_is_not_everything_allowed():
    assert Filter.of(10, allow=[]).allow is not None
    assert Filter.of(10).allow is None


@pytest.mark.parametrize("rows", [[-1], [10], [0.5], [[1]], ["1"]])
def test_rows_that_are_none_of_the_catalogue(rows):
    with pytest.raises(ArgumentError, match="exclude"):
        Filter.of(10, exclude=rows)
    with pytest.raises(ArgumentError, match="allow"):
        Filter.of(10, allow=rows)


def test_batch_filters_by_query():
    batch = BatchFilter.of(10, 3, exclude=[[5, 2], [], [9]], allow=[2, 9, 1])
    assert batch.num_queries == 3
    excluded = [batch.of_query(q).exclude for q in range(3)]
    assert [rows.tolist() for rows in excluded if rows is not None] == [[2, 5], [], [9]]
    assert batch.of_query(1).allow is batch.allow


@pytest.mark.parametrize("indptr", [[], [0, 2], [1, 3], [0, 3, 1, 3]])
def test_batch_filters_that_do_not_add_up(indptr):
    with pytest.raises(ArgumentError, match="exclude_indptr"):
        BatchFilter(np.array(indptr, np.int64), np.array([0, 1, 2], np.int32))


def test_one_list_for_each_query():
    with pytest.raises(ArgumentError, match="2 lists for 3 queries"):
        BatchFilter.of(10, 3, exclude=[[1], [2]])


@pytest.mark.parametrize("num_rows", [0, 1, 63, 64, 65, 1000])
def test_masks_keep_a_bit_for_each_row(num_rows: int):
    rng = np.random.default_rng(num_rows)
    permitted = rng.random(num_rows) < 0.4
    mask = RowMask(permitted)
    assert mask.num_rows == num_rows
    assert len(mask.words) == -(-num_rows // 64)
    for _ in range(20):
        np.testing.assert_array_equal(mask.to_bool(), permitted)
        assert mask.count == permitted.sum()
        np.testing.assert_array_equal(mask.contains(np.arange(num_rows)), permitted)
        rows = rng.integers(0, max(num_rows, 1), 30 if num_rows else 0)  # some twice
        value = bool(rng.random() < 0.5)
        mask.set(rows, value)
        permitted[rows] = value


@pytest.mark.parametrize("mask", [np.ones(3), np.ones((1, 3), np.bool_), np.ones(3, np.uint8)])
def test_masks_are_made_of_bools(mask):
    with pytest.raises(ArgumentError, match="bool"):
        RowMask(mask)


@pytest.mark.parametrize("rows", [[-1], [3], [0.5]])
def test_masks_refuse_rows_that_are_none(rows):
    mask = RowMask(np.ones(3, np.bool_))
    with pytest.raises(ArgumentError, match="rows"):
        mask.set(rows, False)
    assert mask.count == 3


@pytest.mark.parametrize("row", [-1, 3])
def test_masks_know_nothing_of_other_rows(row):
    with pytest.raises(ArgumentError, match=r"0\.\.2"):
        RowMask(np.ones(3, np.bool_)).contains(np.array([0, row]))


@pytest.mark.parametrize("num_rows", [0, 1, 64, 65, 300])
def test_masks_made_of_masks(num_rows: int):
    rng = np.random.default_rng(num_rows)
    one, other = rng.random((2, num_rows)) < 0.5
    for begin in range(0, num_rows + 1, 13):
        for end in range(begin, num_rows + 1, 17):
            part = RowMask(one).part(begin, end)
            np.testing.assert_array_equal(part.to_bool(), one[begin:end])
            np.testing.assert_array_equal(part.words, RowMask(one[begin:end]).words)
            assert part.count == one[begin:end].sum()
    both = RowMask(one).both(RowMask(other))
    np.testing.assert_array_equal(both.to_bool(), one & other)
    assert both.count == (one & other).sum()
    more = RowMask(one).extended(num_rows + 70, True)
    assert more.to_bool().tolist() == one.tolist() + 70 * [True]
    with pytest.raises(ArgumentError, match="shrink"):
        more.extended(num_rows, True)
    with pytest.raises(ArgumentError, match="rows"):
        more.both(RowMask(one))


@pytest.mark.parametrize("rows", [[-1], [3], [1.0], [[1], [2, 0]]])
def test_masks_of_rows_that_there_are_not(rows):
    with pytest.raises(ArgumentError, match="rows"):
        RowMask.of_rows(3, rows)


@pytest.mark.parametrize(("begin", "end"), [(-5, 2), (2, 1), (0, 4)])
def test_parts_that_masks_do_not_have(begin: int, end: int):
    with pytest.raises(ArgumentError, match="no rows"):
        RowMask(np.ones(3, np.bool_)).part(begin, end)


def test_batch_filters_of_an_array():
    rows = BatchFilter.of(5, 2, exclude=np.array([[2, 1], [3, 4]]))
    assert rows.exclude_rows.tolist() == [1, 2, 3, 4]
    with pytest.raises(ArgumentError, match="exclude must be one list"):
        BatchFilter.of(5, 1, exclude=[[[1], [2, 3]]])


def test_filters_refuse_masks_of_other_catalogues():
    mask = RowMask(np.ones(3, np.bool_))
    with pytest.raises(ArgumentError, match="for 3 rows, not 4 items"):
        Filter.of(4, mask=mask)
    with pytest.raises(ArgumentError, match="for 3 rows, not 4 items"):
        Filter(mask=mask).check(4)
    assert BatchFilter.of(3, 2, mask=mask).of_query(1).mask is mask


@pytest.mark.parametrize(
    "rows",
    [[0.5], np.array([1.0]), np.array([[1, 2]]), [[1], [2, 3]], ["1"], [True], [1 << 40], 3],
)
def test_rows_that_would_lose_something_are_refused(rows):
    with pytest.raises(ArgumentError, match="exclude rows"):
        Filter(exclude=rows)
    with pytest.raises(ArgumentError, match="allow rows"):
        Filter(allow=rows)
    with pytest.raises(ArgumentError, match="exclude_rows"):
        BatchFilter(np.array([0, 1]), rows)
    with pytest.raises(ArgumentError, match="allow rows"):
        BatchFilter(np.array([0, 0]), [], rows)


@pytest.mark.parametrize("indptr", [[0.0, 1.0], [[0, 1]], None])
def test_indptr_of_whole_numbers(indptr):
    with pytest.raises(ArgumentError, match="exclude_indptr"):
        BatchFilter(indptr, np.array([1], np.int32))


def test_a_mask_is_a_row_mask():
    with pytest.raises(ArgumentError, match="mask must be a RowMask, not ndarray"):
        Filter(mask=np.ones(3, np.bool_))
    with pytest.raises(ArgumentError, match="mask must be a RowMask, not ndarray"):
        BatchFilter([0, 0], [], mask=np.ones(3, np.bool_))


def test_arrays_that_fit_are_not_copied():
    rows = np.array([1, 2], np.int32)
    assert Filter(exclude=rows).exclude is rows


def test_a_mask_tells_when_it_has_changed():
    mask = RowMask(np.ones(3, np.bool_))
    before = mask.version
    mask.set([1], False)
    assert mask.version > before
