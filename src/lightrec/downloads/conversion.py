"""Publishers' files as the tables that a data folder holds, with the columns `user` and `item`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from lightrec.errors import InputError
from lightrec.interactions.columns import ITEM, RATING, TIMESTAMP, USER, ColumnNames
from lightrec.interactions.lightgcn_files import read_lightgcn
from lightrec.interactions.read_items import read_items
from lightrec.interactions.read_tables import Table, open_table
from lightrec.interactions.sparse_matrices import is_sparse_matrix, read_matrix
from lightrec.interactions.text_lines import read_lines

Files = Mapping[str, Path]
"""A set's unpacked files by name."""


@dataclass(frozen=True, eq=False)
class SetTables:
    """A public set as two tables.

    Attributes:
        interactions: `user`, `item` and what else is known of each pair; no pair twice.
        items: `item` and what is known of each item; None where nothing is.
    """

    interactions: pl.DataFrame
    items: pl.DataFrame | None


def movielens(files: Files) -> SetTables:
    """MovieLens's ratings and movies, `.dat` or `.csv`: `rating`, `timestamp`, `rating_gt3`."""
    table = open_table(_one(files, "ratings"))
    named = ColumnNames().resolve(table.names, table.label)
    frame = table.read()
    rating = _numbers(frame[named[RATING]], table, pl.Float64)
    columns = {
        "user": _numbers(frame[named[USER]], table, pl.Int32),
        "item": _numbers(frame[named[ITEM]], table, pl.Int32),
        "rating": rating,
        "timestamp": _numbers(frame[named[TIMESTAMP]], table, pl.Int64),
        "rating_gt3": rating > 3,
    }
    movies = _one(files, "movies")
    items = read_items(movies)
    ids = _numbers(items[ITEM], open_table(movies), pl.Int32).alias("item")
    return SetTables(pl.DataFrame(columns), pl.DataFrame([ids, *items.drop(ITEM)]))


def lightgcn_split(files: Files) -> SetTables:
    """`train.txt`, `test.txt` with `source_split`; `item_list.txt` with the source's item ids."""
    parts = [
        _pairs(files[f"{part}.txt"]).with_columns(source_split=pl.lit(part))
        for part in ("train", "test")
    ]
    pairs = pl.concat(parts).unique(["user", "item"], keep="first", maintain_order=True)
    items = _item_list(files["item_list.txt"]) if "item_list.txt" in files else None
    return SetTables(pairs.sort("user", "item"), items)


def sequences(files: Files) -> SetTables:
    """Lists of items in each user's order of time, with the place in it as `position`."""
    (file,) = files.values()
    pairs = _pairs(file)
    pairs = pairs.with_columns(
        position=pl.int_range(pl.len(), dtype=pl.Int32).over("user", order_by=None)
    )
    return SetTables(pairs, pairs.select(pl.col("item").unique().sort()))


def citeulike(files: Files) -> SetTables:
    """CiteULike's users.dat, mult.dat (`word_ids`, `word_counts`) and tags (`tags`)."""
    table = open_table(files["users.dat"], "citeulike")
    frame = table.read()
    pairs = pl.DataFrame(
        {"user": _numbers(frame[USER], table, pl.Int32), "item": _numbers(frame[ITEM], table)}
    ).unique(maintain_order=True)
    words = read_items(open_table(files["mult.dat"], "citeulike")).drop("num_words")
    items = words.with_columns(pl.col(ITEM).cast(pl.Int32)).rename({ITEM: "item"})
    return SetTables(pairs, items.with_columns(_tags(files, len(items))))


