"""How new items are encoded: against the definition, and against the catalogue's own codes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lightrec.codes.additive_quantization import encode
from lightrec.codes.item_metric import ItemMetric
from lightrec.errors import ArgumentError
from lightrec.updates.new_items import AS_POPULAR, ItemEncoder
from tests.updates.conftest import vectors


def test_a_vector_is_encoded_in_the_metric_of_its_cell(make_model):
    model, (_, items) = make_model(), vectors()
    found = ItemEncoder(model).of_vectors(items[:9])
    metric = model.selection.cells.metric_of(items[:9])
    expected = encode(items[:9], model.item_codes.codebooks, metric=metric)
    assert np.array_equal(found.codes, expected.codes)
    assert found.found.all()
    assert found.float_vectors is None


def test_through_a_map_codewords_are_seen_from_the_teachers_space(make_model):
    model, (_, items) = make_model("linear"), vectors()
    found = ItemEncoder(model).of_vectors(items)
    seen = model.item_codes.codebooks @ model.users.map_weights["0.weight"]
    decoded = sum(seen[book][found.codes[:, book]] for book in range(3))
    metric = model.selection.cells.metric_of(items)
    ours = metric.errors(items - decoded).sum()
    rng = np.random.default_rng(0)
    random = rng.integers(0, 16, found.codes.shape)
    theirs = metric.errors(
        items - sum(seen[book][random[:, book]] for book in range(3)).astype(np.float32)
    ).sum()
    assert ours < 0.2 * theirs


def test_without_cells_the_users_measure(make_model):
    model, (users, items) = make_model(), vectors()
    bare = replace(model, selection=None)
    found = ItemEncoder(bare).of_vectors(items)
    expected = encode(items, model.item_codes.codebooks, metric=ItemMetric.user_gram(users))
    assert np.array_equal(found.codes, expected.codes)


def test_a_map_of_several_layers_has_no_items(make_model):
    model = make_model("linear")
    weights = {"0.weight": np.eye(6, dtype=np.float32), "1.weight": np.ones((4, 6), np.float32)}
    deep = replace(model, users=replace(model.users, form="mlp", map_weights=weights))
    with pytest.raises(ArgumentError, match="give the interactions"):
        ItemEncoder(deep).of_vectors(vectors()[1])
    kept = replace(deep, float_items=vectors()[1])
    with pytest.raises(ArgumentError, match="nor from interactions"):
        ItemEncoder(kept).of_users([np.array([1, 2], np.int32)])


def test_nobody_or_users_without_vectors_tell_nothing(make_model):
    model = make_model()
    silent = replace(model, users=replace(model.users, values=np.zeros_like(model.users.values)))
    users = [np.array([], np.int32), np.array([1, 2], np.int32)]
    assert ItemEncoder(model).of_users(users).found.tolist() == [False, True]
    assert ItemEncoder(silent).of_users(users).found.tolist() == [False, False]


def test_an_item_is_as_long_as_items_of_its_popularity(make_model):
    model = make_model(float_items=True)
    popularity = np.arange(120)
    lengths = np.linspace(1, 12, 120)
    directions = np.random.default_rng(0).normal(size=(120, 6))
    floats = lengths[:, None] * directions / np.linalg.norm(directions, axis=1)[:, None]
    import polars as pl

    model = replace(
        model,
        float_items=floats.astype(np.float32),
        item_columns=pl.DataFrame({"popularity": popularity}),
    )
    found = ItemEncoder(model).of_users([np.arange(3), np.arange(80)])
    expected = [np.median(lengths[:AS_POPULAR]), np.median(lengths[20:])]
    np.testing.assert_allclose(np.linalg.norm(found.float_vectors, axis=1), expected, rtol=1e-3)


def test_float_items_without_pairs_need_vectors(make_model):
    model = replace(make_model("table", float_items=True), history=None)
    with pytest.raises(ArgumentError, match="training pairs"):
        ItemEncoder(model).of_users([np.arange(3)])
