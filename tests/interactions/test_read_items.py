from pathlib import Path

import polars as pl
import pytest

from lightrec.errors import InputError
from lightrec.interactions import ColumnNames, Interactions, read_items


def test_ids_stay_text_and_plain_numbers_become_numbers(tmp_path: Path) -> None:
    path = tmp_path / "films.item"
    path.write_text(
        "title:token_seq\titem_id:token\tyear\tprice:float\tzip\tnote\n"
        "Alien\t007\t1979\t9.90\t01234\t\n"
        "Up\t1\t2009\t3\t99\t\n"
    )
    items = read_items(path)
    assert items.columns == ["item_id", "title", "year", "price", "zip", "note"]
    assert items.dtypes == [pl.String, pl.String, pl.Int64, pl.Float64, pl.String, pl.String]
    assert items.row(0) == ("007", "Alien", 1979, 9.9, "01234", None)


@pytest.mark.parametrize(
    "cells", [("1E5", "2E7"), ("123456789012345678", "1.5"), ("0.1234567890123456", "1")]
)
def test_what_a_number_would_change_stays_text(tmp_path: Path, cells: tuple[str, str]) -> None:
    (tmp_path / "items.csv").write_text("item_id,code\n1,{}\n2,{}\n".format(*cells))
    assert read_items(tmp_path / "items.csv")["code"].to_list() == list(cells)


def test_the_ids_may_be_called_as_in_the_interactions() -> None:
    names = ColumnNames(user_id="u", item_id="code")
    pairs = Interactions.from_table(
        {"u": [1, 2], "code": ["x", "y"]}, names, items={"code": ["y", "x", "z"], "item": [1, 2, 3]}
    )
    assert pairs.items.ids([0, 1, 2]) == ["y", "x", "z"]


def test_typed_tables_keep_their_types() -> None:
    items = read_items({"movieId": [5, 6], "genres": [["a"], ["b", "c"]], "year": ["1979", "x"]})
    assert items.rows() == [(5, ["a"], "1979"), (6, ["b", "c"], "x")]
    assert items.schema["item_id"] == pl.Int64


def test_a_named_id_column() -> None:
    items = read_items({"item": [0, 1], "asin": ["x", "y"]}, "asin")
    assert items.rows() == [("x", 0), ("y", 1)]
    with pytest.raises(InputError, match="'item' and 'asin' both could be item_id"):
        read_items({"item": [0, 1], "asin": ["x", "y"]})


def test_an_item_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("item,title\n1,x\n2,y\n1,z\n")
    with pytest.raises(InputError, match=r"line 4, column 'item': item '1' occurs again"):
        read_items(path)


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="two columns would be called 'title'"):
        read_items({"item_id": [1], "title": ["x"], "title:token": ["y"]})
    with pytest.raises(InputError, match="two columns would be called 'item_id'"):
        read_items({"item_id": [1], "sku": ["x"]}, "sku")


def test_missing_id(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("item,title\n,x\n")
    with pytest.raises(InputError, match="line 2, column 'item': the id is missing"):
        read_items(path)
    with pytest.raises(InputError, match="no column item_id; columns found: 'title'"):
        read_items({"title": ["x"]})
