"""`lightrec recommend`: the best items for users, histories or vectors."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from lightrec.cli.options import (
    AllowedItems,
    Conditions,
    DeniedItems,
    HistoryIds,
    Json,
    K,
    ModelPath,
    UserIds,
    VectorFile,
)
from lightrec.cli.queries import read_filters, read_query
from lightrec.cli.ranked_lists import show_ranked
from lightrec.cli.write_tables import check_table_path
from lightrec.errors import ArgumentError

logger = logging.getLogger("lightrec")


def recommend(
    model: ModelPath,
    user: UserIds = None,
    users: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Users: .txt with one id a line, .csv or .parquet."),
    ] = None,
    history: HistoryIds = None,
    vector: VectorFile = None,
    k: K = 10,
    allow: AllowedItems = None,
    deny: DeniedItems = None,
    where: Conditions = None,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Also return what a user has seen.")
    ] = False,
    post_ranking: Annotated[
        int,
        typer.Option(
            metavar="N", help="Order the best N again by float vectors, where the model has them."
        ),
    ] = 0,
    as_json: Json = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a table: .csv, .tsv or .parquet."),
    ] = None,
) -> None:
    """Recommend items to users, or for a history or a vector.

    Ask by --user (users of the model), by --history (items that somebody
    liked) or by --vector (rows in the space of the float user vectors). The
    answer is exact over the whole catalogue: the K items with the highest
    scores, without what the user has seen.

    --json prints one object a query, on a line of its own.

    Examples:
      lightrec recommend model --user anna --where category=Crime -k 5
      lightrec recommend model --users all.txt --out recommendations.parquet
      lightrec recommend model --history 0345339681 --history 0141439513
    """
    from lightrec.serving import Recommender

    if out is not None:
        if as_json:
            raise ArgumentError("--json prints the answers, --out writes a table; leave one out")
        check_table_path(out)
    recommender = Recommender.load(model)
    loaded = recommender.model
    found = recommender.recommend(
        **read_query(loaded, users=user, users_file=users, history=history, vector=vector),
        k=k,
        exclude_seen=False if include_seen else None,
        **read_filters(loaded, allow, deny, where),
        post_ranking=post_ranking,
    )
    if loaded.history is None and found.query_column == "user_id" and not include_seen:
        logger.warning(
            "%s holds no training pairs: items that users have seen are not left out", model
        )
    show_ranked(found, loaded, as_json=as_json, out=out)
