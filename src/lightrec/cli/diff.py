"""`lightrec diff`: what changes when one model takes the place of another."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lightrec.cli.options import (
    FormatOfFile,
    ItemColumn,
    Json,
    K,
    RatingAbove,
    RatingColumn,
    TimestampColumn,
    UserColumn,
    column_names,
)
from lightrec.cli.terminal import show, show_json, show_table

if TYPE_CHECKING:
    from lightrec.updates import Difference


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Folder of the model in use.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Folder of the one to replace it.")],
    test: Annotated[
        Path | None,
        typer.Option(
            metavar="TEST", help="Pairs that neither was trained on: both are measured on them."
        ),
    ] = None,
    k: K = 10,
    users: Annotated[
        int, typer.Option(min=1, metavar="N", help="Most users whose lists are compared.")
    ] = 1000,
    user_column: UserColumn = None,
    item_column: ItemColumn = None,
    rating_column: RatingColumn = None,
    timestamp_column: TimestampColumn = None,
    rating_above: RatingAbove = None,
    file_format: FormatOfFile = None,
    as_json: Json = False,
) -> None:
    """Show what changes when one model takes the place of another.

    Items and users that come and go, codes that change, how much of the users'
    lists stays, and (with --test) the ranking quality of both on the pairs
    whose users and items both know.

    Examples:
      lightrec diff model model.new
      lightrec diff model model.new --test test.csv -k 20 --json
    """
    from lightrec.artifact import load_model
    from lightrec.cli.two_models import measured_alike
    from lightrec.interactions import Interactions
    from lightrec.updates import difference

    models = load_model(old), load_model(new)
    found = difference(*models, k=k, users=users, progress=True)
    metrics = None
    reports: dict[str, Any] = {}
    if test is not None:
        columns = column_names(user_column, item_column, rating_column, timestamp_column)
        pairs = Interactions.from_table(
            test, columns, rating_above=rating_above, file_format=file_format
        )
        reports["test"] = asdict(pairs.report)
        if not as_json:
            show(pairs.report.describe())
        metrics = measured_alike(*models, pairs, str(test))
    if as_json:
        told = None if metrics is None else {**asdict(metrics)}
        show_json({**asdict(found), "metrics": told, "reports": reports})
        return
    _show(found)
    if metrics is not None:
        show()
        names = [name for name in metrics.old if name in ("recall@20", "recall@100", "ndcg")]
        show_table(
            ("metric", "old", "new"),
            [(name, metrics.old[name], metrics.new[name]) for name in names],
            title=f"{metrics.pairs:,} pairs of {metrics.users:,} users, known to both:",
        )


def _show(found: Difference) -> None:
    show(f"items: {found.items_removed:,} removed, {found.items_added:,} added")
    show(f"users: {found.users_removed:,} removed, {found.users_added:,} added")
    if found.codes_changed is None:
        show("codes: of another shape, so none can be compared")
    else:
        books = "other codebooks" if found.codebooks_changed else "the same codebooks"
        show(f"codes: {found.codes_changed:,} items of both have another code; {books}")
    if found.overlap is None:
        show("lists: no user is in both models")
        return
    show(
        f"lists: of {found.users_compared:,} users' top {found.k}, {found.overlap:.1%} stays; "
        f"{found.same_first:.1%} keep their first item, {found.unchanged_lists:.1%} the whole list"
    )
