"""`lightrec demo` on a shop small enough for a test."""

from __future__ import annotations

import importlib
import json

import pytest

from lightrec.run_config import load_config


@pytest.fixture
def small_demo(monkeypatch):
    """The demonstration with fewer readers and books."""
    demo = importlib.import_module("lightrec.cli.demo")
    monkeypatch.setattr(demo, "_USERS", 60)
    monkeypatch.setattr(demo, "_BOOKS", 300)
    settings = {
        "teacher": {"kind": "ials", "sweeps": 2, "width": 8},
        "codes": {"num_codewords": 16, "kmeans_iterations": 2, "rounds": 1},
        "ranking": {"cells": 4},
        "users": {"fit": {"rounds": 2}},
    }
    assert settings.keys() >= demo._SETTINGS.keys()
    monkeypatch.setattr(demo, "_SETTINGS", settings)


def test_it_shows_the_whole_way(small_demo, cli, tmp_path):
    outcome = cli("demo", "--out", tmp_path / "demo")
    assert outcome.code == 0, outcome.err
    header = next(line for line in outcome.out.splitlines() if line.startswith("model "))
    assert header.split()[-1] == "µs/query"
    rows = [line for line in outcome.out.splitlines() if line.startswith("lightrec (")]
    forms = [line.partition("(")[2].partition(":")[0] for line in rows]
    assert sorted(forms) == ["fitted", "identity", "table"]
    assert all(int(line.split()[-1]) > 0 for line in rows)  # each has been timed
    assert f"Kept: {forms[-1]}." in outcome.out
    assert outcome.out.count("and may like") == 3
    commands = [line.split() for line in outcome.out.splitlines() if line.startswith("  lightrec ")]
    assert len(commands) == 5
    for words in commands[:4]:
        assert cli(*words[1:]).code == 0, words
    found = cli(*commands[0][1:], "--json")
    assert {item["category"] for item in json.loads(found.out)["items"]} == {"Crime"}


def test_its_settings_are_ones_of_the_default_preset():
    """The small demonstration above replaces them, so they are looked at here."""
    demo = importlib.import_module("lightrec.cli.demo")
    config = load_config("default", **demo._SETTINGS)
    assert config.student is None
    assert config.users.form == "auto"
    assert (config.codes.num_codebooks, config.codes.num_codewords) == (4, 256)


def test_it_refuses_a_folder_of_something_else(small_demo, refused, tmp_path):
    (tmp_path / "demo" / "model").mkdir(parents=True)
    (tmp_path / "demo" / "model" / "mine.txt").write_text("mine")
    assert "something else" in refused(4, "demo", "--out", tmp_path / "demo")
