"""Where each public set comes from, under which licence, and what it has to contain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lightrec.downloads.conversion import (
    Files,
    SetTables,
    citeulike,
    lightgcn_split,
    matlab_matrix,
    movielens,
    sequences,
)
from lightrec.errors import ArgumentError
from lightrec.interactions.public_datasets import PUBLIC_DATASETS

_MIB = 1 << 20
_GITHUB = "https://raw.githubusercontent.com"
_NOT_STATED = "none stated; ask for permission before passing it on"
_MOVIELENS = (
    "GroupLens: research use, acknowledge in publications, no redistribution and no commercial use "
    "without permission"
)


@dataclass(frozen=True)
class SourceFile:
    """One file of a set.

    Attributes:
        name: under which it is kept.
        url: where its publisher has it.
        max_bytes: the most that is accepted, of the file and of a member in it.
        md5_url: where its publisher has its checksum; None where there is none, so that the first
            download is trusted.
        members: what is used of an archive; none if the file is used as it is.
    """

    name: str
    url: str
    max_bytes: int = 256 * _MIB
    md5_url: str | None = None
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataSource:
    """One public set at its publisher's.

    Attributes:
        name: as in `PUBLIC_DATASETS`.
        page: for people to read.
        licence: in a line.
        files: what is fetched.
        convert: makes the tables of the files.
        counts: users with a pair, items in the catalogue, pairs; what the files have to contain.
        unavailable: why the set cannot be fetched; None where it can.
        note: how what is fetched differs from the description.
    """

    name: str
    page: str
    licence: str
    files: tuple[SourceFile, ...] = ()
    convert: Callable[[Files], SetTables] = movielens
    counts: tuple[int, int, int] | None = None
    unavailable: str | None = None
    note: str | None = None

    @property
    def description(self) -> str:
        """What it is, in a line."""
        return PUBLIC_DATASETS[self.name].description

    @property
    def citation(self) -> str:
        """Whom to cite."""
        return PUBLIC_DATASETS[self.name].source

    @property
    def checksum(self) -> str:
        """How a download is checked, in a few words."""
        if self.unavailable:
            return ""
        published = all(file.md5_url for file in self.files)
        return "MD5 of its publisher" if published else "SHA-256 of the first download"


def _movielens(name: str, kind: str, folder: str, mib: int, ending: str) -> SourceFile:
    url = f"https://files.grouplens.org/datasets/movielens/{kind}.zip"
    return SourceFile(
        name=f"{kind}.zip",
        url=url,
        max_bytes=mib * _MIB,
        md5_url=f"{url}.md5",
        members=tuple(f"{folder}/{stem}.{ending}" for stem in ("ratings", "movies")),
    )


def _on_github(repository: str, commit: str, folder: str, *names: str) -> tuple[SourceFile, ...]:
    place = f"{_GITHUB}/{repository}/{commit}/{folder}".rstrip("/")
    return tuple(SourceFile(name, f"{place}/{name}") for name in names)


_LIGHTGCN = ("gusye1234/LightGCN-PyTorch", "947ca2b3b1d2d3545b114145710cb06c4e57b3d2")
_SPLIT = ("train.txt", "test.txt", "item_list.txt")
_CITEULIKE = ("users.dat", "mult.dat", "tags.dat")
_SOURCES = (
    DataSource(
        name="citeulike-t",
        page="https://github.com/js05212/citeulike-t",
        licence=_NOT_STATED,
        files=_on_github(
            "js05212/citeulike-t",
            "4f103c6ea0fe407b23be230837b65517e613c34a",
            "",
            *_CITEULIKE,
            "tag-item.dat",
        ),
        convert=citeulike,
        counts=(7_947, 25_975, 134_860),
    ),
    DataSource(
        name="citeulike-a",
        page="https://github.com/js05212/citeulike-a",
        licence=_NOT_STATED,
        files=_on_github(
            "js05212/citeulike-a",
            "91b603922d7f2d3db18071d4798bf78c9c5d1680",
            "",
            *_CITEULIKE,
            "item-tag.dat",
        ),
        convert=citeulike,
        counts=(5_551, 16_980, 204_986),
    ),
    DataSource(
        name="gowalla",
        page="https://snap.stanford.edu/data/loc-gowalla.html",
        licence=_NOT_STATED,
        files=_on_github(*_LIGHTGCN, "data/gowalla", *_SPLIT),
        convert=lightgcn_split,
        counts=(29_858, 40_981, 1_027_370),
    ),
    DataSource(
        name="amazon-book-full",
        page="https://cseweb.ucsd.edu/~jmcauley/datasets.html",
        licence=_NOT_STATED,
        files=_on_github(*_LIGHTGCN, "data/amazon-book", *_SPLIT),
        convert=lightgcn_split,
        counts=(52_643, 91_599, 2_984_108),
    ),
    DataSource(
        name="movielens-1m",
        page="https://grouplens.org/datasets/movielens/1m/",
        licence=_MOVIELENS,
        files=(_movielens("movielens-1m", "ml-1m", "ml-1m", 64, "dat"),),
        convert=movielens,
        counts=(6_040, 3_883, 1_000_209),
    ),
    DataSource(
        name="movielens-10m",
        page="https://grouplens.org/datasets/movielens/10m/",
        licence=_MOVIELENS,
        files=(_movielens("movielens-10m", "ml-10m", "ml-10M100K", 512, "dat"),),
        convert=movielens,
        counts=(69_878, 10_681, 10_000_054),
    ),
    DataSource(
        name="movielens-20m",
        page="https://grouplens.org/datasets/movielens/20m/",
        licence=_MOVIELENS,
        files=(_movielens("movielens-20m", "ml-20m", "ml-20m", 1024, "csv"),),
        convert=movielens,
        counts=(138_493, 27_278, 20_000_263),
    ),
    DataSource(
        name="amazon-book-kgat",
        page="https://github.com/xiangwang1223/knowledge_graph_attention_network",
        licence="MIT (the repository's)",
        files=_on_github(
            "xiangwang1223/knowledge_graph_attention_network",
            "c03737be46ac26a0b5431efe149828e982ffbbfb",
            "Data/amazon-book",
            *_SPLIT,
        ),
        convert=lightgcn_split,
        counts=(70_679, 24_915, 846_434),
    ),
    DataSource(
        name="amazon-sports",
        page="https://github.com/RUCAIBox/CIKM2020-S3Rec",
        licence=_NOT_STATED,
        files=_on_github(
            "RUCAIBox/CIKM2020-S3Rec",
            "2a81540ae18615d88ef88227b0c066e5b74781e5",
            "data",
            "Sports_and_Outdoors.txt",
        ),
        convert=sequences,
        counts=(35_598, 18_357, 296_337),
        note="ids only: brands, categories and keywords are in files of other projects",
    ),
    DataSource(
        name="epinions",
        page="https://github.com/NoConst/MulSetRank",
        licence=_NOT_STATED,
        files=_on_github(
            "NoConst/MulSetRank",
            "4016c6315257ea090fbc07adb1bea56348c488d0",
            "data/epinions",
            "train.txt",
            "test.txt",
        ),
        convert=lightgcn_split,
        counts=(40_163, 139_738, 664_823),
    ),
    DataSource(
        name="movielens-10m-part",
        page="https://github.com/haoyu0408/LightRec",
        licence=_MOVIELENS,
        files=_on_github(
            "haoyu0408/LightRec",
            "ef661e2a46a8944a98c8cdf2d189b62d52f6f655",
            "ml-10m",
            "test.mat",
        ),
        convert=matlab_matrix,
        counts=(69_662, 8_688, 1_175_616),
    ),
    DataSource(
        name="amazon-book",
        page="https://github.com/gusye1234/LightGCN-PyTorch",
        licence=_NOT_STATED,
        unavailable="a sample put together from files of six projects; amazon-book-full is the "
        "complete set",
    ),
    DataSource(
        name="amazon-office-part",
        page="https://github.com/AkaliKong/MiniOneRec",
        licence="Apache-2.0 (the repository's)",
        unavailable="put together from several of its publisher's files, which are not complete",
    ),
)

DATA_SOURCES: dict[str, DataSource] = {source.name: source for source in _SOURCES}
"""Every set of `PUBLIC_DATASETS` by name, those of the paper first."""


def data_source(name: str) -> DataSource:
    """Where a public set comes from.

    Raises:
        ArgumentError: no set has this name.
    """
    if name not in DATA_SOURCES:
        raise ArgumentError(f"no public data set {name!r}; known: {', '.join(DATA_SOURCES)}")
    return DATA_SOURCES[name]
