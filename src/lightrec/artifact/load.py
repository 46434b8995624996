"""Reading a model folder: manifest, digests, contents, and then whether they are sound.

All files are opened before the first is read, relative to one open folder. So a load sees one generation
of the model, whole, also when a save replaces it at that moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import polars as pl

from lightrec.artifact.contents import Model, Selection, Users
from lightrec.artifact.manifest import (
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
)
from lightrec.artifact.parquet_limits import check_parquet
from lightrec.artifact.save import CONFIG_KEYS, sizes_of
from lightrec.artifact.tensor_file import Array, decode_tensors
from lightrec.artifact.verify import ITEM_ID, USER_ID, verify
from lightrec.codes.item_codes import ItemCodes
from lightrec.durable_files import FilePath, open_regular, parse_json, resolve_folder
from lightrec.errors import ArtifactError, InputError, LightRecError
from lightrec.interactions.history import History
from lightrec.interactions.id_map import IdMap

_REMEDY = "restore the folder from a copy, or train again"
_MAX_CONFIG_BYTES = 16 << 20
_OPEN_TRIES = 20
_OPEN_FOLDER = os.O_RDONLY | sum(
    getattr(os, flag, 0) for flag in ("O_DIRECTORY", "O_NONBLOCK", "O_CLOEXEC")
)


def load_model(path: FilePath) -> Model:
    """Reads a model and checks every byte of it.

    Args:
        path: The folder. Files in it that are no part of a model are ignored.

    Returns:
        The model; its arrays are read-only, and `float_items` is memory-mapped.

    Raises:
        ArtifactError: There is no model, a newer release wrote it, or a file of it is missing, damaged
            or unsound; the message names the file and the remedy.
    """
    with contextlib.ExitStack() as stack:
        generation = _open_generation(path, stack)
        try:
            model = _read(generation)
            verify(model)
        except ArtifactError as error:
            raise _damaged(path, error) from error
    return model


def read_manifest(path: FilePath) -> Manifest:
    """Reads only the manifest of a model: which files, how long, and the digest of the whole.

    Raises:
        ArtifactError: There is no model, or a file that the manifest lists is missing.
    """
    with contextlib.ExitStack() as stack:
        return _open_generation(path, stack).manifest


@dataclass(frozen=True)
class _Generation:
    """One generation of a model, with all of its files open."""

    manifest: Manifest
    files: Mapping[str, BinaryIO]

    def read(self, name: str) -> bytes:
        """A file's content, which matches the manifest."""
        listed, file = self.manifest.files[name], self.files[name]
        self._check_length(name)
        data = file.read(listed.num_bytes)
        self._check_digest(name, hashlib.sha256(data).hexdigest())
        return data

    def map(self, name: str) -> memoryview:
        """The same without reading it all into memory. It must not be changed in place while in use."""
        self._check_length(name)
        self._check_digest(name, hashlib.file_digest(self.files[name], "sha256").hexdigest())
        self._check_length(name)
        return memoryview(mmap.mmap(self.files[name].fileno(), 0, access=mmap.ACCESS_READ))

    def _check_length(self, name: str) -> None:
        expected = self.manifest.files[name].num_bytes
        actual = os.fstat(self.files[name].fileno()).st_size
        if actual != expected:
            raise ArtifactError(f"{name}: has {actual:,} bytes, the manifest says {expected:,}")

    def _check_digest(self, name: str, digest: str) -> None:
        if digest != self.manifest.files[name].sha256:
            raise ArtifactError(
                f"{name}: SHA-256 does not match the manifest; the file was changed after saving"
            )


def _open_generation(path: FilePath, stack: contextlib.ExitStack) -> _Generation:
    """Opens the manifest and every file that it lists.

    When a save replaces the folder meanwhile, files of the old generation are gone; the next try then
    opens the new one.
    """
    for _ in range(_OPEN_TRIES):
        folder = resolve_folder(path)
        try:
            return _open_files(path, os.open(folder, _OPEN_FOLDER), stack)
        except FileNotFoundError as error:
            missing = error.filename
        except OSError as error:
            raise ArtifactError(f"{os.fspath(path)}: cannot be opened: {error.strerror}") from error
    if missing == MANIFEST:
        raise _damaged(path, f"is not a model: it has no {MANIFEST}")
    if missing in OPTIONAL + REQUIRED:
        raise _damaged(path, f"{missing}: is missing")
    raise ArtifactError(f"{os.fspath(path)}: there is no such folder; check the path of the model")


def _open_files(path: FilePath, folder_fd: int, stack: contextlib.ExitStack) -> _Generation:
    stack.callback(os.close, folder_fd)
    name = MANIFEST
    try:
        data = _open(name, folder_fd, stack).read(MAX_MANIFEST_BYTES)
        manifest = Manifest.from_bytes(data)
        files = {}
        for name in manifest.files:
            files[name] = _open(name, folder_fd, stack)
    except InputError as error:
        raise _damaged(path, f"{name}: {error}") from error
    except ArtifactError as error:  # a newer format
        raise ArtifactError(f"{os.fspath(path)}: {error}") from error
    return _Generation(manifest, files)


def _open(name: str, folder_fd: int, stack: contextlib.ExitStack) -> BinaryIO:
    return stack.enter_context(open(open_regular(name, folder_fd), "rb"))


def _damaged(path: FilePath, reason: object) -> ArtifactError:
    return ArtifactError(f"{os.fspath(path)}: {reason}; {_REMEDY}")


