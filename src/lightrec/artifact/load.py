"""Reading a model folder: manifest and digests, then the contents, then whether they are sound."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from lightrec.artifact.contents import Model, Selection, Users
from lightrec.artifact.generation import damaged, open_generation, state_of
from lightrec.artifact.list_columns import restored
from lightrec.artifact.manifest import (
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
from lightrec.artifact.parquet_limits import check_parquet
from lightrec.artifact.save import CONFIG_KEYS, sizes_of
from lightrec.artifact.tensor_file import Array, decode_tensors
from lightrec.artifact.verify import ITEM_ID, USER_ID, verify
from lightrec.codes.item_codes import ItemCodes
from lightrec.durable_files import Bytes, FilePath, parse_json
from lightrec.errors import ArtifactError, InputError, LightRecError
from lightrec.interactions.history import History
from lightrec.interactions.id_map import IdMap

_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds to wait, one after the other, for a folder that somebody is writing to."""


def load_model(path: FilePath) -> Model:
    """Reads a model and checks every byte of it.

    A folder that is written to at this moment, as by a copy over a model in use, is read again a
    few times. A save, which puts a new folder into the place of the old one, needs no such luck.

    Args:
        path: The folder. Files in it that are no part of a model are ignored.

    Returns:
        The model; its arrays are read-only, and items in either form are memory-mapped.

    Raises:
        ArtifactError: There is no model, a newer release wrote it, or a file of it is missing,
            damaged or unsound; the message names the file and the remedy.
    """
    return load_model_and_manifest(path)[0]


def load_model_and_manifest(path: FilePath) -> tuple[Model, Manifest]:
    """Reads a model as `load_model` does, with the manifest that it was read by."""
    before = state_of(path)
    for pause in _PAUSES:
        try:
            return _load(path)
        except ArtifactError:
            now = state_of(path)
            if now == before:
                raise
        before = now
        time.sleep(pause)
    try:
        return _load(path)
    except ArtifactError as error:
        raise ArtifactError(
            f"{error}. The folder was written to while it was read: a model in use is not copied "
            "over; copy the new one under another name, check it, and rename it"
        ) from error


def _load(path: FilePath) -> tuple[Model, Manifest]:
    with contextlib.ExitStack() as stack:
        generation = open_generation(path, stack)
        try:
            contents = {name: generation.content(name) for name in generation.manifest.files}
            model = _read(contents, generation.manifest.digest)
            verify(model)
            generation.check_unchanged()
        except (ArtifactError, OSError) as error:
            raise damaged(path, error) from error
    return model, generation.manifest


def read_manifest(path: FilePath) -> Manifest:
    """Reads only the manifest of a model: which files, how long, and the digest of the whole.

    Raises:
        ArtifactError: There is no model, or a file that the manifest lists is missing.
    """
    with contextlib.ExitStack() as stack:
        return open_generation(path, stack).manifest


@contextlib.contextmanager
def _naming(file: str) -> Iterator[None]:
    """Puts the file's name in front of an error, and makes it an `ArtifactError`."""
    try:
        yield
    except LightRecError as error:
        raise ArtifactError(f"{file}: {error}") from error


def _read(contents: Mapping[str, Bytes], digest: str) -> Model:
    config = _read_config(contents[CONFIG])
    tensors = _read_tensors(contents, CODES, {"codes", "codebooks"})
    with _naming(CODES):
        item_codes = ItemCodes(tensors["codes"], tensors["codebooks"])
    users = _read_users(contents, config["user_form"])
    item_ids, item_columns = _read_table(contents, ITEM_TABLE, ITEM_ID, item_codes.num_items)
    user_ids, user_columns = _read_table(contents, USER_TABLE, USER_ID, len(users.values))
    if user_columns.width:
        raise ArtifactError(f"{USER_TABLE}: must hold the column {USER_ID} alone")
    model = Model(
        config=config["config"],
        item_codes=item_codes,
        users=users,
        user_ids=user_ids,
        item_ids=item_ids,
        item_columns=item_columns,
        history=_read_history(contents, item_codes.num_items),
        selection=_read_selection(contents, config["selection"]),
        float_items=_read_float_items(contents),
        digest=digest,
    )
    if config["sizes"] != sizes_of(model):
        raise ArtifactError(
            f"{CONFIG}: tells the sizes {config['sizes']}, where the arrays have {sizes_of(model)}"
        )
    return model


