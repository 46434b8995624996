"""`lightrec explain`: why an item has its score."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lightrec.cli.options import HistoryIds, Json, ModelPath, VectorFile
from lightrec.cli.queries import read_query
from lightrec.cli.terminal import show, show_json, show_table
from lightrec.errors import ArgumentError

if TYPE_CHECKING:
    import polars as pl

    from lightrec.artifact import Model

_SHOWN = 20


def explain(
    model: ModelPath,
    item: Annotated[str, typer.Option(metavar="ID", help="Item of the model.")],
    user: Annotated[str | None, typer.Option(metavar="ID", help="User of the model.")] = None,
    history: HistoryIds = None,
    vector: VectorFile = None,
    as_json: Json = False,
) -> None:
    """Show why an item has its score: by codebook, and by item of the history.

    A score is the sum of one number a codebook. What ranks an item is how far
    each is above the mean of the catalogue. A history is taken apart as the
    fold-in of that history would score the item.

    Examples:
      lightrec explain model --user anna --item 0345339681
      lightrec explain model --history 0345339681,0441172717 --item 0553293354
    """
    from lightrec.serving import Recommender

    recommender = Recommender.load(model)
    loaded = recommender.model
    users = None if user is None else [user]
    asked = read_query(loaded, users=users, history=history, vector=vector)
    told = recommender.explain(loaded.item_ids.parse(item), **_single(asked))
    by_book, by_item = told.codebooks, told.history
    if as_json:
        parts = None if by_item is None else by_item.to_dicts()
        show_json({**asdict(told), "codebooks": by_book.to_dicts(), "history": parts})
        return
    title = f"{item}: score {told.score:.4f}"
    if told.fallback is not None:
        title = f"{item}: nothing to go by; ranked by its popularity, {told.score:.0f}"
    show_table(by_book.columns, by_book.rows(), title=title)
    if by_item is not None:
        show()
        known = _titled(by_item, loaded).head(_SHOWN)
        most = (
            f"first {len(known)} of {len(by_item)}" if len(known) < len(by_item) else len(by_item)
        )
        show_table(known.columns, known.rows(), title=f"by item of the history ({most}):")


def _single(asked: dict[str, Any]) -> dict[str, Any]:
    """The arguments of one query, from those of many."""
    names = {"users": "user", "histories": "history", "vectors": "vector"}
    ((name, value),) = asked.items()
    if len(value) != 1:
        raise ArgumentError(f"explain one query at a time; {len(value)} were given")
    return {names[name]: value[0]}


def _titled(parts: pl.DataFrame, model: Model) -> pl.DataFrame:
    """With the items' titles, where the model has them."""
    if "title" not in model.item_columns.columns:
        return parts
    rows = model.item_ids.rows(parts["item_id"])
    return parts.with_columns(model.item_columns["title"].gather(rows))
