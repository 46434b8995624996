"""The honest table of a run, shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lightrec.cli.terminal import show, show_table

if TYPE_CHECKING:
    from lightrec.artifact import Model
    from lightrec.evaluation.comparison import Comparison, ComparisonRow

_MEANINGS = {
    "popularity": "popularity (same for all)",
    "teacher": "teacher (float vectors)",
    "rvq": "rvq (residual k-means)",
    "aq": "aq (additive quantisation)",
    "lightrec": "lightrec",
}
_FORMS = {
    "identity": "users as the teacher's",
    "linear": "users through a linear map",
    "fitted": "users fitted to the codes",
    "table": "users as score tables",
}
_METRICS = {
    "recall@20": "Recall@20",
    "recall@100": "Recall@100",
    "ndcg@100": "NDCG@100",
    "ndcg": "NDCG",
}


def show_bytes(model: Model, told: Sequence[str] = ()) -> None:
    """Prints what the bytes of an item are, and says so where codes are no gain.

    Args:
        model: The model.
        told: Notes that were shown before, and are not repeated.
    """
    from lightrec.codes.shared_codes import describe_shared_codes

    size, width = model.bytes_per_item, model.item_codes.width
    show(
        f"(bytes/item: {size.codes:.0f} of codes and {size.codebooks:,.1f} of codebooks, which "
        f"all {model.num_items:,} items share)"
    )
    if size.all_in > 4 * width:
        show(
            f"(so few items do not pay for their codebooks: float vectors take {4 * width} bytes; "
            "set codes.num_codewords lower)"
        )
    shared = describe_shared_codes(model.item_codes, model.item_columns["popularity"].to_numpy())
    if shared and shared not in told:
        show(f"({shared})")


def show_comparison(comparison: Comparison) -> None:
    """Prints a row for each model: quality, bytes and, where measured, time."""
    timed = any(row.microseconds is not None for row in comparison.rows)
    columns = ["model", *_METRICS.values(), "bytes/item", "bytes/user"]
    columns += ["µs/query"] if timed else []
    rows = [
        [
            _name(row),
            *(row.metrics[name] for name in _METRICS),
            row.bytes_per_item,
            row.bytes_per_user,
            *([row.microseconds] if timed else []),
        ]
        for row in comparison.rows
    ]
    decimals = {"bytes/item": 1, "bytes/user": 1, "µs/query": 0}
    show_table(columns, rows, title=f"Measured on {comparison.title}:", decimals=decimals)


def show_choice(comparison: Comparison, tolerance: float) -> None:
    """Prints which form of users was shipped, and by which rule, where there was a choice."""
    forms = [row.variant for row in comparison.rows if row.model == "lightrec"]
    if len(forms) > 1:
        show(
            f"Kept: {forms[-1]}. Of the forms that come within {100 * tolerance:g} % of the best "
            "Recall@100 + NDCG, it takes the fewest"
        )
        show(
            "bytes a user (of equally many bytes, the better form is kept); --user-form of train "
            "and compress asks for another."
        )


def _name(row: ComparisonRow) -> str:
    name = _MEANINGS.get(row.model, row.model)
    return f"{name} ({row.variant}: {_FORMS[row.variant]})" if row.variant in _FORMS else name
