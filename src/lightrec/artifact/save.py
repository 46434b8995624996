"""Writing a model folder: a new generation beside the old one, then one atomic switch."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from lightrec.artifact.card import model_card
from lightrec.artifact.contents import Model
from lightrec.artifact.generation import open_generation
from lightrec.artifact.list_columns import flattened
from lightrec.artifact.manifest import (
    CARD,
    CODES,
    CONFIG,
    FLOAT_ITEMS,
    HISTORY,
    ITEM_TABLE,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    OPTIONAL,
    REQUIRED,
    SELECTION,
    USER_TABLE,
    USERS,
    Manifest,
    is_manifest,
)
from lightrec.artifact.tensor_file import encode_tensors
from lightrec.artifact.verify import ITEM_ID, USER_ID, verify
from lightrec.durable_files import (
    Bytes,
    FilePath,
    bytes_free,
    check_can_be_made,
    num_bytes,
    read_json,
    replace_folder,
    resolve_folder,
    to_json,
    write_new_file,
)
from lightrec.errors import ArtifactError, InputError, LightRecError

CONFIG_KEYS = {"sizes", "user_form", "selection", "config"}
Parts = Mapping[str, tuple[Bytes, ...]]
"""The content of each file, in chunks, by file name."""
_NAMES = {MANIFEST, CARD, *REQUIRED, *OPTIONAL}
_LEFT_BY_SYSTEMS = re.compile(r"\.DS_Store|Thumbs\.db|desktop\.ini|\.nfs[0-9a-f]+")


def save_model(
    model: Model, path: FilePath, *, with_history: bool = True, expected: str | None = None
) -> None:
    """Writes a model to a folder, replacing the model that is there.

    A kill, a full disk or a power cut at any moment leaves the old model or the new one, whole.
    A new model card is written over an edited one. A folder that holds anything but a model is not
    replaced.

    Args:
        model: The model; it is checked first.
        path: The folder; missing parents are created.
        with_history: Whether to keep the training pairs, which excluding seen items needs.
        expected: `Model.digest` of the model that this one was made from: it is replaced only if
            it still is the one in the folder, so that nothing saved meanwhile is lost. None
            replaces whatever is there.

    Raises:
        ArtifactError: The model is not sound, `path` holds something that is not a model or not
            the model expected, or the disk is full or not writable. The old model is still there;
            when only the switch to the new one could not be synced, the new one may be, whole.
    """
    try:
        check_target(path)
        verify(model)
        parts = encode_model(model, with_history=with_history)
    except LightRecError as error:
        raise ArtifactError(f"{os.fspath(path)}: the model cannot be saved: {error}") from error
    sizes = {name: num_bytes(chunks) for name, chunks in parts.items()}
    write_generation(path, parts, card=model_card(model, sizes), expected=expected)


def check_target(path: FilePath) -> None:
    """Refuses a folder whose replacement would delete something else than a model, or cannot be.

    Worth calling before a long run that ends in `save`.

    Raises:
        ArtifactError: The path is a file, or a folder that is neither empty nor a model, or that
            holds anything beside the model; or nothing can be written there.
    """
    try:
        folder = resolve_folder(path)
        with os.scandir(folder) as entries:
            is_folder = {entry.name: entry.is_dir() for entry in entries}
    except FileNotFoundError:
        is_folder = {}
    except OSError as error:
        raise ArtifactError(
            f"{os.fspath(path)} cannot take a model: {error.strerror}; name a new folder"
        ) from error
    if is_folder:
        _check_is_model(path, folder, is_folder)
    _check_writable(path)


def _check_is_model(path: FilePath, folder: Path, is_folder: Mapping[str, bool]) -> None:
    """Refuses a folder that is no model, or holds more.

    Args:
        path: What the caller calls it.
        folder: Where it is.
        is_folder: The names in it, and whether each is that of a folder.
    """
    strangers = sorted(
        name
        for name, inside in is_folder.items()
        if inside or not (name in _NAMES or _LEFT_BY_SYSTEMS.fullmatch(name))
    )
    if strangers or MANIFEST not in is_folder:
        told = ", ".join(map(repr, (strangers or sorted(is_folder))[:3]))
        more = len(strangers or is_folder) - 3
        raise ArtifactError(
            f"{os.fspath(path)} is a folder that holds something else than a model, which would be "
            f"deleted: {told}{f' and {more} more' if more > 0 else ''}; give the name of a new "
            "folder, or move away what this one holds"
        )
    try:
        ours = is_manifest(read_json(folder / MANIFEST, MAX_MANIFEST_BYTES))
    except InputError:
        ours = False
    except OSError as error:
        raise ArtifactError(
            f"{os.fspath(path)} cannot take a model, since its {MANIFEST} cannot be read: "
            f"{error.strerror}; name a new folder"
        ) from error
    if not ours:
        raise ArtifactError(
            f"{os.fspath(path)} is a folder whose {MANIFEST} is damaged, or not LightRec's, so it "
            "is not replaced; give the name of a new folder, or delete this one if nothing in it "
            "is needed"
        )


def _check_writable(path: FilePath) -> None:
    """Refuses a folder that cannot be made, where that can be told before the work."""
    above = next(filter(os.path.exists, Path(os.path.realpath(path)).parents), None)
    if above is not None and not os.access(above, os.W_OK):
        raise ArtifactError(
            f"{os.fspath(path)} cannot be written: no permission to write into {above}"
        )
    try:
        check_can_be_made(path)
    except LightRecError as error:
        raise ArtifactError(f"{error}; name a folder elsewhere") from error


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


def write_generation(
    path: FilePath, parts: Parts, *, card: str, expected: str | None = None
) -> Manifest:
    """Writes a complete folder in one atomic and durable step.

    Args:
        path: The folder, replaced if it exists.
        parts: The files under the manifest.
        card: The model card.
        expected: Digest of the model that must be there still; None where any may be.

    Raises:
        ArtifactError: Another model is there, or the disk is full or not writable; the message then
            tells the bytes needed and free.
    """
    try:
        with replace_folder(path, check=lambda: check_unchanged(path, expected)) as folder:
            manifest = Manifest(
                {name: write_new_file(folder / name, *chunks) for name, chunks in parts.items()}
            )
            write_new_file(folder / CARD, card.encode())
            write_new_file(folder / MANIFEST, manifest.to_bytes())
    except ArtifactError:  # another model is there
        raise
    except LightRecError as error:
        needed = sum(map(num_bytes, parts.values()))
        raise ArtifactError(
            f"{os.fspath(path)}: the model was not saved: {error}. The whole model needs "
            f"{needed:,} bytes, {bytes_free(path) or 0:,} are free. The model of "
            "before is still there, or, if all but the last sync went well, the new one"
        ) from error
    return manifest


def check_unchanged(path: FilePath, expected: str | None) -> None:
    """Refuses to go on where a folder no longer holds the model that was loaded from it.

    Args:
        path: The folder.
        expected: `Model.digest` of that model; None for nothing to check.

    Raises:
        ArtifactError: Another model is there, or none.
    """
    if expected is None:
        return
    with contextlib.ExitStack() as stack:
        try:
            found = open_generation(path, stack).manifest.digest
        except ArtifactError:
            found = None
    if found != expected:
        raise ArtifactError(
            f"{os.fspath(path)} changed meanwhile: it no longer holds the model that was read from "
            "it, so nothing was saved; run the command again"
        )


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
