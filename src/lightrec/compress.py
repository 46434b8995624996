"""Turns the vectors that a team already has into 4-byte items; no torch, no training.

Anybody's vectors will do: matrix factorisation, two towers, a faiss index. User vectors say which
errors matter, interactions say which items matter; neither is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from pydantic import Field

from lightrec._version import __version__
from lightrec.artifact.contents import Model, Selection, Users
from lightrec.codes.additive_quantization import AdditiveQuantizationConfig
from lightrec.codes.coded_users import FORMS, MADE, CodedUsers, UsersConfig, users_in_forms
from lightrec.codes.half_precision import half_precision
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import MetricConfig
from lightrec.codes.ranking_metric import RankingMetricConfig
from lightrec.codes.ranking_quantization import quantize_in_ranking_metric
from lightrec.codes.residual_kmeans import residual_kmeans
from lightrec.codes.user_fit_task import Effort
from lightrec.comparison import Comparison, ComparisonRow
from lightrec.errors import ArgumentError
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer, Scorer
from lightrec.evaluation.top_overlap import top_overlap
from lightrec.factors import Factors
from lightrec.interactions import History, IdMap, Interactions
from lightrec.interactions.read_tables import TableSource
from lightrec.measured_pairs import MeasuredPairs, measured_on_interactions, measured_on_test
from lightrec.preferred_form import preferred_last
from lightrec.settings import Settings
from lightrec.shared_codes import describe_shared_codes
from lightrec.vectors_to_compress import (
    as_interactions,
    check_disjoint,
    history_of,
    id_map_of,
    item_degrees,
    prepare,
)

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
            `recommend` leaves out what a user has seen.
        test: Pairs that they were not trained on, to measure ranking quality on. Without them it is
            measured on a tenth of the interactions, and says so.
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
    """
    config = config or CompressConfig()
    if not isinstance(keep_float_items, bool):
        raise ArgumentError(f"keep_float_items must be True or False, not {keep_float_items!r}")
    ready = prepare(items, users, item_bias)
    factors, notes = ready.factors, list(ready.notes)
    item_map = id_map_of(item_ids, len(factors.items), "item")
    user_map = id_map_of(user_ids, len(factors.users), "user")
    interactions = None if interactions is None else as_interactions(interactions)
    history = held_out = None
    if len(user_map):
        history = history_of(interactions, user_map, item_map, "interactions", notes)
        held_out = history_of(test, user_map, item_map, "test", notes)
    elif interactions is not None or test is not None:
        notes.append("no user vectors: interactions weigh items, and ranking is not measured")
    if not len(item_map):
        raise ArgumentError("there are no items to compress")
    if history is not None and held_out is not None:
        check_disjoint(history, held_out)
    _check_form(config.users.form, factors, held_out)
    config.codes.require_codes_that_differ(len(item_map))
    measured = _measured(history, held_out, config, notes)
    degrees = item_degrees(interactions, item_map, history)
    ranked = quantize_in_ranking_metric(
        factors.items,
        factors.users,
        config,
        seen=history,
        degrees=degrees,
        rng=np.random.default_rng(config.seed),
    )
    codes = ranked.item_codes
    forms = _forms(factors, codes, history, measured, config, progress=progress)
    shipped = forms[-1]
    shared = describe_shared_codes(codes, degrees)
    notes += [shared] if shared else []
    queries = factors.users if len(factors.users) else factors.items
    sample = np.random.default_rng(config.seed).permutation(len(queries))[:OVERLAP_QUERIES]
    overlap = top_overlap(factors.items, codes, queries[sample], OVERLAP_AT)
    comparison = None
    if measured is not None:
        comparison = _comparison(factors, codes, forms, measured, config, progress=progress)
    return Model(
        config={
            "lightrec": __version__,
            "settings": config.model_dump(mode="json"),
            "overlap": {
                "at": min(OVERLAP_AT, len(item_map)),
                "share": overlap,
                "queries": len(sample),
                "by": "users" if len(factors.users) else "items",
            },
            "notes": notes,
            **({} if comparison is None else {"comparison": comparison.to_json()}),
        },
        item_codes=shipped.item_codes,
        users=Users(shipped.form, shipped.values, shipped.query_map),
        user_ids=user_map,
        item_ids=item_map,
        item_columns=pl.DataFrame({"popularity": degrees}),
        history=history,
        selection=Selection.by_cells(factors.items, ranked.metric),
        float_items=half_precision(factors.items) if keep_float_items else None,
    )


