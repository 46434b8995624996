"""Two models side by side, and one against itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from lightrec.codes.item_codes import ItemCodes
from lightrec.compress import compress
from lightrec.errors import ArgumentError, ArtifactError
from lightrec.interactions.id_map import IdMap
from lightrec.search.scan import make_scan
from lightrec.serving import Recommender
from lightrec.updates import difference, self_check, update


def test_a_model_does_not_differ_from_itself(make_model):
    model = make_model()
    found = difference(model, model, k=7)
    assert (found.items_added, found.items_removed, found.users_added, found.users_removed) == (
        (0,) * 4
    )
    assert (found.codes_changed, found.codebooks_changed) == (0, False)
    assert (found.users_compared, found.k) == (80, 7)
    assert (found.overlap, found.same_first, found.unchanged_lists) == (1, 1, 1)


def test_what_changed_is_counted(make_model, table):
    model = make_model()
    codes = model.item_codes.codes.copy()
    codes[[4, 9]] = (codes[[4, 9]] + 1) % 16
    other = replace(model, item_codes=ItemCodes(codes, model.item_codes.codebooks))
    other = update(other, table([("fresh", "i0"), ("u0", "x")]), remove_items=["i7"]).model
    found = difference(model, other, k=5)
    assert (found.items_added, found.items_removed) == (1, 1)
    assert (found.users_added, found.users_removed) == (1, 0)
    assert (found.codes_changed, found.codebooks_changed) == (2, False)

    old, new = Recommender(model), Recommender(other)
    shares, first, whole = [], [], []
    for user in model.user_ids.series:
        before = old.recommend(users=user, k=5).item_ids.to_list()
        after = new.recommend(users=user, k=5).item_ids.to_list()
        shares.append(len(set(before) & set(after)) / 5)
        first.append(before[0] == after[0])
        whole.append(before == after)
    assert found.overlap == pytest.approx(np.mean(shares))
    assert found.same_first == pytest.approx(np.mean(first))
    assert found.unchanged_lists == pytest.approx(np.mean(whole))
    assert 0 < found.overlap < 1


def test_integers_and_their_spelling_are_one_id(make_model):
    integers = make_model(ids="integers")
    texts = replace(
        integers,
        user_ids=IdMap(integers.user_ids.series.cast(pl.String)),
        item_ids=IdMap(integers.item_ids.series.cast(pl.String)),
    )
    found = difference(integers, texts)
    assert (found.items_removed, found.users_removed, found.overlap) == (0, 0, 1)


def test_a_sample_of_users_is_enough_and_none_is_said(make_model):
    model = make_model()
    assert difference(model, model, users=10).users_compared == 10
    strangers = replace(model, user_ids=IdMap(pl.Series([f"x{row}" for row in range(80)])))
    found = difference(model, strangers)
    assert (found.users_compared, found.overlap, found.users_removed) == (0, None, 80)
    with pytest.raises(ArgumentError):
        difference(model, model, k=0)


def test_codes_of_another_shape_cannot_be_compared(make_model):
    model = make_model()
    halved = ItemCodes(model.item_codes.codes[:, :2].copy(), model.item_codes.codebooks[:2].copy())
    assert difference(model, replace(model, item_codes=halved)).codes_changed is None


def test_a_sound_model_passes_its_check(make_model):
    checked = self_check(make_model("table"), users=7)
    assert (checked.users_compared, checked.k, checked.pairs_counted) == (7, 100, 640)
    assert self_check(replace(make_model(), history=None)).pairs_counted is None


def test_a_model_without_users_is_asked_by_its_items(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    model = compress(vectors)
    checked = self_check(model, users=7)
    assert (checked.users_compared, checked.items_compared) == (0, 7)
    monkeypatch.setattr("lightrec.serving.ranking.make_scan", wrong_scan)
    with pytest.raises(ArtifactError, match="item 0: the fast search"):
        self_check(model)


def test_a_popularity_that_was_made_up_is_found(make_model):
    model = make_model()
    counts = model.item_columns["popularity"].to_list()
    counts[17] += 1
    column = pl.Series("popularity", counts)
    forged = replace(model, item_columns=model.item_columns.with_columns(column))
    with pytest.raises(ArtifactError, match="'i17'"):
        self_check(forged)


def test_a_search_that_answers_otherwise_is_found(make_model, monkeypatch):
    model = make_model()
    monkeypatch.setattr("lightrec.serving.ranking.make_scan", wrong_scan)
    with pytest.raises(ArtifactError, match="the fast search"):
        self_check(model)


def wrong_scan(codes):
    """Searches a catalogue in which two codes changed places."""
    swapped = codes.codes.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    return make_scan(ItemCodes(swapped, codes.codebooks))
