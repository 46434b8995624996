"""Damage is done, noticed and counted; a loader that overlooks some is found out."""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from collections import Counter
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

from benchmarks import damage, damaged_models, results
from benchmarks.damage import is_sound, main, parts
from benchmarks.damaged_models import card, resealed, sealed, sealed_exhaustive
from benchmarks.damaged_rivals import RIVALS
from benchmarks.forgeries import FORGERIES, MANIFEST, seal
from benchmarks.fuzz import Fuzzer
from benchmarks.in_children import CRASHED, REJECTED, UNCHANGED, WRONG, Outcome, outcomes
from benchmarks.made_up_models import FORMS, make_models
from benchmarks.mutations import BYTES, FILES, Instead, mutated
from benchmarks.own_contents import check_answers
from lightrec.artifact import generation, load
from lightrec.errors import ArtifactError
from lightrec.serving import Recommender

FIELDS = {
    "system", "fault", "trials", "rejected", "accepted_unchanged", "rejected_share",
    "silent_wrong", "crashed", "seconds",
}  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damage") / "models"
    make_models(folder)
    return folder


def _tally(opened, numbers):
    with opened as trial:
        return Counter(trial(number).result for number in numbers)


def test_a_short_run_finds_nothing_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(damage, "exhaustive_places", lambda models: range(300))
    monkeypatch.setattr(damage, "PART", 60)
    few = {system: RIVALS[system] for system in ("npz", "safetensors", "hnswlib")}
    monkeypatch.setattr(damage, "RIVALS", few)
    main(["--trials", "110", "--resealed", "62", "--rivals", "14"])
    rows = json.loads((tmp_path / "damage.json").read_text())["rows"]
    ours = {row["fault"]: row for row in rows if row["system"] == "lightrec"}
    assert set(ours) == {"sealed", "sealed_exhaustive", "card", "resealed"}
    for row in rows:
        assert row.keys() >= FIELDS
        ended = ("rejected", "accepted_unchanged", "silent_wrong", "crashed")
        assert row["trials"] == sum(row[result] for result in ended)
    assert ours["sealed"]["rejected"] == 110
    assert ours["sealed_exhaustive"]["rejected"] == 300
    assert ours["card"]["accepted_unchanged"] == 3
    assert ours["resealed"]["rejected"] and ours["resealed"]["accepted_unchanged"]
    rivals = {row["system"]: row for row in rows if row["system"] != "lightrec"}
    assert {"safetensors", "npz"} <= rivals.keys() <= RIVALS.keys()
    assert rivals["safetensors"]["silent_wrong"] and rivals["npz"]["rejected"] > 7


def test_a_loader_that_skips_the_digests_is_found_out(models, monkeypatch):
    def unchecked(self, name):
        return self.files[name].read()

    assert _tally(sealed(models, 0), range(55)) == {REJECTED: 55}
    monkeypatch.setattr(generation.Generation, "content", unchecked)
    found = _tally(sealed(models, 0), range(55))
    assert found[WRONG] and found[REJECTED] < 50 and not found[CRASHED]


def test_a_loader_that_skips_one_file_is_found_out(models, monkeypatch):
    whole = generation.Generation.content

    def unchecked(self, name):
        return self.files[name].read() if name == "history.safetensors" else whole(self, name)

    monkeypatch.setattr(generation.Generation, "content", unchecked)
    found = _tally(sealed(models, 0), range(330))
    assert found[WRONG] or found[UNCHANGED]


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_loader_that_skips_the_structure_is_found_out(models, monkeypatch):
    for name in ("BYTES", "SWAPS", "FORGERIES"):
        kinds = {"values": FORGERIES["values"]} if name == "FORGERIES" else {}
        monkeypatch.setattr(damaged_models, name, kinds)
    assert _tally(resealed(models, 0), range(60)).keys() == {REJECTED, UNCHANGED}
    monkeypatch.setattr(load, "verify", lambda model: None)
    found = _tally(resealed(models, 0), range(60))
    assert found[WRONG] or found[CRASHED]


def test_wrong_scores_are_found(models, monkeypatch):
    right = Recommender.recommend

    def swapped(self, *arguments, **options):
        found = right(self, *arguments, **options)
        found.item_scores[:] = found.item_scores[0]
        return found

    assert not check_answers(models / "mlp" / "0")
    monkeypatch.setattr(Recommender, "recommend", swapped)
    assert "other scores" in check_answers(models / "mlp" / "0")


def test_other_errors_are_crashes(models, monkeypatch):
    def broken(model):
        raise KeyError("codes")

    monkeypatch.setattr(load, "verify", broken)
    assert _tally(card(models, 0), range(3)) == {CRASHED: 3}
    with sealed(models, 0) as trial:
        assert trial(0).result == REJECTED  # before it came to that


def test_parts_are_all_trials():
    assert [number for part in parts(4_500) for number in part] == list(range(4_500))
    assert parts(9_000)[:2] == parts(4_500)[:2]  # those are kept


def test_every_place_is_damaged_once(models):
    with sealed_exhaustive(models) as trial:
        places = damage.exhaustive_places(models)
        assert len(places) == len(set(places)) > 30_000
        assert Counter(trial(number).kind for number in (0, len(places) - 1)) == {
            "flipped_bit": 1,
            "truncated": 1,
        }


@pytest.mark.parametrize("kind", FILES)
def test_a_mutation_changes_the_file(kind):
    rng = np.random.default_rng(0)
    content, other = rng.bytes(5000), rng.bytes(5100)
    for _ in range(50):
        damaged = mutated(rng, FILES[kind], content, other)
        assert damaged is not None and damaged != content
        assert isinstance(damaged, bytes) == (kind not in ("missing", "no_file"))
    assert mutated(rng, FILES["missing"], content, other) is Instead.NOTHING


