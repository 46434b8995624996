"""`update`, `diff`, `verify`, `explain`, and `train --publish-if-better`."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from lightrec.artifact import Model
from lightrec.cli import publish as publishing
from lightrec.errors import InputError, NotPublishedError
from lightrec.interactions import Interactions


@pytest.fixture
def folder(model_folder, tmp_path):
    """A copy of the model, to be updated."""
    shutil.copytree(model_folder, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def today(write):
    """Interactions with a new user and a new item."""
    rows = [f"u{user},5000" for user in range(6)] + ["fresh,1000", "fresh,1002", "u0,1059"]
    return write("today.csv", "\n".join(["user_id,item_id", *rows]) + "\n")


def test_an_update_in_place_knows_the_new(cli, folder, today):
    outcome = cli("update", folder, "--interactions", today)
    assert outcome.code == 0, outcome.err
    assert "0 removed, 1 added; 60 before, 61 now" in outcome.out
    assert "1 added, 6 known ones fitted anew" in outcome.out
    assert cli("recommend", folder, "--user", "fresh").code == 0
    assert cli("similar", folder, "--item", "5000").code == 0
    assert cli("verify", folder).code == 0


def test_an_update_elsewhere_leaves_the_old_one_alone(cli, folder, today, tmp_path):
    before = Model.load(folder).digest
    out = tmp_path / "new"
    outcome = cli("update", folder, "--interactions", today, "--out", out, "--json")
    told = json.loads(outcome.out)
    assert (told["items_added"], told["users_added"], told["pairs_read"]) == (1, 1, 9)
    assert Model.load(folder).digest == before
    assert Model.load(out).num_items == 61
    outcome = cli("diff", folder, out, "--json")
    found = json.loads(outcome.out)
    assert (found["items_added"], found["users_added"], found["codes_changed"]) == (1, 1, 0)
    assert found["metrics"] is None
    assert "lists: of 20 users' top 10," in cli("diff", folder, out).out


def test_items_come_with_vectors_and_titles_and_go(cli, folder, write, tmp_path):
    np.save(tmp_path / "new.npy", np.eye(4, dtype=np.float32)[:2])
    ids = write("new.txt", "7001\n7002\n")
    items = write("items.csv", "item_id,title,category,year\n7001,A new one,Crime,2024\n")
    gone = write("gone.txt", "1003\n1004\n")
    outcome = cli(
        "update", folder, "--item-vectors", tmp_path / "new.npy", "--item-ids", ids,
        "--items", items, "--remove", gone, "--remove", "1010",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "3 removed, 2 added" in outcome.out
    made = Model.load(folder)
    assert made.item_ids.series[-2:].to_list() == [7001, 7002]
    assert made.item_columns["title"][-2:].to_list() == ["A new one", None]
    assert made.item_columns["year"][-2] == 2024
    assert made.item_ids.find([1003, 1004, 1010]).tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "nothing to do"),
        (["--remove", "99"], 5, "unknown item id: 99"),
        (["--item-ids", "today.csv", "--remove", "1000"], 2, "--item-vectors"),
        (["--item-vectors", "new.npy"], 2, "--item-ids"),
        (["--item-vectors", "new.npy", "--item-ids", "short.txt"], 2, "(1, 4)"),
        (["--interactions", "nowhere.csv"], 3, "nowhere.csv"),
        (["--interactions", "text.csv"], 3, "integers"),
    ],
)
def test_what_an_update_refuses(
    refused, folder, today, write, tmp_path, monkeypatch, words, code, told
):
    monkeypatch.chdir(today.parent)
    np.save("new.npy", np.eye(4, dtype=np.float32)[:2])
    write("short.txt", "7001\n")
    write("text.csv", "user_id,item_id\nu0,seven\n")
    before = Model.load(folder).digest
    assert told in refused(code, "update", folder, *words)
    assert Model.load(folder).digest == before


def test_both_models_are_measured_on_pairs_that_both_know(cli, model, folder, tmp_path, write):
    free = np.setdiff1d(np.arange(60), model.history.of(0))[:4]
    rows = [f"u0,{1000 + item}" for item in free]
    test = write("test.csv", "\n".join(["user_id,item_id", *rows, "u1,1010", "who,1000"]) + "\n")
    assert cli("update", folder, "--remove", "1010", "--out", tmp_path / "new").code == 0
    outcome = cli("diff", folder, tmp_path / "new", "--test", test, "--json")
    metrics = json.loads(outcome.out)["metrics"]
    assert (metrics["pairs"], metrics["users"]) == (4, 1)
    assert metrics["old"]["recall@100"] == metrics["new"]["recall@100"] == 1
    assert "4 pairs of 1 users" in cli("diff", folder, tmp_path / "new", "--test", test).out


def test_verify_tells_what_it_checked(cli, model, folder):
    outcome = cli("verify", folder)
    assert "is sound" in outcome.out
    assert "top 60 of 20 users" in outcome.out
    told = json.loads(cli("verify", folder, "--users", "3", "--json").out)
    assert (told["sound"], told["users_compared"]) == (True, 3)
    assert told["pairs_counted"] == len(model.history)


def test_verify_finds_damage_and_a_wrong_count(refused, folder, model):
    data = (folder / "users.safetensors").read_bytes()
    (folder / "users.safetensors").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert "users.safetensors" in refused(4, "verify", folder)
    shutil.rmtree(folder)
    counts = pl.Series("popularity", np.arange(60))
    replace(model, item_columns=model.item_columns.with_columns(counts)).save(folder)
    assert "popularity" in refused(4, "verify", folder)


def test_explain_shows_codebooks_and_history(cli, model, folder):
    outcome = cli("explain", folder, "--user", "u1", "--item", "1005")
    assert outcome.code == 0, outcome.err
    assert "1005: score" in outcome.out
    assert "Book [bold]" in outcome.out
    told = json.loads(cli("explain", folder, "--user", "u1", "--item", "1005", "--json").out)
    assert len(told["codebooks"]) == 2
    assert len(told["history"]) == len(model.history.of(1))
    by_history = cli("explain", folder, "--history", "1001,1002", "--item", "1005", "--json")
    assert {part["item_id"] for part in json.loads(by_history.out)["history"]} == {1001, 1002}


def test_explain_wants_one_query(refused, folder):
    assert "one of" in refused(2, "explain", folder, "--item", "1005")
    assert "unknown item" in refused(5, "explain", folder, "--user", "u1", "--item", "5")


@pytest.fixture
def judged(model):
    """A better and a worse model, and pairs that tell which is which."""
    free = np.setdiff1d(np.arange(60), model.history.of(0))
    decoded = model.item_codes.decode()
    codes = model.item_codes.codes
    wanted = next(row for row in free if not (codes[free] == codes[row]).all(1).sum() > 1)
    values = model.users.values.copy()
    values[0] = decoded[wanted] - decoded.mean(axis=0)
    best = max(free, key=lambda row: float(decoded[row] @ values[0]))
    opposite = values.copy()
    opposite[0] *= -1
    pairs = Interactions.from_table({"user_id": ["u0"], "item_id": [1000 + int(best)]})
    better, worse = (
        replace(model, users=replace(model.users, values=each)) for each in (values, opposite)
    )
    return better, worse, pairs


def test_a_better_model_takes_the_place_of_a_worse(judged, tmp_path, capsys):
    better, worse, pairs = judged
    worse.save(tmp_path / "model")
    publishing.publish(
        better, tmp_path / "model", pairs, "test.csv", tmp_path / "kept", with_history=True
    )
    assert np.array_equal(Model.load(tmp_path / "model").users.values, better.users.values)
    assert not (tmp_path / "kept").exists()
    assert "is replaced: Recall@100 + NDCG on 1 pairs" in capsys.readouterr().out


def test_a_model_that_cannot_be_compared_is_kept(judged, model, tmp_path):
    better, worse, _ = judged
    worse.save(tmp_path / "model")
    row = int(model.history.of(0)[0])
    trained_on = Interactions.from_table({"user_id": ["u0"], "item_id": [1000 + row]})
    with pytest.raises(InputError, match="was trained on"):
        publishing.publish(
            better, tmp_path / "model", trained_on, "t.csv", tmp_path / "kept", with_history=True
        )
    assert np.array_equal(Model.load(tmp_path / "model").users.values, worse.users.values)
    assert np.array_equal(Model.load(tmp_path / "kept").users.values, better.users.values)


def test_a_worse_model_does_not(judged, tmp_path):
    better, worse, pairs = judged
    better.save(tmp_path / "model")
    with pytest.raises(NotPublishedError, match="was not replaced") as caught:
        publishing.publish(
            worse, tmp_path / "model", pairs, "test.csv", tmp_path / "kept", with_history=True
        )
    assert caught.value.exit_code == 8
    assert np.array_equal(Model.load(tmp_path / "model").users.values, better.users.values)
    assert np.array_equal(Model.load(tmp_path / "kept").users.values, worse.users.values)
