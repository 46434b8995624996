"""The catalogue's vectors, decoded or float, whole or in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lightrec.codes.item_codes import ItemCodes
from lightrec.serving.item_vectors import DecodedItems, FloatItems


def make_items(dtype: Any = np.float32, num_items: int = 333, width: int = 7) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(num_items, width)).astype(dtype)


@pytest.fixture(params=["blocks", "whole"])
def block_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "blocks":  # 50 vectors at once, the last block shorter
        monkeypatch.setattr("lightrec.serving.item_vectors._BLOCK_BYTES", 50 * 7 * 4)


def test_decoded_items_never_decode_the_catalogue_for_its_gram_matrix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(1)
    codes = ItemCodes(
        rng.integers(0, 16, (200, 3), dtype=np.uint8),
        rng.normal(size=(3, 16, 5)).astype(np.float32),
    )
    items = codes.decode().astype(np.float64)
    monkeypatch.setattr("lightrec.serving.item_vectors._ITEMS_AT_ONCE", 64)
    monkeypatch.setattr(ItemCodes, "decode", lambda *_: pytest.fail("decoded"))
    np.testing.assert_allclose(DecodedItems(codes).gram(), items.T @ items, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.usefixtures("block_bytes")
def test_float_items_are_read_in_blocks(dtype: Any) -> None:
    vectors = make_items(dtype)
    items, exact = FloatItems(vectors), vectors.astype(np.float64)
    assert (items.num_items, items.width) == (333, 7)
    np.testing.assert_allclose(items.gram(), exact.T @ exact, rtol=1e-12, atol=1e-10)
    users = np.random.default_rng(2).normal(size=(5, 7)).astype(np.float32)
    scores = items.scores(users)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, users @ exact.T, rtol=1e-5, atol=1e-5)
    rows = np.array([330, 4, 4], np.int32)
    assert items.of(rows).dtype == np.float32
    np.testing.assert_array_equal(items.of(rows), exact[rows])


@pytest.mark.usefixtures("block_bytes")
def test_scores_of_one_user_or_many_are_the_same_to_the_last_bit() -> None:
    items = FloatItems(make_items())
    users = np.random.default_rng(2).normal(size=(40, 7)).astype(np.float32)
    together = items.scores(users)
    for user, scores in zip(users, together, strict=True):
        assert items.scores(user[np.newaxis])[0].tobytes() == scores.tobytes()


def test_items_too_large_to_keep_as_floats_are_widened_block_by_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors = make_items(np.float16)
    users = np.random.default_rng(2).normal(size=(5, 7)).astype(np.float32)
    kept = FloatItems(vectors).scores(users)
    monkeypatch.setattr("lightrec.serving.item_vectors._KEPT_BYTES", 0)
    assert FloatItems(vectors).scores(users).tobytes() == kept.tobytes()


def test_a_catalogue_in_another_order_of_memory_is_read_alike() -> None:
    vectors = make_items(num_items=64)
    users = make_items(num_items=3)
    strange = np.asfortranarray(vectors[::-1])
    assert (
        FloatItems(strange).scores(users).tobytes()
        == FloatItems(np.ascontiguousarray(strange)).scores(users).tobytes()
    )
