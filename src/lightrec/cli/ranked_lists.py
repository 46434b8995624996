"""Ranked items, shown: as tables, as JSON lines or in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lightrec.cli.terminal import show, show_json, show_table
from lightrec.cli.write_tables import write_blocks_of_table

if TYPE_CHECKING:
    import polars as pl

    from lightrec.artifact import Model
    from lightrec.serving import RankedItems, Recommendations

_DESCRIPTIONS = ("title", "name", "category")
_QUERIES = {"user_id": "user", "query": "query", "similar_to": "similar to"}


def described(items: pl.DataFrame, model: Model) -> pl.DataFrame:
    """A table with a column `item_id`, and what the model knows to name those items by."""
    rows = model.item_ids.rows(items["item_id"])
    return items.with_columns(model.item_columns[name].gather(rows) for name in _naming(model))


def _naming(model: Model) -> list[str]:
    """The columns that items are told by."""
    return [name for name in _DESCRIPTIONS if name in model.item_columns.columns]


def show_ranked(
    blocks: Iterable[Recommendations],
    model: Model,
    *,
    as_json: bool = False,
    out: Path | None = None,
    item_columns: Sequence[str] | None = None,
) -> None:
    """Prints the answers query by query, or writes all of them to a file.

    Args:
        blocks: the answers, each block shown or written before the next is asked for.
        model: what names the items.
        as_json: prints one JSON object for each query, on a line of its own.
        out: a `.csv`, `.tsv` or `.parquet` file, one row for each item; printed when None.
        item_columns: the model's columns of the items that come with them. When None, those that
            items are told by, and with `as_json` all of them.
    """
    if item_columns is None:
        item_columns = model.item_columns.columns if as_json and out is None else _naming(model)
    if out is not None:
        _write(blocks, item_columns, out)
        return
    begun = False
    for found in blocks:
        for answer, items in _answers(found, item_columns):
            if as_json:
                line = {found.query_column: answer.query, "items": items.to_dicts()}
                show_json(line if answer.fallback is None else line | {"fallback": answer.fallback})
                continue
            if begun:
                show()
            begun = True
            columns = ["rank", "item_id", "score"]
            columns += [name for name in items.columns if name not in columns]
            title = _title(found.query_column, answer)
            show_table(columns, items.select(columns).iter_rows(), title=title)


def _write(blocks: Iterable[Recommendations], item_columns: Sequence[str], out: Path) -> None:
    """Writes the answers to a file, and tells how many they are."""
    num_items = num_queries = 0

    def tables() -> Iterator[pl.DataFrame]:
        nonlocal num_items, num_queries
        for found in blocks:
            num_items += len(found.item_ids)
            num_queries += len(found)
            yield found.to_polars(item_columns=item_columns)

    write_blocks_of_table(tables(), out)
    show(f"written: {out} ({num_items:,} items for {num_queries:,} queries)")


def _answers(
    found: Recommendations, item_columns: Sequence[str]
) -> Iterator[tuple[RankedItems, pl.DataFrame]]:
    """Each answer, and a table of its items."""
    of_query = [found.query_column, *([] if found.fallbacks is None else ["fallback"])]
    table = found.to_polars(item_columns=item_columns).drop(of_query)
    start = 0
    for answer in found:
        yield answer, table[start : start + len(answer)]
        start += len(answer)


def _title(query_column: str, answer: RankedItems) -> str:
    title = f"{_QUERIES[query_column]} {answer.query}:"
    if answer.fallback is not None:
        title += " nothing to go by, so the most popular items (scores count interactions)"
    if not len(answer):
        title += " no item is left; all are seen or filtered out (--include-seen, --where ...)"
    return title
