"""The benchmark of reading, with few rows."""

from __future__ import annotations

import json

import polars as pl

from benchmarks import reading, results
from lightrec.interactions import Interactions


def test_both_formats_are_read_in_processes_of_their_own(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(reading, "ROWS", 3000)
    reading.main(["--rows", "3000", "--repeats", "1"])
    parquet, csv = json.loads((tmp_path / "reading.json").read_text())["rows"]
    assert (parquet["format"], csv["format"]) == ("parquet", "csv")
    for row in (parquet, csv):
        assert (row["system"], row["rows"], row["repeats"]) == ("lightrec", 3000, 1)
        assert 0 < row["seconds"] < 60
        assert 20 < row["rss_mb"] < 3000


def test_what_is_read_is_what_was_made() -> None:
    made = reading.made_up(20_000)
    assert made.select("user_id", "item_id").n_unique() < len(made) == 20_000
    assert made["timestamp"].is_sorted()
    assert made["user_id"].str.len_bytes().unique().to_list() == [14]
    assert made["item_id"].str.len_bytes().unique().to_list() == [10]
    latest = made.group_by("user_id", "item_id").agg(pl.col("timestamp").max())
    pairs = Interactions.from_table(made).to_polars()
    keys = ["user_id", "item_id"]
    assert pairs.sort(keys).equals(latest.sort(keys))
    counts = made["user_id"].value_counts()["count"]
    assert counts.max() > 10 * counts.median()  # some users are busy
