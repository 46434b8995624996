"""The honest table of a run, shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightrec.cli.terminal import show, show_table

if TYPE_CHECKING:
    from lightrec.artifact import Model
    from lightrec.comparison import Comparison

_MEANINGS = {
    "popularity": "popularity (same for all)",
    "teacher": "teacher (float vectors)",
    "rvq": "rvq (residual k-means)",
    "aq": "aq (additive quantisation)",
    "lightrec": "lightrec",
}
_METRICS = {
    "recall@20": "Recall@20",
    "recall@100": "Recall@100",
    "ndcg@100": "NDCG@100",
    "ndcg": "NDCG",
}


def show_bytes(model: Model) -> None:
    """Prints what the bytes of an item are, and says so where codes are no gain."""
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


def show_comparison(comparison: Comparison) -> None:
    """Prints a row for each model: quality, bytes and, where measured, time."""
    timed = any(row.microseconds is not None for row in comparison.rows)
    columns = ["model", *_METRICS.values(), "bytes/item", "bytes/user"]
    columns += ["µs/query"] if timed else []
    rows = [
        [
            _MEANINGS.get(row.model, row.model),
            *(row.metrics[name] for name in _METRICS),
            row.bytes_per_item,
            row.bytes_per_user,
            *([row.microseconds] if timed else []),
        ]
        for row in comparison.rows
    ]
    decimals = {"bytes/item": 1, "bytes/user": 1, "µs/query": 0}
    show_table(columns, rows, title=f"Measured on {comparison.title}:", decimals=decimals)
