"""What must not be read, or written: damage, forgery, unsound models, another run's checkpoint."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from kept_things import tiny_model

from lightrec.artifact import Model, Selection, Users, load
from lightrec.artifact.manifest import Manifest
from lightrec.artifact.tensor_file import decode_tensors
from lightrec.artifact.verify import verify
from lightrec.durable_files import open_regular, parse_json, to_json
from lightrec.errors import CheckpointError, LightRecError
from lightrec.interactions.history import History
from lightrec.training.checkpoint import SLOTS, STATE, TENSORS, Checkpoint

RUN = {"config": "a run"}


def _refused(work: Callable[[], object], what: str) -> str:
    """The error that it ends in."""
    try:
        work()
    except LightRecError as error:
        return str(error)
    raise AssertionError(f"accepted: {what}")


def no_damage_is_read(scratch: Path) -> None:
    """A byte changed, cut off or added anywhere is found."""
    tiny_model().save(scratch)
    for file in sorted(scratch.iterdir()):
        if file.name != "README.md":
            sound = file.read_bytes()
            for place in {0, len(sound) // 2, len(sound) - 3}:
                file.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
                _refused(lambda: Model.load(scratch), f"{file.name} with a bit flipped at {place}")
            for other in (sound[:-1], sound + b" "):
                file.write_bytes(other)
                _refused(lambda: Model.load(scratch), f"{file.name} of {len(other)} bytes")
            file.write_bytes(sound)
    Model.load(scratch)


def what_is_written_to_is_read_again(scratch: Path) -> None:
    """A load during a copy over the model gives one of the two, whole; a mapped file too."""
    tiny_model(0).save(scratch / "new")
    new = {file.name: file.read_bytes() for file in (scratch / "new").iterdir()}
    for moment in ("_read", "verify"):
        tiny_model(1).save(scratch / "model")
        work, copied = getattr(load, moment), []

        def copy_over(*given: Any, work: Any = work, copied: list[bool] = copied) -> Any:
            if not copied:
                copied.append(True)
                time.sleep(0.02)  # a clock of files may tick that slowly
                for name, data in new.items():
                    (scratch / "model" / name).write_bytes(data)
            return work(*given)

        setattr(load, moment, copy_over)
        try:
            found = Model.load(scratch / "model")
        except LightRecError as error:
            raise AssertionError("a folder that was copied over was not read again") from error
        finally:
            setattr(load, moment, work)
        same = np.array_equal(found.item_codes.codes, tiny_model(0).item_codes.codes)
        assert copied, "nothing was copied"
        assert found.config["version"] == 0, "a model that is not there any more was read"
        assert same, "codes of another model were read"


def lengths_are_told(scratch: Path) -> None:
    """A file is not read before its length is known to be right."""
    tiny_model().save(scratch)
    with open(scratch / "users.parquet", "ab") as file:
        file.write(b"more")
    assert "the manifest says" in _refused(lambda: Model.load(scratch), "a longer file")


def _sealed(files: dict[str, Any], **changes: Any) -> bytes:
    """A manifest as the format's text has it."""
    body = {"format_version": 1, "needs": "lightrec >= 0.1.0", "files": files, **changes}

    def text(value: Any) -> bytes:
        return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()

    return text({**body, "digest": hashlib.sha256(text(body)).hexdigest()})


def manifests_are_strict(scratch: Path) -> None:
    """A manifest lists the parts of a model, by their lengths, and is of a known format."""
    entry = {"bytes": 1, "sha256": "0" * 64}
    names = ("config.json", "codes.safetensors", "users.safetensors")
    files = dict.fromkeys((*names, "items.parquet", "users.parquet"), entry)
    Manifest.from_bytes(_sealed(files))
    forged = {
        "another file": _sealed({**files, "../secret": entry}),
        "a negative length": _sealed({**files, "config.json": {**entry, "bytes": -1}}),
        "a length of True": _sealed({**files, "config.json": {**entry, "bytes": True}}),
        "no users": _sealed({name: files[name] for name in files if name != "users.parquet"}),
        "a newer format": _sealed(files, format_version=2),
        "another digest": _sealed(files)[:-70] + b"0" * 64 + b'"\n}\n',
        "no object": b"[]\n",
        "no files": _sealed([]),
    }
    for what, data in forged.items():
        _refused(lambda data=data: Manifest.from_bytes(data), what)
    told = _refused(lambda: Manifest.from_bytes(forged["a newer format"]), "a newer format")
    assert "upgrade" in told


