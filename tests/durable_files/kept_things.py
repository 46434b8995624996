"""What the tests save, interrupt and read again: a model, a checkpoint, a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch

from lightrec.artifact import Model, Users, save
from lightrec.codes.item_codes import ItemCodes
from lightrec.durable_files import folders, writing
from lightrec.errors import LightRecError
from lightrec.interactions.id_map import IdMap
from lightrec.training.checkpoint import Checkpoint

VERSIONS = 4


@dataclass(frozen=True)
class Kept:
    """Something that is saved over and over.

    Attributes:
        save: Writes the content of a version over what is at a path.
        version: Which one is at a path; None where nothing is. Raises where it cannot be read.
    """

    save: Callable[[Path, int], object]
    version: Callable[[Path], int | None]


def tiny_model(version: int = 0) -> Model:
    """A model of the required parts alone."""
    rng = np.random.default_rng(version)
    return Model(
        config={"version": version},
        item_codes=ItemCodes(
            rng.integers(0, 4, (3, 2), dtype=np.uint8),
            rng.normal(size=(2, 4, 2)).astype(np.float32),
        ),
        users=Users("identity", rng.normal(size=(2, 2)).astype(np.float32)),
        user_ids=IdMap(pl.Series(["a", "b"])),
        item_ids=IdMap(pl.Series([1, 2, 3])),
        item_columns=pl.DataFrame({"popularity": pl.Series([1, 2, 3], dtype=pl.Int64)}),
    )


def model() -> Kept:
    """A model folder, encoded beforehand."""
    parts = [save.encode_model(tiny_model(version)) for version in range(VERSIONS)]

    def version_of(path: Path) -> int | None:
        if not path.exists() and not path.with_name(f".{path.name}.previous").exists():
            return None
        found = Model.load(path)
        version = found.config["version"]
        assert found.users.values.tobytes() == tiny_model(version).users.values.tobytes()
        return version

    return Kept(
        lambda path, version: save.write_generation(path, parts[version], card="card"), version_of
    )


def checkpoint() -> Kept:
    """A training checkpoint; the one before the last must stay readable too."""
    fingerprint = {"config": "a run"}

    def made(version: int) -> Checkpoint:
        return Checkpoint(fingerprint, {"epoch": version}, {"w": torch.full((5,), float(version))})

    def version_of(path: Path) -> int | None:
        def refuse(damage: Exception) -> None:
            raise damage

        found = Checkpoint.load(path, fingerprint, refuse)
        if found is None:
            return None
        version = found.progress["epoch"]
        assert torch.equal(found.tensors["w"], torch.full((5,), float(version)))
        return version

    return Kept(
        lambda path, version: made(version).save(path), version_of
    )  # its two folders take turns, and a save sweeps beside its own alone


def file() -> Kept:
    """A single file, written in two chunks."""
    texts = [f"version {version} ".encode() * (3 + version) for version in range(VERSIONS)]

    def version_of(path: Path) -> int | None:
        return texts.index(path.read_bytes()) if path.exists() else None

    return Kept(
        lambda path, version: writing.write_file(path, texts[version][:7], texts[version][7:]),
        version_of,
    )


def folder() -> Kept:
    """A folder whose files nobody has synced."""

    def save(path: Path, version: int) -> None:
        with folders.replace_folder(path) as fresh:
            for name in ("one", "two"):
                fd = os.open(fresh / name, os.O_WRONLY | os.O_CREAT, 0o666)
                try:
                    os.write(fd, f"{name} of {version}".encode())
                except OSError as error:
                    raise LightRecError(str(error)) from error
                finally:
                    os.close(fd)

    def version_of(path: Path) -> int | None:
        there = folders.resolve_folder(path)
        if not there.exists():
            return None
        version = int((there / "one").read_bytes().removeprefix(b"one of "))
        assert (there / "two").read_bytes() == f"two of {version}".encode()
        assert len(list(there.iterdir())) == 2
        return version

    return Kept(save, version_of)


KEPT = {"model": model, "checkpoint": checkpoint, "file": file, "folder": folder}