def matlab_matrix(files: Files) -> SetTables:
    """The one sparse matrix (users, items) of a MATLAB file; its pairs are a test part."""
    from scipy.io import loadmat

    (file,) = files.values()
    try:
        content: dict[str, Any] = loadmat(file)
    except Exception as error:  # whatever scipy raises for what is no such file
        raise InputError(f"{file} is no readable MATLAB file: {error}") from None
    matrices = [value for value in content.values() if is_sparse_matrix(value)]
    if len(matrices) != 1:
        raise InputError(f"{file} holds {len(matrices)} sparse matrices, not one")
    frame = read_matrix(matrices[0]).frame
    pairs = frame.select(
        user=pl.col(USER).cast(pl.Int32),
        item=pl.col(ITEM).cast(pl.Int32),
        source_split=pl.lit("test"),
    )
    return SetTables(pairs, None)


def _pairs(file: Path) -> pl.DataFrame:
    """Users and items of LightGCN's lists, as integers."""
    table = Table.of_rows(read_lightgcn(file), str(file))
    frame = table.read()
    return pl.DataFrame(
        {"user": _numbers(frame[USER], table, pl.Int32), "item": _numbers(frame[ITEM], table)}
    )


def _item_list(file: Path) -> pl.DataFrame:
    """`org_id remap_id ...`, one item a line, with the source's own names for what follows."""
    lines = read_lines(file)
    lines = lines.filter(lines.str.strip_chars() != "")
    names = lines[0].split()
    if names[:2] != ["org_id", "remap_id"]:
        raise InputError(f"{file}, line 1: expected 'org_id remap_id ...', found {lines[0][:60]!r}")
    cells = lines.slice(1).str.strip_chars().str.split(" ")
    if (cells.list.len() != len(names)).any():
        row = int((cells.list.len() != len(names)).arg_max() or 0)
        raise InputError(f"{file}: row {row + 1} has not {len(names)} fields ({lines[row + 1]!r})")
    table = Table(pl.LazyFrame(), (), str(file))
    columns = {"item": _numbers(cells.list.get(1), table), "source_id": cells.list.get(0)}
    for place, name in enumerate(names[2:], start=2):
        columns[name] = cells.list.get(place)
    return pl.DataFrame(columns).sort("item")


def _tags(files: Files, num_items: int) -> pl.Series:
    """Each article's tags, List(String) (num_items,), from either set's list of them."""
    names = read_lines(files["tags.dat"]).str.strip_chars()
    by_tag = "tag-item.dat" in files
    file = files["tag-item.dat" if by_tag else "item-tag.dat"]
    lists = read_lines(file).str.extract_all(r"[0-9]+").list.eval(pl.element().cast(pl.Int64))
    counted = (lists.list.first() == lists.list.len().cast(pl.Int64) - 1).fill_null(False)
    if counted.all():  # each line tells how many follow
        lists = lists.list.slice(1)
    pairs = pl.DataFrame({"row": pl.int_range(len(lists), eager=True), "other": lists})
    pairs = pairs.filter(pl.col("other").list.len() > 0).explode("other")
    pairs.columns = ["tag", "item"] if by_tag else ["item", "tag"]
    if (pairs["tag"] >= len(names)).any() or (pairs["item"] >= num_items).any():
        raise InputError(f"{file} names tags or articles that the set's other files do not have")
    named = pairs.with_columns(names.gather(pairs["tag"]).alias("name"))
    by_item = named.group_by("item", maintain_order=True).agg(pl.col("name"))
    all_items = pl.DataFrame({"item": pl.int_range(num_items, eager=True)})
    joined = all_items.join(by_item, on="item", how="left", maintain_order="left")["name"]
    return joined.fill_null(pl.Series([[]], dtype=pl.List(pl.String))).alias("tags")


def _one(files: Files, stem: str) -> Path:
    return next(path for name, path in files.items() if name.startswith(stem))


def _numbers(
    cells: pl.Series, table: Table, dtype: type[pl.DataType] | pl.DataType = pl.Int32
) -> pl.Series:
    """A column of numbers, as publishers write them.

    Raises:
        InputError: a cell is none: which.
    """
    numbers = cells.cast(dtype, strict=False)
    if numbers.null_count():
        row = int(numbers.is_null().arg_max() or 0)
        raise InputError(
            f"{table.place(row)}: {cells[row]!r} is not a number; is this the publisher's file?"
        )
    return numbers