def _reseal(folder: Path) -> None:
    files = {
        file.name: {
            "bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in sorted(folder.iterdir())
        if file.name not in ("MANIFEST.json", "README.md")
    }
    (folder / "MANIFEST.json").write_bytes(_sealed(files))


def forgeries_are_refused(scratch: Path) -> None:
    """What is sealed again is checked for itself."""
    nan = np.float32("nan").tobytes()
    users = tiny_model().users.values.tobytes()

    def put_nan(data: bytes) -> bytes:
        assert users in data
        return data.replace(users, nan + users[4:])

    edits: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
        "a user of NaN": ("users.safetensors", put_nan),
        "other sizes": (
            "config.json",
            lambda data: data.replace(b'"num_items": 3', b'"num_items": 4'),
        ),
        "another member": ("config.json", lambda data: data.replace(b'"sizes"', b'"size"')),
        "config no object": (
            "config.json",
            lambda data: to_json({**json.loads(data), "config": [1]}),
        ),
        "another array": (
            "users.safetensors",
            lambda data: data.replace(b'"values"', b'"value_"'),
        ),
        "a column more": (
            "users.parquet",
            lambda data: _parquet(pl.DataFrame({"user_id": ["a", "b"], "more": [1, 2]})),
        ),
        "fewer users": ("users.parquet", lambda data: _parquet(pl.DataFrame({"user_id": ["a"]}))),
        "selection named": (
            "config.json",
            lambda data: to_json(
                {**json.loads(data), "selection": {"similarity": "a", "recurrence": "b"}}
            ),
        ),
    }
    for number, (what, (name, edit)) in enumerate(edits.items()):
        folder = scratch / str(number)
        tiny_model().save(folder)
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(edit(before))
        assert (folder / name).read_bytes() != before
        _reseal(folder)
        _refused(lambda folder=folder: Model.load(folder), what)


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer, compression="uncompressed", statistics=False)
    return buffer.getvalue()


def tensor_files_are_strict(scratch: Path) -> None:
    """No hole, no overlap, no byte too many, no shape that does not fit."""

    def file(body: int, **arrays: tuple[list[int], list[int]]) -> bytes:
        header = {
            name: {"dtype": "U8", "shape": shape, "data_offsets": offsets}
            for name, (shape, offsets) in arrays.items()
        }
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + bytes(body)

    decode_tensors(file(4, a=([2], [0, 2]), b=([2], [2, 4])))
    forged = {
        "an overlap": file(3, a=([2], [0, 2]), b=([2], [1, 3])),
        "a hole": file(5, a=([2], [0, 2]), b=([2], [3, 5])),
        "bytes at the end": file(5, a=([2], [0, 2]), b=([2], [2, 4])),
        "another shape": file(2, a=([1], [0, 2])),
        "outside": file(1, a=([2], [0, 2])),
        "a negative size": file(2, a=([-2], [0, 2])),
        "five dimensions": file(1, a=([1, 1, 1, 1, 1], [0, 1])),
        "a long header": (100).to_bytes(8, "little") + b"{}",
    }
    for what, data in forged.items():
        _refused(lambda data=data: decode_tensors(data), what)


def json_is_strict(scratch: Path) -> None:
    """JSON without its traps."""
    for text in (b'{"a": 1, "a": 1}', b"NaN", b"1e999", b'"\\ud800"'):
        _refused(lambda text=text: parse_json(text), str(text))


def only_files_are_opened(scratch: Path) -> None:
    """No link, no folder, no pipe."""
    scratch.mkdir()
    (scratch / "file").touch()
    (scratch / "link").symlink_to("file")
    os.mkfifo(scratch / "pipe")
    for name in ("link", "pipe", ""):
        _refused(lambda name=name: open_regular(scratch / name), name)


def histories_are_strict(scratch: Path) -> None:
    """Rows ascend within a user, and are in range."""
    for indptr, rows in (([0, 2], [1, 0]), ([0, 2], [1, 1]), ([0, 1], [3]), ([0, 2], [1])):
        _refused(
            lambda indptr=indptr, rows=rows: History(
                np.array(indptr, np.int64), np.array(rows, np.int32), 3
            ),
            str(rows),
        )


def _changed(**changes: Any) -> Model:
    return dataclasses.replace(tiny_model(), **changes)


def _users(form: str, values: Any, weights: Any = None) -> Model:
    return _changed(users=Users(form, values, weights))


def _mapped(form: str = "linear", **weights: Any) -> Model:
    arrays = {name.replace("__", "."): array for name, array in weights.items()}
    return _users(form, np.zeros((2, 2), np.float32), arrays)


