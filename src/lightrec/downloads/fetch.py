"""One file from a host to the disk: resumed where it broke off, bounded, whole or not at all.

What has arrived lies in `NAME.part`, and `NAME.part.json` says of which version of the file. The
next attempt, also of another run, asks for the rest of that very version; a host that cannot give
it sends all again. The finished file is put into place by `durable_files`.
"""

from __future__ import annotations

import contextlib
import http.client
import mmap
import os
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request

from lightrec._version import __version__
from lightrec.downloads.transfer import Transfer
from lightrec.durable_files import FileDigest, bytes_free, read_json, to_json, write_file
from lightrec.durable_files.leftovers import OPEN_FLAGS, lock
from lightrec.durable_files.writing import make_folder, refuse
from lightrec.errors import InputError, LightRecError
from lightrec.progress import track

_BLOCK = 1 << 20
_LONGEST_WAIT = 30.0
_SMALL = 1 << 16
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_BY_HAND = "download it by hand and give it with --from FILE"


class _BrokenOffError(Exception):
    """The transfer ended early, and may go better next time."""


def fetch(url: str, target: Path, max_bytes: int, transfer: Transfer) -> FileDigest:
    """Downloads a file; what an earlier attempt left in `target.part` is used.

    Args:
        url: its address.
        target: where it goes; replaced in one step when all has arrived.
        max_bytes: the most that is accepted.
        transfer: how to fetch.

    Returns:
        Length and SHA-256 of the file.

    Raises:
        InputError: the file is empty or longer than `max_bytes`.
        LightRecError: the host cannot be reached, does not have the file, or breaks off again and
            again; the disk is full; or another process is fetching the same file.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        make_folder(part.parent)
        fd = os.open(part, os.O_RDWR | os.O_CREAT | OPEN_FLAGS, 0o666)
    except OSError as error:
        refuse(part, error)
    try:
        if lock(fd) is False:
            raise LightRecError(f"{part}: another process is writing it; wait until it has ended")
        _receive_all(url, fd, part, max_bytes, transfer)
        if not os.fstat(fd).st_size:
            raise InputError(f"{url}: the host sent an empty file; {_BY_HAND}")
        with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as content:
            view = memoryview(content)
            try:
                digest = write_file(target, view)
            finally:
                view.release()
        discard_part(target)
    finally:
        os.close(fd)
    return digest


def fetch_text(url: str, transfer: Transfer) -> str:
    """Downloads a short text, such as a checksum file.

    Raises:
        LightRecError: as `fetch`; or the text is longer than 64 KiB.
    """
    for attempt in range(transfer.attempts):
        try:
            with _answer(url, {}, transfer) as response:
                data = response.read(_SMALL + 1)
            if len(data) > _SMALL:
                raise LightRecError(f"{url}: longer than {_SMALL:,} bytes, so no checksum file")
            return data.decode("utf-8", errors="replace")
        except (_BrokenOffError, http.client.HTTPException, OSError) as error:
            _wait_or_give_up(url, attempt, error, transfer, "")
    raise AssertionError  # the last attempt has raised


def discard_part(target: Path) -> None:
    """Forgets what has arrived of a file."""
    for suffix in (".part", ".part.json"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)


def _receive_all(url: str, fd: int, part: Path, max_bytes: int, transfer: Transfer) -> None:
    for attempt in range(transfer.attempts):
        try:
            _receive(url, fd, part, max_bytes, transfer)
            return
        except (_BrokenOffError, http.client.HTTPException, OSError) as error:
            kept = f"; {os.fstat(fd).st_size:,} bytes are kept in {part}, run the command again"
            _wait_or_give_up(url, attempt, error, transfer, kept)


def _receive(url: str, fd: int, part: Path, max_bytes: int, transfer: Transfer) -> None:
    """One attempt."""
    version_file = part.with_name(f"{part.name}.json")
    version = _version_in(version_file, url)
    have = os.fstat(fd).st_size if version else 0
    wanted = {"Range": f"bytes={have}-", "If-Range": version} if version and have else {}
    with _answer(url, wanted, transfer) as response:
        if response.status == 206 and _first_byte(response) == have:
            total = _total(response, have)
        elif response.status == 200:
            have, total = 0, _total(response, 0)
        else:
            version_file.unlink(missing_ok=True)
            raise _BrokenOffError(f"unexpected answer {response.status} to a request for the rest")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise LightRecError(f"{url}: the host sends it encoded, unasked; {_BY_HAND}")
        _check_size(url, part, have, total, max_bytes)
        try:
            os.ftruncate(fd, have)
            os.lseek(fd, have, os.SEEK_SET)
        except OSError as error:
            refuse(part, error)
        write_file(version_file, to_json({"url": url, "version": _version_of(response)}))
        blocks = None if total is None else -(-(total - have) // _BLOCK)
        name = f"{part.name.removesuffix('.part')} (MiB)"
        for block in track(_blocks(response), name, total=blocks, enabled=transfer.progress):
            have += len(block)
            _check_size(url, part, have, None, max_bytes)
            _write(fd, block, part)
    if total is not None and have != total:
        raise _BrokenOffError(f"the connection ended after {have:,} of {total:,} bytes")


def _answer(url: str, headers: dict[str, str], transfer: Transfer) -> http.client.HTTPResponse:
    """The host's answer, 200 or 206.

    Raises:
        LightRecError: it is one that another attempt cannot change.
        _BrokenOffError: it may be another next time.
    """
    usual = {"User-Agent": f"lightrec/{__version__}", "Accept-Encoding": "identity"}
    try:
        return transfer.opener.open(Request(url, headers=usual | headers), timeout=transfer.timeout)
    except HTTPError as error:
        error.close()
        if error.code == 416 and headers:  # what is here is no beginning of what is there
            return _answer(url, {}, transfer)
        if error.code in _TRY_AGAIN:
            raise _BrokenOffError(f"the host answers {error.code} {error.reason}") from None
        raise LightRecError(
            f"{url}: the host answers {error.code} {error.reason}; look for the file at its "
            f"publisher's, {_BY_HAND}"
        ) from None
    except URLError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise LightRecError(f"{url}: the host's certificate is not valid: {reason}") from None
        if isinstance(reason, socket.gaierror) and reason.errno != socket.EAI_AGAIN:
            raise LightRecError(
                f"{url}: the host cannot be found ({reason.strerror}); check the connection, or "
                f"{_BY_HAND}"
            ) from None
        raise _BrokenOffError(str(reason)) from None


def _wait_or_give_up(
    url: str, attempt: int, error: Exception, transfer: Transfer, kept: str
) -> None:
    reason = str(error) or type(error).__name__
    if attempt + 1 == transfer.attempts:
        raise LightRecError(f"{url}: {reason} ({attempt + 1} attempts){kept}, or {_BY_HAND}")
    transfer.wait(min(2.0**attempt, _LONGEST_WAIT))


def _blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while block := response.read(_BLOCK):
        yield block


def _write(fd: int, block: bytes, part: Path) -> None:
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[os.write(fd, rest) :]
    except OSError as error:
        refuse(part, error, len(rest))


def _check_size(url: str, part: Path, have: int, total: int | None, max_bytes: int) -> None:
    if max(have, total or 0) > max_bytes:
        raise InputError(
            f"{url}: longer than {max_bytes:,} bytes, which this file never was; refused. If its "
            f"publisher did enlarge it, {_BY_HAND}"
        )
    free = bytes_free(part)
    if total is not None and free is not None and 2 * total - have > free:
        raise LightRecError(
            f"{part}: {2 * total - have:,} bytes are needed and {free:,} are free there; name "
            "another folder with --out"
        )


def _version_in(file: Path, url: str) -> str | None:
    """What `NAME.part` is a beginning of; None where that is not known."""
    with contextlib.suppress(InputError):
        content = read_json(file)
        if isinstance(content, dict) and content.get("url") == url:
            version = content.get("version")
            return version if isinstance(version, str) else None
    return None


def _version_of(response: http.client.HTTPResponse) -> str | None:
    """What If-Range takes: a strong ETag, or else the time of the last change."""
    tag: str | None = response.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return tag
    changed: str | None = response.headers.get("Last-Modified")
    return changed


def _first_byte(response: http.client.HTTPResponse) -> int | None:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _total(response: http.client.HTTPResponse, have: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return have + int(length) if length.isdecimal() else None
