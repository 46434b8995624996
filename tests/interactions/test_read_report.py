import pytest

from lightrec.errors import ArgumentError
from lightrec.interactions import Interactions, ReadReport


def test_counts_must_add_up() -> None:
    with pytest.raises(ArgumentError, match=r"x\.csv: 10 rows read, but 7 used and 2 reported"):
        ReadReport("x.csv", rows_in=10, rows_used=7, merged_duplicates=2)
    assert ReadReport("x.csv", 10, 7, below_rating=1, below_item_minimum=2).rows_not_used == 3


def test_describe_names_what_happened_and_nothing_else() -> None:
    table = {
        "userId": ["a", "a", "a", "b", "c"],
        "item": [1, 1, 2, 1, 1],
        "stars": [5, 4, 4, 5, 1],
    }
    report = Interactions.from_table(table, rating_above=3, min_pairs_per_user=2).report
    assert report.describe().splitlines() == [
        "the given dict: 5 rows read, 2 pairs used",
        "  1 rows dropped: rating too low",
        "  1 rows merged: same user and item again",
        "  1 rows dropped: user with too few pairs",
        "  2 users dropped with them",
        "  columns read: 'userId' as user_id, 'item' as item_id, 'stars' as rating",
    ]


def test_unused_ratings_are_mentioned() -> None:
    report = Interactions.from_table({"user": [1], "item": [2], "rating": [1]}).report
    assert "ratings are not used" in report.describe()
