"""Writing a model folder: a new generation beside the old one, then one atomic switch."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from lightrec.artifact.card import model_card
from lightrec.artifact.contents import Model
from lightrec.artifact.list_columns import flattened
from lightrec.artifact.manifest import (
    CARD,
    CODES,
    CONFIG,
    FLOAT_ITEMS,
    HISTORY,
    ITEM_TABLE,
    MANIFEST,
    SELECTION,
    USER_TABLE,
    USERS,
    Manifest,
)
from lightrec.artifact.tensor_file import encode_tensors
from lightrec.artifact.verify import ITEM_ID, USER_ID, verify
from lightrec.durable_files import (
    Bytes,
    FilePath,
    bytes_free,
    num_bytes,
    replace_folder,
    resolve_folder,
    to_json,
    write_new_file,
)
from lightrec.errors import ArtifactError, LightRecError

CONFIG_KEYS = {"sizes", "user_form", "selection", "config"}
Parts = Mapping[str, tuple[Bytes, ...]]
"""The content of each file, in chunks, by file name."""


def save_model(model: Model, path: FilePath, *, with_history: bool = True) -> None:
    """Writes a model to a folder, replacing the model that is there.

    A kill, a full disk or a power cut at any moment leaves the old model or the new one, whole.
    The folder belongs to LightRec: a new model card is written over an edited one, and other files
    that someone put into the folder go with the old model.

    Args:
        model: The model; it is checked first.
        path: The folder; missing parents are created.
        with_history: Whether to keep the training pairs, which excluding seen items needs.

    Raises:
        ArtifactError: The model is not sound, `path` holds something that is not a model, or the
            disk is full or not writable. The old model is still there; when only the switch to the
            new one could not be synced, the new one may be, whole.
    """
    try:
        check_target(path)
        verify(model)
        parts = encode_model(model, with_history=with_history)
    except LightRecError as error:
        raise ArtifactError(f"{os.fspath(path)}: the model cannot be saved: {error}") from error
    sizes = {name: num_bytes(chunks) for name, chunks in parts.items()}
    write_generation(path, parts, card=model_card(model, sizes))


def check_target(path: FilePath) -> None:
    """Refuses a folder whose replacement would delete something else than a model.

    Worth calling before a long run that ends in `save`.

    Raises:
        ArtifactError: The path is a file, or a folder that is neither empty nor a model.
    """
    try:
        with os.scandir(resolve_folder(path)) as entries:
            is_folder = {entry.name: entry.is_dir() for entry in entries}
    except FileNotFoundError:
        _check_writable(Path(path))
        return
    except OSError as error:
        raise ArtifactError(
            f"{os.fspath(path)} cannot take a model: {error.strerror}; name a new folder"
        ) from error
    if is_folder and (MANIFEST not in is_folder or any(is_folder.values())):
        raise ArtifactError(
            f"{os.fspath(path)} is a folder that holds something else than a model and would be "
            "deleted; give the name of a new folder, or empty this one"
        )


def _check_writable(path: Path) -> None:
    """Refuses a folder that cannot be made, where that can be told before the work."""
    above = next((folder for folder in path.absolute().parents if os.path.exists(folder)), None)
    if above is not None and not os.access(above, os.W_OK):
        raise ArtifactError(f"{path} cannot be written: no permission to write into {above}")


def encode_model(model: Model, *, with_history: bool = True) -> dict[str, tuple[Bytes, ...]]:
    """The content of each file under the manifest, by name."""
    codes, users, selection = model.item_codes, model.users, model.selection
    config = {
        "sizes": sizes_of(model),
        "user_form": users.form,
        "selection": selection
        and {"similarity": selection.similarity, "recurrence": selection.recurrence},
        "config": dict(model.config),
    }
    user_tensors = {"values": users.values}
    user_tensors |= {f"map.{name}": array for name, array in (users.map_weights or {}).items()}
    parts: dict[str, tuple[Bytes, ...]] = {
        CONFIG: (to_json(config),),
        CODES: encode_tensors({"codes": codes.codes, "codebooks": codes.codebooks}),
        USERS: encode_tensors(user_tensors),
        ITEM_TABLE: _encode_table(
            model.item_ids.series.alias(ITEM_ID), *flattened(model.item_columns).get_columns()
        ),
        USER_TABLE: _encode_table(model.user_ids.series.alias(USER_ID)),
    }
    if model.history is not None and with_history:
        parts[HISTORY] = encode_tensors(
            {"indptr": model.history.indptr, "item_rows": model.history.item_rows}
        )
    if selection is not None:
        tensors = {f"weights.{name}": array for name, array in selection.weights.items()}
        for name, array in (("centres", selection.centres), ("metrics", selection.metrics)):
            if array is not None:
                tensors[name] = array
        parts[SELECTION] = encode_tensors(tensors)
    if model.float_items is not None:
        parts[FLOAT_ITEMS] = encode_tensors({"float_items": model.float_items})
    return parts


def write_generation(path: FilePath, parts: Parts, *, card: str) -> Manifest:
    """Writes a complete folder in one atomic and durable step.

    Args:
        path: The folder, replaced if it exists.
        parts: The files under the manifest.
        card: The model card.

    Raises:
        ArtifactError: The disk is full or not writable; the message tells the bytes needed and
            free.
    """
    try:
        with replace_folder(path) as folder:
            manifest = Manifest(
                {name: write_new_file(folder / name, *chunks) for name, chunks in parts.items()}
            )
            write_new_file(folder / CARD, card.encode())
            write_new_file(folder / MANIFEST, manifest.to_bytes())
    except LightRecError as error:
        needed = sum(map(num_bytes, parts.values()))
        raise ArtifactError(
            f"{os.fspath(path)}: the model was not saved: {error}. The whole model needs "
            f"{needed:,} bytes, {bytes_free(path) or 0:,} are free. The model of "
            "before is still there, or, if all but the last sync went well, the new one"
        ) from error
    return manifest


def sizes_of(model: Model) -> dict[str, int]:
    """The sizes that `config.json` tells, and that must be those of the arrays."""
    return {
        "num_items": model.num_items,
        "num_users": model.num_users,
        "num_codebooks": model.item_codes.num_codebooks,
        "num_codewords": model.item_codes.num_codewords,
        "width": model.item_codes.width,
    }


def _encode_table(*columns: pl.Series) -> tuple[Bytes, ...]:
    buffer = io.BytesIO()
    pl.DataFrame(list(columns)).write_parquet(buffer, compression="uncompressed", statistics=False)
    return (buffer.getbuffer(),)