def _read_config(content: Bytes) -> dict[str, Any]:
    with _naming(CONFIG):
        config = parse_json(content)
        if not isinstance(config, dict) or config.keys() != CONFIG_KEYS:
            raise InputError(f"must be a JSON object of {', '.join(sorted(CONFIG_KEYS))}")
        if not isinstance(config["config"], dict):
            raise InputError("has a config that is not a JSON object")
    return config


def _read_tensors(
    contents: Mapping[str, Bytes], file: str, names: set[str], prefix: str | None = None
) -> dict[str, Array]:
    """The arrays of a file, which must be those named and any whose name begins with `prefix`."""
    with _naming(file):
        tensors = decode_tensors(contents[file])
        for name in names - tensors.keys():
            raise InputError(f"does not hold {name!r}")
        for name in tensors.keys() - names:
            if prefix is None or not name.startswith(prefix):
                raise InputError(f"holds {name!r}, which does not belong there")
    return tensors


def _read_users(contents: Mapping[str, Bytes], form: Any) -> Users:  # noqa: ANN401
    tensors = _read_tensors(contents, USERS, {"values"}, prefix="map.")
    values = tensors.pop("values")
    if not values.ndim:
        raise ArtifactError(f"{USERS}: values must hold a row for each user, not one number")
    weights = {name.removeprefix("map."): array for name, array in tensors.items()}
    return Users(form, values, weights or None)


def _read_table(
    contents: Mapping[str, Bytes], file: str, id_column: str, num_rows: int
) -> tuple[IdMap, pl.DataFrame]:
    """The ids, and the other columns."""
    data = bytes(contents[file])
    with _naming(file):
        check_parquet(data, num_rows)
        try:
            table = pl.read_parquet(data, use_statistics=False, hive_partitioning=False)
        except (Exception, pl.exceptions.PanicException) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"is not a Parquet file that can be read: {reason}") from None
        if len(table) != num_rows or id_column not in table.columns:
            raise InputError(f"must hold {num_rows} rows and the column {id_column}")
        ids = IdMap(table[id_column], id_column.removesuffix("_id"))
        return ids, restored(table.drop(id_column), len(data))


def _read_history(contents: Mapping[str, Bytes], num_items: int) -> History | None:
    if HISTORY not in contents:
        return None
    tensors = _read_tensors(contents, HISTORY, {"indptr", "item_rows"})
    indptr, item_rows = tensors["indptr"], tensors["item_rows"]
    with _naming(HISTORY):
        # `History` subtracts neighbours, which must not wrap.
        if indptr.size and (indptr.min() < 0 or indptr.max() > item_rows.size):
            raise InputError("indptr points outside of item_rows")
        return History(indptr, item_rows, num_items)


def _read_selection(contents: Mapping[str, Bytes], names: Any) -> Selection | None:  # noqa: ANN401
    if (SELECTION in contents) != (names is not None):
        raise ArtifactError(f"{CONFIG}: says something else than {MANIFEST} about {SELECTION}")
    if names is None:
        return None
    if not isinstance(names, dict) or names.keys() != {"similarity", "recurrence"}:
        raise ArtifactError(f"{CONFIG}: selection must name a similarity and a recurrence")
    tensors = _read_tensors(contents, SELECTION, set(), prefix="")
    centres, metrics = tensors.pop("centres", None), tensors.pop("metrics", None)
    for name in tensors:
        if not name.startswith("weights."):
            raise ArtifactError(f"{SELECTION}: holds {name!r}, which does not belong there")
    weights = {name.removeprefix("weights."): array for name, array in tensors.items()}
    return Selection(names["similarity"], names["recurrence"], weights, centres, metrics)


def _read_float_items(contents: Mapping[str, Bytes]) -> Array | None:
    if FLOAT_ITEMS not in contents:
        return None
    return _read_tensors(contents, FLOAT_ITEMS, {"float_items"})["float_items"]
