"""`lightrec compress`: vectors and ids from files, and the ones that it refuses."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from lightrec.artifact import load_model
from lightrec.cli.options import changed_settings
from lightrec.codes.additive_quantization import AdditiveQuantizationConfig
from lightrec.errors import ArgumentError

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


@pytest.fixture
def words(vectors, config):
    """The command with items and users of row numbers."""
    return (
        *("compress", "--items", vectors / "items.npy", "--users", vectors / "users.npy"),
        *("--config", config, "--out", vectors / "m"),
    )


@pytest.fixture
def likes(vectors, write):
    """What the float vectors rank highest: pairs to measure on."""
    items, users = np.load(vectors / "items.npy"), np.load(vectors / "users.npy")
    best = np.argsort(-(users.astype(float) @ items.T), axis=1)[:, :3]
    rows = [f"{user},{item}" for user, mine in enumerate(best) for item in mine]
    return write("likes.csv", "\n".join(["user_id,item_id", *rows]) + "\n")


def test_bytes_are_codebooks(cli, vectors, write):
    rng = np.random.default_rng(0)
    np.save(vectors / "many.npy", rng.standard_normal((300, 4)))
    file = write("short.toml", "[codes]\nkmeans_iterations = 2\nrounds = 1\nbeam = 2\n")
    words = ("compress", "--items", vectors / "many.npy", "--out", vectors / "m")
    for number in (1, 3):
        outcome = cli(*words, "--config", file, "--bytes", number)
        assert outcome.code == 0, outcome.err
        assert f"(bytes/item: {number} of codes" in outcome.out
        model = load_model(vectors / "m")
        assert model.item_codes.codes.shape == (300, number)
        assert model.item_codes.bits_per_item == 8 * number
        assert model.config["settings"]["codes"]["rounds"] == 1  # the file's settings stay
    few = ("compress", "--items", vectors / "items.npy", "--out", vectors / "few")
    assert cli(*few, "--bytes", 2).code == 2  # 80 items are too few for codebooks of 256


def test_bytes_that_codewords_do_not_fill_are_refused(refused, words, vectors, config):
    message = refused(2, *words, "--bytes", 4)
    assert "--bytes 4: 256 codewords fill a byte" in message
    assert f"{config} asks for codes.num_codewords = 16" in message
    assert not (vectors / "m").exists()


@pytest.mark.parametrize(("form", "shape"), [("fitted", (30, 6)), ("table", (30, 2, 16))])
def test_users_are_brought_into_the_form_asked_for(cli, words, vectors, likes, form, shape):
    outcome = cli(*words, "--user-form", form, "--test", likes)
    assert outcome.code == 0, outcome.err
    users = load_model(vectors / "m").users
    assert (users.form, users.values.shape) == (form, shape)
    assert f"lightrec ({form}: " in outcome.out
    assert "Kept:" not in outcome.out  # there was no choice


def test_users_stay_as_they_are_where_nothing_is_said(cli, words, vectors):
    assert cli(*words).code == 0
    users = load_model(vectors / "m").users
    assert users.form == "identity"
    assert np.array_equal(users.values, np.load(vectors / "users.npy"))


def test_auto_shows_every_form_and_the_rule(cli, words, vectors, likes):
    outcome = cli(*words, "--user-form", "auto", "--test", likes)
    assert outcome.code == 0, outcome.err
    rows = [line for line in outcome.out.splitlines() if line.startswith("lightrec (")]
    forms = [line.partition("(")[2].partition(":")[0] for line in rows]
    assert sorted(forms) == ["fitted", "identity", "table"]
    assert load_model(vectors / "m").users.form == forms[-1]
    assert f"Kept: {forms[-1]}. Of the forms that come within 1 % of the best" in outcome.out
    assert "bytes a user (of equally many bytes, the better form is kept)" in outcome.out
    assert "45 test pairs of 15 users; the form of users was chosen on those of 15" in outcome.out


def test_options_win_over_the_file(cli, words, vectors, config):
    config.write_text(QUICK + '[users]\nform = "table"\n[users.fit]\nrounds = 2\n')
    assert cli(*words).code == 0
    assert load_model(vectors / "m").users.form == "table"
    assert cli(*words, "--user-form", "fitted").code == 0
    model = load_model(vectors / "m")
    assert model.users.form == "fitted"
    assert model.config["settings"]["users"]["fit"]["rounds"] == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--bytes", "0"), "--bytes 0: an item takes 1 to 64 bytes"),
        (("--bytes", "65"), "--bytes 65: an item takes 1 to 64 bytes"),
        (("--bytes", "few"), "--bytes"),
        (("--user-form", "free"), "--user-form"),
        (("--codeword-width", "3"), "--user-form linear, mlp, fitted or auto"),
        (("--user-form", "auto"), "give test"),
    ],
)
def test_unusable_options_are_refused(refused, words, vectors, more, said):
    assert said in refused(2, *words, *more)
    assert not (vectors / "m").exists()


def test_every_number_of_bytes_that_codes_may_have_is_allowed():
    for number in range(1, 65):
        AdditiveQuantizationConfig(**changed_settings(number, None)["codes"])
    for number in (0, 65):
        with pytest.raises(ArgumentError):
            changed_settings(number, None)
        with pytest.raises(ValidationError):
            AdditiveQuantizationConfig(num_codebooks=number)


def test_forms_that_are_fitted_need_users(refused, vectors, config):
    words = ("compress", "--items", vectors / "items.npy", "--config", config)
    for form in ("fitted", "table", "linear", "mlp"):
        message = refused(2, *words, "--out", vectors / "m", "--user-form", form)
        assert "give users" in message


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


def test_equal_items_are_told_once(cli, vectors, config):
    np.save(vectors / "equal.npy", np.ones((80, 6)))
    words = ("compress", "--items", vectors / "equal.npy", "--config", config)
    outcome = cli(*words, "--users", vectors / "users.npy", "--out", vectors / "m")
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("all 80 items share one code") == 1