def test_what_changes_nothing_is_drawn_again():
    rng = np.random.default_rng(0)
    content = bytes(500) + b"a" + bytes(20)
    assert all(mutated(rng, mutation, content, content) != content for mutation in BYTES.values())
    assert mutated(rng, FILES["swapped"], content, content) is None
    assert mutated(rng, FILES["zeroed_block"], bytes(100), b"") is None


def test_a_sealed_folder_is_accepted(models, tmp_path):
    """So what is refused after sealing is refused for its content."""
    for form in FORMS:
        files = {path.name: path.read_bytes() for path in (models / form / "0").iterdir()}
        written = files.pop(MANIFEST)
        seal(files)
        assert json.loads(files[MANIFEST])["files"] == json.loads(written)["files"]
        (tmp_path / form).mkdir()
        for name, content in files.items():
            (tmp_path / form / name).write_bytes(content)
        assert not check_answers(tmp_path / form)


@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries_change_the_files(models, name):
    intact = {path.name: path.read_bytes() for path in (models / "mlp" / "0").iterdir()}
    changed = set()
    for seed in range(10):
        files = dict(intact)
        FORGERIES[name](np.random.default_rng(seed), files)
        again = dict(intact)
        FORGERIES[name](np.random.default_rng(seed), again)
        assert files == again
        changed |= {(file, content) for file, content in files.items() if content != intact[file]}
    assert len(changed) > 4


@contextmanager
def _troubles(marks):
    def trial(number):
        if number == 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        stalled = number == 3 and not (marks / "3").exists()
        (marks / str(number)).touch()
        if number == 2 or stalled:
            time.sleep(30)
        if number == 5:
            os._exit(0)
        return Outcome(UNCHANGED, str(number))

    yield trial


def test_crashes_and_hangs_are_attributed(tmp_path):
    found = list(outcomes(partial(_troubles, tmp_path), range(7), batch=5, limit=1))
    told = [outcome.kind for outcome in found if outcome.result == UNCHANGED]
    assert told == ["0", "3", "4", "6"]  # 3 was stalled once only
    assert [outcome.result for outcome in found].count(CRASHED) == 3
    assert "trial 1: the process ended with exit code -11" in found[1].detail
    assert "trial 2: the process gave no answer" in found[2].detail


def test_trials_apart_crash_alone(tmp_path):
    found = list(outcomes(partial(_troubles, tmp_path), (0, 1, 2, 4), apart=True, limit=1))
    assert [outcome.result for outcome in found] == [UNCHANGED, CRASHED, CRASHED, UNCHANGED]


@contextmanager
def _faulty():
    def trial(number):
        raise ZeroDivisionError("in the harness")

    yield trial


def test_a_fault_of_the_harness_is_no_outcome():
    with pytest.raises(RuntimeError, match="in the harness"):
        list(outcomes(_faulty, range(3)))


@contextmanager
def _greedy():
    def trial(number):
        try:
            bytearray(6 << 30)
        except MemoryError:
            return Outcome(CRASHED, "memory")
        return Outcome(UNCHANGED, "memory")

    yield trial


def test_memory_is_limited():
    assert [outcome.result for outcome in outcomes(_greedy, range(1))] == [CRASHED]


@pytest.mark.parametrize(
    "changes",
    [
        {"trials": 0},
        {"silent_wrong": 1},
        {"crashed": 1},
        {"rejected_share": 0.99999},
        {"fault": "card"},
    ],
)
def test_failures_fail(changes):
    row = {"system": "lightrec", "fault": "sealed", "trials": 9, "rejected_share": 1.0}
    row |= {"silent_wrong": 0, "crashed": 0}
    assert is_sound(row)
    assert not is_sound(row | changes)


def test_the_fuzzer_judges_inputs(models, tmp_path, monkeypatch):
    np.zeros(4, np.int64).tofile(tmp_path / "counts")
    fuzzer = Fuzzer(models, tmp_path)
    names = list(fuzzer.intact[1])
    codes = names.index("codes.safetensors")
    content = fuzzer.intact[1]["codes.safetensors"]
    fuzzer(bytes([1, codes]) + content)
    fuzzer(bytes([1, codes]) + content[:-1] + bytes([content[-1] ^ 1]))
    fuzzer(bytes([1, codes]) + content[:-1])
    assert fuzzer.counts.tolist() == [1, 2, 0, 0]
    monkeypatch.setattr(load, "verify", lambda model: model.no_such_part)
    with pytest.raises(AttributeError):
        fuzzer(bytes([1, codes]) + content)
    monkeypatch.undo()
    fuzzer(bytes([1, codes]) + content)
    assert fuzzer.counts.tolist() == [1, 3, 0, 1]
    with pytest.raises(ArtifactError):
        check_answers(tmp_path / "nowhere")


def test_no_fuzzer_no_row(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(damage, "run_in_child", lambda make, *arguments: None)
    monkeypatch.setattr(damage, "exhaustive_places", lambda models: [])
    asked = argparse.Namespace(trials=1, resealed=1, rivals=0, atheris=2.0, seed=7)
    monkeypatch.setattr(damage, "is_installed", lambda: True)
    assert "atheris-7-2" in damage.contests(asked, tmp_path)
    assert "atheris" not in caplog.text
    monkeypatch.setattr(damage, "is_installed", lambda: False)
    assert not [name for name in damage.contests(asked, tmp_path) if "atheris" in name]
    assert "pip install atheris" in caplog.text
