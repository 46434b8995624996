import pytest

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions import ColumnNames


@pytest.mark.parametrize(
    ("user", "item", "rating", "time"),
    [
        ("user_id", "item_id", "rating", "timestamp"),
        ("userId", "movieId", "rating", "timestamp"),
        ("user_id:token", "item_id:token", "rating:float", "timestamp:float"),
        ("reviewerID", "asin", "overall", "unixReviewTime"),
        ("uid", "iid", "score", "ts"),
        ("USER", "Artist", "Weight", "Date"),
        ("user", "movie_id", "stars", "date-time"),
    ],
)
def test_aliases_are_recognised(user: str, item: str, rating: str, time: str) -> None:
    found = ["helpful", rating, item, time, user]
    assert ColumnNames().resolve(found, "t") == {
        "user_id": user,
        "item_id": item,
        "rating": rating,
        "timestamp": time,
    }


def test_rating_and_timestamp_may_be_absent() -> None:
    assert ColumnNames().resolve(["user", "item"], "t") == {"user_id": "user", "item_id": "item"}


def test_two_fitting_columns_are_an_error_that_names_both() -> None:
    with pytest.raises(InputError, match=r"t\.csv: columns 'uid' and 'user' both.*--user-column"):
        ColumnNames().resolve(["uid", "user", "item"], "t.csv")
    with pytest.raises(InputError, match="'userId' and 'UserID'"):
        ColumnNames().resolve(["userId", "UserID", "item"], "t.csv")


def test_the_canonical_name_goes_before_aliases() -> None:
    found = ["user_id", "user", "item_id", "artist", "itemid"]
    assert ColumnNames().resolve(found, "t") == {"user_id": "user_id", "item_id": "item_id"}


def test_a_missing_column_lists_what_was_found() -> None:
    with pytest.raises(InputError) as caught:
        ColumnNames().resolve(["user", "thing"], "t.csv")
    message = str(caught.value)
    for part in ("t.csv", "item_id", "'user', 'thing'", "--item-column", "ColumnNames(item_id="):
        assert part in message


def test_a_mapped_column_must_exist_and_serve_one_purpose() -> None:
    with pytest.raises(InputError, match="no column 'who'"):
        ColumnNames(user_id="who").resolve(["user", "item"], "t")
    with pytest.raises(ArgumentError, match="'user' was chosen for two purposes"):
        ColumnNames(item_id="user").resolve(["user", "item"], "t")


def test_an_empty_name_means_no_such_column() -> None:
    names = ColumnNames(rating="", timestamp="").resolve(["user", "item", "score", "time"], "t")
    assert set(names) == {"user_id", "item_id"}
    with pytest.raises(InputError, match="no column user_id"):
        ColumnNames(user_id="").resolve(["user", "item"], "t")
