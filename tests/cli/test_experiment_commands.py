"""`lightrec experiment` and `lightrec report` hand over what they were given."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def asked(monkeypatch):
    """What the experiment was asked for."""
    main_path = pytest.importorskip("lightrec.experiments.main_path")
    calls = []

    def record(data, splits, **options):
        calls.append((tuple(data), tuple(splits), options))
        return Path("results.json")

    monkeypatch.setattr(main_path, "run", record)
    return calls


def test_options_reach_the_experiment(asked, cli):
    words = ("--data", "gowalla", "--splits", "0,2,0", "--stale", "--data-root", "d")
    outcome = cli("experiment", "main_path", *words)
    assert outcome.out == "written: results.json\n"
    data, splits, options = asked[0]
    assert (data, splits) == (("gowalla",), (0, 2))
    assert options == {"root": Path("d"), "stale": True, "progress": True}


@pytest.mark.parametrize("splits", ["a", "0,,1", "-1", ""])
def test_splits_are_numbers(refused, splits):
    assert "--splits" in refused(2, "experiment", "main_path", f"--splits={splits}")


def test_an_unknown_experiment_is_refused(refused):
    assert "NAME" in refused(2, "experiment", "table99")


def test_report_renders_and_checks(cli, refused, monkeypatch):
    report = pytest.importorskip("lightrec.experiments.report")
    done = report.Report((Path("README.md"),), (Path("README.md"),))
    monkeypatch.setattr(report, "render", lambda *, check: done)
    assert "changed: README.md" in cli("report").out
    outcome = cli("report", "--check")
    assert outcome.code == 1
    assert outcome.err == "lightrec: error: not current: README.md; run lightrec report\n"
