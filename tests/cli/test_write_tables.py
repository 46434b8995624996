"""Tables that come in blocks, to files of every kind."""

from __future__ import annotations

import gzip
import io
import os

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lightrec.cli import write_tables
from lightrec.cli.write_tables import write_blocks_of_table, write_table
from lightrec.errors import ArgumentError, LightRecError

TABLE = pl.DataFrame(
    {
        "user_id": ["a", "b,c", 'd"e', "f\tg", "", "ü", "z"],
        "item_id": range(7),
        "score": pl.Series([0.1, -2.5, 1e-9, 3e20, 0.0, 7.0, 1 / 3], dtype=pl.Float32),
        "fallback": pl.Series([None, "popularity", *[None] * 5], dtype=pl.String),
    }
)
SEPARATORS = {".csv": ",", ".txt": ",", ".tsv": "\t", ".inter": "\t"}


def blocks_of(table, rows=3):
    return (table[start : start + rows] for start in range(0, len(table), rows))


def text_of(table, separator=","):
    buffer = io.BytesIO()
    table.write_csv(buffer, separator=separator)
    return buffer.getvalue()


@pytest.mark.parametrize("rows_as_text", [1, 2, 1000])
@pytest.mark.parametrize("ending", SEPARATORS)
def test_text_is_that_of_the_whole_table(tmp_path, monkeypatch, ending, rows_as_text):
    monkeypatch.setattr(write_tables, "_ROWS_AS_TEXT", rows_as_text)
    expected = text_of(TABLE, SEPARATORS[ending])
    for path, blocks in ((tmp_path / f"a{ending}", [TABLE]), (tmp_path / f"b{ending}", None)):
        write_blocks_of_table(blocks or blocks_of(TABLE), path)
        assert path.read_bytes() == expected
        packed = path.with_name(f"{path.name}.gz")
        write_blocks_of_table(blocks or blocks_of(TABLE), packed)
        assert gzip.decompress(packed.read_bytes()) == expected
        assert packed.read_bytes()[4:8] == bytes(4), "a time is inside"


@pytest.mark.parametrize("ending", [".parquet", ".pq"])
def test_parquet_holds_the_whole_table(tmp_path, ending):
    write_blocks_of_table(blocks_of(TABLE), tmp_path / f"a{ending}")
    assert_frame_equal(pl.read_parquet(tmp_path / f"a{ending}"), TABLE)
    write_blocks_of_table(blocks_of(TABLE), tmp_path / f"a{ending}.gz")
    content = gzip.decompress((tmp_path / f"a{ending}.gz").read_bytes())
    assert_frame_equal(pl.read_parquet(io.BytesIO(content)), TABLE)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".csv.gz"])
def test_tables_without_rows_have_their_columns(tmp_path, ending):
    path = tmp_path / f"table{ending}"
    for blocks in ([TABLE[:0]], [TABLE[:0], TABLE[:0]]):
        write_blocks_of_table(blocks, path)
        read = pl.read_parquet if ending == ".parquet" else pl.read_csv
        assert read(path).columns == TABLE.columns
        assert len(read(path)) == 0
    write_blocks_of_table([TABLE[:0], TABLE, TABLE[:0]], path)
    assert len(read(path)) == len(TABLE)


def test_a_separator_may_be_given(tmp_path):
    write_table(TABLE, tmp_path / "a.csv", separator=";")
    assert (tmp_path / "a.csv").read_bytes() == text_of(TABLE, ";")


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_blocks_are_written_while_others_are_to_come(tmp_path, ending):
    """Nothing is begun before the first is there."""
    path, count, rows = tmp_path / f"new{ending}", 40, 50_000
    written = []

    def blocks():
        for number in range(count):
            written.append(sum(each.stat().st_size for each in tmp_path.rglob("*")))
            yield pl.DataFrame({"rank": np.random.default_rng(number).integers(0, 1 << 60, rows)})

    write_blocks_of_table(blocks(), path)
    assert written[0] == 0
    assert written == sorted(written)
    assert written[-1] > 0  # how many row groups wait depends on the cores
    read = pl.read_csv if ending == ".csv" else pl.read_parquet
    assert len(read(path)) == count * rows


@pytest.mark.parametrize("error", [KeyboardInterrupt(), LightRecError("no answer")])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("before", [0, 1, 5])
def test_what_breaks_off_leaves_the_old_file(tmp_path, error, ending, before):
    path = tmp_path / f"table{ending}"
    path.write_bytes(b"old")

    def blocks():
        for _ in range(before):
            yield TABLE
        raise error

    with pytest.raises(type(error)):
        write_blocks_of_table(blocks(), path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]
    with pytest.raises(type(error)):
        write_blocks_of_table(blocks(), tmp_path / "new" / f"table{ending}")
    assert not list(tmp_path.rglob("new/*"))


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([], "at least one block"),
        ([TABLE, TABLE.drop("score")], "the same columns"),
        ([TABLE, TABLE.with_columns(pl.col("score").cast(pl.Float64))], "the same columns"),
    ],
)
def test_blocks_that_make_no_table_are_refused(tmp_path, ending, blocks, said):
    with pytest.raises(ArgumentError, match=said):
        write_blocks_of_table(blocks, tmp_path / f"table{ending}")
    assert os.listdir(tmp_path) == []


def test_lists_are_no_text(tmp_path):
    table = TABLE.with_columns(genres=pl.lit(["a", "b"]))
    with pytest.raises(ArgumentError, match=r"a\.csv: column 'genres' holds lists.*\.parquet"):
        write_table(table, tmp_path / "a.csv")
    write_table(table, tmp_path / "a.parquet")
    assert_frame_equal(pl.read_parquet(tmp_path / "a.parquet"), table)
