"""A save that is killed, or fails at any call, leaves the old model or the new one, whole.

The contents are encoded once; the children only write them, so that nothing but file calls runs
there.
"""

import contextlib
import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import time

import pytest

from lightrec.artifact import Model
from lightrec.artifact.save import encode_model, write_generation
from lightrec.durable_files import folders
from lightrec.errors import ArtifactError

FILE_CALLS = ("open", "write", "fsync", "rename", "chmod", "mkdir", "rmdir", "unlink", "close")


@pytest.fixture
def no_sync(monkeypatch):
    """Saves time where no power is cut."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.fixture
def parts(make_model):
    """The encoded files of four models."""
    return [encode_model(make_model(seed=seed)) for seed in range(4)]


def _count_calls(before_call):
    """Calls `before_call(name)` before every file call of this process, until it ends."""

    def watched(name, call):
        def wrapper(*args, **kwargs):
            before_call(name)
            return call(*args, **kwargs)

        return wrapper

    for name in FILE_CALLS:
        setattr(os, name, watched(name, getattr(os, name)))
    folders._exchange = watched("exchange", folders._exchange)


def _in_child(work):
    """Runs `work` in a forked process and returns its exit code."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("how", ["exchange", "two steps", "first save"])
def test_a_kill_at_every_file_call_loses_nothing(tmp_path, parts, how, monkeypatch, no_sync):
    target = tmp_path / "model"
    if how == "two steps":
        monkeypatch.setattr(folders, "_exchange", lambda first, second: False)
    for kill_at in range(1, 1000):
        if how != "first save":
            write_generation(target, parts[0], card="old")
            assert _names(tmp_path) == ["model"], f"leftovers of the kill at call {kill_at - 1}"

        def save_until_killed(last=kill_at):
            calls = iter(range(1, last))

            def count(name):
                if next(calls, None) is None:
                    os._exit(9)

            _count_calls(count)
            write_generation(target, parts[1], card="new")

        code = _in_child(save_until_killed)
        assert code in (0, 9)
        try:
            assert Model.load(target).config["seed"] in ((1,) if code == 0 else (0, 1))
        except ArtifactError:
            assert how == "first save"
            assert not target.exists()
        if how == "first save":
            write_generation(target, parts[2], card="next")
            assert _names(tmp_path) == ["model"]
            shutil.rmtree(target)
        if code == 0:
            break
    assert kill_at > 50  # or nothing was injected


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES])
@pytest.mark.parametrize("exchange", [True, False])
def test_an_error_at_every_file_call_loses_nothing(
    tmp_path, parts, error, exchange, monkeypatch, no_sync
):
    target = tmp_path / "model"
    if not exchange:
        monkeypatch.setattr(folders, "_exchange", lambda first, second: False)
    raised = 0
    for fail_at in range(1, 1000):
        write_generation(target, parts[0], card="old")
        assert _names(tmp_path) == ["model"], f"leftovers of the error at call {fail_at - 1}"
        calls = iter(range(1, fail_at))
        with monkeypatch.context() as patch:
            failed = []

            def failing(name, call, calls=calls, failed=failed):
                def wrapper(*args, **kwargs):
                    if next(calls, None) is None and not failed:
                        failed.append(name)
                        raise OSError(error, os.strerror(error))
                    return call(*args, **kwargs)

                return wrapper

            for name in FILE_CALLS[:-1]:
                patch.setattr(os, name, failing(name, getattr(os, name)))
            patch.setattr(folders, "_exchange", failing("exchange", folders._exchange))
            try:
                write_generation(target, parts[1], card="new")
                saved = True
            except ArtifactError as refusal:
                saved = False
                raised += 1
                assert os.strerror(error) in str(refusal)
                assert "bytes" in str(refusal)
        seed = Model.load(target).config["seed"]
        assert seed == 1 if saved else seed in (0, 1)
        if failed and failed[0] in ("write", "mkdir"):
            assert not saved
            assert seed == 0
            assert _names(tmp_path) == ["model"]
        if not failed:
            break
    assert raised > 25


