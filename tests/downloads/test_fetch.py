"""Downloads from a server that breaks off, changes its files and lies."""

from __future__ import annotations

import errno
import hashlib
import os
import random
from dataclasses import replace
from urllib.error import URLError
from urllib.request import Request

import pytest

from lightrec.downloads import fetch as fetch_module
from lightrec.downloads.fetch import fetch, fetch_text
from lightrec.downloads.transfer import HttpsOnly, Transfer
from lightrec.durable_files.leftovers import lock
from lightrec.errors import InputError, LightRecError

DATA = random.Random(1).randbytes(3_000_000)
LIMIT = 4_000_000


@pytest.fixture
def served(server):
    return server.add("/a.zip", DATA)


@pytest.fixture
def get(server, served, transfer, tmp_path):
    def call(limit: int = LIMIT, **changes: object):
        using = replace(transfer, **changes)
        return fetch(f"{server.url}/a.zip", tmp_path / "sets" / "a.zip", limit, using)

    return call


def files_in(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_arrives_whole_and_alone(get, tmp_path, waits) -> None:
    digest = get()
    assert digest.sha256 == hashlib.sha256(DATA).hexdigest()
    assert digest.num_bytes == len(DATA)
    assert files_in(tmp_path / "sets") == {"a.zip": DATA}
    assert waits == []


def test_what_was_cut_off_goes_on_where_it_stopped(get, served, tmp_path, waits) -> None:
    served.cuts = [1_000_000, 500_000]
    get()
    assert files_in(tmp_path / "sets") == {"a.zip": DATA}
    assert served.asked == [None, "bytes=1000000-", "bytes=1500000-"]
    assert waits == [1.0, 2.0]


def test_another_run_goes_on_too(get, served, tmp_path) -> None:
    served.cuts = [1_000_000, 10]
    with pytest.raises(LightRecError, match=r"1,000,010 bytes are kept in .*a\.zip\.part, run"):
        get(attempts=2)
    assert not (tmp_path / "sets" / "a.zip").exists()
    get()
    assert served.asked[-1] == "bytes=1000010-"
    assert files_in(tmp_path / "sets") == {"a.zip": DATA}


def test_only_what_was_synced_is_believed(get, served, tmp_path) -> None:
    served.cuts = [1_000_000]
    with pytest.raises(LightRecError):
        get(attempts=1)
    with (tmp_path / "sets" / "a.zip.part").open("ab") as part:
        part.write(bytes(5_000))  # as after a power cut
    get()
    assert served.asked == [None, "bytes=1000000-"]
    assert files_in(tmp_path / "sets") == {"a.zip": DATA}


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(get, served, tmp_path) -> None:
    served.cuts = [1_000_000]
    with pytest.raises(LightRecError):
        get(attempts=1)
    served.data, served.etag = DATA[::-1], '"v2"'
    get()
    assert (tmp_path / "sets" / "a.zip").read_bytes() == DATA[::-1]


@pytest.mark.parametrize(
    "changes",
    [
        {"ranges": False},
        {"etag": None},
        {"etag": 'W/"weak"'},
        {"headers": {"Content-Range": "bytes 7-9/10"}},
        {"headers": {"Content-Range": "nonsense"}},
    ],
)
def test_hosts_that_cannot_resume_send_all_again(get, served, tmp_path, changes) -> None:
    for name, value in changes.items():
        setattr(served, name, value)
    served.cuts = [1_000_000]
    get()
    assert files_in(tmp_path / "sets") == {"a.zip": DATA}


def test_a_time_of_change_serves_where_there_is_no_tag(get, served, tmp_path) -> None:
    served.etag, served.cuts = None, [1_000_000]
    served.headers = {"Last-Modified": "Thu, 01 Jan 2015 00:00:00 GMT"}
    get()
    assert served.asked == [None, "bytes=1000000-"]
    assert (tmp_path / "sets" / "a.zip").read_bytes() == DATA


def test_a_part_longer_than_the_file_starts_anew(get, served, tmp_path) -> None:
    served.cuts = [2_000_000]
    with pytest.raises(LightRecError):
        get(attempts=1)
    served.data = DATA[:1_000_000]
    get()
    assert (tmp_path / "sets" / "a.zip").read_bytes() == DATA[:1_000_000]


def test_a_part_of_unknown_origin_is_not_used(get, served, tmp_path) -> None:
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "a.zip.part").write_bytes(b"x" * 99)
    get()
    assert served.asked == [None]
    assert files_in(tmp_path / "sets") == {"a.zip": DATA}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_host_is_asked_again(get, served, status, waits) -> None:
    served.statuses = [status] * 4
    get()
    assert waits == [1.0, 2.0, 4.0, 8.0]
    served.statuses = [status] * 5
    with pytest.raises(LightRecError, match=rf"the host answers {status} .*\(5 attempts\)"):
        get()


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_clear_no_is_taken_at_once(get, served, status, waits) -> None:
    served.statuses = [status]
    with pytest.raises(LightRecError, match=rf"answers {status} .*--from FILE"):
        get()
    assert waits == []


