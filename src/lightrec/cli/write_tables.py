"""Tables to files, whole or not at all."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from lightrec.errors import ArgumentError

if TYPE_CHECKING:
    import polars as pl

_SEPARATORS = {".csv": ",", ".txt": ","} | dict.fromkeys((".tsv", ".tab", ".inter"), "\t")
_PARQUET = frozenset({".parquet", ".pq"})
_ROWS_AS_TEXT = 1 << 14  # at a time: cells may be long texts, which a table holds once for all rows


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
        ArgumentError: the ending is unknown, the folder is a model, or a column holds lists, which
            have no place in a text file.
        LightRecError: the file cannot be written.
    """
    write_blocks_of_table([frame], path, separator=separator)


def write_blocks_of_table(
    blocks: Iterable[pl.DataFrame], path: Path, *, separator: str | None = None
) -> None:
    """Does what `write_table` does with a table that comes in blocks of its rows.

    One block at a time is in memory: it is written before the next is asked for. The file takes its
    place when all are written; an error or an interrupt before that leaves what was there.

    Args:
        blocks: at least one, all of the same columns and types. The first is made before anything
            is written.
        path: as for `write_table`.
        separator: as for `write_table`.

    Raises:
        ArgumentError: as for `write_table`, or the columns of two blocks differ.
        LightRecError: the file cannot be written.
    """
    from lightrec.artifact.manifest import MANIFEST
    from lightrec.durable_files import write_through

    check_table_path(path)
    if (path.parent / MANIFEST).exists():
        raise ArgumentError(
            f"--out {path}: {path.parent} is a model, which nothing else is kept in"
        )
    tables = _alike(blocks)
    first = next(tables)
    kind, every = _kind(path), itertools.chain(iter([first]), tables)  # which lets go of the first
    if kind not in _PARQUET:
        _check_flat(first.schema, path)
    schema = first.schema
    del first

    def fill(file: IO[bytes]) -> None:
        if kind in _PARQUET:
            _write_parquet(every, schema, file)
        else:
            _write_text(every, separator or _SEPARATORS[kind], file)

    write_through(path, _compressed(fill) if path.suffix.lower() == ".gz" else fill)


def _alike(blocks: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Refuses blocks that make no table."""
    columns: pl.Schema | None = None
    for block in blocks:
        columns = columns or block.schema
        if block.schema != columns:
            raise ArgumentError("the blocks of a table must all have the same columns and types")
        yield block
    if columns is None:
        raise ArgumentError("a table needs at least one block, which tells its columns")


def _write_parquet(tables: Iterable[pl.DataFrame], schema: pl.Schema, file: IO[bytes]) -> None:
    """The rows as polars streams them: a few row groups are in memory, not all.

    polars calls sources in Python unstable; tests hold what is used of them here.
    """
    from polars.io.plugins import register_io_source

    def source(*_: object) -> Iterator[pl.DataFrame]:
        yield from tables

    register_io_source(source, schema=schema).sink_parquet(file)


def _write_text(tables: Iterable[pl.DataFrame], separator: str, file: IO[bytes]) -> None:
    """The rows as text, below a line of the columns' names."""
    begun = False
    for table in tables:
        for rows in table.iter_slices(_ROWS_AS_TEXT) if len(table) else (table,):
            rows.write_csv(file, include_header=not begun, separator=separator)
            begun = True


def _check_flat(schema: pl.Schema, path: Path) -> None:
    """Refuses lists: there is no one way to write them as text."""
    for name, dtype in schema.items():
        if dtype.is_nested():
            raise ArgumentError(
                f"--out {path}: column {name!r} holds lists, which a text file cannot; name a "
                ".parquet file, or leave the column out"
            )


def _compressed(fill: Callable[[IO[bytes]], None]) -> Callable[[IO[bytes]], None]:
    """As gzip, without a time inside: the same table, the same bytes."""

    def compressed(file: IO[bytes]) -> None:
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            fill(cast("IO[bytes]", packed))

    return compressed


def _kind(path: Path) -> str:
    named = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return named.suffix.lower()
