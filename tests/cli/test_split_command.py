"""`lightrec split`."""

from __future__ import annotations

import gzip

import polars as pl
import pytest

TABLE = (
    "userId,movieId,stars,when,note\n"
    'a,007,5,10,"x, ""y"""\n'
    "a,1.0,3,20,\n"
    "b,007,4,30,z\n"
    "b,nan,4,40,z\n"
    "b,é😀,4,50,z\n"
)
OPTIONS = ("--rating-column", "stars", "--timestamp-column", "when")


def test_cells_stay_as_they_were(cli, write, tmp_path):
    table = write("films.csv", TABLE)
    outcome = cli("split", table, "--out", tmp_path / "parts", *OPTIONS)
    assert outcome.code == 0, outcome.err
    parts = {name: (tmp_path / "parts" / f"{name}.csv").read_text() for name in ("train", "test")}
    lines = [text.splitlines() for text in parts.values()]
    assert lines[0][0] == lines[1][0] == "userId,movieId,stars,when,note"
    assert sorted(lines[0][1:] + lines[1][1:]) == sorted(TABLE.splitlines()[1:])
    assert lines[1][1:] == ["b,é😀,4,50,z"]
    assert "'userId' as user_id" in outcome.out
    assert "5 rows read" in outcome.out


def test_the_same_seed_splits_alike(cli, ratings, tmp_path):
    for folder, seed in (("one", 3), ("two", 3), ("three", 4)):
        assert cli("split", ratings, "--out", tmp_path / folder, "--by", "paper", "--seed", seed)
    read = {name: (tmp_path / name / "test.csv").read_bytes() for name in ("one", "two", "three")}
    assert read["one"] == read["two"] != read["three"]


@pytest.mark.parametrize("ending", [".tsv", ".inter", ".csv.gz", ".parquet"])
def test_formats_are_kept(cli, tmp_path, ending):
    frame = pl.DataFrame(
        {
            "user_id": ["a", "a", "b", "b"],
            "item_id": ["1", "2", "1", "3"],
            "timestamp": [1, 2, 3, 4],
        }
    )
    path = tmp_path / f"table{ending}"
    if ending == ".parquet":
        frame.write_parquet(path)
    else:
        text = frame.write_csv(separator="," if ".csv" in ending else "\t").encode()
        path.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
    outcome = cli("split", path, "--out", tmp_path / "parts", "--by", "last")
    assert outcome.code == 0, outcome.err
    assert {file.name for file in (tmp_path / "parts").iterdir()} == {
        f"train{ending}",
        f"test{ending}",
    }
    assert "lightrec: warning: " in outcome.err  # last leaks time, and says so
    if ending == ".parquet":
        assert pl.read_parquet(tmp_path / "parts" / "test.parquet").schema == frame.schema


def test_it_does_not_overwrite_its_input(refused, write, tmp_path):
    table = write("train.csv", TABLE)
    assert "name another folder" in refused(2, "split", table, "--out", tmp_path, *OPTIONS)
    assert table.read_text() == TABLE


def test_times_are_needed_and_the_remedy_is_named(refused, write, tmp_path):
    table = write("a.csv", "user_id,item_id\na,1\nb,2\n")
    assert "--timestamp-column" in refused(3, "split", table, "--out", tmp_path / "parts")
    assert "--test-share" in refused(
        2, "split", table, "--out", tmp_path / "parts", "--by", "paper", "--test-share", 1.5
    )


def test_earlier_parts_are_not_replaced_without_a_word(cli, ratings, tmp_path):
    split = ("split", ratings, "--out", tmp_path / "parts", "--by", "paper")
    assert "in the place" not in cli(*split).out
    assert "test.csv, in the place of earlier ones" in cli(*split).out