def _selected(**parts: Any) -> Model:
    return _changed(selection=Selection(**parts))


def _columns(**columns: Any) -> Model:
    popularity = pl.Series([1, 2, 3], dtype=pl.Int64)
    return _changed(item_columns=pl.DataFrame({"popularity": popularity, **columns}))


def _cells(centres: Any = None, metrics: Any = None, **weights: Any) -> Model:
    return _selected(
        weights=weights or {"floors": np.ones(1, np.float32)},
        centres=np.zeros((1, 2), np.float32) if centres is None else centres,
        metrics=np.zeros((1, 2, 1), np.float32) if metrics is None else metrics,
    )


@functools.cache
def unsound_models() -> dict[str, Model]:
    """A model for everything that `verify` must find."""
    f32, square = np.float32, np.eye(2, dtype=np.float32)
    nan, two = np.full((2, 2), np.nan, f32), pl.DataFrame({"popularity": [1, 2]})
    codes = tiny_model().item_codes
    trained = {"similarity": "dot", "recurrence": "none"}

    def with_codebooks(value: float) -> Model:
        books = codes.codebooks.copy()
        books[1, 2, 1] = value
        return _changed(item_codes=dataclasses.replace(codes, codebooks=books))

    history = History.from_pairs(np.array([0, 1]), np.array([0, 1]), 2, 2)
    return {
        "codebooks enormous": with_codebooks(1e16),
        "item ids fewer": _changed(item_ids=tiny_model().user_ids),
        "user ids more": _changed(
            user_ids=tiny_model().item_ids, users=Users("identity", np.zeros((2, 2), f32))
        ),
        "columns shorter": _changed(item_columns=two),
        "columns crowded": _columns(**{f"c{row}": [1, 2, 3] for row in range(5000)}),
        "column item_id": _columns(item_id=[1, 2, 3]),
        "column unnamed": _columns(**{"": [1, 2, 3]}),
        "column of lists of lists": _columns(lists=[[[1]], [[2]], [[3]]]),
        "column named as lists are": _columns(**{"x[int]": [1, 2, 3]}),
        "no popularity": _changed(item_columns=pl.DataFrame({"title": ["a", "b", "c"]})),
        "popularity float": _columns(popularity=[1.0, 2.0, 3.0]),
        "popularity null": _columns(popularity=[1, None, 3]),
        "popularity negative": _columns(popularity=[1, -2, 3]),
        "history of fewer items": _changed(history=history),
        "user form": _users("mine", np.zeros((2, 2), f32)),
        "users narrow": _users("identity", np.zeros((2, 1), f32)),
        "users NaN": _users("free", nan),
        "users float64": _users("free", np.zeros((2, 2))),
        "users float16 infinite": _users("free", np.full((2, 2), np.inf, np.float16)),
        "tables narrow": _users("table", np.zeros((2, 2, 3), f32)),
        "tables enormous": _users("table", np.full((2, 2, 4), 1e31, f32)),
        "no map": _users("linear", np.zeros((2, 2), f32)),
        "a map too many": _mapped("identity", **{"0__weight": square}),
        "map crowded": _mapped("mlp", **{f"{row}__weight": square for row in range(65)}),
        "map named": _mapped(**{"0__weight": square, "0__other": square}),
        "map NaN": _mapped(**{"0__weight": nan}),
        "map float16": _mapped(**{"0__weight": square.astype(np.float16)}),
        "fitted map with bias": _mapped(
            "fitted", **{"0__weight": square, "0__bias": np.zeros(2, f32)}
        ),
        "linear of two layers": _mapped(**{"0__weight": square, "2__weight": square}),
        "mlp of one layer": _mapped("mlp", **{"0__weight": square}),
        "layers that do not fit": _mapped(
            "mlp", **{"0__weight": np.zeros((3, 2), f32), "2__weight": square}
        ),
        "map of another width": _mapped(**{"0__weight": np.zeros((3, 2), f32)}),
        "selection of both kinds": _selected(**trained, centres=square),
        "selection of neither": _selected(similarity="dot"),
        "selection misnamed": _selected(similarity="a b", recurrence="none"),
        "selection crowded": _selected(**trained, weights={f"w{row}": square for row in range(65)}),
        "weights misnamed": _selected(**trained, weights={"a/b": square}),
        "weights NaN": _selected(
            similarity="plain_bilinear", recurrence="none", weights={"weight": np.stack([nan, nan])}
        ),
        "weights beyond those of the parts": _selected(**trained, weights={"weight": square}),
        "weights narrow": _selected(
            similarity="plain_bilinear",
            recurrence="none",
            weights={"weight": np.ones((2, 2, 1), f32)},
        ),
        "similarity unheard of": _selected(similarity="cosine", recurrence="none"),
        "encoder of another width": _selected(
            similarity="plain_bilinear",
            recurrence="none",
            weights={"weight": np.ones((2, 3, 2), f32)},
        ),
        "weights of four dimensions": _selected(
            **trained, weights={"w": np.zeros((1, 1, 1, 1), f32)}
        ),
        "no cells": _cells(np.zeros((0, 2), f32), np.zeros((0, 2, 1), f32), floors=np.ones(0, f32)),
        "rank 0": _cells(metrics=np.zeros((1, 2, 0), f32)),
        "centres narrow": _cells(np.zeros((1, 1), f32)),
        "metrics narrow": _cells(metrics=np.zeros((1, 1, 1), f32)),
        "centres NaN": _cells(nan[:1]),
        "floors narrow": _cells(floors=np.ones(2, f32)),
        "floors zero": _cells(floors=np.zeros(1, f32)),
        "floors and more": _cells(floors=np.ones(1, f32), more=np.ones(1, f32)),
        "metrics NaN": _cells(metrics=nan[:1, :, None]),
        "float items fewer": _changed(float_items=np.zeros((2, 2), f32)),
        "float items NaN": _changed(float_items=np.full((3, 2), np.nan, f32)),
    }


