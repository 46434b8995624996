"""Ranked items, shown: as tables, as JSON lines or in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lightrec.cli.terminal import show, show_json, show_table
from lightrec.cli.write_tables import write_table

if TYPE_CHECKING:
    import polars as pl

    from lightrec.artifact import Model
    from lightrec.serving import Recommendations

_DESCRIPTIONS = ("title", "name", "category")
_QUERIES = {"user_id": "user", "query": "query", "similar_to": "similar to"}


def described(items: pl.DataFrame, model: Model) -> pl.DataFrame:
    """A table with a column `item_id`, and what the model knows to name those items by."""
    rows = model.item_ids.rows(items["item_id"])
    return items.hstack(model.item_columns.select(_naming(model))[rows])


def _naming(model: Model) -> list[str]:
    """The columns that items are told by."""
    return [name for name in _DESCRIPTIONS if name in model.item_columns.columns]


def show_ranked(
    found: Recommendations, model: Model, *, as_json: bool = False, out: Path | None = None
) -> None:
    """Prints the answers query by query, or writes all of them to a file.

    Args:
        found: the answers.
        model: what names the items.
        as_json: prints one JSON object for each query, on a line of its own, with all columns that
            the model has of its items; tables and files name items only.
        out: a `.csv`, `.tsv` or `.parquet` file, one row for each item; printed when None.
    """
    table = found.to_polars(item_columns=True if as_json and out is None else _naming(model))
    if out is not None:
        write_table(table, out)
        show(f"written: {out} ({len(table):,} items for {len(found):,} queries)")
        return
    start = 0
    for answer in found:
        items = table[start : start + len(answer)].drop(
            found.query_column, "fallback", strict=False
        )
        start += len(answer)
        if as_json:
            line = {found.query_column: answer.query, "items": items.to_dicts()}
            show_json(line if answer.fallback is None else line | {"fallback": answer.fallback})
            continue
        title = f"{_QUERIES[found.query_column]} {answer.query}:"
        if answer.fallback is not None:
            title += " nothing to go by, so the most popular items (scores count interactions)"
        if not len(answer):
            title += " no item is left; all are seen or filtered out (--include-seen, --where ...)"
        columns = ["rank", "item_id", "score"]
        columns += [name for name in items.columns if name not in columns]
        if start > len(answer):
            show()
        show_table(columns, items.select(columns).iter_rows(), title=title)
