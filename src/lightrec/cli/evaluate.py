"""`lightrec evaluate`: ranking quality of a model on pairs that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lightrec.cli.options import (
    FormatOfFile,
    ItemColumn,
    Json,
    ModelPath,
    RatingAbove,
    RatingColumn,
    TimestampColumn,
    UserColumn,
    column_names,
)
from lightrec.cli.terminal import show, show_json, show_table
from lightrec.errors import ArgumentError, InputError

if TYPE_CHECKING:
    from lightrec.artifact import Model
    from lightrec.cli.aligned_pairs import AlignedPairs
    from lightrec.interactions import History

_SHOWN_PAIRS = 3


def evaluate(
    model: ModelPath,
    test: Annotated[
        Path, typer.Argument(metavar="TEST", help="Table of the pairs to find, as for train.")
    ],
    train: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The training pairs, where the model does not hold them."
        ),
    ] = None,
    user_column: UserColumn = None,
    item_column: ItemColumn = None,
    rating_column: RatingColumn = None,
    timestamp_column: TimestampColumn = None,
    rating_above: RatingAbove = None,
    file_format: FormatOfFile = None,
    as_json: Json = False,
) -> None:
    """Measure a model on pairs that it was not trained on.

    For every user of TEST the whole catalogue is ranked, but for what the
    model was trained on; popularity stands beside it. Equal scores share their
    ranks. Pairs that the model was trained on are refused; users and items
    that it does not know are counted and shown.

    Examples:
      lightrec evaluate model parts/test.csv
      lightrec evaluate model parts/test.csv --train parts/train.csv --json
    """
    from lightrec.artifact import load_model
    from lightrec.cli.aligned_pairs import AlignedPairs
    from lightrec.interactions import Interactions

    loaded = load_model(model)
    columns = column_names(user_column, item_column, rating_column, timestamp_column)

    reports: dict[str, Any] = {}

    def aligned(path: Path, what: str) -> AlignedPairs:
        pairs = Interactions.from_table(
            path, columns, rating_above=rating_above, file_format=file_format
        )
        reports[what] = asdict(pairs.report)
        if not as_json:
            show(pairs.report.describe())
        return AlignedPairs.of(pairs, loaded)

    left_out = [] if loaded.history is None else [loaded.history]
    left_out += [] if train is None else [aligned(train, "train").known]
    if not left_out:
        raise ArgumentError(
            f"{model} was saved without its training pairs; name them with --train FILE, so that "
            "they are left out of the ranking"
        )
    trained, sought = _together(left_out), aligned(test, "test")
    metrics = measure(loaded, trained, sought.known, str(test))
    contents = {
        "users": int((sought.known.user_degrees() > 0).sum()),
        "pairs": len(sought.known),
        "pairs_in_table": sought.pairs,
        "unknown_users": sought.unknown_users,
        "unknown_items": sought.unknown_items,
        "unknown_user_pairs": sought.unknown_user_pairs,
        "unknown_item_pairs": sought.unknown_item_pairs,
        "bytes_per_item": loaded.bytes_per_item.all_in,
        "bytes_per_user": loaded.bytes_per_user.all_in,
        "metrics": metrics,
        "reports": reports,
    }
    if as_json:
        show_json(contents)
        return
    for line in sought.describe_unknown():
        show(line)
    names = list(metrics["lightrec"])
    show_table(
        ("metric", *metrics),
        [(_label(name), *(row[name] for row in metrics.values())) for name in names],
        title=f"{len(sought.known):,} pairs of {contents['users']:,} users, whole catalogue of "
        f"{loaded.num_items:,} items ranked:",
    )
    show(f"bytes per item, codebooks counted: {loaded.bytes_per_item.all_in:,.1f}")
    if loaded.num_users:
        show(f"bytes per user (`{loaded.users.form}`): {loaded.bytes_per_user.all_in:,.0f}")


def measure(model: Model, trained: History, sought: History, source: str) -> dict[str, Any]:
    """Every metric of popularity and of the model, by name.

    Args:
        model: the model.
        trained: pairs that are not ranked.
        sought: pairs to find.
        source: the file of `sought`, for the error.

    Raises:
        InputError: the model was trained on a pair of `sought`.
    """
    from lightrec.evaluation.ranking_evaluation import evaluate_ranking
    from lightrec.evaluation.scorers import CodeScorer, PopularityScorer, Scorer

    refuse_trained_on(model, trained, sought, source)
    scorers: dict[str, Scorer] = {
        "popularity": PopularityScorer(trained.item_degrees()),
        "lightrec": CodeScorer(model.item_codes, model.users.values),
    }
    return {
        name: evaluate_ranking(scorer, trained, sought, progress=True).means
        for name, scorer in scorers.items()
    }


def refuse_trained_on(model: Model, trained: History, sought: History, source: str) -> None:
    """Refuses pairs to find of which a model was trained on some; arguments and errors as above."""
    from lightrec.cli.aligned_pairs import shared_pairs

    leaked = shared_pairs(trained, sought, model, _SHOWN_PAIRS)
    if leaked:
        raise InputError(
            f"{source}: the model was trained on pairs of this table, such as "
            f"{', '.join(leaked)}; evaluate on pairs that it has not seen (lightrec split makes "
            "such a table)"
        )


def _together(histories: Sequence[History]) -> History:
    """The pairs of any of them."""
    import numpy as np

    from lightrec.interactions import History

    return History.from_pairs(
        np.concatenate([history.user_rows() for history in histories]),
        np.concatenate([history.item_rows for history in histories]),
        histories[0].num_users,
        histories[0].num_items,
    )


def _label(metric: str) -> str:
    """The usual spelling of a metric's name."""
    label = metric.replace("recall", "Recall").replace("ndcg", "NDCG")
    return label.replace("@nu", "@N_u")
