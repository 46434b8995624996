"""The benchmark of interrupted saves, in seconds; and that it finds what bad writers lose."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile

import numpy as np
import pytest

from benchmarks import interrupted, kill, kill_rivals, results, writers
from benchmarks.writers import Writer, digest_of, file_writer, model_writer, rivals

CONTENTS = [bytes([version]) * (40_000 * (1 + version % 2)) for version in range(4)]


def _writer(save) -> Writer:
    """A writer of bytes whose reader notices no damage but an empty file."""

    def load(path):
        if not path.read_bytes():
            raise ValueError("empty")

    return Writer("bad", save, digest_of, load)


def _in_place(path, version):
    """Truncates the old content, then writes the new one."""
    path.parent.mkdir(exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for start in range(0, len(CONTENTS[version]), 1 << 14):
        os.write(fd, CONTENTS[version][start : start + (1 << 14)])
    os.fsync(fd)
    os.close(fd)


def _beside(path, version):
    """Writes beside the old content and renames, but never clears away."""
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f"{os.getpid()}.temporary")
    _in_place(beside, version)
    os.rename(beside, path)


def _silently(path, version):
    """Reports success whatever happens."""
    with contextlib.suppress(OSError):
        _in_place(path, version)


@pytest.fixture(autouse=True)
def in_memory(monkeypatch):
    """Saves time where no power is cut: syncing a disk in memory takes none."""
    if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK):
        monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")


@pytest.fixture
def strace():
    if reason := interrupted.why_no_strace():
        pytest.skip(reason)


def _every(step, monkeypatch):
    list_calls = interrupted.list_calls
    monkeypatch.setattr(interrupted, "list_calls", lambda save: list_calls(save)[::step])


def test_calls_are_interrupted_one_by_one(tmp_path, strace):
    def save():
        for name in "abc":
            (tmp_path / name).write_bytes(b"content")

    calls = interrupted.list_calls(save)
    assert [call for call in calls if call[0] == "write"] == [("write", n) for n in (1, 2, 3)]
    for name in "abc":
        (tmp_path / name).unlink()
    assert interrupted.save_with(save, ("write", 2), "KILL") == interrupted.KILLED
    assert [(tmp_path / name).stat().st_size for name in "ab"] == [7, 0]
    assert not (tmp_path / "c").exists()
    assert interrupted.save_with(save, ("openat", 1), "EIO") == interrupted.RAISED
    for fault in ("KILL", "EIO"):
        with pytest.raises(OSError, match="did not come about"):
            interrupted.save_with(save, ("write", 4), fault)


@pytest.mark.parametrize("fault", ["KILL", "EIO"])
def test_our_files_survive_every_second_call(strace, monkeypatch, fault):
    _every(2, monkeypatch)
    row = kill.each_call(file_writer(), fault)
    assert row["trials"] > 20
    assert {row[count] for count in kill.COUNTED} == {0}


def test_a_model_survives_every_twelfth_call(strace, monkeypatch):
    _every(12, monkeypatch)
    row = kill.each_call(model_writer(), "KILL")
    assert row["trials"] > 15
    assert {row[count] for count in kill.COUNTED} == {0}


def test_what_is_lost_at_a_call_is_counted(strace):
    row = kill.each_call(_writer(_in_place), "KILL")
    assert row["fault"] == "kill_each_call"
    assert row["lost"] > 0  # truncated
    assert row["mixed"] > 0  # half written
    assert row["leftovers"] == 0
    row = kill.each_call(_writer(_beside), "KILL")
    assert row["leftovers"] > 0


def test_an_error_that_is_not_told_is_counted(strace):
    row = kill.each_call(_writer(_silently), "EIO")
    assert row["fault"] == "errno_EIO"
    assert row["false_success"] > 0
    assert kill.each_call(_writer(_in_place), "EIO")["strange_errors"] > 0


def test_random_kills():
    row = kill.random_kills(file_writer(), 10, seed=0)
    assert row["trials"] == 10
    assert {row[count] for count in kill.COUNTED} == {0}
    landed = [row[f"landed_{where}"] for where in ("before", "after", "outside")]
    assert sum(landed) == pytest.approx(1)
    assert landed[2] <= 1 - kill.LEAST_INSIDE
    bad = kill.random_kills(_writer(_in_place), 30, seed=0)
    assert bad["lost"] + bad["mixed"] > 0


def test_kills_that_come_beside_the_save_are_no_trial(monkeypatch):
    start = interrupted.start
    monkeypatch.setattr(interrupted, "start", lambda work, **how: start(lambda: None, **how))
    monkeypatch.setattr(interrupted, "kill", lambda child: os.waitpid(child, 0))
    with pytest.raises(RuntimeError, match="too few kills"):
        kill.random_kills(file_writer(), 5, seed=0)


def test_a_full_disk(monkeypatch):
    monkeypatch.setattr(kill, "PAGE", 16384)  # a fourth of the steps
    try:
        row = kill.full_disk(file_writer())
    except PermissionError as error:
        pytest.skip(str(error))
    assert row["refused"] > 3
    assert {row[count] for count in kill.COUNTED} == {0}
    bad = kill.full_disk(_writer(_silently))
    assert bad["false_success"] > 0
    assert bad["lost"] + bad["mixed"] > 0


def test_a_writer_whose_versions_are_one_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="told apart"):
        kill.Trials(_writer(lambda path, version: path.write_bytes(b"same")), tmp_path)


def test_rows_are_written_and_losses_end_in_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(kill, "LEAST_INSIDE", 0.0)  # three kills may all come between two saves
    for maker in ("model_writer", "checkpoint_writer"):
        monkeypatch.setattr(kill, maker, file_writer)
    kill.main(["--kills", "3", "--faults", "kill_random"])
    found = json.loads((tmp_path / "kill.json").read_text())
    assert found["command"].endswith("--kills 3 --seed 0 --faults kill_random")
    assert [row["system"] for row in found["rows"]] == ["lightrec_file"] * 3
    assert [row["trials"] for row in found["rows"]] == [3] * 3
    for count in kill.COUNTED:
        counted = dict.fromkeys(kill.COUNTED, 0) | {count: 1}
        monkeypatch.setattr(kill, "random_kills", lambda *_, counted=counted: counted)
        with pytest.raises(SystemExit):
            kill.main(["--kills", "3", "--faults", "kill_random"])


def test_rivals_write_what_they_read_again(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    vectors = [rng.normal(size=(100, 16)).astype(np.float32) for _ in CONTENTS]
    monkeypatch.setattr(writers, "_vectors", lambda version: vectors[version])
    for writer in rivals():
        (tmp_path / writer.name).mkdir()
        trials = kill.Trials(writer, tmp_path / writer.name)
        writer.load(trials.target)
        trials.target.write_bytes(trials.target.read_bytes()[:100])
        with pytest.raises(Exception):  # noqa: B017 - each its own
            writer.load(trials.target)
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(kill, "LEAST_INSIDE", 0.0)
    monkeypatch.setattr(kill_rivals, "rivals", lambda: [_writer(_in_place)])
    monkeypatch.setattr(kill_rivals, "FAULTS", ("kill_random",))
    kill_rivals.main(["--kills", "3"])
    (row,) = json.loads((tmp_path / "kill_rivals.json").read_text())["rows"]
    assert row["trials"] == 3
