"""One file from a host to the disk: resumed where it broke off, bounded, whole or not at all.

What has arrived is kept as a partial file of `durable_files`, with the version of which it is the
beginning. The next attempt, also of another run, asks for the rest of that very version; a host
that cannot give it sends all again.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request

from lightrec._version import __version__
from lightrec.downloads.transfer import Transfer
from lightrec.durable_files import FileDigest, PartialFile, bytes_free, partial_file
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
    with partial_file(target) as part:
        _receive_all(url, part, max_bytes, transfer)
        if not part.num_bytes:
            raise InputError(f"{url}: the host sent an empty file; {_BY_HAND}")
        return part.finish()


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


def _receive_all(url: str, part: PartialFile, max_bytes: int, transfer: Transfer) -> None:
    for attempt in range(transfer.attempts):
        try:
            _receive(url, part, max_bytes, transfer)
            return
        except (_BrokenOffError, http.client.HTTPException, OSError) as error:
            kept = f"; {part.num_bytes:,} bytes are kept in {part.path}, run the command again"
            _wait_or_give_up(url, attempt, error, transfer, kept)


def _receive(url: str, part: PartialFile, max_bytes: int, transfer: Transfer) -> None:
    """One attempt."""
    version = _version_in(part, url)
    have = part.num_bytes if version else 0
    wanted = {"Range": f"bytes={have}-", "If-Range": version} if version and have else {}
    with _answer(url, wanted, transfer) as response:
        if response.status == 206 and _first_byte(response) == have:
            total = _total(response, have)
        elif response.status == 200:
            have, total = 0, _total(response, 0)
        else:
            part.begin(None)
            raise _BrokenOffError(f"unexpected answer {response.status} to a request for the rest")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise LightRecError(f"{url}: the host sends it encoded, unasked; {_BY_HAND}")
        _check_size(url, part.path, have, total, max_bytes)
        part.begin({"url": url, "version": _version_of(response)}, have)
        blocks = None if total is None else -(-(total - have) // _BLOCK)
        name = f"{part.path.name.removesuffix('.part')} (MiB)"
        for block in track(_blocks(response), name, total=blocks, enabled=transfer.progress):
            _check_size(url, part.path, part.num_bytes + len(block), None, max_bytes)
            part.append(block)
    if total is not None and part.num_bytes != total:
        raise _BrokenOffError(f"the connection ended after {part.num_bytes:,} of {total:,} bytes")


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


def _check_size(url: str, part: Path, have: int, total: int | None, max_bytes: int) -> None:
    if max(have, total or 0) > max_bytes:
        raise InputError(
            f"{url}: longer than {max_bytes:,} bytes, which this file never was; refused. If its "
            f"publisher did enlarge it, {_BY_HAND}"
        )
    free = bytes_free(part)
    if total is not None and free is not None and total - have > free:
        raise LightRecError(
            f"{part}: {total - have:,} bytes are needed and {free:,} are free there; name "
            "another folder with --out"
        )


def _version_in(part: PartialFile, url: str) -> str | None:
    """What has arrived is a beginning of this version; None where that is not known."""
    origin = part.origin or {}
    version = origin.get("version") if origin.get("url") == url else None
    return version if isinstance(version, str) else None


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
