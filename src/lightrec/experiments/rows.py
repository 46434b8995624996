"""Rows of ranking results: the fields that every such table has."""

from __future__ import annotations

from typing import Any

from lightrec.codes.item_codes import ItemCodes
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import Scorer
from lightrec.experiments.parts import Part
from lightrec.experiments.runner import Row
from lightrec.factors import Factors

NO_CODES: Row = {"num_codebooks": 0, "num_codewords": 0, "collisions": 0}


def ranking_row(part: Part, model: str, scorer: Scorer, **fields: Any) -> Row:  # noqa: ANN401
    """One model's metrics on a part, with what was measured.

    Args:
        part: The part.
        model: What the row is called.
        scorer: The model.
        fields: Everything else that the row tells.
    """
    result = evaluate_ranking(scorer, part.pairs, part.sought)
    return {
        "data": part.data,
        "model": model,
        "variant": "",
        "split": part.split,
        "users": len(result.user_rows),
        "items": part.pairs.num_items,
        "train_share": round(len(part.pairs) / (len(part.pairs) + len(part.sought)), 3),
        **fields,
        **result.means,
    }


def float_sizes(factors: Factors) -> Row:
    """Sizes of a float model."""
    return NO_CODES | {
        "teacher_width": factors.width,
        "width": factors.width,
        "bits_per_item": 32.0 * factors.width,
        "bytes_per_item_all_in": 4.0 * factors.width,
        "bytes_per_user": 4.0 * factors.width,
    }


def coded_sizes(codes: ItemCodes, bytes_per_user: float) -> Row:
    """Sizes of a coded model."""
    return {
        "width": codes.width,
        "num_codebooks": codes.num_codebooks,
        "num_codewords": codes.num_codewords,
        "bits_per_item": codes.bits_per_item,
        "bytes_per_item_all_in": codes.bytes_per_item_all_in,
        "bytes_per_user": bytes_per_user,
        "collisions": codes.health.collisions,
    }
