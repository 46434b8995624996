"""`lightrec recommend`: the best items for users, histories or vectors."""

from __future__ import annotations

import contextlib
import itertools
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
from lightrec.cli.queries import read_filters, read_item_columns, read_query
from lightrec.cli.ranked_lists import show_ranked
from lightrec.cli.write_tables import check_table_path
from lightrec.errors import ArgumentError

logger = logging.getLogger("lightrec")

# What is in memory at a time, and in a row group of the file: so many items of so many users.
_ITEMS_AT_A_TIME, _USERS_AT_A_TIME = 1 << 18, 1 << 14


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
    item_columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Column of the items that comes with the answers; repeat it, or give NAME,NAME; "
            "'' for none.",
            show_default="title, name and category; with --json all",
        ),
    ] = None,
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

    --json prints one object a query, on a line of its own. Answers are printed
    or written block by block, so there may be any number of queries; a file
    takes its place when it is whole.

    Examples:
      lightrec recommend model --user anna --where category=Crime -k 5
      lightrec recommend model --users all.txt --out recommendations.parquet
      lightrec recommend model --user anna --item-columns title,year --json
      lightrec recommend model --history 0345339681 --history 0141439513
    """
    from lightrec.serving import Recommender

    if out is not None:
        if as_json:
            raise ArgumentError("--json prints the answers, --out writes a table; leave one out")
        check_table_path(out)
    recommender = Recommender.load(model)
    loaded = recommender.model
    query = read_query(loaded, users=user, users_file=users, history=history, vector=vector)
    blocks = recommender.recommend_all(
        **query,
        k=k,
        exclude_seen=False if include_seen else None,
        **read_filters(loaded, allow, deny, where),
        post_ranking=post_ranking,
        users_per_block=_users_per_block(min(k, loaded.num_items)),
        progress=out is not None,
    )
    columns = read_item_columns(item_columns, loaded.item_columns.columns)
    with contextlib.closing(blocks):  # ends the progress bar before an error is told
        first = iter([next(blocks)])  # finds what cannot be answered; let go of once it is shown
        answers = itertools.chain(first, blocks)
        if loaded.history is None and "users" in query and not include_seen:
            logger.warning(
                "%s holds no training pairs: items that users have seen are not left out", model
            )
        show_ranked(answers, loaded, as_json=as_json, out=out, item_columns=columns)


def _users_per_block(num_results: int) -> int:
    """Users who are answered at a time, each with so many items."""
    return min(max(_ITEMS_AT_A_TIME // max(num_results, 1), 1), _USERS_AT_A_TIME)
