"""How much of the float model's top k the codes keep."""

import numpy as np
import pytest

from lightrec.codes.item_codes import ItemCodes
from lightrec.evaluation.top_overlap import top_overlap

RNG = np.random.default_rng(8)


def one_word_each(vectors: np.ndarray) -> ItemCodes:
    """Codes that decode to exactly these vectors."""
    return ItemCodes(np.arange(len(vectors), dtype=np.uint8)[:, None], vectors[None])


def test_codes_without_loss_keep_everything() -> None:
    items = RNG.normal(size=(80, 6)).astype(np.float32)
    queries = RNG.normal(size=(70, 6)).astype(np.float32)
    assert top_overlap(items, one_word_each(items), queries, 10) == 1.0


def test_codes_of_the_opposite_keep_nothing() -> None:
    items = RNG.normal(size=(80, 6)).astype(np.float32)
    queries = RNG.normal(size=(40, 6)).astype(np.float32)
    assert top_overlap(items, one_word_each(-items), queries, 10) == 0.0


def test_the_share_is_counted_query_by_query() -> None:
    items = RNG.normal(size=(60, 4)).astype(np.float32)
    noisy = items + RNG.normal(scale=0.5, size=items.shape).astype(np.float32)
    queries = RNG.normal(size=(33, 4)).astype(np.float32)  # one more than a block
    expected = [
        len(set(np.argsort(-(items @ query))[:7]) & set(np.argsort(-(noisy @ query))[:7])) / 7
        for query in queries
    ]
    found = top_overlap(items, one_word_each(noisy), queries, 7)
    assert found == pytest.approx(np.mean(expected))
    assert 0 < found < 1


def test_k_beyond_the_catalogue_counts_all_items() -> None:
    items = RNG.normal(size=(5, 4)).astype(np.float32)
    assert top_overlap(items, one_word_each(-items), items, 100) == 1.0
