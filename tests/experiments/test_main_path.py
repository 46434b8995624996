"""The main path and the choices, in short: a tiny data set, few epochs, every row and field."""

import json

import pytest
import torch

from lightrec.durable_files import read_json
from lightrec.experiments import choices, main_path, runner, teacher_cache
from lightrec.interactions import synthetic_catalogue
from lightrec.run_config import load_config

MODELS = {
    "popularity",
    "bpr",
    "start_aq",
    "lightrec",
    "start_rvq",
    "lightrec_rvq",
    "start_random",
    "lightrec_random",
}
FIELDS = {
    "data",
    "model",
    "variant",
    "split",
    "seed",
    "users",
    "items",
    "teacher_width",
    "width",
    "num_codebooks",
    "num_codewords",
    "bits_per_item",
    "bytes_per_item_all_in",
    "bytes_per_user",
    "train_share",
    "epochs",
    "recall@20",
    "recall@100",
    "ndcg",
    "ndcg@100",
    "ndcg@nu",
    "collisions",
    "seconds",
    "cpu_seconds",
    "source_digest",
    "commit",
}


def small(preset):
    assert preset == "trained"  # the one that has a student
    return load_config(
        preset,
        teacher={"epochs": 6, "evaluate_every": 2, "width": 8, "learning_rate": 0.01},
        codes={"num_codewords": 16, "rounds": 1},
        student={"epochs": 2},
    )


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A public data set made up, and a checkout to write results into."""
    torch.set_num_threads(1)
    data = synthetic_catalogue(150, 200, seed=1)
    folder = tmp_path / "data" / "citeulike-t"
    folder.mkdir(parents=True)
    pairs = data.interactions.select(user="user_id", item="item_id")
    pairs.write_parquet(folder / "interactions.parquet")
    data.items.select(item="item_id").write_parquet(folder / "items.parquet")
    for module in (main_path, choices):
        monkeypatch.setattr(module, "load_config", small)
    students = {
        name: {**changes, "epochs": 2, "evaluate_every": 1}
        for name, changes in main_path.STUDENTS.items()
    }
    monkeypatch.setattr(main_path, "STUDENTS", students)
    for module in (runner, teacher_cache):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    return tmp_path


def test_the_main_path_writes_every_row_and_goes_on_where_it_stopped(bench, monkeypatch):
    file = main_path.run(["citeulike-t"], (0, 1), root=bench / "data")
    content = read_json(file)
    rows = content["rows"]
    assert {row["model"] for row in rows} == MODELS
    assert len(rows) == 2 * len(MODELS)
    assert all(row.keys() >= FIELDS for row in rows)
    assert content["command"] == "lightrec experiment main_path --data citeulike-t --splits 0,1"
    by_model = {row["model"]: row for row in rows if row["split"] == 0}
    assert by_model["start_aq"]["ndcg"] != by_model["start_rvq"]["ndcg"] != by_model["bpr"]["ndcg"]
    assert by_model["lightrec"]["bits_per_item"] == 16
    assert by_model["lightrec"]["bytes_per_item_all_in"] == 4 + 4 * 4 * 16 * 8 / 200
    assert by_model["bpr"]["epochs"] <= 6
    ledger = (bench / "experiments/results/ledger.jsonl").read_text().splitlines()
    assert len(ledger) == len(rows)
    assert {json.loads(line)["split"] for line in ledger} == {0, 1}

    def refuse(*_arguments, **_options):
        raise AssertionError("a finished cell was measured again")

    monkeypatch.setattr(main_path, "evaluate_ranking", refuse)
    monkeypatch.setattr(main_path, "fit_student", refuse)
    assert read_json(main_path.run(["citeulike-t"], (0, 1), root=bench / "data"))["rows"] == rows


def test_the_choices_never_open_a_test_part(bench, monkeypatch):
    some = {name: choices.VARIANTS[name] for name in ("default", "codes: all items alike")}
    monkeypatch.setattr(choices, "VARIANTS", some)
    rows = read_json(choices.run(["citeulike-t"], root=bench / "data"))["rows"]
    assert [row["variant"] for row in rows] == sorted(some)
    assert all("recall@100_validation_teacher" in row for row in rows)
    assert not (bench / "experiments/results/ledger.jsonl").exists()
