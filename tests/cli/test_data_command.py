"""`lightrec data`, and files whose format is named."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import polars as pl
import pytest

from lightrec.downloads import sources
from lightrec.interactions import PUBLIC_DATASETS


@pytest.fixture
def small_set(monkeypatch, tmp_path):
    """MovieLens-1M, if it had three ratings; returns a file of it."""
    source = replace(sources.DATA_SOURCES["movielens-1m"], counts=(1, 4, 3))
    monkeypatch.setitem(sources.DATA_SOURCES, "movielens-1m", source)
    monkeypatch.delenv("LIGHTREC_DATA", raising=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ml-1m/ratings.dat", "1::10::5::1\n1::20::4::2\n1::30::4::2\n")
        archive.writestr("ml-1m/movies.dat", "".join(f"{i}0::F::War\n" for i in range(1, 5)))
    path = tmp_path / "ml-1m.zip"
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize("words", [["data"], ["data", "list"], ["data", "get"]])
def test_each_teaches_with_two_examples(cli, words) -> None:
    outcome = cli(*words, "--help")
    assert outcome.code == 0
    assert outcome.out.split("Examples:")[1].count("lightrec data ") >= 2


def test_what_has_not_been_tried_is_said(cli) -> None:
    text = " ".join(cli("data", "get", "--help").out.split())
    assert "it has not yet been run against the real hosts" in text


def test_the_list_says_what_is_here(cli, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("LIGHTREC_DATA", str(tmp_path))
    (tmp_path / "gowalla").mkdir()
    (tmp_path / "gowalla" / "interactions.parquet").touch()
    lines = {line.split()[0]: line for line in cli("data", "list").out.splitlines() if line.strip()}
    assert set(PUBLIC_DATASETS) <= set(lines)
    assert " here " in lines["gowalla"]
    assert " to get " in lines["citeulike-t"]
    assert "MD5 of its publisher" in lines["movielens-10m"]
    assert "SHA-256 of the first download" in lines["citeulike-t"]
    sets = {one["name"]: one for one in json.loads(cli("data", "list", "--json").out)}
    assert sets["gowalla"]["here"] is True
    assert sets["epinions"]["here"] is False


def test_one_set_with_licence_and_addresses(cli, monkeypatch) -> None:
    monkeypatch.delenv("LIGHTREC_DATA", raising=False)
    told = cli("data", "list", "movielens-10m").out
    assert "file: https://files.grouplens.org/datasets/movielens/ml-10m.zip\n" in told
    assert "checksum: https://files.grouplens.org/datasets/movielens/ml-10m.zip.md5\n" in told
    assert "licence: GroupLens: research use" in told
    assert "cite: Harper and Konstan" in told
    assert "cannot be fetched: a sample" in cli("data", "list", "amazon-book").out
    assert "note: ids only" in cli("data", "list", "amazon-sports").out


def test_a_file_downloaded_by_hand_becomes_a_set(cli, small_set, tmp_path, monkeypatch) -> None:
    outcome = cli("data", "get", "movielens-1m", "--from", small_set, "--out", tmp_path / "d")
    assert outcome.code == 0, outcome.err
    assert "3 pairs, written to" in outcome.out
    assert "licence: GroupLens" in outcome.out
    assert f"LIGHTREC_DATA={tmp_path / 'd'} lightrec data list" in outcome.out
    tables = [
        tmp_path / "d" / "movielens-1m" / f"{one}.parquet" for one in ("interactions", "items")
    ]
    assert f"train {tables[0]} --items {tables[1]} --rating-above 3 --out model" in outcome.out
    monkeypatch.setenv("LIGHTREC_DATA", str(tmp_path / "d"))
    outcome = cli("data", "get", "movielens-1m")
    assert outcome.code == 0
    assert "movielens-1m is already in" in outcome.out


def test_a_set_that_cannot_be_fetched_may_be_here(cli, refused, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("LIGHTREC_DATA", str(tmp_path))
    assert "amazon-book cannot be fetched" in refused(2, "data", "get", "amazon-book")
    (tmp_path / "amazon-book").mkdir()
    (tmp_path / "amazon-book" / "interactions.parquet").touch()
    outcome = cli("data", "get", "amazon-book")
    assert outcome.code == 0
    assert "amazon-book is already in" in outcome.out


def test_mistakes(refused, small_set, tmp_path) -> None:
    assert "say where the set goes: --out DIR" in refused(2, "data", "get", "movielens-1m")
    assert "'netflix'; known:" in refused(2, "data", "get", "netflix", "--out", tmp_path)
    assert "'netflix'; known:" in refused(2, "data", "list", "netflix")
    said = refused(3, "data", "get", "movielens-1m", "--from", "nowhere.zip", "--out", tmp_path)
    assert "nowhere.zip does not exist" in said
    small_set.write_bytes(b"<html>")
    said = refused(3, "data", "get", "movielens-1m", "--from", small_set, "--out", tmp_path)
    assert "cannot be unpacked" in said


def test_an_experiment_says_how_data_come(refused, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LIGHTREC_DATA", str(tmp_path))
    said = refused(3, "experiment", "main_path", "--data", "gowalla")
    assert "lightrec data get gowalla --out FOLDER" in said


LISTS = "".join(
    f"u{user} {' '.join(f'i{(user + k) % 25}' for k in range(8))}\n" for user in range(30)
)


def test_a_named_format_through_split_train_and_evaluate(
    cli, write, quick_config, tmp_path
) -> None:
    table = write("pairs.log", LISTS)
    words = ("--format", "lightgcn")
    outcome = cli("split", table, "--out", tmp_path / "parts", "--by", "paper", *words)
    assert outcome.code == 0, outcome.err
    assert "recognised as LightGCN's lists" in outcome.out
    train = pl.read_parquet(tmp_path / "parts" / "train.parquet")
    test = pl.read_parquet(tmp_path / "parts" / "test.parquet")
    assert len(train) + len(test) == 240
    lists = train.group_by("user_id").agg("item_id").rows()
    kept = write("train.log", "".join(f"{user} {' '.join(items)}\n" for user, items in lists))
    rest = test.group_by("user_id").agg("item_id").rows()
    sought = write("test.log", "".join(f"{user} {' '.join(items)}\n" for user, items in rest))
    model = tmp_path / "model"
    outcome = cli("train", kept, "--out", model, "--config", quick_config, *words)
    assert outcome.code == 0, outcome.err
    outcome = cli("evaluate", model, sought, "--json", *words)
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["pairs"] == len(test)


def test_a_format_that_is_none(refused, write, tmp_path) -> None:
    table = write("pairs.log", LISTS)
    assert "--format" in refused(2, "split", table, "--out", tmp_path, "--format", "excel")
    assert "say what it is with --format" in refused(3, "split", table, "--out", tmp_path)
