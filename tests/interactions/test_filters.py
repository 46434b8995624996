import numpy as np
import pytest

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions import Interactions, PairFilter
from lightrec.interactions.filters import in_groups_of_at_least, merge_duplicates


def test_the_latest_duplicate_stays() -> None:
    users, items = np.array([1, 0, 1, 1]), np.array([2, 0, 2, 2])
    assert merge_duplicates(users, items, np.array([5, 1, 7, 6])).tolist() == [1, 2]


def test_without_times_the_best_rated_duplicate_stays() -> None:
    users, items = np.array([1, 0, 1, 1]), np.array([2, 0, 2, 2])
    assert merge_duplicates(users, items, None, np.array([1.0, 1, 3, 3])).tolist() == [1, 2]
    assert merge_duplicates(users, items).tolist() == [1, 0]


def test_the_result_does_not_depend_on_the_order_of_rows() -> None:
    rows = np.array([(1, 1, 5, 2), (1, 1, 5, 4), (1, 1, 3, 5), (1, 2, 1, 1)])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]):
        users, items, times, ratings = rows[order].T
        kept = rows[order][merge_duplicates(users, items, times, ratings.astype(np.float64))]
        assert kept.tolist() == [[1, 1, 5, 4], [1, 2, 1, 1]]


def test_what_stays_of_many_is_what_a_loop_would_keep() -> None:
    rng = np.random.default_rng(0)
    for trial in range(200):
        count = int(rng.integers(1, 80))
        users, items = rng.integers(0, 5, count), rng.integers(0, 1 + trial % 9, count)
        times = None if trial % 3 == 0 else rng.integers(0, 4, count)
        ratings = None if trial % 2 else rng.integers(0, 3, count).astype(np.float64)
        best: dict[tuple[int, int], tuple] = {}
        for row in range(count):
            values = [float(value[row]) for value in (times, ratings) if value is not None]
            pair, rank = (int(users[row]), int(items[row])), (*values, -row)
            best[pair] = max(best.get(pair, rank), rank)
        expected = [-rank[-1] for _, rank in sorted(best.items())]
        assert merge_duplicates(users, items, times, ratings).tolist() == expected


def test_minimum_negative_times_and_unsigned_extremes() -> None:
    users, items = np.zeros(2, np.int64), np.zeros(2, np.int64)
    lowest = np.array([-(2**63), 2**63 - 1])
    assert merge_duplicates(users, items, lowest).tolist() == [1]
    assert merge_duplicates(users, items, lowest[::-1]).tolist() == [0]


def test_groups_are_counted_once() -> None:
    assert in_groups_of_at_least(np.array([0, 0, 2, 2, 2]), 3).tolist() == [False] * 2 + [True] * 3
    assert in_groups_of_at_least(np.array([0, 1]), 1).all()
    assert len(in_groups_of_at_least(np.array([], dtype=np.int64), 3)) == 0


def test_the_papers_rule() -> None:
    table = {
        "user": ["a", "a", "a", "b", "b", "b", "c"],
        "item": [1, 2, 3, 1, 2, 3, 1],
        "rating": [4, 4, 5, 4, 4, 3, 5],
    }
    kept = Interactions.from_table(table, rating_above=3, min_pairs_per_user=3)
    assert set(kept.users.series) == {"a"}
    report = kept.report
    assert (report.below_rating, report.below_user_minimum, report.users_dropped) == (1, 3, 2)


def test_users_are_not_filtered_again_after_items() -> None:
    table = {"user": ["a", "a", "b", "b"], "item": [1, 2, 1, 3]}
    kept = Interactions.from_table(table, min_pairs_per_user=2, min_pairs_per_item=2)
    assert set(kept.to_polars().rows()) == {("a", 1), ("b", 1)}
    assert (kept.report.below_item_minimum, kept.report.items_dropped) == (2, 2)


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(InputError, match="none of 1 rows passes the filters"):
        Interactions.from_table({"user": [1], "item": [1]}, min_pairs_per_user=2)


@pytest.mark.parametrize("minimum", [{"min_pairs_per_user": 0}, {"min_pairs_per_item": -1}])
def test_minimums_start_at_one(minimum: dict[str, int]) -> None:
    with pytest.raises(ArgumentError, match="at least 1"):
        PairFilter(**minimum)
