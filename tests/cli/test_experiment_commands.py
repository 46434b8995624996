"""`lightrec experiment` and `lightrec report` hand over what they were given."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

WITH_SPLITS = ["main_path", "best"]
ONE_SPLIT = [
    *("budgets", "fold_in", "updates", "choices", "best_choices", "teacher_choices"),
    *("training_study", "live_users", "refitted_codes", "fold_in_choices"),
]
EXPERIMENTS = [*WITH_SPLITS, *ONE_SPLIT, "timings"]


@pytest.fixture
def asked(monkeypatch):
    """What each experiment was asked for: name and arguments, as its function takes them."""
    calls = []

    def recording(name, run):
        signature = inspect.signature(run)

        def record(*arguments, **options):
            calls.append((name, signature.bind(*arguments, **options).arguments))
            return Path("results.json")

        return record

    for name in EXPERIMENTS:
        module = importlib.import_module(f"lightrec.experiments.{name}")
        monkeypatch.setattr(module, "run", recording(name, module.run))
    return calls


@pytest.mark.parametrize("name", WITH_SPLITS)
def test_options_reach_the_experiment(asked, cli, name):
    words = ("--data", "gowalla", "--splits", "0,2,0", "--stale", "--data-root", "d")
    outcome = cli("experiment", name, *words)
    assert outcome.out == "written: results.json\n"
    (found,) = asked
    options = {"data": ["gowalla"], "splits": (0, 2), "root": Path("d"), "stale": True}
    assert found == (name, {**options, "progress": True})


@pytest.mark.parametrize("name", ONE_SPLIT)
def test_experiments_on_split_0_take_no_other(asked, cli, refused, name):
    assert "split 0 only; leave --splits out" in refused(2, "experiment", name, "--splits", "1")
    assert not asked
    assert cli("experiment", name, "--data", "gowalla", "--data", "epinions").code == 0
    options = {"data": ["gowalla", "epinions"], "root": None, "stale": False, "progress": True}
    assert asked == [(name, options)]


@pytest.mark.parametrize("name", [*WITH_SPLITS, *ONE_SPLIT])
def test_where_nothing_is_said_the_recorded_ones_are_measured(asked, cli, name):
    assert cli("experiment", name).code == 0
    ((_, given),) = asked
    assert given["data"] is None
    assert given.get("splits") is None


def test_timings_are_always_measured_anew(asked, cli, refused):
    assert cli("experiment", "timings", "--data-root", "d", "--data", "gowalla").code == 0
    assert asked == [("timings", {"root": Path("d"), "data": ["gowalla"], "progress": True})]
    assert "leave --stale out" in refused(2, "experiment", "timings", "--stale")
    assert "leave --splits out" in refused(2, "experiment", "timings", "--splits", "0")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_help_tells_of_every_experiment(cli, name):
    text = cli("experiment", "--help").out.split("Examples:")[0]
    assert re.search(rf"^ ?[a-z_, ]*\b{name}\b[a-z_, ]*: ", text, flags=re.MULTILINE), text


@pytest.mark.parametrize("splits", ["a", "0,,1", "-1", ""])
@pytest.mark.parametrize("name", WITH_SPLITS)
def test_splits_are_numbers(refused, name, splits):
    assert "--splits" in refused(2, "experiment", name, f"--splits={splits}")


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
