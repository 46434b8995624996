"""Whole sets from a server on this machine, and from files downloaded by hand."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import replace

import polars as pl
import pytest
from scipy import sparse
from scipy.io import savemat

from lightrec.downloads.checksums import md5_in
from lightrec.downloads.get import get_dataset
from lightrec.downloads.sources import DATA_SOURCES, DataSource, data_source
from lightrec.errors import ArgumentError, InputError, LightRecError
from lightrec.interactions import PUBLIC_DATASETS, load_public, load_public_items

RATINGS = "".join(f"{user}::{item}::{1 + (user + item) % 5}::{9 + item}\n"
                  for user in range(1, 5) for item in range(1, 9))  # fmt: skip
MOVIES = "".join(f"{item}::Film {item}::Drama|War\n" for item in range(1, 11))


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(f"ml-1m/{name}.dat", text)
    return buffer.getvalue()


ARCHIVE = zipped(ratings=RATINGS, movies=MOVIES)


@pytest.fixture
def serve(server):
    """Puts files on the server and returns the set's source, which points to them."""

    def call(name: str, counts: tuple[int, int, int] | None, **files: bytes) -> DataSource:
        source = data_source(name)
        moved = []
        for file in source.files:
            url = f"{server.url}/{file.name}"
            server.add(f"/{file.name}", files[file.name.partition(".")[0]])
            md5_url = f"{url}.md5" if file.md5_url else None
            moved.append(replace(file, url=url, md5_url=md5_url))
        return replace(source, files=tuple(moved), counts=counts)

    return call


@pytest.fixture
def movielens(serve, server) -> DataSource:
    source = serve("movielens-1m", (4, 10, 32), **{"ml-1m": ARCHIVE})
    told = f"MD5 (ml-1m.zip) = {hashlib.md5(ARCHIVE).hexdigest()}\n"
    server.add("/ml-1m.zip.md5", told.encode())
    return source


@pytest.fixture
def get(transfer, tmp_path):
    """Gets a set; returns what was told."""

    def call(source: DataSource, **options) -> str:
        told: list[str] = []
        get_dataset(source, tmp_path, transfer=transfer, tell=told.append, **options)
        return "\n".join(told)

    return call


def test_movielens_is_read_as_experiments_read_it(get, movielens, tmp_path) -> None:
    told = get(movielens)
    assert f"MD5 {hashlib.md5(ARCHIVE).hexdigest()} as published in http" in told
    pairs = load_public("movielens-1m", tmp_path)
    liked = {(u, i) for u in range(1, 5) for i in range(1, 9) if 1 + (u + i) % 5 > 3}
    counts = {user: sum(one == user for one, _ in liked) for user in range(1, 5)}
    expected = {(user, item) for user, item in liked if counts[user] >= 3}
    assert set(pairs.to_polars().rows()) == expected
    assert len(pairs.items) == 10
    items = load_public_items("movielens-1m", tmp_path)
    assert items.row(1, named=True) == {
        "item_id": 2,
        "title": "Film 2",
        "genres": ["Drama", "War"],
    }
    table = pl.read_parquet(tmp_path / "movielens-1m" / "interactions.parquet")
    assert table.row(1, named=True) == {
        "user": 1,
        "item": 2,
        "rating": 4.0,
        "timestamp": 11,
        "rating_gt3": True,
    }
    names = {path.name for path in (tmp_path / "movielens-1m").iterdir()}
    assert names == {"download.json", "interactions.parquet", "items.parquet", "source"}


def test_a_set_that_is_there_is_left_alone(get, movielens, server, tmp_path) -> None:
    get(movielens)
    served = server.files["/ml-1m.zip"]
    assert "is already in" in get(movielens)
    assert len(served.asked) == 1
    get(movielens, again=True)
    assert len(served.asked) == 2


def test_a_wrong_checksum_leaves_nothing(get, movielens, server, tmp_path) -> None:
    server.files["/ml-1m.zip.md5"].data = b"0" * 32 + b"  ml-1m.zip\n"
    with pytest.raises(InputError, match=r"is not the published 0{32} .* is deleted, get it again"):
        get(movielens)
    assert [path for path in (tmp_path / "movielens-1m").rglob("*") if path.is_file()] == []
    server.files["/ml-1m.zip.md5"].data = b"<html>busy</html>"
    with pytest.raises(InputError, match="holds 0 MD5 checksums, not one"):
        get(movielens)
    del server.files["/ml-1m.zip.md5"]
    with pytest.raises(LightRecError, match=r"ml-1m\.zip\.md5: the host answers 404"):
        get(movielens)


