from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrec.errors import ArgumentError, InputError, UnknownIdError
from lightrec.interactions import id_index
from lightrec.interactions.id_map import IdMap

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
INTEGERS = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(TEXTS, unique=True), st.lists(TEXTS))
def test_text_ids_are_found_like_in_a_dict(ids: list[str], others: list[str]) -> None:
    id_map = IdMap.from_values(ids)
    rows = {value: row for row, value in enumerate(ids)}
    queries: list[Any] = [*ids, *others, 7, None, "\ud800"]
    assert id_map.find(queries).tolist() == [rows.get(query, -1) for query in queries]
    assert id_map.ids(range(len(ids))) == ids


@given(st.lists(INTEGERS, unique=True, min_size=1), st.lists(st.integers()))
def test_integer_ids_are_found_like_in_a_dict(ids: list[int], others: list[int]) -> None:
    id_map = IdMap.from_values(ids)
    rows = {value: row for row, value in enumerate(ids)}
    queries = [*ids, *others]
    assert id_map.find(queries).tolist() == [rows.get(query, -1) for query in queries]
    assert id_map.find(["7", None, 1.0, True]).tolist() == [-1] * 4
    assert id_map.ids(range(len(ids))) == ids


@pytest.mark.parametrize("count", [3, 500])
def test_colliding_hashes_are_told_apart(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        id_index, "text_hashes", lambda ids: (ids.str.len_bytes() % 2).to_numpy().astype("u8")
    )
    ids = [f"{number}" for number in range(count)]
    id_map = IdMap.from_values(ids)
    assert id_map.find(ids).tolist() == list(range(count))
    assert id_map.find(["x", "xx", "-1", "\U0001f600"]).tolist() == [-1] * 4


@pytest.mark.parametrize(
    ("stored", "queries"),
    [
        (["a", "b"], np.array(["b", "z"])),
        (["a", "b"], np.array(["b", None], dtype=object)),
        (["a", "b"], pl.Series(["b", None])),
        (["a", "b"], pl.Series(["b", "z"], dtype=pl.Categorical)),
        ([5, 7], np.array([7, 2**63], dtype=np.uint64)),
        ([5, 7], np.array([7, 6], dtype=np.int8)),
        ([5, 7], pl.Series([7, 2**63], dtype=pl.UInt64)),
        ([5, 7], (np.int32(7), np.float64(5))),
        ([5, 7], iter([7, 6])),
    ],
)
def test_queries_of_any_container(stored: list[object], queries: Any) -> None:
    assert IdMap.from_values(stored).find(queries).tolist() == [1, -1]


def test_ids_of_the_other_type_are_unknown() -> None:
    assert IdMap.from_values(["5"]).find(np.array([5])).tolist() == [-1]
    assert IdMap.from_values(["5"]).find(pl.Series([5])).tolist() == [-1]
    assert IdMap.from_values([5]).find(np.array(["5"])).tolist() == [-1]
    assert IdMap.from_values([5]).find(pl.Series(["5"])).tolist() == [-1]


def test_no_ids_and_no_queries() -> None:
    assert IdMap.from_values([]).find(["a"]).tolist() == [-1]
    assert IdMap(pl.Series([], dtype=pl.Int64)).find([1]).tolist() == [-1]
    assert IdMap.from_values(["a"]).find([]).dtype == np.int64


def test_rows_names_unknown_ids() -> None:
    id_map = IdMap.from_values(["a", "b"])
    assert id_map.rows(["b", "a", "b"]).tolist() == [1, 0, 1]
    with pytest.raises(UnknownIdError, match=r"unknown item id: 'c', 7$"):
        id_map.rows(value for value in ["a", "c", 7])
    with pytest.raises(UnknownIdError, match=r"unknown item id: 3$"):
        IdMap.from_values([1, 2]).rows(np.array([1, 3]))
    with pytest.raises(UnknownIdError, match=r"unknown user id: 3$"):
        IdMap.from_values([1, 2]).rows(np.array([3]), what="user")


@pytest.mark.parametrize("single", ["ab", 5, np.int64(5), np.array(5), np.array([[5]])])
def test_a_single_id_is_not_a_list_of_ids(single: Any) -> None:
    for stored in (["a", "b"], [5, 6]):
        with pytest.raises(ArgumentError, match=r"list of ids|one dimension"):
            IdMap.from_values(stored).rows(single)


@pytest.mark.parametrize("rows", [[-1], [2]])
def test_rows_out_of_range_have_no_id(rows: list[int]) -> None:
    with pytest.raises(ArgumentError, match=r"0\.\.1"):
        IdMap.from_values(["a", "b"]).ids(rows)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "b", "a"], "item id 'a' occurs more than once"),
        ([1, 2, 1], "item id 1 occurs more than once"),
        (["a", None], "item id 2 of 2 is missing"),
        ([None, None], "item id 1 of 2 is missing"),
        (["a", ""], "row 2 is empty"),
        (["a", 1], "all text or all integers"),
        ([1, 2**63], "does not fit 64 bits"),
        ([2**200], "all text or all integers"),
        ([1.0, 2.0], "floating-point"),
        ([True, False], "not Boolean"),
        ([b"a"], "not Binary"),
        (["\ud800"], "all text or all integers"),
        (np.zeros((2, 2), dtype=np.int64), "one dimension"),
        (np.array([1, 2**63], dtype=np.uint64), "cast ids to text"),
    ],
)
def test_unusable_ids_are_refused(values: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        IdMap.from_values(values)


def test_all_integer_widths_become_int64() -> None:
    for dtype in (np.int8, np.uint16, np.int32, np.uint64):
        id_map = IdMap.from_values(np.array([3, 1], dtype=dtype))
        assert id_map.series.dtype == pl.Int64
        assert id_map.dtype_name == "int"
    assert IdMap.from_values(pl.Series(["x"], dtype=pl.Categorical)).dtype_name == "str"


def test_the_constructor_checks_its_series() -> None:
    with pytest.raises(InputError, match="user ids must be text or 64-bit integers"):
        IdMap(pl.Series([1], dtype=pl.Int32), "user")


def test_parse_takes_only_canonical_integers() -> None:
    integers = IdMap.from_values([7, -7])
    assert integers.parse("7") == 7
    assert integers.parse("-7") == -7
    for text in ("007", "+7", "7.0", " 7", "7_0", "٧", "x", "", str(2**63)):  # noqa: RUF001
        assert integers.parse(text) == text
    assert IdMap.from_values(["007"]).parse("007") == "007"
