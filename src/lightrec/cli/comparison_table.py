"""The honest table of a run, shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightrec.cli.terminal import show_table

if TYPE_CHECKING:
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
