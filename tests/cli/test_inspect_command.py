"""`lightrec inspect`, also of damaged folders."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

from lightrec.artifact import Users, load, load_model


def test_json_holds_sizes_and_digests(cli, model, model_folder):
    outcome = cli("inspect", model_folder, "--json")
    assert outcome.code == 0, outcome.err
    contents = json.loads(outcome.out)
    assert (contents["items"], contents["users"]) == (60, 20)
    assert contents["bytes_per_item"]["all_in"] == pytest.approx(model.bytes_per_item.all_in)
    assert contents["bytes_per_item"]["all_in_with_ids"] == pytest.approx(
        model.bytes_per_item.all_in + 8
    )
    assert contents["user_form"] == "identity"
    assert len(contents["config_digest"]) == len(contents["model_digest"]) == 64
    manifest = json.loads((model_folder / "MANIFEST.json").read_text())
    assert contents["files"] == manifest["files"]
    assert contents["codebook_health"]["codewords_used"] == list(model.item_codes.health.used)


def test_people_read_it_too(cli, model_folder):
    outcome = cli("inspect", model_folder)
    assert "items: 60" in outcome.out
    assert "codes.safetensors" in outcome.out


def _in_form(model, form):
    """The model with half-precision users of another form."""
    codes, num_users = model.item_codes, model.num_users
    if form == "table":
        tables = np.zeros((num_users, codes.num_codebooks, codes.num_codewords), np.float16)
        return dataclasses.replace(model, users=Users("table", tables))
    vectors = np.zeros((num_users, codes.width), np.float16)
    to_own = {"0.weight": np.zeros((codes.width, 40), np.float32)}
    return dataclasses.replace(model, users=Users("fitted", vectors, to_own), float_items=None)


@pytest.mark.parametrize("form", ["fitted", "table"])
def test_bytes_per_user_stand_beside_bytes_per_item_and_name_the_form(cli, model, tmp_path, form):
    codes = model.item_codes
    _in_form(model, form).save(tmp_path / "model")
    contents = json.loads(cli("inspect", tmp_path / "model", "--json").out)
    values = 2 * (codes.width if form == "fitted" else codes.num_codebooks * codes.num_codewords)
    shared = codes.width * 40 * 4 / 20 if form == "fitted" else 0
    assert contents["bytes_per_user"] == {
        "form": form,
        "values": values,
        "map": pytest.approx(shared),
        "all_in": pytest.approx(values + shared),
        "ids": pytest.approx(model.bytes_per_user.ids),
        "all_in_with_ids": pytest.approx(values + shared + model.bytes_per_user.ids),
        "codebooks_read_for_known_users": form == "fitted",
    }
    lines = cli("inspect", tmp_path / "model").out.splitlines()
    of_items, of_users = (
        next(row for row, line in enumerate(lines) if line.startswith(f"bytes per {what}: "))
        for what in ("item", "user")
    )
    assert of_users == of_items + 1
    assert f"form {form}, values {values:,}, " in lines[of_users]
    read = "yes" if form == "fitted" else "no"
    assert lines[of_users].endswith(f"codebooks read for known users {read}")


def test_it_says_when_no_history_is_kept(cli, bare_model_folder):
    assert "training pairs kept: none" in cli("inspect", bare_model_folder).out


ROW = {
    "model": "lightrec",
    "metrics": {"recall@20": 0.1, "recall@100": 0.2, "ndcg@100": 0.3, "ndcg": 0.4},
    "bytes_per_item": 4.5,
}


def test_a_table_of_results_is_shown(cli, model, tmp_path):
    comparison = {"title": "held-out pairs", "rows": [ROW, ROW | {"microseconds": 7}]}
    for told, shown in ((comparison, "Measured on held-out pairs:"), (None, "comparison: none")):
        config = {**model.config, "comparison": told}
        dataclasses.replace(model, config=config).save(tmp_path / "model")
        outcome = cli("inspect", tmp_path / "model")
        assert outcome.code == 0, outcome.err
        assert shown in outcome.out.splitlines()


@pytest.mark.parametrize(
    "comparison",
    [
        [3],
        "table",
        {},
        {"title": "pairs"},
        {"title": "pairs", "rows": 3},
        {"title": "pairs", "rows": [3]},
        {"title": "pairs", "rows": {"a": 1}},
        {"title": "pairs", "rows": [{}]},
        {"title": "pairs", "rows": [ROW | {"more": 1}]},
        {"title": "pairs", "rows": [ROW | {"model": ["lightrec"]}]},
        {"title": "pairs", "rows": [ROW | {"variant": {"a": 1}}]},
        {"title": "pairs", "rows": [ROW | {"metrics": [0.1]}]},
        {"title": "pairs", "rows": [ROW | {"metrics": {"recall@20": 0.1}}]},
        {"title": "pairs", "rows": [ROW | {"metrics": {**ROW["metrics"], "ndcg": None}}]},
        {"title": "pairs", "rows": [ROW | {"bytes_per_item": "4"}]},
        {"title": "pairs", "rows": [ROW | {"bytes_per_user": [4]}]},
        {"title": "pairs", "rows": [ROW | {"microseconds": "fast"}]},
    ],
)
def test_a_table_of_another_form_is_refused_and_named(cli, refused, model, tmp_path, comparison):
    folder = tmp_path / "model"
    config = {**model.config, "comparison": comparison}
    dataclasses.replace(model, config=config).save(folder)
    assert f"{folder}: config.json: comparison" in refused(4, "inspect", folder)
    shown = cli("inspect", folder, "--json")
    assert json.loads(shown.out)["comparison"] == comparison


@pytest.mark.parametrize("odd", [None, 3, "x", [], [[3]], {}, {"a": {"b": [3]}}, True, -0.5])
def test_a_config_may_hold_anything_else(cli, model, tmp_path, odd):
    names = ("lightrec", "data_digest", "settings", "notes", "updates", "metrics", "teacher", "x")
    config = dict.fromkeys(names, odd)
    dataclasses.replace(model, config=config).save(tmp_path / "model")
    for words in (["inspect"], ["inspect", "--json"], ["verify"]):
        outcome = cli(words[0], tmp_path / "model", *words[1:])
        assert outcome.code == 0, outcome.err


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_manifest_and_model_are_of_one_generation(cli, model, tmp_path, monkeypatch, command):
    """Another model takes the folder's place while it is read."""
    folder = tmp_path / "model"
    model.save(folder)
    digest, read = load_model(folder).digest, load.open_generation

    def read_and_replace(path, stack):
        found = read(path, stack)
        dataclasses.replace(model, config={"new": True}).save(folder, with_history=False)
        return found

    monkeypatch.setattr(load, "open_generation", read_and_replace)
    contents = json.loads(cli(command, folder, "--json").out)
    assert contents["model_digest"] == digest
    listed = {path.name for path in folder.iterdir()}
    assert "history.safetensors" not in listed
    if command == "inspect":
        assert contents["training_pairs_kept"] is not None
        assert "history.safetensors" in contents["files"]
    else:
        assert contents["files"] == len(listed) - 1  # with the history, without card and manifest


def _truncated(folder):
    file = folder / "codes.safetensors"
    file.write_bytes(file.read_bytes()[:-7])


def _bit_flipped(folder):
    data = bytearray((folder / "users.safetensors").read_bytes())
    data[-3] ^= 4
    (folder / "users.safetensors").write_bytes(data)


def _newer(folder):
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    manifest |= {"format_version": 99, "needs": "lightrec >= 7.0"}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))


def _without_items(folder):
    (folder / "items.parquet").unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_truncated, "codes.safetensors"),
        (_bit_flipped, "users.safetensors"),
        (_newer, "pip install --upgrade lightrec"),
        (_without_items, "items.parquet"),
    ],
)
@pytest.mark.parametrize(
    "words", [["inspect"], ["recommend", "--user=u1"], ["similar", "--item=1"]]
)
def test_damaged_models_are_refused(refused, model_folder, tmp_path, damage, said, words):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    damage(folder)
    message = refused(4, words[0], folder, *words[1:])
    assert said in message
    assert str(folder) in message


def test_something_else_is_no_model(refused, tmp_path):
    assert "MANIFEST.json" in refused(4, "inspect", tmp_path)
    assert "no such folder" in refused(4, "inspect", tmp_path / "nowhere")