def test_short_writes_are_continued(tmp_path, parts, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    write_generation(tmp_path / "model", parts[1], card="card")
    assert Model.load(tmp_path / "model").config["seed"] == 1


def test_all_is_synced_before_the_switch_and_the_parent_after(tmp_path, parts, monkeypatch):
    """What a power cut needs: no name may become durable before what it names."""
    target = tmp_path / "model"
    write_generation(target, parts[0], card="old")
    events = []
    fsync, exchange = os.fsync, folders._exchange

    def record_sync(fd):
        events.append(os.readlink(f"/proc/self/fd/{fd}"))
        fsync(fd)

    def record_exchange(first, second):
        events.append("exchange")
        return exchange(first, second)

    if not os.path.exists("/proc/self/fd"):
        pytest.skip("needs /proc to name open files")
    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(folders, "_exchange", record_exchange)
    write_generation(target, parts[1], card="new")
    switch = events.index("exchange")
    synced = {os.path.basename(name) for name in events[:switch]}
    assert {path.name for path in target.iterdir()} <= synced
    assert any(".model.new-" in os.path.basename(name) for name in events[:switch])
    assert events[switch + 1 :] == [str(tmp_path)]


def test_random_kills_lose_nothing(tmp_path, parts):
    target = tmp_path / "model"
    write_generation(target, parts[0], card="0")
    chooser = random.Random(7)
    interrupted = 0
    begun, tell = os.pipe()
    for _ in range(25):
        child = os.fork()
        if not child:
            for row in range(1_000_000):
                write_generation(target, parts[row % 4], card=str(row))
                if not row:
                    os.write(tell, b".")
            os._exit(0)
        os.read(begun, 1)  # a busy machine may take long to get there
        time.sleep(chooser.uniform(0.001, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        interrupted += _names(tmp_path) != ["model"]
        assert Model.load(target).config["seed"] in range(4)
    for end in (begun, tell):
        os.close(end)
    assert interrupted  # or no kill came in the middle of a save
    write_generation(target, parts[3], card="last")
    assert _names(tmp_path) == ["model"]
    assert Model.load(target).config["seed"] == 3


@pytest.mark.parametrize("exchange", [True, False])
def test_of_several_savers_one_wins_whole(tmp_path, parts, exchange, monkeypatch):
    target = tmp_path / "model"
    if not exchange:
        monkeypatch.setattr(folders, "_exchange", lambda first, second: False)

    def save_often(which):
        for _ in range(12):
            write_generation(target, parts[which], card=str(which))

    children = []
    for which in range(4):
        child = os.fork()
        if not child:
            code = 1
            with contextlib.suppress(BaseException):
                save_often(which)
                code = 0
            os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0, 0, 0, 0]
    assert Model.load(target).config["seed"] in range(4)
    write_generation(target, parts[0], card="last")
    assert _names(tmp_path) == ["model"]


def test_a_running_saver_is_not_swept(tmp_path, parts):
    target = tmp_path / "model"
    with folders.replace_folder(target) as hidden:
        write_generation(target, parts[1], card="another saver")
        assert hidden.exists()
        (hidden / "kept").write_text("kept")
    assert _names(target) == ["kept"]
    assert _names(tmp_path) == ["model"]


def test_a_file_size_limit_is_told(tmp_path, parts):
    target = tmp_path / "model"
    write_generation(target, parts[0], card="old")

    def save_with_limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
        try:
            write_generation(target, parts[1], card="new")
        except ArtifactError as error:
            os._exit(42 if "File too large" in str(error) else 2)

    assert _in_child(save_with_limit) == 42
    assert Model.load(target).config["seed"] == 0
    assert _names(tmp_path) == ["model"]


def test_a_full_disk_is_told_and_loses_nothing(tmp_path, make_model):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        old = encode_model(make_model(seed=0, num_items=2000))
        new = encode_model(make_model(seed=1, num_items=4000))
        write_generation(disk / "model", old, card="old")
        filler = disk / "filler"
        refused = 0
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"\1" * 4096) == 4096:
                pass
        while True:
            try:
                write_generation(disk / "model", new, card="new")
                break
            except ArtifactError as error:
                refused += 1
                message = str(error)
            assert "No space left" in message
            assert f"{sum(len(memoryview(c)) for part in new.values() for c in part):,}" in message
            assert Model.load(disk / "model").config["seed"] == 0
            assert _names(disk) == ["filler", "model"]
            os.truncate(filler, max(0, filler.stat().st_size - 4096))
        assert refused > 10
        assert Model.load(disk / "model").config["seed"] == 1
        assert _names(disk) == ["filler", "model"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
