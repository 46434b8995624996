"""The benchmark of hostile ids, in short: every id comes back as it went in, or is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from benchmarks import ids, results
from benchmarks.hostile_ids import KINDS, WORDS, IdTable, drawn
from lightrec.interactions import IdMap, Interactions
from lightrec.serving import Recommender

TABLE = IdTable(["a", "a", "b", "nan"], ["007", "7", "7", "\r\n"], "csv")


def test_a_few_hundred_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(ids, "COMPRESS_EVERY", 10)
    monkeypatch.setattr(ids, "CHUNK", 100)
    ids.main(["--trials", "160", "--trained", "2", "--seed", "1"])
    (row,) = json.loads((tmp_path / "ids.json").read_text())["rows"]
    assert (row["trials"], row["differences"]) == (160, 0)
    assert row["trained"] == 2
    assert row["compressed"] >= 3
    assert 8 < row["rejected"] < 80
    ways = ("rejected", "built", "compressed", "trained")
    assert sum(row[way] for way in ways) == row["trials"]


def answered(table, tmp_path):
    pairs = Interactions.from_table(table.given(tmp_path))
    return ids._built(pairs, np.random.default_rng(0))


def test_an_id_that_changes_on_the_way_is_seen(tmp_path):
    model = answered(TABLE, tmp_path)
    assert ids.difference(TABLE, Recommender(model)) is None
    series = model.item_ids.series
    for changed in (
        series.replace("007", "0007"),
        series.replace("\r\n", "\n"),
        pl.Series(list(reversed(series.to_list()))),
    ):
        other = Recommender(replace(model, item_ids=IdMap(changed)))
        assert ids.difference(TABLE, other) is not None


def test_users_who_get_what_they_have_seen_are_seen(tmp_path):
    model = replace(answered(TABLE, tmp_path), history=None)
    assert "is recommended" in ids.difference(TABLE, Recommender(model))


def test_a_refusal_has_to_name_the_place(tmp_path, monkeypatch):
    spoiled = IdTable(["a\r\nb", "a", ""], ["x\ny", "y", "z"], "csv")
    assert spoiled.faults() == ["line 6, column 'user'"]  # three lines, one, and this one
    monkeypatch.setattr(ids, "drawn", lambda *_, **__: spoiled)
    assert ids.sent(0, 99, 0, tmp_path) == ("rejected", None)
    monkeypatch.setattr(IdTable, "faults", lambda _: ["line 5, column 'user'"])
    assert "line 6, column 'user'" in ids.sent(0, 99, 0, tmp_path)[1]
    monkeypatch.setattr(IdTable, "faults", lambda _: [])
    assert "refused without reason" in ids.sent(0, 99, 0, tmp_path)[1]
    monkeypatch.setattr(ids, "drawn", lambda *_, **__: TABLE)
    monkeypatch.setattr(IdTable, "faults", lambda _: ["line 1"])
    assert "accepted, in spite of" in ids.sent(0, 99, 0, tmp_path)[1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_goes_through_every_kind_of_table(tmp_path, kind):
    table = IdTable(list(WORDS), list(reversed(WORDS)), kind, "\t" if kind == "tsv" else ",")
    model = answered(table, tmp_path)
    assert ids.difference(table, Recommender(model)) is None


def test_tables_are_the_same_whenever_they_are_drawn():
    tables = [drawn(np.random.default_rng([0, 5]), 5) for _ in range(2)]
    assert tables[0] == tables[1]
