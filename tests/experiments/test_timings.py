"""Timings: each command is run once, in short."""

import pytest

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


def test_a_command_that_fails_is_no_timing() -> None:
    with pytest.raises(RuntimeError, match="compress"):
        timings._command(["compress", "nothing.npy", "--out", "nowhere"])


def test_only_what_can_be_timed_is_taken() -> None:
    with pytest.raises(ArgumentError, match="nothing is timed on 'x'"):
        timings.run(["x"])