@contextlib.contextmanager
def _naming(file: str) -> Iterator[None]:
    """Puts the file's name in front of an error, and makes it an `ArtifactError`."""
    try:
        yield
    except LightRecError as error:
        raise ArtifactError(f"{file}: {error}") from error


def _read(generation: _Generation) -> Model:
    config = _read_config(generation)
    tensors = _read_tensors(generation, CODES, {"codes", "codebooks"})
    with _naming(CODES):
        item_codes = ItemCodes(tensors["codes"], tensors["codebooks"])
    users = _read_users(generation, config["user_form"])
    num_users = len(users.values) if users.values.ndim else 0
    item_table = _read_table(generation, ITEM_TABLE, ITEM_ID, item_codes.num_items)
    user_table = _read_table(generation, USER_TABLE, USER_ID, num_users)
    if user_table.width != 1:
        raise ArtifactError(f"{USER_TABLE}: must hold the column {USER_ID} alone")
    with _naming(ITEM_TABLE):
        item_ids = IdMap(item_table[ITEM_ID])
    with _naming(USER_TABLE):
        user_ids = IdMap(user_table[USER_ID])
    model = Model(
        config=config["config"],
        item_codes=item_codes,
        users=users,
        user_ids=user_ids,
        item_ids=item_ids,
        item_columns=item_table.drop(ITEM_ID),
        history=_read_history(generation, item_codes.num_items),
        selection=_read_selection(generation, config["selection"]),
        float_items=_read_float_items(generation),
        digest=generation.manifest.digest,
    )
    if config["sizes"] != sizes_of(model):
        raise ArtifactError(
            f"{CONFIG}: tells the sizes {config['sizes']}, where the arrays have {sizes_of(model)}"
        )
    return model


def _read_config(generation: _Generation) -> dict[str, Any]:
    if generation.manifest.files[CONFIG].num_bytes > _MAX_CONFIG_BYTES:
        raise ArtifactError(f"{CONFIG}: is longer than {_MAX_CONFIG_BYTES:,} bytes")
    with _naming(CONFIG):
        config = parse_json(generation.read(CONFIG))
        if not isinstance(config, dict) or config.keys() != CONFIG_KEYS:
            raise InputError(f"must be a JSON object of {', '.join(sorted(CONFIG_KEYS))}")
        if not isinstance(config["config"], dict):
            raise InputError("has a config that is not a JSON object")
    return config


def _read_tensors(
    generation: _Generation, file: str, names: set[str], prefix: str | None = None
) -> dict[str, Array]:
    """The arrays of a file, which must be those named and any whose name begins with `prefix`."""
    data = generation.map(file) if file == FLOAT_ITEMS else generation.read(file)
    with _naming(file):
        tensors = decode_tensors(data)
        for name in names - tensors.keys():
            raise InputError(f"does not hold {name!r}")
        for name in tensors.keys() - names:
            if prefix is None or not name.startswith(prefix):
                raise InputError(f"holds {name!r}, which does not belong there")
    return tensors


def _read_users(generation: _Generation, form: Any) -> Users:  # noqa: ANN401
    tensors = _read_tensors(generation, USERS, {"values"}, prefix="map.")
    values = tensors.pop("values")
    weights = {name.removeprefix("map."): array for name, array in tensors.items()}
    return Users(form, values, weights or None)


def _read_table(generation: _Generation, file: str, id_column: str, num_rows: int) -> pl.DataFrame:
    data = generation.read(file)
    with _naming(file):
        check_parquet(data, num_rows)
        try:
            table = pl.read_parquet(data, use_statistics=False, hive_partitioning=False)
        except (Exception, pl.exceptions.PanicException) as error:
            raise InputError(f"is not a Parquet file that can be read: {error}") from None
        if len(table) != num_rows or id_column not in table.columns:
            raise InputError(f"must hold {num_rows} rows and the column {id_column}")
    return table


def _read_history(generation: _Generation, num_items: int) -> History | None:
    if HISTORY not in generation.files:
        return None
    tensors = _read_tensors(generation, HISTORY, {"indptr", "item_rows"})
    indptr, item_rows = tensors["indptr"], tensors["item_rows"]
    with _naming(HISTORY):
        # `History` subtracts neighbours, which must not wrap.
        if indptr.size and (indptr.min() < 0 or indptr.max() > item_rows.size):
            raise InputError("indptr points outside of item_rows")
        return History(indptr, item_rows, num_items)


def _read_selection(generation: _Generation, names: Any) -> Selection | None:  # noqa: ANN401
    if (SELECTION in generation.files) != (names is not None):
        raise ArtifactError(f"{SELECTION}: {CONFIG} and {MANIFEST} disagree on whether it exists")
    if names is None:
        return None
    if not isinstance(names, dict) or names.keys() != {"similarity", "recurrence"}:
        raise ArtifactError(f"{CONFIG}: selection must name a similarity and a recurrence")
    tensors = _read_tensors(generation, SELECTION, set(), prefix="")
    centres, metrics = tensors.pop("centres", None), tensors.pop("metrics", None)
    for name in tensors:
        if not name.startswith("weights."):
            raise ArtifactError(f"{SELECTION}: holds {name!r}, which does not belong there")
    weights = {name.removeprefix("weights."): array for name, array in tensors.items()}
    return Selection(names["similarity"], names["recurrence"], weights, centres, metrics)


def _read_float_items(generation: _Generation) -> Array | None:
    if FLOAT_ITEMS not in generation.files:
        return None
    return _read_tensors(generation, FLOAT_ITEMS, {"float_items"})["float_items"]
