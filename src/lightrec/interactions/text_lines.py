"""Lines of text files that have no line of column names."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from lightrec.errors import InputError

_BLOCK_BYTES = 32 << 20
_LONGEST_LINE = 256 << 20
_HEAD_BYTES = 1 << 16
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_lines(path: Path, encoding: str = "utf-8") -> pl.Series:
    """All lines of a file without their ends, String (lines,); blank lines are kept.

    Args:
        path: the file; `.gz` is unpacked.
        encoding: `utf-8`, or one in which every byte is a character, such as `latin-1`.

    Raises:
        InputError: the file is empty, damaged, or not of this encoding: which line.
    """
    parts: list[pl.Series] = []
    count, rest = 0, b""
    try:
        with _opened(path) as stream:
            while block := stream.read(_BLOCK_BYTES):
                block = rest + block
                end = block.rfind(b"\n") + 1
                rest = block[end:]
                if len(rest) > _LONGEST_LINE:
                    raise InputError(
                        f"{path}, line {count + block[:end].count(10) + 1}: the line is longer "
                        f"than {_LONGEST_LINE:,} bytes; is this a text file?"
                    )
                if end:
                    parts.append(_split(block[: end - 1], path, count, encoding))
                    count += len(parts[-1])
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if rest:
        parts.append(_split(rest, path, count, encoding))
    if not parts:
        raise InputError(f"{path} is empty")
    return pl.concat(parts)


def first_lines(path: Path) -> list[str]:
    """The first filled lines of a file, to tell its format by; undecodable bytes are replaced."""
    try:
        with _opened(path) as stream:
            head = stream.read(_HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    lines = head.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", errors="replace").split("\n")
    if len(head) == _HEAD_BYTES and len(lines) > 1:
        lines.pop()  # cut off in its middle
    return [line.removesuffix("\r") for line in lines if line.strip()]


def _split(data: bytes, path: Path, lines_before: int, encoding: str) -> pl.Series:
    if not lines_before:
        data = data.removeprefix(_BYTE_ORDER_MARK)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = lines_before + data[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}: not UTF-8; convert the file to UTF-8 (for example: "
            "iconv -f latin1 -t utf-8)"
        ) from None
    lines = pl.Series([text]).str.split("\n").explode()
    return lines.str.strip_suffix("\r") if "\r" in text else lines


def _opened(path: Path) -> BinaryIO:
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path))
    return path.open("rb")
