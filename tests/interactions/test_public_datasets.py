import os
import shutil
from pathlib import Path

import polars as pl
import pytest

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions import (
    PUBLIC_DATASETS,
    data_digest,
    load_public,
    load_public_items,
    load_source_split,
    paper_split,
)


def real_data(name: str) -> str:
    root = os.environ.get("LIGHTREC_DATA")
    if not root or not (Path(root) / name / "interactions.parquet").is_file():
        pytest.skip(f"LIGHTREC_DATA does not hold {name}")
    return root


@pytest.mark.parametrize(
    ("name", "users", "items", "pairs", "train"),
    [
        ("citeulike-t", 7_947, 25_975, 134_860, 107_154),
        ("gowalla", 29_858, 40_981, 1_027_370, 822_280),
        ("epinions", 28_487, 138_675, 649_210, 518_120),
        ("movielens-1m", 6_035, 3_883, 575_276, 460_250),
    ],
)
def test_the_papers_protocol_gives_the_known_counts(
    name: str, users: int, items: int, pairs: int, train: int
) -> None:
    interactions = load_public(name, real_data(name))
    assert (len(interactions.users), len(interactions.items)) == (users, items)
    assert len(interactions) == pairs
    for seed in (0, 1):
        split = paper_split(interactions.shuffled_rows(seed), seed)
        assert len(split.train) == train
        assert len(split.test) == pairs - train


def test_gowalla_carries_the_split_that_others_measure_on() -> None:
    """As counted in the data of LightGCN (He et al., SIGIR 2020)."""
    split = load_source_split("gowalla", real_data("gowalla"))
    assert (len(split.train), len(split.test)) == (810_128, 217_242)


@pytest.mark.parametrize("name", PUBLIC_DATASETS)
def test_every_real_set_can_be_read(name: str) -> None:
    root = real_data(name)
    items = load_public_items(name, root)
    assert (items is not None) == PUBLIC_DATASETS[name].has_items
    assert items is None or items.columns[0] == "item_id"
    assert len(data_digest(name, root)) == 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "movielens-1m"
    folder.mkdir()
    pl.DataFrame(
        {
            "user": [1] * 4 + [2] * 3,
            "item": [1, 2, 3, 4, 1, 2, 3],
            "rating_gt3": [True, True, True, False, True, True, False],
        }
    ).write_parquet(folder / "interactions.parquet")
    pl.DataFrame({"item": range(1, 8), "title": list("abcdefg")}).write_parquet(
        folder / "items.parquet"
    )
    return tmp_path


def test_ratings_and_small_users_go_and_the_catalogue_stays(root: Path) -> None:
    interactions = load_public("movielens-1m", root)
    assert interactions.users.ids([0]) == [1]
    assert len(interactions) == 3
    assert len(interactions.items) == 7
    report = interactions.report
    assert (report.rows_in, report.below_rating, report.below_user_minimum) == (7, 2, 2)


def test_the_environment_names_the_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTREC_DATA", str(root))
    assert len(load_public("movielens-1m")) == 3


def test_the_digest_follows_the_files(root: Path) -> None:
    before = data_digest("movielens-1m", root)
    assert before == data_digest("movielens-1m", root)
    items = root / "movielens-1m" / "items.parquet"
    pl.read_parquet(items).head(4).write_parquet(items)
    assert data_digest("movielens-1m", root) != before


PARTS = [
    ("ann", "x", "train"),
    ("ann", "y", "test"),
    ("ann", "z", "train"),
    ("bob", "x", "test"),
    ("bob", "w", "train"),
    ("bob", "z", "test"),
    ("bob", "w", "train"),  # once more
    ("cat", "x", "test"),  # fewer than three pairs: no user of this set
    ("cat", "w", "train"),
    ("dot", "w", "train"),
    ("dot", "x", "train"),
    ("dot", "y", "train"),
]


