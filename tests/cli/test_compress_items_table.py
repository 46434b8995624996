"""`lightrec compress --item-table`: titles and filters for vectors from anywhere."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from lightrec.artifact import load_model

QUICK = "[codes]\nnum_codebooks = 2\nnum_codewords = 16\nkmeans_iterations = 2\nrounds = 1\n"
ITEMS = 40


@pytest.fixture
def words(write, tmp_path):
    """The command without a table: items s0, s1 ... and users by row number."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "items.npy", rng.standard_normal((ITEMS, 4)))
    np.save(tmp_path / "users.npy", rng.standard_normal((10, 4)))
    ids = write("ids.txt", "".join(f"s{row}\n" for row in range(ITEMS)))
    return (
        *("compress", "--items", tmp_path / "items.npy", "--users", tmp_path / "users.npy"),
        *("--item-ids", ids, "--config", write("quick.toml", QUICK), "--out", tmp_path / "m"),
    )


@pytest.fixture
def songs(write):
    """A table of all items but s0 and s1, the last ones first, and of a stranger."""
    rows = ["song,title,mood", "s99,Song 99,glad"]
    rows += [f"s{row},Song {row},{'sad' if row % 2 else 'glad'}" for row in range(ITEMS - 1, 1, -1)]
    return write("songs.csv", "\n".join(rows) + "\n")


def test_answers_have_titles_and_can_be_filtered(cli, words, songs, tmp_path):
    outcome = cli(*words, "--item-table", songs)
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    assert "  1 rows of the items table were left out: their items have no vector" in outcome.out
    assert "  2 items have no row in the items table: their columns are empty" in outcome.out
    sad = cli("recommend", tmp_path / "m", "--user", "3", "-k", 40, "--where", "mood=sad", "--json")
    found = json.loads(sad.out)["items"]
    assert {item["item_id"] for item in found} == {f"s{row}" for row in range(3, ITEMS, 2)}
    assert all(item["title"] == f"Song {item['item_id'][1:]}" for item in found)
    assert "Song " in cli("similar", tmp_path / "m", "--item", "s7").out
    assert "mood" in cli("inspect", tmp_path / "m").out
    assert cli("verify", tmp_path / "m").code == 0


def test_an_update_changes_the_titles(cli, words, songs, write, tmp_path):
    assert cli(*words, "--item-table", songs).code == 0
    changed = write("changed.csv", "item_id,title\ns5,Another song\n")
    outcome = cli("update", tmp_path / "m", "--items", changed)
    assert "1 known ones have other columns now" in outcome.out
    assert load_model(tmp_path / "m").item_columns["title"][5] == "Another song"


def test_the_column_of_ids_may_be_named_for_both_tables_or_for_the_pairs_alone(
    cli, words, write, tmp_path
):
    pairs = write("pairs.csv", "user_id,thing\n0,s1\n1,s2\n")
    for name in ("thing", "item_id"):
        table = write("t.csv", f"{name},title\n" + "".join(f"s{n},T{n}\n" for n in range(ITEMS)))
        more = ("--interactions", pairs, "--item-column", "thing", "--item-table", table)
        outcome = cli(*words, *more)
        assert outcome.code == 0, outcome.err
        assert load_model(tmp_path / "m").item_columns["title"][7] == "T7"


def test_structures_are_named_once(cli, words, tmp_path):
    rows = list(range(ITEMS))
    table = pl.DataFrame({"item_id": [f"s{row}" for row in rows], "title": map(str, rows)})
    table = table.with_columns(odd=pl.struct("title"))
    table.write_parquet(tmp_path / "t.parquet")
    outcome = cli(*words, "--item-table", tmp_path / "t.parquet")
    assert outcome.code == 0, outcome.err
    told = "item columns left out, because their cells hold structures: odd"
    assert outcome.out.count(told) == 1
    assert load_model(tmp_path / "m").item_columns.columns == ["popularity", "title"]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", 3, "is empty"),
        ("title\na\n", 3, "no column item_id"),
        ("item_id,title\ns1,a\ns1,b\n", 3, "item 's1' occurs again"),
        ("item_id,title\ns1,a\n,b\n", 3, "line 3, column 'item_id': the id is missing"),
        ("item_id,popularity\ns1,4\n", 3, "the model's own; rename it"),
        ("item_id,title\n1,a\n2,b\n", 3, "none of the 2 items of the items table has a vector"),
    ],
)
def test_bad_tables_are_refused_in_one_line(refused, words, write, tmp_path, text, code, said):
    assert said in refused(code, *words, "--item-table", write("t.csv", text))
    assert not (tmp_path / "m").exists()
