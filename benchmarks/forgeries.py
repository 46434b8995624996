"""Model folders as an attacker makes them: edited by structure, and sealed again.

A forgery takes the files of a folder by name, without the manifest, and changes some of them.
`seal` then writes the manifest anew by the documented format alone; it shares no code with the
library. What an attacker can do that loading has to withstand: sizes that are huge, negative or
whose product wraps, arrays that overlap or leave the file, codes beyond the codebooks, values that
are not finite, ids and keys that come twice, more arrays or nesting than there is memory for.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from benchmarks.array_forgeries import (
    header_field,
    header_fields_together,
    header_text,
    shapes,
    sound_but_strange,
    values,
)
from benchmarks.hostile_values import DEEP, SIZES, Files, Forgery, pick
from benchmarks.table_forgeries import table_declarations, tables, writers

MANIFEST = "MANIFEST.json"
CONFIG = "config.json"
OUTSIDE = (MANIFEST, "README.md")


def seal(files: Files, changes: dict[str, Any] | None = None) -> None:
    """Writes the manifest that fits the files.

    Args:
        files: Content by name; the manifest is put beside them.
        changes: Fields that are told otherwise, under a digest that fits them.
    """
    listed = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(files.items())
        if name not in OUTSIDE
    }
    body = {"format_version": 1, "needs": "lightrec >= 0.1.0", "files": listed}
    body |= changes or {}
    body["digest"] = hashlib.sha256(_json(body)).hexdigest()
    files[MANIFEST] = _json(body)


def _json(value: Any) -> bytes:  # noqa: ANN401
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode(errors="surrogatepass")


def config_values(rng: np.random.Generator, files: Files) -> None:
    """Values of `config.json`: sizes, forms and names that are others, or no such things."""
    told = json.loads(files[CONFIG])
    others = (
        *SIZES,
        "table",
        "free",
        "identity",
        "fitted",
        "unheard of",
        "../x",
        [[]],
        float("nan"),
    )
    for _ in range(rng.integers(1, 3)):
        owner = told if rng.random() < 0.4 else pick(rng, [told["sizes"], told.get("selection")])
        if not isinstance(owner, dict) or not owner:
            owner = told
        key = str(pick(rng, owner)) if rng.random() < 0.9 else "extra"
        if key not in ("sizes", "extra") and rng.random() < 0.2:
            del owner[key]
        elif key != "sizes":
            owner[key] = pick(rng, others)
        if not isinstance(told.get("sizes"), dict):
            break
    files[CONFIG] = json.dumps(told).encode()


def config_text(rng: np.random.Generator, files: Files) -> None:
    """A `config.json` that is not the JSON it should be."""
    text = files[CONFIG]
    files[CONFIG] = pick(
        rng,
        (
            text.replace(b"{", b'{"sizes": {}, ', 1),
            text.replace(b'"config": {', b'"config": {"a": 1, "a": 2, ', 1),
            text.replace(b'"config": {', b'"config": {"a": ' + b"[" * DEEP + b"]" * DEEP + b",", 1),
            text.replace(b'"config": {', b'"config": {"a": NaN, ', 1),
            text.replace(b'"config": {', b'"config": {"a": 1e999, ', 1),
            text.replace(b'"config": {', b'"config": {"a": ' + b"9" * 5000 + b", ", 1),
            text.replace(b'"config": {', b'"config": {"a": -0.0, "\\u0000": "\\ud800", ', 1),
            text.replace(b'"config": {', b'"config": {"\xff": 1, ', 1),
            text.replace(b'"config": {', b'"config": {"a": "' + b"x" * (1 << 20) + b'", ', 1),
            text.decode().encode("utf-16"),
            b"\xef\xbb\xbf" + text,
            text + text,
            b" " * 100 + text,
            b"[" * DEEP,
            b"null",
            b"",
        ),
    )


def manifest(rng: np.random.Generator, files: Files) -> None:
    """A manifest that lists other files, lengths or versions, under a digest that fits."""
    seal(files)
    listed = json.loads(files[MANIFEST])["files"]
    entry = listed[pick(rng, listed)]
    kind = rng.integers(9)
    changes: dict[str, Any] = {}
    if kind == 0:
        entry["bytes"] = pick(rng, SIZES)
    elif kind == 1:
        entry["sha256"] = pick(rng, (7, None, "", "0" * 64, entry["sha256"].upper(), [1]))
    elif kind == 2:
        entry[str(pick(rng, ("mode", "", "bytes ")))] = 1
    elif kind == 3:
        listed[str(pick(rng, ("../x", "/etc/passwd", "x.py", "", ".", "\0", "a" * 5000)))] = entry
    elif kind == 4:
        del listed[pick(rng, listed)]
    elif kind == 5:
        changes["format_version"] = pick(rng, SIZES)
    elif kind == 6:
        changes["needs"] = pick(rng, ("lightrec >= 9", "rm -rf", 3, None))
    elif kind == 7:
        changes["files"] = pick(rng, ([], {}, None, 7, "x", list(listed), {"a": []}))
    else:
        changes["more"] = pick(rng, (1, "x" * 100_000))
    seal(files, {"files": listed, **changes})


FORGERIES: dict[str, Forgery] = {
    forgery.__name__: forgery
    for forgery in (
        *(header_field, header_fields_together, header_text, values, shapes),
        *(tables, writers, table_declarations, config_values, config_text, manifest),
        sound_but_strange,
    )
}
"""By name; each changes the files, or leaves them as they were when it could not."""
