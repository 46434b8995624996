import gzip
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pyarrow as pa
import pytest

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions import Interactions, read_table


def written(folder: Path, data: bytes, name: str = "pairs.csv") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def refusal(source: object) -> str:
    with pytest.raises(InputError) as caught:
        Interactions.from_table(source)
    return str(caught.value)


def test_text_cells_are_kept_exactly(tmp_path: Path) -> None:
    data = 'user,item\n007,1.0\nnan,NA\nnull, x \n9223372036854775808,"🦜"\n'.encode()
    assert read_table(written(tmp_path, data)).rows() == [
        ("007", "1.0"),
        ("nan", "NA"),
        ("null", " x "),
        ("9223372036854775808", "🦜"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"user,item\n1,2\n3,4\n",
        b"\xef\xbb\xbfuser,item\r\n1,2\r\n3,4",
        b'"user","item"\n"1","2"\n3,4\n\n\n',
        b"\nuser,item\n1,2\n\n3,4\n",
        b"user;item\n1;2\n3;4\n",
        b"user\titem\n1\t2\n3\t4\n",
    ],
)
def test_dialects_of_csv(tmp_path: Path, data: bytes) -> None:
    assert read_table(written(tmp_path, data)).rows() == [("1", "2"), ("3", "4")]


def test_recbole_and_gzip(tmp_path: Path) -> None:
    data = b"user_id:token\titem_id:token\trating:float\n1\ta b\t3.0\n"
    for path in (
        written(tmp_path, data, "pairs.inter"),
        written(tmp_path, gzip.compress(data, mtime=0), "pairs.tsv.gz"),
    ):
        assert Interactions.from_table(path).to_polars().rows() == [("1", "a b")]


def test_line_breaks_inside_quotes_count_for_line_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, b'user,item\n"a\nb",2\n\n3,\n')
    assert f"{path}, line 5, column 'item': the id is missing" in refusal(path)


@pytest.mark.parametrize("cell", [b"", b'""'])
def test_an_empty_cell_is_a_missing_id(tmp_path: Path, cell: bytes) -> None:
    path = written(tmp_path, b"user,item,note\n1,2,x\n" + cell + b",4,x\n" + cell + b",5,x\n")
    message = refusal(path)
    assert f"{path}, line 3, column 'user': the id is missing (and in 1 more rows)" in message
    assert "remove the row" in message


@pytest.mark.parametrize("data", [b"user,item,note\n1,2,x\n3,4\n", b"user,item\n1,2\n3,4,5\n"])
def test_ragged_rows_are_named(tmp_path: Path, data: bytes) -> None:
    path = written(tmp_path, data)
    assert f"{path}, line 3: " in refusal(path)
    assert "columns" in refusal(path)


def test_an_empty_last_cell_is_not_ragged(tmp_path: Path) -> None:
    path = written(tmp_path, b"user,item,note\n1,2,\n3,4,\n")
    assert len(Interactions.from_table(path)) == 2


def test_very_long_cells_do_not_matter(tmp_path: Path) -> None:
    path = written(tmp_path, b"user,item,a,b\n1,2," + b"x" * 200_000 + b",\n3,4,y,\n")
    assert len(Interactions.from_table(path)) == 2


@pytest.mark.parametrize("data", [b'user,item\n1,2\n"x,2\nz,3\n', b'user,item\n1,2\n"x"y,2\n'])
def test_open_quotes_are_named(tmp_path: Path, data: bytes) -> None:
    path = written(tmp_path, data)
    assert f"{path}, line 3: " in refusal(path)
    assert "quote" in refusal(path)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"user,item\n1,2\n\xe9,3\n", 3),
        (b"us\xe9r,item\n1,2\n", 1),
        ("user,item\n1,2\n".encode("utf-16"), 1),
    ],
)
def test_other_encodings_are_refused(tmp_path: Path, data: bytes, line: int) -> None:
    path = written(tmp_path, data)
    assert f"{path}, line {line}: not UTF-8" in refusal(path)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n", "is empty"),
        ("a.csv", b"user,item\n", "has no rows"),
        ("a.csv", b"user,item\n\n\n", "has no rows"),
        ("a.csv", b"user,item\r1,2\r", "CR alone"),
        ("a.csv", b"user,user,item\n1,2,3\n", "'user' occurs twice"),
        ("a.xlsx", b"user,item\n1,2\n", "unknown kind of file '.xlsx'"),
        ("a.parquet", b"user,item\n1,2\n", "no readable Parquet file"),
        ("a.csv.gz", b"user,item\n1,2\n"[:9], "a.csv.gz"),
        ("a.csv.gz", gzip.compress(b"user,item\n" + b"1,2\n" * 99, mtime=0)[:-12], "a.csv.gz"),
    ],
)
def test_unusable_files(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    assert message in refusal(written(tmp_path, data, name))


def test_a_missing_file_or_folder(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nothing.csv")
    assert "folder without .parquet" in refusal(tmp_path)


def test_a_folder_of_parquet_parts(tmp_path: Path) -> None:
    for part in range(3):
        frame = pl.DataFrame({"user": [part], "item": ["x"]})
        frame.write_parquet(tmp_path / f"part-{part}.parquet")
    assert Interactions.from_table(tmp_path).users.ids([0, 1, 2]) == [0, 1, 2]


def test_damaged_parquet_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    pl.DataFrame({"user": list(range(2000)), "item": ["x"] * 2000}).write_parquet(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + bytes(60) + whole[100:])
    assert str(path) in refusal(path)


class ArrowStream:
    """The least that other libraries offer."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


COLUMNS: dict[str, list[Any]] = {"user": ["a", "b"], "item": [1, 2]}


@pytest.mark.parametrize(
    "table",
    [
        COLUMNS,
        pl.DataFrame(COLUMNS),
        pl.LazyFrame(COLUMNS),
        pd.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS).astype({"user": "category", "item": "Int32"}),
        pa.table(COLUMNS),
        ArrowStream(pa.table(COLUMNS)),
        [{"user": "a", "item": 1}, {"user": "b", "item": 2}],
    ],
)
def test_tables_of_other_libraries(table: object) -> None:
    assert Interactions.from_table(table).to_polars().rows() == [("a", 1), ("b", 2)]


class PandasWithoutPyarrow:
    """What polars meets where pandas is installed and pyarrow is not."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self._frame = pd.DataFrame(columns)
        self.columns = self._frame.columns

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        raise ImportError("pyarrow is required")

    def __getitem__(self, name: str) -> Any:
        return self._frame[name]


def test_pandas_is_read_without_pyarrow() -> None:
    assert read_table(PandasWithoutPyarrow(COLUMNS)).rows() == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("source", [None, 5, 1.5, b"user,item"])
def test_what_is_plainly_no_table(source: object) -> None:
    with pytest.raises(ArgumentError, match="expected a path or a table"):
        read_table(source)


def test_what_no_library_reads() -> None:
    assert "cannot be read as a table" in refusal(object())
    assert "cannot be read as a table" in refusal(pd.DataFrame({"user": [1, "x"], "item": [1, 2]}))


def test_column_names_are_not_patterns(tmp_path: Path) -> None:
    path = written(tmp_path, b"^u.*$,item,user\n1,2,9\n")
    frame = read_table(path)
    assert frame.columns == ["^u.*$", "item", "user"]
    assert frame.rows() == [("1", "2", "9")]
