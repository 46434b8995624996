"""The benchmark of a training step, with few steps of a small student."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import results, training_step


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    for name, value in (("USERS", 80), ("ITEMS", 200), ("PAIRS", 2_000), ("WORDS", 16)):
        monkeypatch.setattr(training_step, name, value)
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def test_every_student_is_timed_and_its_time_is_shared_out(small) -> None:
    training_step.main(["--steps", "2"])
    rows = json.loads((small / "training_step.json").read_text())["rows"]
    assert [row["student"] for row in rows] == list(training_step.PRESETS)
    for row in rows:
        assert 0 < row["seconds"] < 5
        told = [value for name, value in row.items() if name.endswith("_share")]
        assert len(told) == 4
        assert sum(told) == pytest.approx(1.0)
        assert row["products_share"] > 0


def test_a_step_moves_codebooks_and_users() -> None:
    settings = training_step.load_config("paper").student
    training = training_step.Training(settings)
    before = {name: value.clone() for name, value in training.student.state_dict().items()}
    training.steps(1)
    moved = {
        name
        for name, value in training.student.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert {"encoding.encoder.codebooks", "users.vectors"} <= moved
