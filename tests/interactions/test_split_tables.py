from pathlib import Path

import polars as pl
import pytest

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions import Interactions, PairFilter, split_table

ROWS = "007,1.0,5,9,x\n007,2,1,8,\nb,1.0,5.0,7,z\nb,2,5,6,y\n007,2,4,1,first\nb,3,05,20,é\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.csv"
    path.write_text("userId,item,rating,time,note\n" + ROWS, encoding="utf-8")
    return path


@pytest.mark.parametrize("by", ["time", "last", "paper"])
def test_cells_and_columns_stay_as_they_are(path: Path, by: str, tmp_path: Path) -> None:
    tables = split_table(path, by, test_share=0.4)  # type: ignore[arg-type]
    together = pl.concat([tables.train, tables.test])
    assert together.columns == ["userId", "item", "rating", "time", "note"]
    original = [tuple(cell or None for cell in row.split(",")) for row in ROWS.split("\n")[:-1]]
    original.remove(("007", "2", "4", "1", "first"))  # the earlier of two rows of one pair
    assert sorted(together.rows(), key=str) == sorted(original, key=str)
    assert len(tables.train) == len(tables.split.train)
    tables.test.write_csv(tmp_path / "test.csv")
    again = Interactions.from_table(tmp_path / "test.csv")
    assert set(again.to_polars().rows()) == set(tables.split.test.to_polars().rows())


def test_by_time_keeps_the_order_of_rows(path: Path) -> None:
    tables = split_table(path, test_share=0.4)
    assert tables.train["time"].to_list() == ["8", "7", "6"]
    assert tables.test["time"].to_list() == ["9", "20"]


def test_rows_left_out_are_reported(path: Path) -> None:
    tables = split_table(path, "paper", pair_filter=PairFilter(rating_above=3))
    report = tables.split.train.report
    assert report.rows_in == 6
    assert (report.rows_used, report.merged_duplicates, report.below_rating) == (4, 1, 1)
    assert len(tables.train) + len(tables.test) == 4


def test_the_seed_decides_the_papers_split() -> None:
    table = {"user": [1] * 50, "item": range(50)}
    first, again, other = (split_table(table, "paper", seed=seed).test for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)
    assert len(first) == 10


def test_a_table_with_equal_cells_keeps_types() -> None:
    table = pl.DataFrame({"user": [1, 1], "item": ["a", "b"], "time": [1, 2], "x": [[1], [2, 3]]})
    tables = split_table(table, test_share=0.5)
    assert tables.train.schema == tables.test.schema == table.schema


def test_refusals() -> None:
    table = {"user": [1, 1], "item": [1, 2]}
    with pytest.raises(ArgumentError, match="not 'random'"):
        split_table(table, "random")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="needs timestamps"):
        split_table(table)


@pytest.mark.parametrize("by", ["paper", "last"])
def test_a_split_that_leaves_nothing_to_test_on_is_refused(by: str) -> None:
    table = {"user_id": ["a", "b"], "item_id": ["x", "y"], "timestamp": [1, 2]}
    with pytest.raises(InputError, match="no pair would be left to test on"):
        split_table(table, by)
