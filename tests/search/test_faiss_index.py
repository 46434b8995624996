"""The faiss index against the reference scan."""

import sys

import numpy as np
import pytest

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError
from lightrec.search.faiss_index import to_faiss
from lightrec.search.reference_scan import ReferenceScan

pytest.importorskip("faiss")


@pytest.mark.parametrize(
    ("shape", "num_items"),
    [((4, 256, 32), 3000), ((4, 100, 8), 500), ((8, 16, 5), 200), ((1, 3, 2), 7)],
)
def test_finds_the_same_items_with_the_same_scores(shape, num_items: int) -> None:
    rng = np.random.default_rng(0)
    codebooks = rng.normal(size=shape).astype(np.float32)
    codes = rng.integers(0, shape[1], (num_items, shape[0])).astype(np.uint8)
    item_codes = ItemCodes(codes, codebooks)
    queries = rng.normal(size=(20, shape[2])).astype(np.float32)
    k = min(50, num_items)
    scores, rows = to_faiss(item_codes).search(queries, k)
    scan = ReferenceScan(codes, shape[1])
    for query, table in enumerate(item_codes.score_tables(queries)):
        ours = scan.top_k(table, k)
        np.testing.assert_allclose(scores[query], ours.scores, rtol=1e-4, atol=1e-4)
        every = scan.top_k(table, num_items)
        by_row = dict(zip(every.rows.tolist(), every.scores.tolist(), strict=True))
        found = [by_row[row] for row in rows[query].tolist()]
        np.testing.assert_allclose(found, ours.scores, rtol=1e-4, atol=1e-4)
        assert len(set(rows[query].tolist())) == k


def test_says_how_to_install_faiss(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    item_codes = ItemCodes(np.zeros((3, 1), np.uint8), np.zeros((1, 2, 2), np.float32))
    with pytest.raises(ArgumentError, match=r"pip install 'lightrec\[baselines\]'"):
        to_faiss(item_codes)
