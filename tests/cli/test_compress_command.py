"""`lightrec compress`: vectors and ids from files, and the ones that it refuses."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from lightrec.artifact import load_model

QUICK = "[codes]\nnum_codebooks = 2\nnum_codewords = 16\nkmeans_iterations = 2\nrounds = 1\n"


@pytest.fixture
def vectors(tmp_path):
    """Items and users that like the same half of the catalogue: (80, 6), (30, 6)."""
    rng = np.random.default_rng(0)
    items, users = rng.standard_normal((80, 6)), rng.standard_normal((30, 6))
    items[:, 0] = np.where(np.arange(80) % 2, 3, -3)
    users[:, 0] = np.where(np.arange(30) % 2, 3, -3)
    np.save(tmp_path / "items.npy", items)
    np.save(tmp_path / "users.npy", users.astype(np.float16))
    return tmp_path


@pytest.fixture
def config(write):
    """Settings for small catalogues."""
    return write("quick.toml", QUICK)


def test_vectors_alone_are_enough(cli, vectors, config):
    outcome = cli(
        "compress", "--items", vectors / "items.npy", "--config", config, "--out", vectors / "m"
    )
    assert outcome.code == 0, outcome.err
    assert "recall of the float top 80 by the codes' top 80: 1.0000" in outcome.out
    model = load_model(vectors / "m")
    assert model.item_ids.series.to_list() == list(range(80))
    similar = cli("similar", vectors / "m", "--item", 3, "-k", 5, "--json")
    assert len(json.loads(similar.out)["items"]) == 5


def test_ids_interactions_and_test_pairs(cli, vectors, config, write, ratings, tmp_path):
    items = write("items.txt", "\n".join(f"i{row:03}" for row in range(80)))
    users = write("users.csv", "user\n" + "\n".join(f"u{row}" for row in range(30)) + "\n")
    assert cli("split", ratings, "--out", tmp_path / "parts", "--by", "paper").code == 0
    outcome = cli(
        *("compress", "--items", vectors / "items.npy", "--users", vectors / "users.npy"),
        *("--item-ids", items, "--user-ids", users, "--config", config),
        *("--interactions", tmp_path / "parts" / "train.csv"),
        *("--test", tmp_path / "parts" / "test.csv", "--out", vectors / "m"),
    )
    assert outcome.code == 0, outcome.err
    assert "teacher (float vectors)" in outcome.out
    assert "lightrec" in outcome.out
    found = json.loads(cli("recommend", vectors / "m", "--user", "u1", "--json").out)
    assert {int(item["item_id"][1:]) % 2 for item in found["items"]} == {1}
    evaluated = cli("evaluate", vectors / "m", tmp_path / "parts" / "test.csv", "--json")
    assert evaluated.code == 0, evaluated.err


def test_parquet_brings_its_own_ids(cli, config, tmp_path):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "item_id": [f"p{row}" for row in range(40)],
            "vector": rng.standard_normal((40, 3)).tolist(),
        }
    )
    frame.write_parquet(tmp_path / "items.parquet")
    outcome = cli(
        "compress",
        "--items",
        tmp_path / "items.parquet",
        "--config",
        config,
        "--out",
        tmp_path / "m",
    )
    assert outcome.code == 0, outcome.err
    assert load_model(tmp_path / "m").item_ids.ids([7]) == ["p7"]


def test_unusable_input_is_refused(refused, vectors, config, write):
    items, out = vectors / "items.npy", vectors / "m"

    def message(code, *words):
        return refused(code, "compress", "--out", out, *words)

    assert "nowhere.npy" in message(3, "--items", vectors / "nowhere.npy")
    assert "256" in message(2, "--items", items)  # 80 items for 256 codewords
    few = write("few.txt", "a\nb\n")
    assert "2 item ids for 80" in message(
        2, "--items", items, "--item-ids", few, "--config", config
    )
    np.save(vectors / "narrow.npy", np.ones((30, 5)))
    narrow = ("--users", vectors / "narrow.npy")
    assert "width" in message(2, "--items", items, *narrow, "--config", config)
    array = np.load(items)
    array[6, 2] = np.nan
    np.save(vectors / "nan.npy", array)
    assert "row 7, dimension 3" in message(3, "--items", vectors / "nan.npy")
    twice = write("twice.txt", "\n".join(["a"] * 80))
    assert "'a'" in message(3, "--items", items, "--item-ids", twice)
    wrong = write("wrong.toml", "[teacher]\nwidth = 3\n")
    assert "teacher" in message(2, "--items", items, "--config", wrong)
    strangers = write("strangers.csv", "user_id,item_id\na,b\n")
    words = ("--items", items, "--users", vectors / "users.npy", "--config", config)
    assert "no pair" in message(3, *words, "--interactions", strangers)
    assert not out.exists()
