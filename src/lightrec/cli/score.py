"""`lightrec score`: the scores of given items."""

from __future__ import annotations

from typing import Annotated

import typer

from lightrec.cli.options import HistoryIds, Json, ModelPath, UserIds, VectorFile
from lightrec.cli.queries import read_ids_given, read_query
from lightrec.cli.ranked_lists import described
from lightrec.cli.terminal import show, show_json, show_table


def score(
    model: ModelPath,
    item: Annotated[
        list[str],
        typer.Option(metavar="ID|FILE", help="Item to score; may be repeated, or a file of ids."),
    ],
    user: UserIds = None,
    history: HistoryIds = None,
    vector: VectorFile = None,
    as_json: Json = False,
) -> None:
    """Score given items for users, a history or a vector.

    Higher is better; scores compare items of one query only. Items are shown
    in the order given, also those that the user has seen.

    Examples:
      lightrec score model --user anna --item 0345339681 --item 0141439513
      lightrec score model --history 0345339681 --item candidates.txt --json
    """
    import polars as pl

    from lightrec.serving import Recommender

    recommender = Recommender.load(model)
    loaded = recommender.model
    query = read_query(loaded, users=user, history=history, vector=vector)
    items = read_ids_given(item, loaded.item_ids, or_files=True)
    scores = recommender.score(**query, items=items)
    names = query.get("users", range(len(scores)))
    column = "user_id" if "users" in query else "query"
    for place, (name, row) in enumerate(zip(names, scores, strict=True)):
        table = described(pl.DataFrame({"item_id": items, "score": row}), loaded)
        if as_json:
            show_json({column: name, "items": table.to_dicts()})
            continue
        if place:
            show()
        show_table(table.columns, table.iter_rows(), title=f"{column.removesuffix('_id')} {name}:")
