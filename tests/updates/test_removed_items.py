"""Items that were removed stay out, until somebody puts them back by name."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

import lightrec
from lightrec.errors import ArgumentError, ArtifactError, UnknownIdError
from lightrec.updates import removed_items as remembered
from lightrec.updates import update
from lightrec.updates.removed_items import removed_items, with_removed_of


def gone(model) -> list:
    return removed_items(model).series.to_list()


@pytest.fixture
def log(table):
    """All that was ever done: some of it with i3, and something new."""
    pairs = [(f"u{user}", "i3") for user in range(1, 30, 2)]
    return table([*pairs, ("u0", "i0"), ("only", "i3"), ("fresh", "i5")])


def test_the_log_does_not_bring_a_removed_item_back(make_model, log, tmp_path):
    without = update(make_model(), remove_items=["i3"]).model
    without.save(tmp_path / "model")
    done = update(lightrec.Model.load(tmp_path / "model"), log)
    assert done.model.num_items == 119
    assert done.items_kept_out == ("i3",)
    assert (done.pairs_kept_out, done.items_added) == (16, 0)
    assert done.users_left_out == ("only",)
    assert done.pairs_read == 18
    assert done.pairs_added + done.pairs_known == 2
    assert "1 kept out, because they were removed" in done.describe()
    assert ", 16 of items kept out" in done.describe()
    assert gone(done.model) == ["i3"]


def test_nor_does_it_in_the_same_update(make_model, log):
    done = update(make_model(), log, remove_items="i3")
    assert (done.items_removed, done.items_added, done.items_kept_out) == (1, 0, ("i3",))
    assert done.model.item_ids.find(["i3"]).tolist() == [-1]


def test_a_restored_item_comes_back_with_the_log(make_model, log):
    without = update(make_model(), remove_items=["i3", "i4"]).model
    done = update(without, log, restore_items="i3")
    assert (done.items_restored, done.items_added, done.items_kept_out) == (1, 1, ())
    assert done.model.item_ids.series[-1] == "i3"
    assert gone(done.model) == ["i4"]
    assert done.users_added == 2


def test_leave_to_come_back_may_be_given_before(make_model, log):
    without = update(make_model(), remove_items=["i3"]).model
    allowed = update(without, restore_items=["i3"])
    assert gone(allowed.model) == []
    assert "removed_items" not in allowed.model.config
    assert "1 removed ones may come in again" in allowed.describe()
    assert update(allowed.model, log).items_added == 1


def test_a_vector_brings_a_removed_item_back_only_by_name(make_model):
    model, vector = make_model(), -np.ones((1, 6), np.float32)
    with pytest.raises(ArgumentError, match="'i3' already; remove and restore it"):
        update(model, item_ids=["i3"], item_vectors=vector)
    for asked, remove in ((model, "i3"), (update(model, remove_items="i3").model, None)):
        with pytest.raises(ArgumentError, match=r"'i3' was removed .* restore_items"):
            update(asked, remove_items=remove, item_ids=["i3"], item_vectors=vector)
        done = update(
            asked, remove_items=remove, restore_items="i3", item_ids=["i3"], item_vectors=vector
        )
        assert (done.items_removed, done.items_added) == (int(remove is not None), 1)
        assert done.model.num_items == model.num_items
        assert done.model.item_ids.series[-1] == "i3"
        assert gone(done.model) == []


def test_removing_twice_is_no_mistake_and_restoring_what_is_there_is(make_model):
    model = make_model()
    once = update(model, remove_items=["i3"])
    twice = update(once.model, remove_items=["i3", "i4"])
    assert twice.items_removed == 1
    assert "1 of the items to remove had been removed before" in twice.notes
    assert gone(twice.model) == ["i3", "i4"]
    with pytest.raises(UnknownIdError, match="unknown item id: 'i999'"):
        update(once.model, remove_items=["i3", "i999"])
    with pytest.raises(UnknownIdError, match="unknown removed item id: 'i5'; only removed"):
        update(once.model, restore_items=["i3", "i5"])


def test_integers_are_remembered_as_integers(make_model, table):
    without = update(make_model(ids="integers"), remove_items=[3]).model
    assert gone(without) == [3]
    assert json.loads(json.dumps(without.config["removed_items"])) == [3]
    done = update(without, table([("1", "3"), ("3", "3"), ("5", "7")]))  # a CSV file's are text
    assert done.items_kept_out == ("3",)
    assert done.model.num_items == 119


def test_those_removed_first_are_forgotten_first_and_it_is_said(make_model, monkeypatch):
    for module in (remembered, import_module("lightrec.updates.update")):
        monkeypatch.setattr(module, "MOST_REMOVED", 3)
    model = update(make_model(), remove_items=["i1", "i2"]).model
    done = update(model, remove_items=["i3", "i4"])
    assert gone(done.model) == ["i2", "i3", "i4"]
    assert done.notes[0].startswith("1 of the items removed first are forgotten")
    assert remembered.MOST_REMOVED == 3


@pytest.mark.parametrize("listed", [["i1", "i1"], ["i1", 2], [True], {"i1": 1}, [None], "i1"])
def test_a_forged_list_is_refused(make_model, listed):
    forged = replace(make_model(), config={"removed_items": listed})
    with pytest.raises(ArtifactError, match="removed_items must be a list"):
        update(forged, remove_items="i5")


def test_a_list_beyond_64_bits_is_refused(make_model):
    forged = replace(make_model(ids="integers"), config={"removed_items": [2**63]})
    with pytest.raises(ArtifactError, match="removed_items must be a list"):
        update(forged, remove_items=5)


def test_a_model_in_the_place_of_another_takes_over_what_was_removed(make_model):
    model = make_model()
    old = update(model, remove_items=["i3", "i4"]).model
    new, returned = with_removed_of(update(model, remove_items=["i4", "i5"]).model, old)
    assert returned == ["i3"]
    assert gone(new) == ["i4", "i5"]

    integers = update(make_model(ids="integers"), remove_items=[7]).model
    texts = replace(old, config={"removed_items": ["7", "9", "007", "x", str(2**63)]})
    new, returned = with_removed_of(integers, texts)
    assert (gone(new), returned) == ([7], ["9"])
    emptied = update(integers, remove_items=[9]).model
    assert gone(with_removed_of(emptied, texts)[0]) == [7, 9]
    assert gone(with_removed_of(model, integers)[0]) == ["7"]
