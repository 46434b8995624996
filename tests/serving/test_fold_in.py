"""Vectors for users whom the model does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lightrec.artifact.contents import Model, Users
from lightrec.codes.item_codes import ItemCodes
from lightrec.serving import Recommender
from lightrec.serving.fold_in import FoldIn, median_norm
from lightrec.serving.item_vectors import DecodedItems, FloatItems, ItemVectors

KINDS = ("decoded", "float32", "float16")


def make_codes(
    seed: int = 0, num_items: int = 200, num_codewords: int = 16, width: int = 5
) -> ItemCodes:
    rng = np.random.default_rng(seed)
    return ItemCodes(
        rng.integers(0, num_codewords, (num_items, 3), dtype=np.uint8),
        rng.normal(size=(3, num_codewords, width)).astype(np.float32),
    )


def make_items(kind: str) -> ItemVectors:
    """200 items of width 5."""
    if kind == "decoded":
        return DecodedItems(make_codes())
    return FloatItems(np.random.default_rng(7).normal(size=(200, 5)).astype(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_vector_minimises_the_loss_of_implicit_als(kind: str) -> None:
    catalogue, weight, ridge = make_items(kind), 40.0, 2.0
    items = catalogue.of(np.arange(200)).astype(np.float64)
    liked = np.array([3, 17, 90])
    (vector,) = FoldIn(catalogue, catalogue_weight=weight, ridge=ridge).vectors([liked])
    mean_square = (items**2).sum(axis=1).mean()

    def loss(p: np.ndarray) -> float:
        fit = ((items[liked] @ p - 1) ** 2).sum()
        return float(fit + weight / 200 * ((items @ p) ** 2).sum() + ridge * mean_square * (p @ p))

    lowest = loss(vector.astype(np.float64))
    for step in 1e-3 * np.random.default_rng(1).normal(size=(50, 5)):
        assert loss(vector + step) > lowest


def test_vectors_have_the_length_of_stored_users() -> None:
    codes = make_codes()
    vectors = FoldIn(DecodedItems(codes), norm=2.5).vectors([np.array([1]), np.arange(150)])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 2.5, rtol=1e-6)


def test_decoded_items_given_as_floats_fold_in_alike() -> None:
    codes = make_codes()
    histories = [np.array([3, 17, 90]), np.arange(60)]
    np.testing.assert_allclose(
        FoldIn(FloatItems(codes.decode())).vectors(histories),
        FoldIn(DecodedItems(codes)).vectors(histories),
        rtol=1e-5,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_one_history_or_many_is_the_same_to_the_last_bit(kind: str) -> None:
    fold_in = FoldIn(make_items(kind), norm=1.0)
    rng = np.random.default_rng(2)
    histories = [np.unique(rng.integers(200, size=size)) for size in (1, 2, 7, 100)]
    together = fold_in.vectors(histories)
    for history, vector in zip(histories, together, strict=True):
        assert fold_in.vectors([history])[0].tobytes() == vector.tobytes()


def test_nothing_to_go_by_is_a_zero_vector() -> None:
    codes = make_codes()
    cancelling = ItemCodes(
        np.array([[0], [1], [2]], np.uint8),
        np.array([[[1, 2], [-1, -2], [3, 1]]], np.float32),
    )
    assert not FoldIn(DecodedItems(codes), norm=1.0).vectors([np.empty(0, np.int32)]).any()
    vectors = FoldIn(DecodedItems(cancelling), norm=1.0).vectors([np.array([0, 1]), np.array([0])])
    assert vectors.any(axis=1).tolist() == [False, True]


@pytest.mark.parametrize("size", [1e-40, 1e-20, 1e15])
def test_items_of_any_size_give_finite_vectors(size: float) -> None:
    vectors = (size * np.random.default_rng(8).normal(size=(50, 3)).clip(-1, 1)).astype(np.float32)
    (vector,) = FoldIn(FloatItems(vectors)).vectors([np.array([4, 9])])
    assert vector.any()
    assert np.abs(vector).max() <= np.float32(1e15)


def test_a_catalogue_of_zero_vectors_is_survived() -> None:
    codes = ItemCodes(np.zeros((4, 2), np.uint8), np.zeros((2, 3, 2), np.float32))
    assert not FoldIn(DecodedItems(codes), norm=1.0).vectors([np.array([0, 1])]).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_median_length_of_stored_users(dtype: Any) -> None:
    values = np.array([[3, 4], [0, 0], [6, 8], [0, 1]], dtype)
    assert median_norm(Users("free", values)) == pytest.approx(5)
    assert median_norm(Users("free", values[:0])) is None
    assert median_norm(Users("free", np.zeros((2, 2), dtype))) is None
    assert median_norm(Users("table", np.ones((2, 3, 4), dtype))) is None


def test_a_history_leads_to_more_of_its_kind() -> None:
    """Items of eight planted kinds: most of the best items are of the kind of the history."""
    rng = np.random.default_rng(3)
    centres = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    books = np.stack([centres, 0.2 * rng.normal(size=(8, 8))]).astype(np.float32)
    kinds = np.repeat(np.arange(8), 50)
    codes = ItemCodes(np.stack([kinds, rng.integers(0, 8, 400)], axis=1).astype(np.uint8), books)
    vectors = FoldIn(DecodedItems(codes), norm=1.0).vectors(
        [np.flatnonzero(kinds == k)[:3] for k in range(8)]
    )
    best = np.argsort(-vectors @ codes.decode().T, axis=1)[:, :20]
    assert (kinds[best] == np.arange(8)[:, np.newaxis]).mean() > 0.95


def test_folding_in_a_users_own_history_agrees_with_the_user(
    make_model: Callable[..., Model],
) -> None:
    """Scores of folded-in and of stored users are of one size."""
    recommender = Recommender(make_model())
    model = recommender.model
    assert model.history is not None
    stored = recommender.score(
        users=model.user_ids.ids(range(9)), items=model.item_ids.ids(range(60))
    )
    histories = [model.item_ids.ids(model.history.of(row)) for row in range(9)]
    folded = recommender.score(histories=histories, items=model.item_ids.ids(range(60)))
    assert 0.5 < np.median(folded.std(axis=1)) / np.median(stored.std(axis=1)) < 2


@pytest.mark.parametrize("form", ["identity", "linear", "mlp", "free", "fitted", "table"])
def test_every_user_form_folds_in(make_model: Callable[..., Model], form: str) -> None:
    recommender = Recommender(make_model(form))
    answer = recommender.recommend(histories=[["i1", "i2"], ["i3"]], k=10)
    assert answer.counts.tolist() == [10, 10]
    assert answer.fallbacks == (None, None)
    assert answer[0].items != answer[1].items


def test_the_order_and_repetitions_of_a_history_do_not_matter(
    make_model: Callable[..., Model],
) -> None:
    recommender = Recommender(make_model())
    one, other = recommender.recommend(histories=[["i1", "i9", "i4"], ["i4", "i1", "i9", "i1"]])
    assert one.items == other.items
    assert one.scores.tobytes() == other.scores.tobytes()
