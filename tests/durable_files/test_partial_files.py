"""Files that come block by block are kept while they are partial, and whole when they are not.

What power cuts and full disks leave of them is looked at in `test_seeded_faults.py`.
"""

import errno
import hashlib
import json
import os

import pytest

from lightrec.durable_files import leftovers, partial_file
from lightrec.errors import LightRecError

ORIGIN = {"url": "here", "version": None}


def _fail(*args, **kwargs):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def _begun(target, data=b"0123456789"):
    with partial_file(target) as part:
        part.begin(ORIGIN)
        part.append(data)


def test_the_whole_takes_the_place_of_the_old_alone(tmp_path):
    target = tmp_path / "new" / "file"
    _begun(target, b"01234")
    assert not target.exists()
    for expected in (b"0123456789", b"01234xyz"):
        with partial_file(target) as part:
            if part.origin is None:
                part.begin(ORIGIN)
                part.append(b"01234")
            assert part.origin == ORIGIN
            part.begin(part.origin, 5)
            part.append(memoryview(expected[5:]))
            digest = part.finish()
        assert target.read_bytes() == expected
        assert digest.num_bytes == len(expected)
        assert digest.sha256 == hashlib.sha256(expected).hexdigest()
        assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_what_follows_is_cut_off(tmp_path):
    target = tmp_path / "file"
    _begun(target)
    with partial_file(target) as part:
        part.begin(ORIGIN, 4)
        part.append(b"x")
    assert (tmp_path / "file.part").read_bytes() == b"0123x"
    with partial_file(target) as part:
        assert part.num_bytes == 5
        part.begin({"url": "there"})
    with partial_file(target) as part:
        assert (part.origin, part.num_bytes) == ({"url": "there"}, 0)
        part.begin(None)
        part.append(b"y")
    with partial_file(target) as part:
        assert (part.origin, part.num_bytes) == (None, 0)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"{}",
        b"[]",
        b'{"beginning_of": 1, "bytes": 3}',
        b'{"beginning_of": {}, "bytes": -1}',
        b'{"beginning_of": {}, "bytes": true}',
    ],
)
def test_a_record_that_says_nothing_is_not_believed(tmp_path, record):
    _begun(tmp_path / "file")
    (tmp_path / "file.part.json").write_bytes(record)
    with partial_file(tmp_path / "file") as part:
        assert (part.origin, part.num_bytes) == (None, 0)


def test_no_more_is_believed_than_is_there(tmp_path):
    _begun(tmp_path / "file")
    record = tmp_path / "file.part.json"
    record.write_text(json.dumps({"beginning_of": ORIGIN, "bytes": 99}))
    with partial_file(tmp_path / "file") as part:
        assert (part.origin, part.num_bytes) == (ORIGIN, 10)


def test_a_link_is_followed_and_kept(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/file")
    with partial_file(tmp_path / "link") as part:
        part.begin(ORIGIN)
        part.append(b"content")
        part.finish()
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file").read_bytes() == b"content"


def test_one_writer_at_a_time(tmp_path):
    with partial_file(tmp_path / "file"):
        for _ in range(2):
            with (
                pytest.raises(LightRecError, match="another process is writing it"),
                partial_file(tmp_path / "file"),
            ):
                pass
    with partial_file(tmp_path / "file") as part:
        assert part.num_bytes == 0


@pytest.mark.parametrize("call", ["ftruncate", "fsync", "rename"])
def test_failures_are_told(tmp_path, monkeypatch, call):
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with (
        monkeypatch.context() as patch,
        pytest.raises(LightRecError, match=r"cannot be written: Input/output error"),
        partial_file(target) as part,
    ):
        if call == "rename":
            part.begin(ORIGIN)
        patch.setattr(os, call, _fail)
        if call == "ftruncate":
            part.begin(ORIGIN)
        part.append(b"new")
        part.finish()
    assert target.read_bytes() == b"old"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _fail)
        with partial_file(target) as part:  # nobody is there to be told any more
            part.append(b"more")
            with pytest.raises(LightRecError, match="Input/output"):
                part.keep()


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(LightRecError, match="cannot be written"),
        partial_file(tmp_path / "file" / "inside"),
    ):
        pass


def test_without_locks_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(leftovers, "fcntl", None)
    _begun(tmp_path / "file")
    assert (tmp_path / "file.part").read_bytes() == b"0123456789"
