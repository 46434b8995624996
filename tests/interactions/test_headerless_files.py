"""MovieLens's, LightGCN's and CiteULike's files: what is read, what is told, where errors are."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import polars as pl
import pytest

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions import Interactions, read_items, split_table
from lightrec.interactions.read_tables import open_table
from lightrec.interactions.text_lines import read_lines


@pytest.fixture
def write(tmp_path: Path):
    def file(name: str, data: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return file


def refusal(source: object, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        Interactions.from_table(source, **options)
    return str(caught.value)


# MovieLens

RATINGS = "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4.5::978298413\n"


@pytest.mark.parametrize("change", [str, lambda text: "\ufeff" + text.replace("\n", "\r\n")])
def test_ratings_dat(write, change) -> None:
    pairs = Interactions.from_table(write("ratings.dat", change(RATINGS)), rating_above=3)
    assert pairs.to_polars().rows() == [("1", "1193", 978300760), ("2", "1193", 978298413)]
    assert (pairs.report.rows_in, pairs.report.below_rating) == (3, 1)
    (note,) = pairs.report.notes
    assert note == "recognised as a .dat file of MovieLens with user_id, item_id, rating, timestamp"


def test_blank_lines_and_gzip_and_three_fields(write) -> None:
    path = write("mine.dat.gz", gzip.compress(b"\na::x::1\n\nb::y::2"))
    assert Interactions.from_table(path).to_polars().rows() == [("a", "x"), ("b", "y")]


def test_errors_in_ratings_dat_name_the_line(write) -> None:
    path = write("ratings.dat", RATINGS + "\n3::5::4\n")
    assert f"{path}, line 5: 3 fields, but the first line has 4; complete" in refusal(path)
    path = write("ratings.dat", "\n" + RATINGS + "3::5::four::1\n")
    assert f"{path}, line 5, column 'rating': the rating is not a number ('four')" in refusal(path)
    path = write("ratings.dat", RATINGS + "3::::4::1\n")
    assert f"{path}, line 4, column 'item_id': the id is missing" in refusal(path)
    path = write("ratings.dat", RATINGS.encode() + b"3::\xff::4::1\n")
    assert Interactions.from_table(path).report.notes[1].startswith("the file is not UTF-8")


def test_tags_dat_names_the_tag(write) -> None:
    path = write("tags.dat", "15::4973::1990::1215184630\n")
    table = open_table(path)
    assert table.names == ("user_id", "item_id", "tag", "timestamp")
    assert len(Interactions.from_table(path)) == 1


MOVIES = "1::Toy Story (1995)::Animation|Comedy\n2::M: I (1996)::(no genres listed)\n3::Été::\n"


def test_movies_dat_is_a_catalogue_with_lists_of_genres(write) -> None:
    items = read_items(write("movies.dat", MOVIES))
    assert items.schema == {
        "item_id": pl.String,
        "title": pl.String,
        "genres": pl.List(pl.String),
    }
    assert items.rows() == [
        ("1", "Toy Story (1995)", ["Animation", "Comedy"]),
        ("2", "M: I (1996)", []),
        ("3", "Été", []),
    ]


def test_the_first_movielens_is_in_another_encoding(write) -> None:
    items = read_items(write("movies.dat", MOVIES.encode("latin-1")))
    assert items["title"][2] == "Été"


def test_other_files_of_movielens_are_refused(write) -> None:
    assert "has no column user_id" in refusal(write("movies.dat", MOVIES))
    path = write("users.dat", "1::F::1::10::48067\n")
    assert f"{path}, line 1: 5 fields" in refusal(path)
    assert "ratings.dat" in refusal(path)
    with pytest.raises(InputError, match=r"item '1193' occurs again"):
        read_items(write("ratings.dat", RATINGS))


def test_movies_csv(write) -> None:
    path = write("movies.csv", 'movieId,title,genres\n1,"A, B",Drama|War\n2,C,(no genres listed)\n')
    assert read_items(path).rows() == [("1", "A, B", ["Drama", "War"]), ("2", "C", [])]
    path = write("mine.csv", "movieId,name,genres\n1,A,Drama|War\n")
    assert read_items(path).rows() == [("1", "A", "Drama|War")]  # no file of MovieLens


# LightGCN


def test_rows_of_a_table_are_not_taken_for_lists(write) -> None:
    """Ratings and times would become items."""
    path = write("ratings.txt", "1 100 4\n1 101 5\n2 100 1\n")
    said = refusal(path)
    assert f"{path}, line 2: user '1' begins a second line" in said
    assert "put a line of column names above them" in said
    assert len(Interactions.from_table(path, file_format="lightgcn")) == 6
    assert len(Interactions.from_table(write("pairs.txt", "1 100\n1 101\n2 100\n"))) == 3


def test_lightgcn_lists(write) -> None:
    rng = random.Random(3)
    lists = {user: rng.sample(range(40), rng.randrange(6)) for user in range(30)}
    text = "".join(f"{user} {' '.join(map(str, items))}\n" for user, items in lists.items())
    pairs = Interactions.from_table(write("train.txt", text))
    expected = {(str(user), str(item)) for user, items in lists.items() for item in items}
    assert set(pairs.to_polars().rows()) == expected
    assert len(pairs) == pairs.report.rows_in == len(expected)
    alone = sum(not items for items in lists.values())
    assert pairs.report.notes == (
        "recognised as LightGCN's lists, on each line a user and the user's items",
        f"{alone} lines without items: their users have no pairs here",
    )


def test_an_id_stays_as_it_is_written(write) -> None:
    pairs = Interactions.from_table(write("train.txt", "007 01 1\n7 99999999999999999999\n"))
    assert pairs.to_polars().rows() == [("007", "01"), ("007", "1"), ("7", "9" * 20)]


@pytest.mark.parametrize("line", ["3 5 x", "3  5", "3\t5", "3,5", "3 -5", " 3 5"])
def test_a_line_that_is_no_list_is_named(write, line: str) -> None:
    filler = "".join(f"{user} 1 2\n" for user in range(20_000))  # longer than what is sniffed
    path = write("train.txt", filler + line + "\n4 5\n")
    message = refusal(path)
    assert f"{path}, line 20001: " in message
    assert "--format" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user_id item_id\n1 2\n", "has no column user_id"),
        ("1,2,5\n3,4,5\n", "The first line must hold the column names"),
        ("1\n2\n3\n", "The first line must hold the column names"),
        ("1\t2\n3\t4\n", "The first line must hold the column names"),
    ],
)
def test_other_text_files_are_not_taken_for_lists(write, text: str, said: str) -> None:
    assert said in refusal(write("pairs.txt", text))


def test_text_with_column_names_stays_csv(write) -> None:
    pairs = Interactions.from_table(write("pairs.txt", "user,item\n1,2\n"))
    assert pairs.to_polars().rows() == [("1", "2")]
    assert pairs.report.notes == ()


def test_a_named_format_takes_any_name_and_any_ids(write) -> None:
    path = write("pairs.log", "ann  x y\nbob\t z\n\ncat\n")
    pairs = Interactions.from_table(path, file_format="lightgcn")
    assert pairs.to_polars().rows() == [("ann", "x"), ("ann", "y"), ("bob", "z")]
    path = write("odd.data", "user\titem\n1\t2\n")
    assert len(Interactions.from_table(path, file_format="tsv")) == 1
    path = write("1.txt", "1 2\n3 4\n")
    assert "has no column user_id" in refusal(path, file_format="csv")
    with pytest.raises(ArgumentError, match="no format 'excel'; the formats are csv, tsv"):
        Interactions.from_table(path, file_format="excel")
    with pytest.raises(ArgumentError, match="for a file only"):
        Interactions.from_table({"user": [1], "item": [2]}, file_format="csv")


def test_lists_without_an_item(write) -> None:
    assert "no line names an item" in refusal(write("a.log", "1\n2\n"), file_format="lightgcn")


def test_lists_can_be_split(write) -> None:
    path = write("train.txt", "".join(f"{user} 1 2 3 4 5\n" for user in range(9)))
    tables = split_table(path, "paper")
    assert tables.train.columns == ["user_id", "item_id"]
    assert len(tables.train) == 36
    assert len(tables.test) == 9


# CiteULike


def test_users_dat_and_mult_dat_meet(write) -> None:
    users = write("users.dat", "2 1 0\n0\n1 2\n")
    words = write("mult.dat", "2 17:1 5:4\n0\n1 3:2\n1 9:9\n")
    pairs = Interactions.from_table(users, items=words)
    assert pairs.to_polars().rows() == [("0", "0"), ("0", "1"), ("2", "2")]
    assert pairs.items.ids(range(4)) == ["0", "1", "2", "3"]
    assert pairs.report.items_without_pairs == 1
    assert "1 lines without items: their users have no pairs here" in pairs.report.notes
    assert read_items(words).to_dicts() == [
        {"item_id": "0", "num_words": 2, "word_ids": [17, 5], "word_counts": [1, 4]},
        {"item_id": "1", "num_words": 0, "word_ids": [], "word_counts": []},
        {"item_id": "2", "num_words": 1, "word_ids": [3], "word_counts": [2]},
        {"item_id": "3", "num_words": 1, "word_ids": [9], "word_counts": [9]},
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2 1 0\n3 4 5\n", "line 2: says 3 entries and has 2"),
        ("5 1 2\n", "line 1: says 5 entries and has 2"),
        ("2 1 0\n\n1 5\n", "line 2: the line is blank; write 0"),
        ("2 1 0\n1 a\n", "line 2: is no count with as many entries ('1 a')"),
        ("1 3:2\n2 5:1 7\n", "line 2: is no count with as many entries"),
        ("user,item\n1,2\n", "line 1: no known kind of .dat file"),
        ("", "is empty"),
        ("\n\n", "is empty"),
    ],
)
def test_other_dat_files_are_refused(write, text: str, said: str) -> None:
    path = write("users.dat", text)
    message = refusal(path)
    assert message.startswith(str(path))
    assert said in message


def test_lines_are_those_of_python(write, monkeypatch) -> None:
    monkeypatch.setattr("lightrec.interactions.text_lines._BLOCK_BYTES", 7)
    for text in ("a\nbé\n\nc", "a\n", "\n", "é" * 30 + "\n\n" + "x" * 20 + "\r\n" * 3):
        expected = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        assert read_lines(write("lines", text)).to_list() == expected
    path = write("lines", b"abcdefgh\nij\xff\nk\n")
    with pytest.raises(InputError, match=r"line 2: not UTF-8"):
        read_lines(path)
