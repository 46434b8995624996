"""Models to save, damage and forge."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lightrec.artifact import Model, Selection, Users
from lightrec.codes.item_codes import ItemCodes
from lightrec.interactions.history import History
from lightrec.interactions.id_map import IdMap


def _map_weights(form, width, mapped, rng):
    if form == "fitted" and mapped:
        return {"0.weight": rng.normal(size=(width, 5)).astype(np.float32)}
    if form not in ("linear", "mlp"):
        return None
    sizes = [5, width] if form == "linear" else [5, 7, width]
    weights = {}
    for layer, (wide, narrow) in enumerate(itertools.pairwise(sizes)):
        weights[f"{2 * layer}.weight"] = rng.normal(size=(narrow, wide)).astype(np.float32)
        weights[f"{2 * layer}.bias"] = rng.normal(size=narrow).astype(np.float32)
    return weights


def _selection(state_width, width, rng):
    shapes = {"weight": (2, state_width, width), "of_word": (state_width, width)}
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return Selection("plain_bilinear", "subtract_w", weights)


def _make_model(
    seed=0, form="identity", num_users=3, num_items=5, width=2, mapped=False, **changes
):
    rng = np.random.default_rng(seed)
    shape = (num_users, 2, 4) if form == "table" else (num_users, width)
    weights = _map_weights(form, width, mapped, rng)
    model = Model(
        config={"preset": "tiny", "seed": seed, "metrics": {"lightrec": {"recall@100": 0.25}}},
        item_codes=ItemCodes(
            rng.integers(0, 4, (num_items, 2), dtype=np.uint8),
            rng.normal(size=(2, 4, width)).astype(np.float32),
        ),
        users=Users(form, rng.normal(size=shape).astype(np.float32), weights),
        user_ids=IdMap(
            pl.Series([f"user {seed}-{row}" for row in range(num_users)], dtype=pl.String)
        ),
        item_ids=IdMap(pl.Series(np.arange(num_items) * 7 - 3)),
        item_columns=pl.DataFrame(
            {
                "popularity": pl.Series(rng.integers(0, 9, num_items), dtype=pl.Int64),
                "title": pl.Series([f"title {row}" for row in range(num_items)], dtype=pl.String),
            }
        ),
        history=History.from_pairs(
            rng.integers(0, max(num_users, 1), 6) if num_users and num_items else np.zeros(0, int),
            rng.integers(0, max(num_items, 1), 6) if num_users and num_items else np.zeros(0, int),
            num_users,
            num_items,
        ),
        selection=_selection(5 if weights else width, width, rng),
        float_items=rng.normal(size=(num_items, 5 if weights else width)).astype(np.float16),
    )
    return dataclasses.replace(model, **changes)


def _assert_same(left, right):
    assert left.config == right.config
    assert left.users.form == right.users.form
    assert left.item_columns.equals(right.item_columns)
    assert left.item_columns.schema == right.item_columns.schema
    for side in ("user_ids", "item_ids"):
        ids, others = getattr(left, side).series, getattr(right, side).series
        assert ids.dtype == others.dtype
        assert ids.to_list() == others.to_list()
    for key, array in _arrays(left).items():
        other = _arrays(right)[key]
        assert array.dtype == other.dtype, key
        assert array.shape == other.shape, key
        assert array.tobytes() == other.tobytes(), key
    assert _arrays(left).keys() == _arrays(right).keys()


def _arrays(model):
    arrays = {
        "codes": model.item_codes.codes,
        "codebooks": model.item_codes.codebooks,
        "users": model.users.values,
        **{f"map {name}": array for name, array in (model.users.map_weights or {}).items()},
    }
    if model.history is not None:
        arrays |= {"indptr": model.history.indptr, "item_rows": model.history.item_rows}
    if model.selection is not None:
        arrays |= model.selection.weights
        arrays |= {"centres": model.selection.centres, "metrics": model.selection.metrics}
    if model.float_items is not None:
        arrays["float_items"] = model.float_items
    return {name: array for name, array in arrays.items() if array is not None}


def _seal(folder: Path, **changes) -> None:
    """Writes a manifest that fits whatever is in the folder, by the documented format alone."""
    names = sorted(path.name for path in folder.iterdir())
    body = {
        "format_version": 1,
        "needs": "lightrec >= 0.1.0",
        "files": {
            name: {
                "bytes": len((folder / name).read_bytes()),
                "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
            }
            for name in names
            if name not in ("MANIFEST.json", "README.md")
        },
        **changes,
    }
    body["digest"] = hashlib.sha256(_text(body)).hexdigest()
    (folder / "MANIFEST.json").write_bytes(_text(body))


def _text(body) -> bytes:
    return (json.dumps(body, indent=1, ensure_ascii=False) + "\n").encode()


@pytest.fixture
def make_model():
    """A tiny model with every part; keyword arguments replace fields."""
    return _make_model


@pytest.fixture
def assert_same():
    """Two models hold the same, bit for bit."""
    return _assert_same


@pytest.fixture
def seal():
    """Makes the manifest of a folder fit its files, as a forger would."""
    return _seal


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """A saved tiny model; not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    _make_model().save(folder)
    return folder


@pytest.fixture(scope="session")
def saved_fitted(tmp_path_factory):
    """A saved tiny model of fitted users with a map; not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    _make_model(form="fitted", mapped=True).save(folder)
    return folder


@pytest.fixture
def fitted_folder(saved_fitted, tmp_path):
    """A copy of the model of fitted users, to be damaged."""
    return Path(shutil.copytree(saved_fitted, tmp_path / "fitted"))


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of a saved tiny model, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "model"))