def unsound_models_are_found(scratch: Path) -> None:
    """`verify` refuses each of them, and accepts the sound ones."""
    for model in (tiny_model(), _mapped(**{"0__weight": np.eye(2, dtype=np.float32)}), _cells()):
        verify(model)
    for what, model in unsound_models().items():
        told = _refused(functools.partial(verify, model), what)
        assert " ids " not in what or told.startswith(("items.parquet", "users.parquet")), what


def unsound_models_are_not_saved(scratch: Path) -> None:
    """Nothing is written of a model that could not be read again."""
    model = unsound_models()["users NaN"]
    _refused(lambda: model.save(scratch), "users of NaN")
    assert not scratch.exists()


def foreign_folders_stay(scratch: Path) -> None:
    """A save does not delete what is not a model."""
    (scratch / "folder").mkdir(parents=True)
    (scratch / "folder" / "thesis").write_text("precious")
    _refused(lambda: tiny_model().save(scratch / "folder"), "a folder of something else")
    assert (scratch / "folder" / "thesis").read_text() == "precious"
    for name, put in (("thesis.tex", Path.touch), ("history.safetensors", Path.mkdir)):
        model = scratch / f"with {name}"
        tiny_model().save(model)
        put(model / name)
        told = _refused(lambda model=model: tiny_model().save(model), f"a model with {name} in it")
        assert repr(name) in told
        assert (model / name).exists()
    for number, manifest in enumerate((b'{"name": "my web app"}', b'{"format_version": 1, "ne')):
        folder = scratch / str(number)
        folder.mkdir()
        (folder / "MANIFEST.json").write_bytes(manifest)
        _refused(lambda folder=folder: tiny_model().save(folder), "another program's manifest")
        assert (folder / "MANIFEST.json").read_bytes() == manifest


def checkpoints_are_strict(scratch: Path) -> None:
    """The newest sound one is read, damage is told, another run's is refused."""

    def made(epoch: int) -> Checkpoint:
        return Checkpoint(RUN, {"epoch": epoch}, {"w": torch.full((3,), float(epoch))})

    def epoch(on_damage: Callable[[CheckpointError], None] | None = None) -> int:
        try:
            found = Checkpoint.load(scratch, RUN, on_damage)
        except CheckpointError as error:
            raise AssertionError("the one before a damaged one does not serve") from error
        assert found is not None
        return found.progress["epoch"]

    for number in (1, 2, 3):
        made(number).save(scratch)
    assert epoch() == 3
    newest = scratch / SLOTS[1]
    for name, old, new in (
        (STATE, b'"number": 3', b'"number": 1'),
        (TENSORS, np.float32(3).tobytes(), np.float32(4).tobytes()),
    ):
        sound = (newest / name).read_bytes()
        assert old in sound
        (newest / name).write_bytes(sound.replace(old, new))
        told: list[CheckpointError] = []
        assert epoch(told.append) == 2, f"a changed {name} was read"
        assert len(told) == 1, "damage was not told"
        (newest / name).write_bytes(sound)
    _refused(lambda: Checkpoint.load(scratch, {"config": "another"}), "another run's checkpoint")