def test_checksum_files_of_either_kind() -> None:
    digest = "CD245B17a1ae2cc31bb14903e1204af3"
    for text in (
        f"MD5 (ml-20m.zip) = {digest}\n",
        f"{digest}  ml-20m.zip",
        f"{digest} *a\n{digest} b",
    ):
        assert md5_in(text, "here") == digest.lower()
    with pytest.raises(InputError, match="holds 2 MD5"):
        md5_in(f"{digest}\n{'0' * 32}", "here")


def test_a_file_given_by_hand(get, movielens, tmp_path, server) -> None:
    path = tmp_path / "ml-1m (1).zip"
    path.write_bytes(ARCHIVE)
    told = get(movielens, given=[path])
    assert f"MD5 {hashlib.md5(ARCHIVE).hexdigest()}, not compared; it is published in" in told
    assert server.files["/ml-1m.zip"].asked == []
    assert len(load_public("movielens-1m", tmp_path).items) == 10
    assert "as in the first download" in get(movielens, given=[path])
    path.write_bytes(zipped(ratings=RATINGS + "\n", movies=MOVIES))
    with pytest.raises(InputError, match=r"is not that of the first download"):
        get(movielens, given=[path])


def test_files_that_are_not_the_set(get, movielens, tmp_path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(ratings=RATINGS[: len(RATINGS) // 2 - 5], movies=MOVIES))
    with pytest.raises(InputError, match=r"fields, but the first line has 4"):
        get(movielens, given=[path])
    path.write_bytes(zipped(ratings=RATINGS.split("3::", maxsplit=1)[0] + "\n", movies=MOVIES))
    with pytest.raises(InputError):
        get(movielens, given=[path])
    path.write_bytes(zipped(ratings="".join(RATINGS.splitlines(True)[:16]), movies=MOVIES))
    with pytest.raises(
        InputError, match="hold 2 users, 10 items and 16 pairs, the published set 4 users"
    ):
        get(movielens, given=[path])
    path.write_bytes(zipped(movies=MOVIES))
    with pytest.raises(InputError, match=r"ml-1m/ratings\.dat is not in it"):
        get(movielens, given=[path])
    path.write_bytes(zipped(ratings="a::1::5::9\n", movies=MOVIES))
    with pytest.raises(InputError, match=r"line 1: 'a' is not a number"):
        get(movielens, given=[path])
    path.write_bytes(b"")
    with pytest.raises(InputError, match="has 0 bytes"):
        get(movielens, given=[path])
    with pytest.raises(InputError, match="nowhere does not exist"):
        get(movielens, given=[tmp_path / "nowhere"])
    left = {one.name for one in (tmp_path / "movielens-1m").iterdir()}
    assert left <= {"download.json"}  # nothing that looks like a set, nor anything unpacked
    assert not (tmp_path / "movielens-1m" / "download.json").exists()  # nor is it trusted


def test_the_first_download_is_trusted_and_later_ones_compared(
    get, serve, server, tmp_path
) -> None:
    source = serve(
        "gowalla",
        (3, 4, 6),
        train=b"0 0 1\n1 2\n2 \n",
        test=b"0 3\n1 1\n2 0\n",
        item_list=b"org_id remap_id\n90 0\n70 1\n80 2\n60 3\n",
    )
    told = get(source)
    assert told.count("no published checksum: trusted on first use, SHA-256") == 3
    table = pl.read_parquet(tmp_path / "gowalla" / "interactions.parquet")
    assert table.rows() == [
        (0, 0, "train"),
        (0, 1, "train"),
        (0, 3, "test"),
        (1, 1, "test"),
        (1, 2, "train"),
        (2, 0, "test"),
    ]
    items = pl.read_parquet(tmp_path / "gowalla" / "items.parquet")
    assert items.rows() == [(0, "90"), (1, "70"), (2, "80"), (3, "60")]
    record = json.loads((tmp_path / "gowalla" / "download.json").read_text())["files"]
    data = server.files["/train.txt"].data
    assert record["train.txt"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert record["train.txt"]["source"] == f"{server.url}/train.txt"
    assert get(source, again=True).count("as in the first download") == 3
    server.files["/train.txt"].data = b"0 0 1\n1 2\n2\n"
    with pytest.raises(InputError, match=r"train\.txt: SHA-256 .* not that of the first download"):
        get(source, again=True)
    assert len(load_public("gowalla", tmp_path)) == 3  # what was there is as it was
    (tmp_path / "gowalla" / "download.json").unlink()
    assert get(source, again=True).count("trusted on first use") == 3


def test_several_files_given_by_hand(get, serve, tmp_path) -> None:
    source = serve("epinions", (2, 2, 3), train=b"0 0\n1 1\n", test=b"0 1\n1\n")
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / "train.txt").write_text("0 0\n1 1\n")
    with pytest.raises(
        ArgumentError, match=r"--from gives no test\.txt; epinions needs train\.txt"
    ):
        get(source, given=[folder])
    (folder / "test.txt").write_text("0 1\n1\n")
    get(source, given=[folder])
    table = pl.read_parquet(tmp_path / "epinions" / "interactions.parquet")
    assert table.rows() == [(0, 0, "train"), (0, 1, "test"), (1, 1, "train")]
    get(source, given=[folder / "test.txt", folder / "train.txt"])
    assert not (tmp_path / "epinions" / "items.parquet").exists()


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("citeulike-a", {"item-tag": b"1 1\n2 0 1\n0\n"}),
        ("citeulike-t", {"tag-item": b"1 1\n2 0 1\n"}),
    ],
)
def test_citeulike(get, serve, tmp_path, name, listed) -> None:
    source = serve(
        name,
        (2, 3, 3),
        users=b"2 2 0\n1 1\n",
        mult=b"2 5:1 4:2\n0\n1 9:9\n",
        tags=b"red\nblue\n",
        **listed,
    )
    get(source)
    table = pl.read_parquet(tmp_path / name / "interactions.parquet")
    assert table.rows() == [(0, 2), (0, 0), (1, 1)]
    items = pl.read_parquet(tmp_path / name / "items.parquet")
    assert items.to_dict(as_series=False) == {
        "item": [0, 1, 2],
        "word_ids": [[5, 4], [], [9]],
        "word_counts": [[1, 2], [], [9]],
        "tags": [["blue"], ["red", "blue"], []],
    }


def test_sequences_and_matrices(get, serve, tmp_path) -> None:
    source = serve("amazon-sports", (2, 3, 4), Sports_and_Outdoors=b"1 7 5\n2 5 9\n")
    get(source)
    table = pl.read_parquet(tmp_path / "amazon-sports" / "interactions.parquet")
    assert table.rows() == [(1, 7, 0), (1, 5, 1), (2, 5, 0), (2, 9, 1)]
    buffer = io.BytesIO()
    savemat(buffer, {"test": sparse.csc_matrix([[0, 1.0], [1, 1]])})
    source = serve("movielens-10m-part", (2, 2, 3), test=buffer.getvalue())
    get(source)
    table = pl.read_parquet(tmp_path / "movielens-10m-part" / "interactions.parquet")
    assert table.rows() == [(0, 1, "test"), (1, 0, "test"), (1, 1, "test")]
    (tmp_path / "movielens-10m-part" / "download.json").unlink()
    source = serve("movielens-10m-part", None, test=b"no matrix at all")
    with pytest.raises(InputError, match="no readable MATLAB file"):
        get(source, again=True)


def test_sets_that_cannot_be_fetched_say_why(get) -> None:
    with pytest.raises(ArgumentError, match="amazon-book cannot be fetched: a sample put"):
        get(data_source("amazon-book"))
    with pytest.raises(ArgumentError, match="'netflix'; known: citeulike-t"):
        data_source("netflix")


def test_the_registry_is_complete() -> None:
    assert set(DATA_SOURCES) == set(PUBLIC_DATASETS)
    for name, source in DATA_SOURCES.items():
        assert source.name == name
        assert source.page.startswith("https://")
        assert source.licence
        assert bool(source.files) != bool(source.unavailable)
        for file in source.files:
            assert file.url.startswith("https://")
            assert file.url.endswith(file.name)
            movielens = "files.grouplens.org" in file.url
            assert file.md5_url == (f"{file.url}.md5" if movielens else None)
    for name in ("movielens-1m", "movielens-10m", "movielens-20m", "citeulike-t", "gowalla"):
        assert DATA_SOURCES[name].files
