"""Nearest items by cosine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from lightrec.artifact.contents import Model
from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError, UnknownIdError
from lightrec.native import KERNELS
from lightrec.search.filters import Filter
from lightrec.search.row_mask import RowMask
from lightrec.serving import Recommender
from lightrec.serving.similar_items import SimilarItems


def cosines(item_codes: ItemCodes, row: int) -> np.ndarray:
    items = item_codes.decode().astype(np.float64)
    unit = items / np.linalg.norm(items, axis=1, keepdims=True)
    return np.asarray(unit @ unit[row])


def with_codes(model: Model, codes: np.ndarray | list[list[int]], codebooks: np.ndarray) -> Model:
    return dataclasses.replace(
        model, item_codes=ItemCodes(np.asarray(codes, np.uint8), codebooks.astype(np.float32))
    )


@pytest.mark.parametrize("block", [7, 60, 10**6, None])
def test_the_nearest_items_by_cosine(
    make_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch, block: int | None
) -> None:
    """In numpy, in blocks of that size; compiled where there is none."""
    if block is not None:
        monkeypatch.setattr("lightrec.serving.similar_items._ITEMS_AT_ONCE", block)
        monkeypatch.setattr("lightrec.serving.similar_items.KERNELS", None)
    model = make_model()
    expected = cosines(model.item_codes, 5)
    order = [row for row in np.argsort(-expected) if row != 5]
    for k in (1, 8, 59, 1000):
        answer = Recommender(model).similar_items("i5", k=k)
        assert answer.items == [f"i{row}" for row in order[:k]]
        np.testing.assert_allclose(answer.scores, expected[order[:k]], rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(KERNELS is None, reason="the compiled kernels are not installed")
@pytest.mark.parametrize("books", [1, 3, 4, 8])
def test_the_kernel_answers_as_numpy(monkeypatch: pytest.MonkeyPatch, books: int) -> None:
    rng = np.random.default_rng(3)
    item_codes = ItemCodes(
        rng.integers(0, 6, (5000, books), dtype=np.uint8),
        rng.normal(size=(books, 6, 8)).astype(np.float32),
    )
    item_codes.codebooks[:, 0] = 0  # an item without a vector
    listed = np.sort(rng.choice(5000, 2500, replace=False)).astype(np.int32)
    mask = RowMask(rng.random(5000) < 0.3)
    filters = [
        Filter(),
        Filter(exclude=listed),
        Filter(exclude=listed[:9]),
        Filter(allow=listed),
        Filter(exclude=listed[::2], allow=listed),
        Filter(mask=mask),
        Filter(exclude=listed[:9], allow=listed, mask=mask),
        Filter(allow=listed[:0]),
    ]
    wanted = [(row, k, rows) for row in (0, 77) for k in (1, 100, 6000) for rows in filters]
    similar = SimilarItems(item_codes)
    compiled = [similar.top_k(*one) for one in wanted]
    for module in ("serving.similar_items", "codes.item_codes"):
        monkeypatch.setattr(f"lightrec.{module}.KERNELS", None)
    similar = SimilarItems(item_codes)
    for one, found in zip(wanted, compiled, strict=True):
        expected = similar.top_k(*one)
        np.testing.assert_array_equal(found.rows, expected.rows)
        np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("compiled", [True, False])
def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    if not compiled:
        monkeypatch.setattr("lightrec.serving.similar_items.KERNELS", None)
    similar = SimilarItems(ItemCodes(np.zeros((9, 2), np.uint8), np.ones((2, 1, 3), np.float32)))
    with pytest.raises(ArgumentError, match="k must be at least 1"):
        similar.top_k(0, 0, Filter())
    outside = np.array([9], np.int32)
    for rows in (
        Filter(exclude=outside),
        Filter(allow=outside),
        Filter(mask=RowMask(np.ones(8, bool))),
    ):
        with pytest.raises(ArgumentError):
            similar.top_k(0, 1, rows)


def test_an_item_is_never_similar_to_itself_even_when_allowed(
    make_model: Callable[..., Model],
) -> None:
    recommender = Recommender(make_model())
    assert recommender.similar_items("i5", allow=["i5"]).items == []
    assert recommender.similar_items("i5", allow=["i5", "i6"]).items == ["i6"]


def test_filters_hold(make_model: Callable[..., Model]) -> None:
    recommender = Recommender(make_model())
    found = recommender.similar_items("i5", k=60, where={"genre": "crime"}, deny=["i0", "i9"])
    assert sorted(found.items) == sorted({f"i{row}" for row in range(0, 60, 3)} - {"i0", "i9"})


def test_items_of_one_code_tie_in_catalogue_order(make_model: Callable[..., Model]) -> None:
    rng = np.random.default_rng(1)
    codes = np.tile([[1, 2], [3, 0], [1, 2]], (20, 1))
    model = with_codes(make_model(), codes, rng.normal(size=(2, 4, 6)))
    answer = Recommender(model).similar_items("i3", k=20)
    assert answer.items == [f"i{row}" for row in range(60) if row % 3 != 1 and row != 3][:20]
    assert np.unique(answer.scores).tolist() == pytest.approx([1.0])


def test_a_cosine_never_exceeds_one(make_model: Callable[..., Model]) -> None:
    """Rounding alone takes about every third product of a unit vector with itself beyond one."""
    rng = np.random.default_rng(2)
    model = with_codes(make_model(), np.arange(60)[:, np.newaxis] // 2, rng.normal(size=(1, 30, 6)))
    recommender = Recommender(model)
    for row in range(0, 60, 2):
        answer = recommender.similar_items(f"i{row}", k=59)
        assert answer.items[0] == f"i{row + 1}"
        assert (np.abs(answer.scores) <= 1).all()


def test_an_item_without_a_vector_is_similar_to_nothing(make_model: Callable[..., Model]) -> None:
    books = np.random.default_rng(1).normal(size=(1, 60, 6))
    books[0, 4] = 0
    model = with_codes(make_model(), np.arange(60)[:, np.newaxis], books)
    recommender = Recommender(model)
    nothing = recommender.similar_items("i4", k=59)
    assert not nothing.scores.any()
    assert nothing.items == [f"i{row}" for row in range(60) if row != 4]
    other = recommender.similar_items("i5", k=59)
    assert other.scores[other.items.index("i4")] == 0


def test_very_long_and_very_short_vectors_are_compared_by_direction(
    make_model: Callable[..., Model],
) -> None:
    directions = np.random.default_rng(1).normal(size=(60, 6))
    scales = np.geomspace(1e-15, 1e15, 60)[:, np.newaxis]
    plain = with_codes(make_model(), np.arange(60)[:, np.newaxis], directions[np.newaxis])
    scaled = with_codes(
        make_model(), np.arange(60)[:, np.newaxis], (directions * scales)[np.newaxis]
    )
    expected = Recommender(plain).similar_items("i30", k=59)
    answer = Recommender(scaled).similar_items("i30", k=59)
    assert answer.items == expected.items
    np.testing.assert_allclose(answer.scores, expected.scores, rtol=1e-4, atol=1e-6)


def test_the_answer_names_the_item(make_model: Callable[..., Model]) -> None:
    table = Recommender(make_model()).similar_items("i5", k=2).to_polars()
    assert table.columns == ["similar_to", "item_id", "score", "rank"]
    assert table["similar_to"].to_list() == ["i5", "i5"]


def test_bad_arguments_are_named(make_model: Callable[..., Model]) -> None:
    recommender = Recommender(make_model())
    with pytest.raises(UnknownIdError, match="unknown item id: 'u1'"):
        recommender.similar_items("u1")
    with pytest.raises(ArgumentError, match="k must be at least 1"):
        recommender.similar_items("i1", k=0)
