import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrec.errors import ArgumentError
from lightrec.interactions.history import History


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6))))
def test_pairs_in_any_order_are_sorted_and_merged(pairs: list[tuple[int, int]]) -> None:
    users = np.array([user for user, _ in pairs], dtype=np.int32)
    items = np.array([item for _, item in pairs], dtype=np.int32)
    history = History.from_pairs(users, items, num_users=6, num_items=7)
    expected = sorted(set(pairs))
    assert list(zip(history.user_rows(), history.item_rows, strict=True)) == expected
    assert len(history) == len(expected)
    assert history.num_users == 6
    for user in range(6):
        assert history.of(user).tolist() == [item for owner, item in expected if owner == user]
    assert history.user_degrees().sum() == history.item_degrees().sum() == len(expected)
    assert history.item_degrees().shape == (7,)


def test_of_returns_a_view() -> None:
    history = History.from_pairs(np.array([0, 0, 1]), np.array([2, 1, 0]), 2, 3)
    assert np.shares_memory(history.of(0), history.item_rows)
    assert history.item_rows.dtype == np.int32
    assert history.indptr.dtype == np.int64


@pytest.mark.parametrize("user", [-1, 2])
def test_of_refuses_unknown_rows(user: int) -> None:
    history = History.from_pairs(np.array([0]), np.array([0]), 2, 3)
    with pytest.raises(ArgumentError, match=f"user row {user} "):
        history.of(user)


@pytest.mark.parametrize(
    ("indptr", "items", "message"),
    [
        ([0, 2], [1, 1], "ascend without repeats"),
        ([0, 2], [2, 1], "ascend without repeats"),
        ([0, 2, 1], [0, 1], "ascend from 0"),
        ([1, 2], [0, 1], "ascend from 0"),
        ([0, 1], [0, 1], "ascend from 0"),
        ([0, 1], [3], r"0\.\.2"),
        ([0, 1], [-1], r"0\.\.2"),
        ([], [], "num_users"),
    ],
)
def test_inconsistent_arrays_are_refused(indptr: list[int], items: list[int], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        History(np.array(indptr, dtype=np.int64), np.array(items, dtype=np.int32), 3)


def test_a_users_first_item_may_be_smaller_than_the_previous_users_last() -> None:
    history = History(np.array([0, 2, 2, 3]), np.array([1, 2, 0], dtype=np.int32), 3)
    assert history.of(1).tolist() == []
    assert history.of(2).tolist() == [0]


@pytest.mark.parametrize(
    ("users", "items"), [([0], [0, 1]), ([2], [0]), ([0], [3]), ([-1], [0]), ([0], [-1])]
)
def test_from_pairs_refuses_rows_out_of_range(users: list[int], items: list[int]) -> None:
    with pytest.raises(ArgumentError):
        History.from_pairs(np.array(users), np.array(items), num_users=2, num_items=3)
