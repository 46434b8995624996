"""Brings a public set into a data folder: fetch or take what was downloaded, check, convert, write.

A data folder gets `NAME/interactions.parquet` and `NAME/items.parquet`, which `load_public` reads,
`NAME/download.json` with the digests, and the publisher's own files in `NAME/source/`, which may be
deleted.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from lightrec.downloads.archives import unpack_member
from lightrec.downloads.checksums import check_record, md5_in, md5_of, record
from lightrec.downloads.conversion import SetTables
from lightrec.downloads.fetch import fetch, fetch_text
from lightrec.downloads.sources import DataSource, SourceFile
from lightrec.downloads.transfer import Transfer
from lightrec.durable_files import FileDigest, sha256_of, write_file
from lightrec.durable_files.leftovers import locked_hidden_folder, remove, sweep
from lightrec.durable_files.writing import make_folder, refuse
from lightrec.errors import ArgumentError, InputError

Tell = Callable[[str], None]
_UNPACKED_TIMES = 8  # as long as its archive may be, at most, is what is taken out of it


def is_there(source: DataSource, out: Path) -> bool:
    """Whether a data folder holds the set."""
    return (out / source.name / "interactions.parquet").is_file()


def get_dataset(
    source: DataSource,
    out: Path,
    *,
    given: Sequence[Path] = (),
    transfer: Transfer | None = None,
    again: bool = False,
    tell: Tell = print,
) -> Path:
    """Fetches and converts a public set, unless it is there already.

    Args:
        source: the set.
        out: the data folder.
        given: the publisher's files, downloaded by hand, or folders that hold them; nothing is
            fetched then.
        transfer: how to fetch.
        again: fetches and converts also what is there.
        tell: is told each step in a sentence.

    Returns:
        The set's folder.

    Raises:
        ArgumentError: the set cannot be fetched, or a file of it is not among those given.
        InputError: a file is damaged, another than the checksum says, or not what the set holds.
        LightRecError: a file cannot be fetched or written.
    """
    folder = out / source.name
    if is_there(source, out) and not again and not given:
        tell(f"{source.name} is already in {folder}; nothing to do (--again fetches it anew)")
        return folder
    if source.unavailable:
        raise ArgumentError(f"{source.name} cannot be fetched: {source.unavailable}")
    make_folder(folder)
    transfer = transfer or Transfer()
    paths: dict[str, Path] = {}
    seen: dict[str, tuple[str, FileDigest]] = {}
    for file in source.files:
        if given:
            paths[file.name], digest = _given(file, source, given, folder, tell)
            seen[file.name] = (f"{paths[file.name].name}, given by hand", digest)
        else:
            paths[file.name], digest = _fetched(file, folder, transfer, tell)
            seen[file.name] = (file.url, digest)
    tables = _converted(source, paths, folder)
    _check_counts(source, tables)
    record(folder, seen)
    if tables.items is not None:
        _write(tables.items, folder / "items.parquet")
    _write(tables.interactions, folder / "interactions.parquet")  # last: it says that all is there
    tell(f"{source.name}: {len(tables.interactions):,} pairs, written to {folder}")
    return folder


def _fetched(
    file: SourceFile, folder: Path, transfer: Transfer, tell: Tell
) -> tuple[Path, FileDigest]:
    """Downloads a file and checks it; a file that fails is deleted."""
    expected = None
    if file.md5_url is not None:
        expected = md5_in(fetch_text(file.md5_url, transfer), file.md5_url)
    target = folder / "source" / file.name
    digest = fetch(file.url, target, file.max_bytes, transfer)
    try:
        known = check_record(folder, file.name, digest)
        if expected is not None and md5_of(target) != expected:
            raise InputError(
                f"{file.url}: MD5 {md5_of(target)} is not the published {expected} "
                f"({file.md5_url}); what was downloaded is deleted, get it again"
            )
    except InputError:
        target.unlink()
        raise
    if expected is not None:
        trust = f"MD5 {expected} as published in {file.md5_url}"
    elif known:
        trust = f"SHA-256 {digest.sha256} as in the first download"
    else:
        trust = f"no published checksum: trusted on first use, SHA-256 {digest.sha256} recorded"
    tell(f"{file.name}: {digest.num_bytes:,} bytes, {trust}")
    return target, digest


def _given(
    file: SourceFile, source: DataSource, given: Sequence[Path], folder: Path, tell: Tell
) -> tuple[Path, FileDigest]:
    """Finds a file among those that the user has, and checks it as far as that goes offline."""
    path = _named(file, source, given)
    size = path.stat().st_size
    if not 0 < size <= file.max_bytes:
        raise InputError(f"{path} has {size:,} bytes; {file.name} has 1 to {file.max_bytes:,}")
    digest = FileDigest(size, sha256_of(path))
    known = check_record(folder, file.name, digest)
    if known:
        trust = f"SHA-256 {digest.sha256} as in the first download"
    elif file.md5_url is not None:
        trust = f"MD5 {md5_of(path)}, not compared; it is published in {file.md5_url}"
    else:
        trust = f"no published checksum: trusted on first use, SHA-256 {digest.sha256} recorded"
    tell(f"{path}: {size:,} bytes, {trust}")
    return path, digest


def _named(file: SourceFile, source: DataSource, given: Sequence[Path]) -> Path:
    """The path of a file; where a set has one file only, it may have any name."""
    for path in given:
        if not path.exists():
            raise InputError(f"{path} does not exist; check the path")
        inside = path / file.name
        if path.is_dir() and inside.is_file():
            return inside
        if path.is_file() and (path.name == file.name or len(source.files) == len(given) == 1):
            return path
    wanted = ", ".join(f"{one.name} ({one.url})" for one in source.files)
    raise ArgumentError(
        f"--from gives no {file.name}; {source.name} needs {wanted}: give each, or a folder that "
        "holds them"
    )


def _converted(source: DataSource, paths: dict[str, Path], folder: Path) -> SetTables:
    with _scratch_folder(folder) as scratch:
        used: dict[str, Path] = {}
        for file in source.files:
            if not file.members:
                used[file.name] = paths[file.name]
            for member in file.members:
                limit = _UNPACKED_TIMES * file.max_bytes
                unpacked = unpack_member(paths[file.name], member, scratch, limit)
                used[unpacked.name] = unpacked
        return source.convert(used)


@contextmanager
def _scratch_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder for a while; those of processes that were killed are removed first."""
    target = folder / "unpacked"
    try:
        sweep(target)
        hidden, fd = locked_hidden_folder(target)
    except OSError as error:
        refuse(target, error)
    try:
        yield hidden
    finally:
        remove(hidden)
        os.close(fd)


def _check_counts(source: DataSource, tables: SetTables) -> None:
    if source.counts is None:
        return
    pairs = tables.interactions
    catalogue = pairs["item"].n_unique() if tables.items is None else len(tables.items)
    found = (pairs["user"].n_unique(), catalogue, len(pairs))
    if found != source.counts:
        told, known = (
            f"{users:,} users, {items:,} items and {rows:,} pairs"
            for users, items, rows in (found, source.counts)
        )
        raise InputError(
            f"{source.name}: the files hold {told}, the published set {known}; they are not "
            f"complete, or another version of it ({source.page})"
        )


def _write(frame: pl.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    write_file(path, buffer.getbuffer())
