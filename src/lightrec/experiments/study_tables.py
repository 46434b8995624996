"""The table of the training study: what each ingredient adds or costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]
REGIMES = {
    "paper": "from random codebooks, BPR teacher of 32 numbers",
    "best": "from the codes of the default preset",
}


def training_study_table(content: Mapping[str, Any]) -> str:
    """A table for each data set and regime; differences are to the variant in the last column."""
    parts = []
    for data in dict.fromkeys(row["data"] for row in content["rows"]):
        for regime, about in REGIMES.items():
            rows = {
                row["variant"]: row
                for row in content["rows"]
                if (row["data"], row["regime"]) == (data, regime)
            }
            if not rows:
                continue
            lines = [
                f"**{data}**, {about}",
                "",
                "| ingredient | variant | Recall@100 | NDCG | validation Recall@100 / NDCG "
                "| learning rate | epochs | against |",
                "|---" * 8 + "|",
            ]
            for row in rows.values():
                control = rows.get(row["against"])
                compared = control is not None and control is not row
                cells = [
                    *(row["ingredient"], row["variant"]),
                    *(_with_change(row, control, name) for name in ("recall@100", "ndcg")),
                    f"{row['recall@100_validation']:.4f} / {row['ndcg_validation']:.4f}",
                    f"{row['learning_rate']:g}",
                    f"{row['epochs']}{' (cap)' if row['stopped_at_the_cap'] else ''}",
                    row["against"] if compared else "",
                ]
                lines.append(f"| {' | '.join(cells)} |")
            parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _with_change(row: Row, control: Row | None, name: str) -> str:
    if control is None or control is row:
        return f"{row[name]:.4f}"
    return f"{row[name]:.4f} ({100 * (row[name] / control[name] - 1):+.1f} %)"
