"""What is saved over and over while it is killed: LightRec's files, and those of others."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lightrec.artifact import Model, Selection, Users
from lightrec.artifact.card import model_card
from lightrec.artifact.save import check_target, encode_model, write_generation
from lightrec.codes.item_codes import ItemCodes
from lightrec.durable_files import num_bytes, write_file
from lightrec.interactions.history import History
from lightrec.interactions.id_map import IdMap

VERSIONS = 4
"""How many contents take turns; those of odd number are twice as large."""
ABSENT = "nothing is there"


@dataclass(frozen=True)
class Writer:
    """A way to save.

    Attributes:
        name: Of the system, as result rows tell it.
        save: Writes the content of a number (below `VERSIONS`) over what is at a path.
        content: What is at a path, as a digest; `ABSENT` where nothing is.
        load: Reads what is at a path; raises where that cannot be used.
    """

    name: str
    save: Callable[[Path, int], object]
    content: Callable[[Path], str]
    load: Callable[[Path], object]


def model_writer() -> Writer:
    """A model folder with every part; encoded once, so that a save is nothing but file calls."""
    models = [_model(version) for version in range(VERSIONS)]
    parts = [encode_model(model) for model in models]
    sizes = [{name: num_bytes(chunks) for name, chunks in each.items()} for each in parts]
    cards = [model_card(model, size) for model, size in zip(models, sizes, strict=True)]

    def save(path: Path, version: int) -> None:
        check_target(path)
        write_generation(path, parts[version], card=cards[version])

    def content(path: Path) -> str:
        if not path.exists():
            return ABSENT
        Model.load(path)
        return digest_of(path)

    return Writer("lightrec", save, content, Model.load)


def checkpoint_writer() -> Writer:
    """A training checkpoint: parameters and moments, in two folders that take turns."""
    import torch

    from lightrec.training.checkpoint import Checkpoint

    fingerprint = {"config": "a run"}

    def made(version: int) -> Checkpoint:
        generator = torch.Generator().manual_seed(version)
        values = torch.randn(4096 * (1 + version % 2), generator=generator)
        return Checkpoint(fingerprint, {"epoch": version}, {"items": values, "moments": values**2})

    made_before = [made(version) for version in range(VERSIONS)]

    def refuse(damage: Exception) -> None:
        raise damage  # an interrupted save may not damage even the checkpoint before the last

    def load(path: Path) -> Checkpoint | None:
        return Checkpoint.load(path, fingerprint, refuse)

    def content(path: Path) -> str:
        found = load(path)
        if found is None:
            return ABSENT
        digest = hashlib.sha256(repr(sorted(found.progress.items())).encode())
        for name in sorted(found.tensors):
            digest.update(name.encode() + found.tensors[name].numpy().tobytes())
        return digest.hexdigest()

    return Writer(
        "lightrec_checkpoint",
        lambda path, version: made_before[version].save(path),
        content,
        load,
    )


def file_writer() -> Writer:
    """A single file, such as a result cell, in two chunks."""
    texts = [f'{{"row": {version}}}\n'.encode() * 4096 for version in range(VERSIONS)]
    texts = [text * (1 + version % 2) for version, text in enumerate(texts)]

    def save(path: Path, version: int) -> None:
        half = len(texts[version]) // 2
        write_file(path, texts[version][:half], texts[version][half:])

    return Writer("lightrec_file", save, digest_of, Path.read_bytes)


def rivals() -> list[Writer]:
    """How others write a model of about the same size, as far as they are installed."""
    makers = {
        "faiss": _faiss,
        "hnswlib": _hnswlib,
        "safetensors": _safetensors,
        "numpy": _numpy,
        "torch": _torch,
    }
    return [
        writer
        for module, make in makers.items()
        if importlib.util.find_spec(module) is not None
        for writer in make()
    ]


def digest_of(path: Path) -> str:
    """SHA-256 over the names and bytes of a file, or of all files of a folder."""
    if not path.exists():
        return ABSENT
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _model(version: int) -> Model:
    rng = np.random.default_rng(version)
    num_items, num_users, width = 1500 * (1 + version % 2), 200, 8
    pairs = rng.integers(0, num_users, 3000), rng.integers(0, num_items, 3000)
    return Model(
        config={"version": version},
        item_codes=ItemCodes(
            rng.integers(0, 16, (num_items, 4), dtype=np.uint8),
            rng.normal(size=(4, 16, width)).astype(np.float32),
        ),
        users=Users("identity", rng.normal(size=(num_users, width)).astype(np.float32)),
        user_ids=IdMap(pl.Series([f"user {row}" for row in range(num_users)], dtype=pl.String)),
        item_ids=IdMap(pl.Series(np.arange(num_items))),
        item_columns=pl.DataFrame({"popularity": pl.Series(rng.integers(0, 9, num_items))}),
        history=History.from_pairs(*pairs, num_users, num_items),
        selection=Selection(
            "plain_bilinear",
            "subtract",
            {"weight": rng.normal(size=(4, width, width)).astype(np.float32)},
        ),
        float_items=rng.normal(size=(num_items, width)).astype(np.float16),
    )


def _vectors(version: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    rng = np.random.default_rng(version)
    return rng.normal(size=(2000 * (1 + version % 2), 16)).astype(np.float32)


def _faiss() -> list[Writer]:
    import faiss

    def writer(name: str, factory: str, copies: int = 1) -> Writer:
        indexes = []
        for version in range(VERSIONS):
            vectors = _vectors(version)
            index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
            index.train(vectors)
            for _ in range(copies):
                index.add(vectors)
            indexes.append(index)
        return Writer(
            name,
            lambda path, version: faiss.write_index(indexes[version], str(path)),
            digest_of,
            lambda path: faiss.read_index(str(path)),
        )

    return [writer("faiss_flat", "Flat"), writer("faiss_rq", "RQ4x4", copies=10)]


def _hnswlib() -> list[Writer]:
    import hnswlib  # type: ignore[import-untyped]

    def made(version: int) -> Any:  # noqa: ANN401
        vectors = _vectors(version)
        index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        index.init_index(max_elements=len(vectors), random_seed=version)
        index.add_items(vectors, num_threads=1)
        return index

    indexes = [made(version) for version in range(VERSIONS)]

    def load(path: Path) -> None:
        hnswlib.Index(space="ip", dim=16).load_index(str(path))

    return [
        Writer(
            "hnswlib",
            lambda path, version: indexes[version].save_index(str(path)),
            digest_of,
            load,
        )
    ]


def _safetensors() -> list[Writer]:
    from safetensors.numpy import load_file, save_file

    arrays = [{"vectors": _vectors(version)} for version in range(VERSIONS)]
    return [
        Writer(
            "safetensors",
            lambda path, version: save_file(arrays[version], path),
            digest_of,
            load_file,
        )
    ]


def _numpy() -> list[Writer]:
    arrays = [_vectors(version) for version in range(VERSIONS)]

    def save(path: Path, version: int) -> None:
        with open(path, "wb") as file:  # given a name, it would append ".npz"
            np.savez(file, vectors=arrays[version])

    def load(path: Path) -> None:
        with np.load(path, allow_pickle=False) as found:
            dict(found)

    return [Writer("numpy_savez", save, digest_of, load)]


def _torch() -> list[Writer]:
    import torch

    tensors = [{"vectors": torch.from_numpy(_vectors(version))} for version in range(VERSIONS)]
    return [
        Writer(
            "torch_save",
            lambda path, version: torch.save(tensors[version], path),
            digest_of,
            lambda path: torch.load(path, weights_only=True),
        )
    ]