def _measured(
    history: History | None, test: History | None, config: CompressConfig, notes: list[str]
) -> MeasuredPairs | None:
    """What ranking quality is measured on; None where there is nothing, which `notes` then say."""
    if test is not None:
        choosing = config.users.form == "auto"
        return measured_on_test(history, test, config.seed, choosing=choosing)
    if history is None:
        return None
    measured = measured_on_interactions(history, config.seed)
    if len(measured.sought):
        return measured
    notes.append(
        "ranking is not measured: there are too few interactions to hold some out; give test pairs"
    )
    return None


def _forms(
    factors: Factors,
    codes: ItemCodes,
    history: History | None,
    measured: MeasuredPairs | None,
    config: CompressConfig,
    *,
    progress: bool,
) -> tuple[CodedUsers, ...]:
    """The users in the form asked for, or in all forms with the one to be shipped last."""
    if not len(factors.users):
        return (CodedUsers("identity", codes, factors.users),)
    asked = config.users.form
    forms = users_in_forms(
        FORMS if asked == "auto" else (asked,),
        *(factors, codes, history, config.users),
        Effort(config.seed, progress=progress),
    )
    if measured is None or measured.choosing is None:
        return forms
    return preferred_last(forms, measured.exclude, measured.choosing, config.users.tolerance)


def _check_form(asked: str, factors: Factors, held_out: History | None) -> None:
    """Refuses a form of users that cannot be made or chosen, before the long work."""
    if not len(factors.users):
        if asked in MADE and asked != "identity":
            raise ArgumentError(
                f"users.form = {asked!r} is made from user vectors, and there are none; "
                "give users, or leave the form at 'identity'"
            )
    elif asked == "auto" and held_out is None:
        raise ArgumentError(
            "users.form = 'auto' chooses on test pairs, and there are none; give test, or say "
            f"which form: {', '.join(MADE)}"
        )


def _comparison(
    factors: Factors,
    codes: ItemCodes,
    forms: Sequence[CodedUsers],
    measured: MeasuredPairs,
    config: CompressConfig,
    *,
    progress: bool,
) -> Comparison:
    """Ranking quality before and after.

    Plain residual k-means of the same size stands beside, as in every table.
    """
    if measured.user_rows is not None:
        factors = Factors(factors.users[measured.user_rows], factors.items)
    if measured.fitted_anew:
        forms = users_in_forms(
            [each.form for each in forms],
            *(factors, codes, measured.exclude, config.users),
            Effort(config.seed, progress=progress),
        )
    vector = 4.0 * factors.width
    plain = residual_kmeans(
        factors.items,
        config.codes.num_codebooks,
        config.codes.num_codewords,
        iterations=config.codes.kmeans_iterations,
        rng=np.random.default_rng(config.seed),
    )
    scorers: list[tuple[str, str, Scorer, float, float]] = [
        ("teacher", "", FloatScorer(factors.users, factors.items), vector, vector),
        ("rvq", "", CodeScorer(plain, factors.users), plain.bytes_per_item_all_in, vector),
    ]
    for users in forms:
        own = users.item_codes
        scorer = CodeScorer(own, users.values)
        per_item, per_user = own.bytes_per_item_all_in, users.bytes_per_user
        scorers.append(("lightrec", users.form, scorer, per_item, per_user))
    rows = (
        ComparisonRow(
            name,
            evaluate_ranking(scorer, measured.exclude, measured.sought, progress=progress).means,
            per_item,
            per_user,
            variant=form,
        )
        for name, form, scorer, per_item, per_user in scorers
    )
    return Comparison(measured.title, tuple(rows))
