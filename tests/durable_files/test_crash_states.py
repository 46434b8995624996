"""Every state that a power cut may legally leave loads as the old content or the new, whole.

Also after a kill at any call, and after an error of any call; and whatever is left, the next save
works, clears it away, and is safe once it has returned. The same checks run on a file, a folder
without a model, a log, and without the exchange of folders, in `test_seeded_faults.py`.
"""

import os

import checks
import pytest
from recorded_disk import RecordedDisk


def test_power_cuts_of_a_model(scratch):
    assert checks.survives_power_cuts("model", scratch) > 1000


@pytest.mark.parametrize(
    ("kind", "exchange", "step"), [("model", True, 3), ("model", False, 4), ("checkpoint", True, 4)]
)
def test_kills(scratch, kind, exchange, step):
    checks.survives_kills(kind, scratch, exchange=exchange, step=step)


@pytest.mark.parametrize(("kind", "step"), [("model", 3), ("checkpoint", 4)])
def test_errors(scratch, kind, step):
    checks.survives_errors(kind, scratch, step=step)


def _write(path, content, *, sync):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(fd, content)
    if sync:
        os.fsync(fd)
    os.close(fd)


def _sync(folder):
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


@pytest.mark.parametrize("names_synced", [True, False])
@pytest.mark.parametrize("file_synced", [True, False])
def test_what_a_power_cut_may_leave_of_a_new_file(scratch, file_synced, names_synced):
    """The recording disk against states worked out by hand."""
    scratch.mkdir()
    (scratch / "old").write_bytes(b"old")
    disk = RecordedDisk(scratch)
    with disk.recording():
        _write(scratch / "new", b"1234", sync=file_synced)
        if names_synced:
            _sync(scratch)
    found = {tree.get("new") for _, tree in disk.after_power_cuts(only_at_the_end=True)}
    contents = {b"1234"} if file_synced else {b"1234", b"12", b"12\0\0", bytes(4), b""}
    assert found == contents | (set() if names_synced else {None})
    assert all(tree["old"] == b"old" for _, tree in disk.after_power_cuts())


def test_what_a_power_cut_may_leave_of_a_rename(scratch):
    scratch.mkdir()
    (scratch / "a").write_bytes(b"A")
    (scratch / "b").write_bytes(b"B")
    disk = RecordedDisk(scratch)
    with disk.recording():
        os.rename(scratch / "a", scratch / "b")
        os.unlink(scratch / "b")
    found = [tree for _, tree in disk.after_power_cuts()]
    assert len(found) == 4
    for tree in ({"a": b"A", "b": b"B"}, {"b": b"A"}, {"a": b"A"}, {}):
        assert tree in found
    with disk.recording():
        _sync(scratch)
    assert [tree for _, tree in disk.after_power_cuts(only_at_the_end=True)] == [{}]


def test_what_is_written_past_the_record_is_noticed(scratch):
    scratch.mkdir()
    disk = RecordedDisk(scratch)
    with pytest.raises(AssertionError, match="past the record"), disk.recording():
        (scratch / "file").write_bytes(b"content")
