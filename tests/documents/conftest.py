"""Where a page is run: an empty folder, or one that holds what the page takes for granted."""

from __future__ import annotations

import shutil
import tomllib
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from lightrec import run_config
from lightrec.cli import demo
from lightrec.interactions import synthetic_catalogue

QUICK = """
teacher.kind = "ials"
teacher.width = 16
teacher.sweeps = 3
codes = {num_codewords = 64, kmeans_iterations = 5, rounds = 1}
ranking = {rounds = 1, cells = 8, users = 200}
users = {alternations = 1, fit = {rounds = 2, vector_rounds = 1}}
"""


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty folder, without public data sets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIGHTREC_DATA", raising=False)
    return tmp_path


@pytest.fixture
def quick(tmp_path_factory, monkeypatch):
    """Trainings that say nothing else are quick."""
    presets = tmp_path_factory.mktemp("presets")
    (presets / "default.toml").write_text(QUICK, encoding="utf-8")
    monkeypatch.setattr(run_config, "resources", SimpleNamespace(files=lambda package: presets))


@pytest.fixture
def books(empty, quick):
    """Tables of a made-up shop of 2,000 books."""
    data = synthetic_catalogue(500, 2_000, 0)
    data.interactions.write_csv(empty / "reads.csv")
    data.items.write_csv(empty / "books.csv")


@pytest.fixture
def films(empty, quick):
    """What the README takes for granted: plays, ratings, films, vectors and today's plays."""
    rng = np.random.default_rng(0)
    data = synthetic_catalogue(300, 1_000, 0)
    pairs = data.interactions.with_columns(pl.col("user_id", "item_id").str.slice(1))
    pairs = pairs.with_columns(pl.col("user_id", "item_id").str.strip_chars_start("0"))
    films = data.items.with_columns(pl.col("item_id").str.slice(1).str.strip_chars_start("0"))
    pairs = pairs.filter(pl.col("user_id") != "", pl.col("item_id") != "")
    pairs.write_csv("plays.csv")
    rating = pl.Series("rating", rng.integers(1, 6, len(pairs)))
    pairs.with_columns(rating).write_csv("ratings.csv")
    films.filter(pl.col("item_id") != "").write_csv("films.csv")
    pl.DataFrame({"user_id": ["new", "new"], "item_id": ["7", "9"]}).write_csv("today.csv")
    np.save("V.npy", rng.standard_normal((1_000, 16), np.float32))
    np.save("U.npy", rng.standard_normal((300, 16), np.float32))


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory):
    """What `lightrec demo --out shop` leaves: all of its books, fewer readers, less effort."""
    folder = tmp_path_factory.mktemp("demonstration") / "shop"
    settings = tomllib.loads(QUICK) | {"users": {"form": "identity"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "_USERS", 1_200)
        patch.setattr(demo, "_SETTINGS", settings)
        demo.demo(out=folder)
    return folder


@pytest.fixture
def shop(empty, demonstration):
    """A folder of one's own with what `lightrec demo --out shop` leaves."""
    shutil.copytree(demonstration, empty / "shop")


@pytest.fixture
def nightly(shop, quick):
    """That shop, and all interactions of another with some held back, to train again from."""
    pairs = synthetic_catalogue(300, 1_000, 0).interactions
    held = np.random.default_rng(0).random(len(pairs)) < 0.1
    pairs.filter(~held).write_csv("ratings.csv")
    pairs.filter(held).write_csv("test.csv")
