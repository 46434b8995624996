"""Timings: each command is run once, in short."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lightrec.artifact import save_model
from lightrec.compress import CompressConfig, compress
from lightrec.durable_files import read_json
from lightrec.errors import ArgumentError
from lightrec.experiments import runner, timings
from lightrec.experiments.result_tables import timings_table


def test_compression_is_timed_with_the_memory_that_it_took(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(runner, "project_root", lambda: tmp_path)
    monkeypatch.setattr(timings, "DATA", {"made up, 2,000 items": 2_000})
    content = read_json(timings.run())
    (row,) = content["rows"]
    assert row["model"] == "lightrec compress"
    assert 0 < row["seconds"] < 300
    assert 0.01 < row["peak_gib"] < 10
    assert content["command"] == "lightrec experiment timings"
    assert "| lightrec compress |" in timings_table(content)


def test_training_is_timed_with_what_it_chose(tmp_path, monkeypatch) -> None:
    def trained(words: list[str]) -> tuple[float, float]:
        rng = np.random.default_rng(0)
        items, users = (rng.normal(size=(n, 4)).astype(np.float32) for n in (20, 8))
        sizes = CompressConfig.model_validate({"codes": {"num_codewords": 4}})
        model = compress(items, users, config=sizes)
        settings = {"teacher": {"kind": "ials", "width": 4}, "teacher_epochs": [7]}
        model = dataclasses.replace(model, config=model.config | settings)
        save_model(model, words[words.index("--out") + 1])
        return 12.5, 1.25

    monkeypatch.setattr(runner, "project_root", lambda: tmp_path)
    monkeypatch.setattr(timings, "DATA", {"toy": 0})
    monkeypatch.setattr(timings, "_command", trained)
    monkeypatch.setattr(timings, "COLD_STARTS", 1)
    content = read_json(timings.run(root=tmp_path))
    by_name = {row["model"]: row for row in content["rows"]}
    assert by_name["lightrec train"]["users"] == "identity"
    assert by_name["cold load and one answer"]["seconds"] > 0
    wanted = "| 12.50 | 1.25 GiB | iALS of 4 numbers, 7 sweeps; identity users |"
    assert f"| toy | lightrec train {wanted}" in timings_table(content)


def test_a_command_that_fails_is_no_timing() -> None:
    with pytest.raises(RuntimeError, match="compress"):
        timings._command(["compress", "nothing.npy", "--out", "nowhere"])


def test_only_what_can_be_timed_is_taken() -> None:
    with pytest.raises(ArgumentError, match="nothing is timed on 'x'"):
        timings.run(["x"])
