"""`update`, `diff`, `verify`, `explain`, and `train --publish-if-better`."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from lightrec import updates
from lightrec.artifact import Model
from lightrec.cli import publish as publishing
from lightrec.errors import ArtifactError, InputError, NotPublishedError
from lightrec.interactions import Interactions
from lightrec.updates.removed_items import removed_items


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


def test_of_two_updates_at_once_neither_is_lost(cli, refused, folder, today, write, monkeypatch):
    """What the other command saved between our loading and our saving is not overwritten."""
    other = write("other.csv", "user_id,item_id\nsecond,1000\nsecond,1004\n")
    at_once = ("update", folder, "--interactions", other)
    ours = updates.update

    def slow(*given, **options):
        monkeypatch.undo()
        assert cli(*at_once).code == 0
        return ours(*given, **options)

    monkeypatch.setattr(updates, "update", slow)
    message = refused(4, "update", folder, "--interactions", today, "--json")
    assert "changed meanwhile" in message
    assert "run the command again" in message
    assert Model.load(folder).user_ids.find(["second", "fresh"]).tolist() == [20, -1]
    assert cli("update", folder, "--interactions", today).code == 0
    assert Model.load(folder).user_ids.find(["second", "fresh"]).tolist() == [20, 21]
    assert sorted(path.name for path in folder.parent.iterdir()) == sorted(
        ["model", today.name, other.name]
    )


def test_a_link_to_the_model_is_the_model(refused, folder, today, monkeypatch):
    link = folder.with_name("link")
    link.symlink_to(folder)
    ours = updates.update

    def slow(*given, **options):
        shutil.rmtree(folder)
        return ours(*given, **options)

    monkeypatch.setattr(updates, "update", slow)
    words = ("update", folder, "--interactions", today, "--out", link, "--json")
    assert "changed meanwhile" in refused(4, *words)


def test_of_many_savers_who_expect_the_same_model_one_wins(model, folder):
    digest = Model.load(folder).digest
    together, won, lost = threading.Barrier(8), [], []

    def save(number: int) -> None:
        mine = replace(model, config={"number": number})
        together.wait()
        try:
            mine.save(folder, expected=digest)
            won.append(number)
        except ArtifactError as error:
            lost.append(str(error))

    threads = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)
    assert all("changed meanwhile" in message for message in lost)
    assert Model.load(folder).config["number"] == won[0]


def test_an_update_elsewhere_expects_nothing(cli, folder, today, tmp_path):
    for _ in range(2):
        words = ("update", folder, "--interactions", today, "--out", tmp_path / "new")
        assert cli(*words).code == 0


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
    assert found["reports"] == {}
    assert "lists: of 20 users' top 10," in cli("diff", folder, out).out


def test_what_became_of_every_row_of_new_interactions_is_told_once(cli, folder, write, tmp_path):
    rows = "user_id,item_id,quantity\nu1,1001,2\nu1,1001,1\nu2,1004,5\n"
    words = ("update", folder, "--interactions", write("today.csv", rows), "--out", tmp_path / "n")
    outcome = cli(*words)
    assert outcome.out.count("3 rows read, 2 pairs used") == 1
    assert outcome.out.count("'quantity' is not used: every row counts once") == 1
    assert outcome.err == ""
    outcome = cli(*words, "--json")
    report = json.loads(outcome.out)["reports"]["interactions"]
    assert (report["rows_in"], report["rows_used"], report["merged_duplicates"]) == (3, 2, 1)
    assert "'quantity' is not used" in report["notes"][0]
    assert outcome.err == ""
    outcome = cli("update", folder, "--remove", "1003", "--out", tmp_path / "n", "--json")
    assert json.loads(outcome.out)["reports"] == {}


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


def test_titles_of_known_items_change_and_what_is_told_in_vain_is_said(cli, folder, write):
    items = write("items.csv", "item_id,title,price\n1003,Another one,5\n9999,Nothing,7\n")
    outcome = cli("update", folder, "--items", items)
    assert outcome.code == 0, outcome.err
    assert "1 known ones have other columns now" in outcome.out
    assert "left out: price" in outcome.out
    assert "1 rows of the items table were left out" in outcome.out
    assert "users:" not in outcome.out
    made = Model.load(folder)
    assert made.item_columns["title"][3] == "Another one"
    assert made.item_columns["category"][3] == "Crime"


def test_the_items_table_of_an_update_may_name_its_ids_as_the_interactions_do(cli, folder, write):
    items = write("items.csv", "sku,title\n1003,7.50\n")
    log = write("log.csv", "user_id,sku\nu1,1003\n")
    words = ("update", folder, "--interactions", log, "--item-column", "sku", "--items", items)
    outcome = cli(*words)
    assert outcome.code == 0, outcome.err
    assert Model.load(folder).item_columns["title"][3] == "7.50"


def test_removed_items_stay_out_until_they_are_restored(cli, folder, write):
    log = write("log.csv", "user_id,item_id\n" + "".join(f"u{u},1003\n" for u in range(9)))
    assert cli("update", folder, "--remove", "1003").code == 0
    outcome = cli("update", folder, "--interactions", log, "--json")
    told = json.loads(outcome.out)
    assert (told["items_kept_out"], told["pairs_kept_out"]) == (["1003"], 9)
    assert Model.load(folder).num_items == 59
    gone = write("gone.txt", "1003\n1004\n")
    outcome = cli("update", folder, "--remove", gone)  # the list of all that was ever withdrawn
    assert "1 of the items to remove had been removed before" in outcome.out
    words = ("update", folder, "--interactions", log, "--restore-item", "1003")
    outcome = cli(*words)
    assert "1 removed, 1 added" not in outcome.out
    assert "0 removed, 1 added; 58 before, 59 now" in outcome.out
    assert "1 removed ones may come in again" in outcome.out
    assert cli("update", folder, "--restore-item", gone).code == 5  # 1003 is there again
    assert cli("update", folder, "--restore-item", "1004").code == 0


def test_an_item_is_encoded_anew_in_one_command(cli, folder, write, tmp_path):
    np.save(tmp_path / "new.npy", np.eye(4, dtype=np.float32)[:1])
    ids = write("new.txt", "1010\n")
    words = ("--remove", "1010", "--item-vectors", tmp_path / "new.npy", "--item-ids", ids)
    assert cli("update", folder, *words).code == 2
    outcome = cli("update", folder, *words, "--restore-item", "1010")
    assert outcome.code == 0, outcome.err
    assert "1 removed, 1 added; 60 before, 60 now" in outcome.out
    assert Model.load(folder).item_ids.series[-1] == 1010


def test_items_that_share_a_code_are_named(cli, folder, write, tmp_path):
    np.save(tmp_path / "new.npy", np.tile(np.eye(4, dtype=np.float32)[:1], (2, 1)))
    ids = write("new.txt", "7001\n7002\n")
    words = ("update", folder, "--item-vectors", tmp_path / "new.npy", "--item-ids", ids)
    outcome = cli(*words, "--out", tmp_path / "new")
    assert "2 of those added share their code with another item: 7001, 7002" in outcome.out
    told = json.loads(cli(*words, "--json").out)
    assert (told["items_sharing_a_code"], told["ids_sharing_a_code"]) == (2, ["7001", "7002"])


def test_a_model_without_pairs_keeps_its_users_unless_told(cli, bare_model_folder, write, tmp_path):
    pairs = write("p.csv", "user_id,item_id\n" + "".join(f"u0,{1000 + i}\n" for i in range(9)))
    words = ("update", bare_model_folder, "--interactions", pairs, "--out", tmp_path / "new")
    outcome = cli(*words)
    assert "1 known users keep what training gave them" in outcome.out
    trained = Model.load(bare_model_folder).users.values
    assert np.array_equal(Model.load(tmp_path / "new").users.values, trained)
    outcome = cli(*words, "--refit-known")
    assert "1 known ones fitted anew" in outcome.out
    assert not np.array_equal(Model.load(tmp_path / "new").users.values[0], trained[0])


def test_the_format_of_a_table_can_be_said(cli, folder, model, write, tmp_path):
    pairs = write("pairs.log", "user_id,item_id\nfresh,1000\nfresh,1002\n")
    words = ("update", folder, "--interactions", pairs, "--out", tmp_path / "new")
    outcome = cli(*words, "--format", "csv")
    assert outcome.code == 0, outcome.err
    assert Model.load(tmp_path / "new").num_users == 21
    assert cli(*words, "--format", "movielens").code == 3
    free = np.setdiff1d(np.arange(60), model.history.of(0))[:2]
    test = write("test.log", "user_id,item_id\n" + "".join(f"u0,{1000 + row}\n" for row in free))
    outcome = cli("diff", folder, tmp_path / "new", "--test", test, "--format", "csv", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["metrics"]["pairs"] == 2


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
    told = json.loads(outcome.out)
    metrics = told["metrics"]
    assert (metrics["pairs"], metrics["users"]) == (4, 1)
    assert (told["reports"]["test"]["rows_in"], told["reports"]["test"]["rows_used"]) == (6, 6)
    assert metrics["old"]["recall@100"] == metrics["new"]["recall@100"] == 1
    shown = cli("diff", folder, tmp_path / "new", "--test", test).out
    assert "4 pairs of 1 users" in shown
    assert shown.startswith(f"{test}: 6 rows read, 6 pairs used")


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


@pytest.fixture
def run_folder(tmp_path):
    """Of a training that left checkpoints."""
    (tmp_path / "run" / "checkpoints" / "student-all" / "even").mkdir(parents=True)
    return tmp_path / "run"


def kept_aside(run_folder) -> Model:
    """The new model, beside the log; the checkpoints are settled with it."""
    assert sorted(path.name for path in run_folder.iterdir()) == ["model"]
    return Model.load(run_folder / "model")


def test_a_better_model_takes_the_place_of_a_worse(judged, run_folder, tmp_path, capsys):
    better, worse, pairs = judged
    worse.save(tmp_path / "model")
    publishing.publish(better, tmp_path / "model", pairs, "test.csv", run_folder, with_history=True)
    assert np.array_equal(Model.load(tmp_path / "model").users.values, better.users.values)
    assert not list(run_folder.iterdir())
    assert "is replaced: Recall@100 + NDCG on 1 pairs" in capsys.readouterr().out


def test_a_model_that_cannot_be_compared_is_kept(judged, model, run_folder, tmp_path):
    better, worse, _ = judged
    worse.save(tmp_path / "model")
    row = int(model.history.of(0)[0])
    trained_on = Interactions.from_table({"user_id": ["u0"], "item_id": [1000 + row]})
    with pytest.raises(InputError, match="was trained on"):
        publishing.publish(
            better, tmp_path / "model", trained_on, "t.csv", run_folder, with_history=True
        )
    assert np.array_equal(Model.load(tmp_path / "model").users.values, worse.users.values)
    assert np.array_equal(kept_aside(run_folder).users.values, better.users.values)


def test_a_worse_model_does_not(judged, run_folder, tmp_path):
    better, worse, pairs = judged
    better.save(tmp_path / "model")
    with pytest.raises(NotPublishedError, match="was not replaced") as caught:
        publishing.publish(
            worse, tmp_path / "model", pairs, "test.csv", run_folder, with_history=True
        )
    assert caught.value.exit_code == 8
    assert np.array_equal(Model.load(tmp_path / "model").users.values, better.users.values)
    assert np.array_equal(kept_aside(run_folder).users.values, worse.users.values)


def test_what_was_updated_during_the_training_is_not_overwritten(
    judged, run_folder, tmp_path, capsys
):
    better, worse, pairs = judged
    worse.save(tmp_path / "model")
    began = Model.load(tmp_path / "model").digest
    changed = updates.update(worse, remove_items=[1059]).model
    changed.save(tmp_path / "model")
    words = (better, tmp_path / "model", pairs, "test.csv", run_folder)
    with pytest.raises(ArtifactError, match=r"changed while .* lightrec update .*run/model"):
        publishing.publish(*words, with_history=True, expected=began)
    assert Model.load(tmp_path / "model").num_items == 59
    assert np.array_equal(kept_aside(run_folder).users.values, better.users.values)
    assert "1 items that were removed from" in capsys.readouterr().out


def test_nor_during_the_comparison(judged, run_folder, tmp_path, monkeypatch):
    better, worse, pairs = judged
    worse.save(tmp_path / "model")
    began = Model.load(tmp_path / "model").digest
    measured_alike = publishing.measured_alike

    def slow(*given):
        updates.update(worse, remove_items=[1059]).model.save(tmp_path / "model")
        return measured_alike(*given)

    monkeypatch.setattr(publishing, "measured_alike", slow)
    words = (better, tmp_path / "model", pairs, "test.csv", run_folder)
    with pytest.raises(ArtifactError, match="changed meanwhile"):
        publishing.publish(*words, with_history=True, expected=began)
    assert Model.load(tmp_path / "model").num_items == 59
    assert np.array_equal(kept_aside(run_folder).users.values, better.users.values)


def test_a_model_that_nobody_could_save_leaves_its_checkpoints(judged, run_folder, tmp_path):
    better, worse, pairs = judged
    worse.save(tmp_path / "model")
    (run_folder / "model").mkdir()
    (run_folder / "model" / "somebody's").write_text("own")
    (tmp_path / "model" / "users.safetensors").unlink()
    words = (better, tmp_path / "model", pairs, "test.csv", run_folder)
    with pytest.raises(ArtifactError):
        publishing.publish(*words, with_history=True)
    assert (run_folder / "checkpoints" / "student-all").exists()


def test_what_was_removed_stays_out_of_the_new_model(judged, run_folder, tmp_path, capsys):
    better, worse, pairs = judged
    updates.update(worse, remove_items=[1058, 1059]).model.save(tmp_path / "model")
    without = updates.update(better, remove_items=[1059]).model
    without = replace(without, config={})
    publishing.publish(
        without, tmp_path / "model", pairs, "test.csv", run_folder, with_history=True
    )
    told = capsys.readouterr().out
    assert "1 items that were removed from" in told
    assert "which was trained on them: 1058" in told
    assert removed_items(Model.load(tmp_path / "model")).series.to_list() == [1059]
