"""Turns the vectors that a team already has into 4-byte items; no torch, no training.

    given     vectors, ids, pairs and items table, checked and in rows
    → codes   of the items, quantised in the metric of the ranking where there are users
    → users   in the form asked for, or in the one that test pairs prefer
    → table   of the float vectors, plain quantisation and the codes, where there are pairs
    → model

Anybody's vectors will do: matrix factorisation, two towers, a faiss index. User vectors say which
errors matter, interactions say which items matter; neither is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from lightrec.artifact.contents import Model
from lightrec.artifact.item_columns import nested_columns
from lightrec.artifact.verify import check_item_columns
from lightrec.codes.additive_quantization import AdditiveQuantizationConfig
from lightrec.codes.coded_users import FORMS, MADE, CodedUsers, UsersConfig, users_in_forms
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import MetricConfig
from lightrec.codes.ranking_metric import RankingMetricConfig
from lightrec.codes.ranking_quantization import (
    RankedCodes,
    plain_start,
    quantize_in_ranking_metric,
)
from lightrec.codes.shared_codes import check_num_codewords, describe_shared_codes
from lightrec.codes.user_fit_task import Effort
from lightrec.errors import ArgumentError
from lightrec.evaluation.comparison import Comparison
from lightrec.evaluation.measured_pairs import (
    MeasuredPairs,
    measured_on_interactions,
    measured_on_test,
)
from lightrec.evaluation.preferred_form import preferred_last
from lightrec.evaluation.top_overlap import top_overlap
from lightrec.factors import Factors
from lightrec.interactions import IdMap, Interactions, read_items
from lightrec.interactions.read_tables import TableSource
from lightrec.outcome import Compared, assembled, measured_alike
from lightrec.progress import steps_done
from lightrec.settings import Settings
from lightrec.vectors_to_compress import Given, id_map_of, prepare

OVERLAP_AT = 100
OVERLAP_QUERIES = 1_000  # a sample: the standard error of the mean overlap is then below .01


class CompressUsersConfig(UsersConfig):
    """Settings of the users' form where vectors are compressed."""

    form: Literal["auto", "identity", "linear", "mlp", "fitted", "table"] = "identity"
    """`auto`, which is the form with the fewest bytes a user that comes within `tolerance` of the
    best (of equally many bytes, the better form), needs test pairs to choose on."""


class CompressConfig(Settings):
    """Settings of compression."""

    seed: int = Field(0, ge=0)
    """Of the k-means start, of the sample of queries, and of the pairs to measure on."""
    codes: AdditiveQuantizationConfig = AdditiveQuantizationConfig()
    """Sizes and effort."""
    metric: MetricConfig = MetricConfig()
    """How an item's error is measured at first; without user vectors it is Euclidean."""
    ranking: RankingMetricConfig = RankingMetricConfig()
    """How it is measured at last, where there are user vectors: by who would rank the item high."""
    users: CompressUsersConfig = CompressUsersConfig()
    """The form of the users in the model."""


def compress(
    items: np.ndarray,
    users: np.ndarray | None = None,
    *,
    item_bias: np.ndarray | None = None,
    item_ids: Sequence[str] | Sequence[int] | IdMap | None = None,
    user_ids: Sequence[str] | Sequence[int] | IdMap | None = None,
    interactions: Interactions | TableSource | None = None,
    test: Interactions | TableSource | None = None,
    item_table: TableSource | None = None,
    config: CompressConfig | None = None,
    keep_float_items: bool = False,
    progress: bool = False,
) -> Model:
    """Compresses item vectors.

    Args:
        items: (N, D) float.
        users: (M, D) float; without them the model answers queries by vector only.
        item_bias: (N,) added to every user's score of an item: becomes one more dimension, which is
            1 on the user side.
        item_ids: Their ids, in row order; row numbers when None.
        user_ids: Likewise for users.
        interactions: Pairs that the vectors were trained on: popular items then count more, and
            `recommend` leaves out what a user has seen. What became of the rows of a table is told
            by the log (`lightrec`), and as warnings that ratings, weights and counts are not used.
        test: Pairs that they were not trained on, to measure ranking quality on. Without them it is
            measured on a tenth of the interactions, and says so.
        item_table: What is known of the items, a row an item, with any columns to keep (title,
            category, ...). `notes` counts rows whose items have no vector, and items without a row,
            whose columns are empty.
        config: Sizes and effort.
        keep_float_items: Keeps the item vectors for post-ranking, as float16 where they fit.
        progress: Shows progress bars when standard error is a terminal.

    Returns:
        The model; `model.config` holds `comparison` (ranking quality of the float vectors and of
        the codes), `overlap` (share of the float top 100 that the codes' top 100 holds) and
        `notes`.

    Raises:
        ArgumentError: Shapes, ids or sizes do not fit, a value is not finite, or there are fewer
            items than codewords.
        InputError: A table cannot be used.
        ArtifactError: A column of the items table cannot be kept in a model.
    """
    config = config or CompressConfig()
    if not isinstance(keep_float_items, bool):
        raise ArgumentError(f"keep_float_items must be True or False, not {keep_float_items!r}")
    items_table = None if item_table is None else read_items(item_table)
    vectors = prepare(items, users, item_bias)
    item_map = id_map_of(item_ids, len(vectors.factors.items), "item")
    user_map = id_map_of(user_ids, len(vectors.factors.users), "user")
    given = Given.of(vectors, user_map, item_map, interactions, test, items_table)
    check_item_columns(given.item_columns, len(item_map))
    _check_form(config.users.form, given)
    check_num_codewords(config.codes, len(item_map))
    effort = Effort(config.seed, progress=progress)
    measured, unmeasured = _measured(given, config)
    ranked = _quantized(given, config, progress)
    forms = _forms(given, ranked.item_codes, measured, config.users, effort)
    sharing = describe_shared_codes(ranked.item_codes, given.degrees)
    told = {
        "settings": config.model_dump(mode="json"),
        "overlap": _overlap(given.factors, ranked.item_codes, config.seed),
        "notes": [*given.notes, *unmeasured, *filter(None, [sharing])],
        "item_columns_left_out": [] if items_table is None else nested_columns(items_table),
    }
    if measured is not None:
        comparison = _compared(given.factors, ranked.item_codes, forms, measured, config, effort)
        told["comparison"] = comparison.to_json()
    return assembled(
        forms[-1],
        given.factors,
        ranked.metric,
        told,
        user_ids=user_map,
        item_ids=item_map,
        item_columns=given.item_columns,
        history=given.history,
        keep_float_items=keep_float_items,
    )


