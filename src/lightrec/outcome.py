"""What `train` and `compress` end with: models measured side by side, and the one to be shipped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from lightrec._version import __version__
from lightrec.artifact.contents import Model, Selection, Users
from lightrec.codes.coded_users import CodedUsers
from lightrec.codes.half_precision import half_precision
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import ItemMetric
from lightrec.codes.trained_selection import TrainedSelection
from lightrec.evaluation.comparison import Comparison, ComparisonRow
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer, Scorer
from lightrec.factors import Factors
from lightrec.interactions import History, IdMap


@dataclass(frozen=True)
class Compared:
    """A model to be measured, and its sizes; `ComparisonRow` says what they are."""

    model: str
    scorer: Scorer
    bytes_per_item: float
    bytes_per_user: float | None
    variant: str = ""

    @classmethod
    def teacher(cls, factors: Factors) -> Compared:
        """The float vectors."""
        vector = 4.0 * factors.width
        return cls("teacher", FloatScorer(factors.users, factors.items), vector, vector)

    @classmethod
    def quantiser(cls, name: str, item_codes: ItemCodes, factors: Factors) -> Compared:
        """Codes of the teacher's items with the teacher's users as they are."""
        scorer = CodeScorer(item_codes, factors.users)
        return cls(name, scorer, item_codes.bytes_per_item_all_in, 4.0 * factors.width)

    @classmethod
    def lightrec(cls, users: CodedUsers) -> Compared:
        """Codes with users in a form."""
        codes = users.item_codes
        scorer = CodeScorer(codes, users.values)
        sizes = codes.bytes_per_item_all_in, users.bytes_per_user
        return cls("lightrec", scorer, *sizes, variant=users.form)


def measured_alike(
    title: str,
    models: Iterable[Compared],
    exclude: History,
    sought: History,
    *,
    progress: bool = False,
) -> Comparison:
    """The table of models, measured on the same pairs.

    Args:
        title: What the pairs are.
        models: From the simplest to the one that is shipped.
        exclude: Pairs that are not ranked.
        sought: Pairs to be found.
        progress: Shows progress bars when standard error is a terminal.
    """
    return Comparison(
        title,
        tuple(
            ComparisonRow(
                each.model,
                evaluate_ranking(each.scorer, exclude, sought, progress=progress).means,
                each.bytes_per_item,
                each.bytes_per_user,
                variant=each.variant,
            )
            for each in models
        ),
    )


def assembled(
    shipped: CodedUsers,
    factors: Factors,
    chosen_by: TrainedSelection | ItemMetric | None,
    told: Mapping[str, Any],
    *,
    user_ids: IdMap,
    item_ids: IdMap,
    item_columns: pl.DataFrame,
    history: History | None,
    keep_float_items: bool,
) -> Model:
    """What a model folder holds.

    Args:
        shipped: Codes and users.
        factors: The float vectors that they were made from.
        chosen_by: What chose the codes: a trained encoder, or the metric in which their errors were
            measured; None where that was one metric for all items.
        told: What `config.json` tells of the run.
        user_ids: Ids of the users, in row order.
        item_ids: Ids of the items, likewise.
        item_columns: What is known of the items, a row an item.
        history: Pairs that `recommend` leaves out.
        keep_float_items: Keeps the float items, as float16 where they fit.
    """
    return Model(
        config={"lightrec": __version__, **told},
        item_codes=shipped.item_codes,
        users=Users(shipped.form, shipped.values, shipped.query_map),
        user_ids=user_ids,
        item_ids=item_ids,
        item_columns=item_columns,
        history=history,
        selection=Selection.as_trained(chosen_by)
        if isinstance(chosen_by, TrainedSelection)
        else Selection.by_cells(factors.items, chosen_by),
        float_items=half_precision(factors.items) if keep_float_items else None,
    )