def test_files_that_are_too_long_are_refused(get, served, tmp_path) -> None:
    with pytest.raises(InputError, match="longer than 2,000,000 bytes"):
        get(2_000_000)
    served.headers = {"Content-Length": None}  # the host does not say
    with pytest.raises(InputError, match="longer than 2,000,000 bytes"):
        get(2_000_000)
    assert (tmp_path / "sets" / "a.zip.part").stat().st_size <= 2_000_000
    get()
    assert (tmp_path / "sets" / "a.zip").read_bytes() == DATA


def test_an_empty_file_is_no_file(get, served, tmp_path) -> None:
    served.data = b""
    with pytest.raises(InputError, match="sent an empty file"):
        get()
    assert not (tmp_path / "sets" / "a.zip").exists()


def test_an_encoded_answer_is_refused(get, served) -> None:
    served.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(LightRecError, match="sends it encoded"):
        get()


def test_a_silent_host_is_left(get, server, served, waits) -> None:
    served.headers = {"Content-Length": str(len(DATA) + 1)}  # one byte never comes
    with pytest.raises(LightRecError, match=r"after 3,000,000 of 3,000,001 bytes \(2 attempts\)"):
        get(attempts=2, timeout=0.2)


def test_redirections_stay_within_the_scheme(get, server, served, tmp_path) -> None:
    server.add("/b.zip", DATA)
    served.location = f"{server.url}/b.zip"
    get()
    assert (tmp_path / "sets" / "a.zip").read_bytes() == DATA
    for place in ("https://127.0.0.1:1/b.zip", "ftp://127.0.0.1/b.zip"):
        served.location = place
        with pytest.raises(LightRecError, match=r"which is not http; refused"):
            get()
    served.location = "file:///etc/passwd"
    with pytest.raises(LightRecError, match="302"):
        get()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a", "file:///etc/passwd", "ftp://host/a"])
def test_only_https_is_opened_for_users(url, tmp_path) -> None:
    assert isinstance(Transfer().opener, HttpsOnly)
    with pytest.raises(LightRecError, match="refused, only https is used"):
        fetch(url, tmp_path / "a", LIMIT, Transfer())


def test_https_really_is_tried(server, tmp_path) -> None:
    url = server.url.replace("http:", "https:")  # where nobody speaks it
    with pytest.raises(LightRecError, match=r"SSL|EOF|reset"):
        fetch(f"{url}/a", tmp_path / "a", LIMIT, Transfer(attempts=1, timeout=5))


def test_no_connection_says_what_to_do(tmp_path) -> None:
    class Offline:
        def open(self, request: Request, *, timeout: float):
            import socket

            raise URLError(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))

    with pytest.raises(LightRecError, match=r"cannot be found \(Name .* --from FILE"):
        fetch("https://host/a", tmp_path / "a", LIMIT, Transfer(opener=Offline()))


def test_a_full_disk(get, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(fetch_module, "bytes_free", lambda _: 2_000_000)
    with pytest.raises(LightRecError, match="3,000,000 bytes are needed and 2,000,000 are free"):
        get()
    monkeypatch.undo()

    def full(fd: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(LightRecError, match=r"cannot be written: No space left"):
        get()


def test_two_at_once_do_not_mix(get, tmp_path) -> None:
    (tmp_path / "sets").mkdir()
    fd = os.open(tmp_path / "sets" / "a.zip.part", os.O_RDWR | os.O_CREAT)
    assert lock(fd)
    with pytest.raises(LightRecError, match="another process is writing it"):
        get()
    os.close(fd)
    get()


def test_short_texts(server, transfer, waits) -> None:
    server.add("/sum", b"MD5 (a) = 1", statuses=[503])
    assert fetch_text(f"{server.url}/sum", transfer) == "MD5 (a) = 1"
    assert waits == [1.0]
    server.files["/sum"].data = b"x" * 70_000
    with pytest.raises(LightRecError, match="so no checksum file"):
        fetch_text(f"{server.url}/sum", transfer)
    with pytest.raises(LightRecError, match="answers 404"):
        fetch_text(f"{server.url}/none", transfer)