def _quantized(given: Given, config: CompressConfig, progress: bool) -> RankedCodes:
    rounds = config.codes.rounds + (config.ranking.rounds if len(given.factors.users) else 0)
    with steps_done("quantising: rounds", rounds, enabled=progress) as done:
        return quantize_in_ranking_metric(
            given.factors.items,
            given.factors.users,
            config,
            seen=given.history,
            degrees=given.degrees,
            rng=np.random.default_rng(config.seed),
            on_round=done and (lambda *_: done()),  # telling a round costs a pass over the items
        )


def _check_form(asked: str, given: Given) -> None:
    """Refuses a form of users that cannot be made or chosen, before the long work."""
    if not len(given.factors.users):
        if asked in MADE and asked != "identity":
            raise ArgumentError(
                f"users.form = {asked!r} is made from user vectors, and there are none; "
                "give users, or leave the form at 'identity'"
            )
    elif asked == "auto" and given.test is None:
        raise ArgumentError(
            "users.form = 'auto' chooses on test pairs, and there are none; give test, or say "
            f"which form: {', '.join(MADE)}"
        )


def _measured(given: Given, config: CompressConfig) -> tuple[MeasuredPairs | None, tuple[str, ...]]:
    """What ranking quality is measured on; None where there is nothing, and a note that says so."""
    if given.test is not None:
        choosing = config.users.form == "auto"
        return measured_on_test(given.history, given.test, config.seed, choosing=choosing), ()
    if given.history is None:
        return None, ()
    measured = measured_on_interactions(given.history, config.seed)
    if len(measured.sought):
        return measured, ()
    return None, (
        "ranking is not measured: there are too few interactions to hold some out; give test pairs",
    )


def _forms(
    given: Given,
    codes: ItemCodes,
    measured: MeasuredPairs | None,
    config: CompressUsersConfig,
    effort: Effort,
) -> tuple[CodedUsers, ...]:
    """The users in the form asked for, or in all forms with the one to be shipped last."""
    if not len(given.factors.users):
        return (CodedUsers("identity", codes, given.factors.users),)
    asked = FORMS if config.form == "auto" else (config.form,)
    forms = users_in_forms(asked, given.factors, codes, given.history, config, effort)
    if measured is None or measured.choosing is None:
        return forms
    return preferred_last(forms, measured.exclude, measured.choosing, config.tolerance)


def _compared(
    factors: Factors,
    codes: ItemCodes,
    forms: Sequence[CodedUsers],
    measured: MeasuredPairs,
    config: CompressConfig,
    effort: Effort,
) -> Comparison:
    """Ranking quality before and after.

    Plain residual k-means of the same size stands beside, as in every table.
    """
    if measured.user_rows is not None:
        factors = Factors(factors.users[measured.user_rows], factors.items)
    if measured.fitted_anew:
        same = [each.form for each in forms]
        forms = users_in_forms(same, factors, codes, measured.exclude, config.users, effort)
    plain = plain_start(factors.items, config.codes, config.seed)
    models = [
        Compared.teacher(factors),
        Compared.quantiser("rvq", plain, factors),
        *(Compared.lightrec(users) for users in forms),
    ]
    return measured_alike(
        measured.title, models, measured.exclude, measured.sought, progress=effort.progress
    )


def _overlap(factors: Factors, codes: ItemCodes, seed: int) -> dict[str, Any]:
    """How much of the float lists the codes keep, for some users or, without any, some items."""
    by_users = len(factors.users) > 0
    queries = factors.users if by_users else factors.items
    sample = np.random.default_rng(seed).permutation(len(queries))[:OVERLAP_QUERIES]
    return {
        "at": min(OVERLAP_AT, len(factors.items)),
        "share": top_overlap(factors.items, codes, queries[sample], OVERLAP_AT),
        "queries": len(sample),
        "by": "users" if by_users else "items",
    }
