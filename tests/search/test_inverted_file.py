"""The inverted file: exact within its cells, and everything where all of them are searched."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError
from lightrec.search.filters import Filter
from lightrec.search.inverted_file import InvertedFile
from lightrec.search.reference_scan import ReferenceScan
from lightrec.search.row_mask import RowMask


def catalogue(rng: np.random.Generator, num_items: int, shape=(4, 256, 8)) -> ItemCodes:
    codes = rng.integers(0, shape[1], (num_items, shape[0])).astype(np.uint8)
    return ItemCodes(codes, rng.normal(size=shape).astype(np.float32))


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(4, 256, 8), (4, 5, 3), (2, 16, 3)]),
    st.integers(1, 400),
    st.booleans(),
)
def test_the_best_of_the_best_cells(seed: int, shape, num_items: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    item_codes = catalogue(rng, num_items, shape)
    file = InvertedFile(item_codes)
    reference = ReferenceScan(item_codes.codes, shape[1])
    table = rng.normal(size=shape[:2]).astype(np.float32)
    if ties:
        table = np.round(table)
    nprobe = int(rng.integers(1, shape[1] + 1))
    order = sorted(range(shape[1]), key=lambda word: (-table[0, word], word))
    inside = np.flatnonzero(np.isin(item_codes.codes[:, 0], order[:nprobe]))
    excluded = rng.choice(num_items, num_items // 4, replace=False)
    mask = RowMask(rng.random(num_items) < 0.7)
    allow = rng.choice(num_items, num_items // 2, replace=False)
    for k in (1, 10, num_items + 1):
        for rows in (
            None,
            Filter.of(num_items, exclude=excluded),
            Filter.of(num_items, exclude=excluded, mask=mask, allow=allow),
        ):
            filters = rows or Filter()
            only = inside if rows is None or rows.allow is None else np.intersect1d(inside, allow)
            right = reference.top_k(
                table,
                k,
                Filter.of(num_items, allow=only, exclude=filters.exclude, mask=filters.mask),
            )
            found = file.top_k(table, k, rows, nprobe=nprobe)
            assert found.rows.tolist() == right.rows.tolist()
            assert found.scores.tobytes() == right.scores.tobytes()


def test_recall_rises_to_one() -> None:
    rng = np.random.default_rng(0)
    item_codes = catalogue(rng, 20_000)
    tables = item_codes.score_tables(rng.normal(size=(10, 8)).astype(np.float32))
    file = InvertedFile(item_codes, nprobe=4)
    recalls = [file.recall(tables, 50, nprobe) for nprobe in (1, 4, 32, 256)]
    assert recalls == sorted(recalls)
    assert recalls[0] < 0.9
    assert recalls[-1] == 1.0
    assert file.recall(tables, 50) == recalls[1]


@pytest.mark.parametrize("nprobe", [0, 257, -1])
def test_refuses_numbers_of_cells_that_there_are_not(nprobe: int) -> None:
    item_codes = catalogue(np.random.default_rng(0), 50)
    with pytest.raises(ArgumentError, match=r"nprobe must lie in 1\.\.256"):
        InvertedFile(item_codes, nprobe)
    with pytest.raises(ArgumentError, match="nprobe"):
        InvertedFile(item_codes).top_k(np.zeros((4, 256), np.float32), 1, nprobe=nprobe)


def test_refuses_what_a_scan_refuses() -> None:
    file = InvertedFile(catalogue(np.random.default_rng(0), 50))
    with pytest.raises(ArgumentError, match="not finite"):
        file.top_k(np.full((4, 256), np.nan, np.float32), 1)
    with pytest.raises(ArgumentError, match="k must"):
        file.top_k(np.zeros((4, 256), np.float32), 0)
    with pytest.raises(ArgumentError, match="allow"):
        file.top_k(np.zeros((4, 256), np.float32), 1, Filter(allow=np.array([50], np.int32)))
