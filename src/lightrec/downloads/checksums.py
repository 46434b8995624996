"""Whether a downloaded file is the right one.

Where the publisher has a checksum beside the file, that is fetched and compared. Elsewhere the
first download is trusted: its SHA-256 is written to `download.json` in the set's folder, and a
later download has to be the same.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lightrec.durable_files import FileDigest, read_json, to_json, write_file
from lightrec.errors import InputError

RECORD = "download.json"


def md5_in(text: str, source: str) -> str:
    """The one MD5 that a publisher's checksum file holds, 32 hexadecimal digits.

    Args:
        text: its content, as `md5sum` or BSD's `md5` write it.
        source: its address, for the error.

    Raises:
        InputError: it holds none, or several.
    """
    found: set[str] = {digits.lower() for digits in re.findall(r"\b[0-9a-fA-F]{32}\b", text)}
    if len(found) != 1:
        raise InputError(f"{source} holds {len(found)} MD5 checksums, not one: {text[:80]!r}")
    return found.pop()


def md5_of(path: Path) -> str:
    """MD5 of a file; it tells damage, not malice, and is what MovieLens publishes."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_record(folder: Path, name: str, digest: FileDigest) -> bool:
    """Compares a file with what was downloaded first.

    Returns:
        Whether there was a record; False means that this file is the first.

    Raises:
        InputError: the file is another than the first.
    """
    known = _records(folder).get(name)
    if known is None:
        return False
    if known.get("sha256") != digest.sha256:
        raise InputError(
            f"{name}: SHA-256 {digest.sha256} is not that of the first download, "
            f"{known.get('sha256')} ({known.get('first_seen')}); if its publisher changed it, "
            f"remove {folder / RECORD} and get it again"
        )
    return True


def record(folder: Path, files: dict[str, tuple[str, FileDigest]]) -> None:
    """Writes down what was downloaded; files that are known keep their record.

    Args:
        folder: of the set.
        files: by name, where each came from and its digest.
    """
    known = _records(folder)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    fresh = {
        name: {
            "source": source,
            "sha256": digest.sha256,
            "num_bytes": digest.num_bytes,
            "first_seen": now,
        }
        for name, (source, digest) in files.items()
    }
    write_file(folder / RECORD, to_json({"files": fresh | known}))


def _records(folder: Path) -> dict[str, dict[str, Any]]:
    file = folder / RECORD
    if not file.exists():
        return {}
    content = read_json(file)
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, dict) or not all(isinstance(one, dict) for one in files.values()):
        raise InputError(f"{file} holds no record of downloads; remove it and get the set again")
    return files
