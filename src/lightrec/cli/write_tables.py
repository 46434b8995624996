"""Tables to files, whole or not at all."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import TYPE_CHECKING

from lightrec.errors import ArgumentError

if TYPE_CHECKING:
    import polars as pl

_SEPARATORS = {".csv": ",", ".txt": ","} | dict.fromkeys((".tsv", ".tab", ".inter"), "\t")
_PARQUET = frozenset({".parquet", ".pq"})


def check_table_path(path: Path) -> None:
    """Refuses a name that does not say which kind of file is wanted; worth calling early.

    Raises:
        ArgumentError: the ending is unknown.
    """
    if _kind(path) not in _PARQUET and _kind(path) not in _SEPARATORS:
        raise ArgumentError(f"--out {path}: unknown kind of file; use .csv, .tsv or .parquet")


def write_table(frame: pl.DataFrame, path: Path, *, separator: str | None = None) -> None:
    """Replaces or creates a file in one step.

    Args:
        frame: the table.
        path: `.csv`, `.tsv`, `.inter` or `.txt` (each also `.gz`), or `.parquet`.
        separator: between the fields of a text file; by the file's ending when None.

    Raises:
        ArgumentError: the ending is unknown, or the folder is a model.
        LightRecError: the file cannot be written.
    """
    from lightrec.artifact.manifest import MANIFEST
    from lightrec.durable_files import write_file

    check_table_path(path)
    if (path.parent / MANIFEST).exists():
        raise ArgumentError(
            f"--out {path}: {path.parent} is a model, which nothing else is kept in"
        )
    buffer = io.BytesIO()
    if _kind(path) in _PARQUET:
        frame.write_parquet(buffer)
    else:
        frame.write_csv(buffer, separator=separator or _SEPARATORS[_kind(path)])
    data = buffer.getvalue()
    if path.suffix.lower() == ".gz":
        data = gzip.compress(data, mtime=0)  # no time inside: the same table, the same bytes
    write_file(path, data)


def _kind(path: Path) -> str:
    named = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return named.suffix.lower()
