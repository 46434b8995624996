"""Public data sets by name: where they come from and how the paper's protocol reads them.

A data folder holds one folder for each set, with `interactions.parquet` (columns `user` and `item`)
and, where the set has one, `items.parquet` (column `item`). None of them comes with LightRec:
several licences forbid passing the data on. `lightrec data get` fetches sets from their publishers.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions.columns import ColumnNames
from lightrec.interactions.interactions import Interactions
from lightrec.interactions.read_items import read_items
from lightrec.interactions.splits import Split

DATA_VARIABLE = "LIGHTREC_DATA"
"""The environment variable that names the data folder."""

_MIN_PAIRS_PER_USER = 3  # the paper drops users with fewer


@dataclass(frozen=True)
class PublicDataset:
    """One public set.

    Attributes:
        name: the name of its folder, and on the command line.
        description: what it is, in a line.
        source: whom to cite, or where it was published.
        paper_name: what the paper calls it, where the paper uses this very set.
        has_items: whether an items table names the whole catalogue.
        rating_column: the column that tells which pairs are liked, where ratings exist.
        rating_above: keep pairs rated strictly higher.
    """

    name: str
    description: str
    source: str
    paper_name: str | None = None
    has_items: bool = True
    rating_column: str | None = None
    rating_above: float | None = None


_UCSD = "Amazon review data, J. McAuley, UCSD"
_DATASETS = (
    PublicDataset(
        name="gowalla",
        description="check-ins at places, 10-core; 29,858 users, 40,981 items; ids only",
        source="SNAP loc-gowalla (Cho, Myers and Leskovec, KDD 2011), as prepared for NGCF and "
        "LightGCN",
        paper_name="Gowalla",
    ),
    PublicDataset(
        name="citeulike-t",
        description="articles in libraries; 7,947 users, 25,975 items; words and tags",
        source="Wang, Chen and Li, Collaborative Topic Regression with Social Regularization for "
        "Tag Recommendation, IJCAI 2013",
        paper_name="CiteULike",
    ),
    PublicDataset(
        name="citeulike-a",
        description="articles in libraries; 5,551 users, 16,980 items; tags",
        source="Wang, Chen and Li, IJCAI 2013; Wang and Blei, KDD 2011",
    ),
    PublicDataset(
        name="amazon-book",
        description="a 54 % sample of the 10-core set of NGCF and LightGCN; 52,643 users, 91,599 "
        "items; numbers do not compare with those of the complete set",
        source=_UCSD,
    ),
    PublicDataset(
        name="amazon-book-kgat",
        description="the set of KGAT; 70,679 users, 24,915 items; ids only",
        source=f"Wang et al., KGAT, KDD 2019; {_UCSD}",
    ),
    PublicDataset(
        name="amazon-sports",
        description="Sports and Outdoors, 5-core, 2014; 35,598 users, 18,357 items; brands, "
        "categories and keywords",
        source=f"Zhou et al., S3-Rec, CIKM 2020; {_UCSD}",
    ),
    PublicDataset(
        name="amazon-office-part",
        description="part of Office Products, 2016-2018; 3,231 users, 3,459 items; titles and "
        "descriptions",
        source=f"MiniOneRec; {_UCSD}",
    ),
    PublicDataset(
        name="epinions",
        description="reviewed products; 40,163 users, 139,738 items, a catalogue as large as the "
        "paper's Amazon; ids only",
        source="Epinions crawl, P. Massa, trustlet.org, as prepared for MulSetRank",
        has_items=False,
    ),
    PublicDataset(
        name="movielens-1m",
        description="rated films; 6,040 users, 3,883 items; titles and genres",
        source="Harper and Konstan, The MovieLens Datasets, TiiS 2015; research use only, no "
        "redistribution",
        rating_column="rating_gt3",
        rating_above=0,  # the column holds whether the rating was above 3
    ),
    PublicDataset(
        name="movielens-10m-part",
        description="the test part (20 %) of the paper's authors' MovieLens-10M; 69,662 users, "
        "8,688 items; ids only",
        source="Harper and Konstan, TiiS 2015, in the split published by the paper's authors; "
        "research use only, no redistribution",
        has_items=False,
    ),
    PublicDataset(
        name="movielens-10m",
        description="rated films; 69,878 users, 10,681 items; titles and genres",
        source="Harper and Konstan, The MovieLens Datasets, TiiS 2015; research use only, no "
        "redistribution",
        rating_column="rating",
        rating_above=3,
    ),
    PublicDataset(
        name="movielens-20m",
        description="rated films; 138,493 users, 27,278 items; titles and genres",
        source="Harper and Konstan, The MovieLens Datasets, TiiS 2015; research use only, no "
        "redistribution",
        rating_column="rating",
        rating_above=3,
    ),
    PublicDataset(
        name="amazon-book-full",
        description="the complete 10-core set of NGCF and LightGCN; 52,643 users, 91,599 items; "
        "ids only",
        source=f"Wang et al., NGCF, SIGIR 2019; {_UCSD}",
    ),
)

PUBLIC_DATASETS: dict[str, PublicDataset] = {dataset.name: dataset for dataset in _DATASETS}
"""The known sets by name."""


def load_public(name: str, root: Path | str | None = None) -> Interactions:
    """Reads a public set as the paper does.

    Ratings must be above 3 where there are any, then users with fewer than 3 pairs are dropped; the
    catalogue is every item of the items table where there is one.

    Args:
        name: a key of `PUBLIC_DATASETS`.
        root: the data folder; by default the one that LIGHTREC_DATA names.

    Raises:
        ArgumentError: no set has this name.
        InputError: the data are not there: how to say where they are.
    """
    dataset = public_dataset(name)
    folder = _folder(dataset, root)
    return Interactions.from_table(
        folder / "interactions.parquet",
        ColumnNames(
            user_id="user", item_id="item", rating=dataset.rating_column or "", timestamp=""
        ),
        items=load_public_items(name, root),
        rating_above=dataset.rating_above,
        min_pairs_per_user=_MIN_PAIRS_PER_USER,
    )


def load_public_items(name: str, root: Path | str | None = None) -> pl.DataFrame | None:
    """Reads a public set's items table (`item_id` and whatever the set has); None without one.

    Raises:
        ArgumentError: no set has this name.
        InputError: the data are not there: how to say where they are.
    """
    dataset = public_dataset(name)
    if not dataset.has_items:
        return None
    return read_items(_folder(dataset, root) / "items.parquet", "item")


def load_source_split(name: str, root: Path | str | None = None) -> Split:
    """The split that a public set's own file carries, with rows as `shuffled_rows(0)` numbers them.

    Raises:
        ArgumentError: no set has this name, or its file carries no split into train and test.
        InputError: the data are not there: how to say where they are.
    """
    pairs = load_public(name, root).shuffled_rows(0)
    table = pl.read_parquet(_folder(public_dataset(name), root) / "interactions.parquet")
    parts = set(table["source_split"].unique()) if "source_split" in table.columns else set()
    if parts != {"train", "test"}:
        raise ArgumentError(f"{name} carries no split into train and test")
    chosen = table.filter(pl.col("source_split") == "test")
    users, items = (
        ids.find(chosen[column].cast(ids.series.dtype).to_numpy())
        for ids, column in ((pairs.users, "user"), (pairs.items, "item"))
    )
    known = (users >= 0) & (items >= 0)
    keys = pairs.user_rows.astype(np.int64) * len(pairs.items) + pairs.item_rows
    tested = np.isin(keys, users[known] * len(pairs.items) + items[known])
    return Split(pairs.select(~tested), pairs.select(tested))


def data_digest(name: str, root: Path | str | None = None) -> str:
    """SHA-256 in hex over a public set's files, to be recorded beside results.

    Raises:
        ArgumentError: no set has this name.
        InputError: the data are not there: how to say where they are.
    """
    dataset = public_dataset(name)
    folder = _folder(dataset, root)
    digest = hashlib.sha256()
    for file in _files(dataset):
        with (folder / file).open("rb") as stream:
            digest.update(f"{file} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def public_dataset(name: str) -> PublicDataset:
    """The registered facts of a public set.

    Raises:
        ArgumentError: no set has this name.
    """
    if name not in PUBLIC_DATASETS:
        raise ArgumentError(f"no public data set {name!r}; known: {', '.join(PUBLIC_DATASETS)}")
    return PUBLIC_DATASETS[name]


def _files(dataset: PublicDataset) -> list[str]:
    return ["interactions.parquet", *(["items.parquet"] if dataset.has_items else [])]


def _folder(dataset: PublicDataset, root: Path | str | None) -> Path:
    place = root if root is not None else os.environ.get(DATA_VARIABLE)
    remedy = (
        f"set {DATA_VARIABLE} to a folder that holds {dataset.name}/{_files(dataset)[0]} (lightrec "
        f"data get {dataset.name} --out FOLDER makes one)"
    )
    if not place:
        raise InputError(f"{dataset.name}: {DATA_VARIABLE} is not set; {remedy}")
    folder = Path(place) / dataset.name
    for file in _files(dataset):
        if not (folder / file).is_file():
            raise InputError(f"{folder / file} does not exist; {remedy}")
    return folder
