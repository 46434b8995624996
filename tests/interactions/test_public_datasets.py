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


def test_every_real_set_can_be_read() -> None:
    for name in PUBLIC_DATASETS:
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


def test_missing_data_say_how_to_bring_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIGHTREC_DATA", raising=False)
    with pytest.raises(InputError, match=r"LIGHTREC_DATA is not set.*--from FILE"):
        load_public("gowalla")
    with pytest.raises(InputError, match=r"gowalla/interactions\.parquet does not exist; set"):
        load_public("gowalla", tmp_path)


def test_a_set_without_its_items_table_is_incomplete(root: Path) -> None:
    shutil.move(root / "movielens-1m" / "items.parquet", root / "elsewhere.parquet")
    with pytest.raises(InputError, match=r"items\.parquet does not exist"):
        load_public("movielens-1m", root)


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ArgumentError, match="'netflix'; known: gowalla, citeulike-t"):
        load_public("netflix")


def test_facts_are_complete() -> None:
    assert {"gowalla", "citeulike-t"} == {d.name for d in PUBLIC_DATASETS.values() if d.paper_name}
    for name, dataset in PUBLIC_DATASETS.items():
        assert dataset.name == name
        assert dataset.description
        assert dataset.source