def of_parts(root: Path, name: str, rows: list[tuple]) -> Path:
    """A folder of a set whose file says which part each pair belongs to."""
    folder = root / name
    folder.mkdir()
    columns = ["user", "item", "source_split"]
    pl.DataFrame(rows, columns, orient="row").write_parquet(folder / "interactions.parquet")
    if PUBLIC_DATASETS[name].has_items:
        items = sorted({row[1] for row in rows})
        pl.DataFrame({"item": items}).write_parquet(folder / "items.parquet")
    return root


def ids_of(pairs) -> set[tuple]:
    return set(pairs.to_polars().select("user_id", "item_id").rows())


@pytest.mark.parametrize("name", ["epinions", "gowalla"])  # without and with an items table
@pytest.mark.parametrize("numbers", [False, True])
def test_the_files_own_split_is_kept_pair_by_pair(tmp_path: Path, name: str, numbers: bool) -> None:
    rows = PARTS
    if numbers:  # in another order than the texts
        names = {text: 90 - ord(text[0]) for row in PARTS for text in row[:2]}
        rows = [(names[user], names[item], part) for user, item, part in PARTS]
    of_parts(tmp_path, name, rows)
    split = load_source_split(name, tmp_path)
    cat = rows[7][0]
    for pairs, part in ((split.train, "train"), (split.test, "test")):
        assert ids_of(pairs) == {row[:2] for row in rows if row[2] == part and row[0] != cat}
    whole = load_public(name, tmp_path).shuffled_rows(0)
    assert len(split.train) + len(split.test) == len(whole) == 9
    for pairs in (split.train, split.test):
        assert pairs.users.ids(range(3)) == whole.users.ids(range(3))
        assert pairs.items.ids(range(4)) == whole.items.ids(range(4))


def test_pairs_that_the_protocol_drops_are_in_neither_part(root: Path) -> None:
    file = root / "movielens-1m" / "interactions.parquet"
    parts = pl.Series("source_split", ["test", "train", "train", "test", "test", "train", "test"])
    pl.read_parquet(file).with_columns(parts).write_parquet(file)
    split = load_source_split("movielens-1m", root)
    assert ids_of(split.test) == {(1, 1)}  # not (1, 4), rated too low, and nothing of user 2
    assert ids_of(split.train) == {(1, 2), (1, 3)}
    assert len(split.test.items) == 7


@pytest.mark.parametrize(
    "parts", [["train"] * 12, ["test"] * 12, ["train", "test", "valid"] * 4, ["train", None] * 6]
)
def test_a_file_that_is_not_split_in_two_is_refused(tmp_path: Path, parts: list) -> None:
    rows = [(user, item, part) for (user, item, _), part in zip(PARTS, parts, strict=True)]
    of_parts(tmp_path, "epinions", rows)
    with pytest.raises(ArgumentError, match="epinions carries no split into train and test"):
        load_source_split("epinions", tmp_path)


def test_a_file_without_parts_is_refused(root: Path) -> None:
    with pytest.raises(ArgumentError, match="movielens-1m carries no split"):
        load_source_split("movielens-1m", root)


def test_missing_data_say_how_to_bring_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIGHTREC_DATA", raising=False)
    with pytest.raises(InputError, match=r"LIGHTREC_DATA is not set; set LIGHTREC_DATA"):
        load_public("gowalla")
    for load in (load_public, load_source_split):
        with pytest.raises(InputError, match=r"gowalla/interactions\.parquet does not exist; set"):
            load("gowalla", tmp_path)


def test_a_set_without_its_items_table_is_incomplete(root: Path) -> None:
    shutil.move(root / "movielens-1m" / "items.parquet", root / "elsewhere.parquet")
    with pytest.raises(InputError, match=r"items\.parquet does not exist"):
        load_public("movielens-1m", root)


def test_unknown_names_list_the_known_ones() -> None:
    for load in (load_public, load_source_split):
        with pytest.raises(ArgumentError, match="'netflix'; known: gowalla, citeulike-t"):
            load("netflix")


def test_facts_are_complete() -> None:
    assert {"gowalla", "citeulike-t"} == {d.name for d in PUBLIC_DATASETS.values() if d.paper_name}
    for name, dataset in PUBLIC_DATASETS.items():
        assert dataset.name == name
        assert dataset.description
        assert dataset.source
