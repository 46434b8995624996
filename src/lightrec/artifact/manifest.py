"""`MANIFEST.json`: which files make up a model, with the length and SHA-256 of each.

The manifest carries its own digest and is accepted only in the exact form in which it is written,
so that no byte of a model can change unnoticed. A digest is not a defence against someone who
recomputes it: `verify` does not rely on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lightrec.durable_files import FileDigest, parse_json, sha256_of, to_json
from lightrec.errors import ArtifactError, InputError

FORMAT_VERSION = 1
NEEDS = "lightrec >= 0.1.0"
"""The first release that reads FORMAT_VERSION."""

MANIFEST = "MANIFEST.json"
CARD = "README.md"
CONFIG = "config.json"
CODES = "codes.safetensors"
USERS = "users.safetensors"
ITEM_TABLE = "items.parquet"
USER_TABLE = "users.parquet"
HISTORY = "history.safetensors"
SELECTION = "selection.safetensors"
FLOAT_ITEMS = "float_items.safetensors"

REQUIRED = (CONFIG, CODES, USERS, ITEM_TABLE, USER_TABLE)
OPTIONAL = (HISTORY, SELECTION, FLOAT_ITEMS)

MAX_MANIFEST_BYTES = 64 << 10


@dataclass(frozen=True)
class Manifest:
    """The files of a model.

    Attributes:
        files: Length and SHA-256 by file name.
    """

    files: Mapping[str, FileDigest]

    @property
    def digest(self) -> str:
        """SHA-256 that stands for the whole model: equal digests, equal files."""
        return sha256_of(to_json(self._body()))

    def to_bytes(self) -> bytes:
        """The manifest as a file."""
        return to_json({**self._body(), "digest": self.digest})

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Reads a manifest and checks it against its own digest.

        Raises:
            ArtifactError: A newer release wrote it.
            InputError: It is damaged; the message does not name the file.
        """
        body = parse_json(data)
        if not isinstance(body, dict):
            raise InputError("is not a JSON object")
        _refuse_newer(body)
        try:
            files = {
                name: FileDigest(entry["bytes"], entry["sha256"])
                for name, entry in body["files"].items()
            }
        except (AttributeError, KeyError, TypeError):
            raise InputError("does not list files with their lengths and digests") from None
        manifest = cls(files)
        if manifest.to_bytes() != data:
            raise InputError("does not match its own digest")
        for name, file in files.items():
            if name not in REQUIRED + OPTIONAL:
                raise InputError(f"lists {name!r}, which is no part of a model")
            if type(file.num_bytes) is not int or file.num_bytes < 0:
                raise InputError(f"lists {name} with a length that is not a number of bytes")
        for name in REQUIRED:
            if name not in files:
                raise InputError(f"does not list {name}")
        return manifest

    def _body(self) -> dict[str, Any]:
        return {
            "format_version": FORMAT_VERSION,
            "needs": NEEDS,
            "files": {
                name: {"bytes": file.num_bytes, "sha256": file.sha256}
                for name, file in self.files.items()
            },
        }


def is_manifest(body: object) -> bool:
    """Whether a JSON value is a manifest of LightRec's, of any version, sound or not."""
    return isinstance(body, dict) and body.keys() >= {"format_version", "needs", "files", "digest"}


def _refuse_newer(body: dict[str, Any]) -> None:
    version, needs = body.get("format_version"), body.get("needs")
    if type(version) is int and version > FORMAT_VERSION:
        known = isinstance(needs, str) and re.fullmatch(r"lightrec >= [\w.]{1,40}", needs)
        raise ArtifactError(
            f"the model has format version {version}; it needs "
            f"{needs if known else 'a newer lightrec'}: run pip install --upgrade lightrec"
        )
