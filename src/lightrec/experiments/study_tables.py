"""The table of the training study: what each ingredient adds or costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

Row = Mapping[str, Any]
REGIMES = {
    "paper": "from random codebooks, BPR teacher of 32 numbers",
    "best": "from the codes of the default preset",
}


def training_study_table(content: Mapping[str, Any]) -> str:
    """A table for each data set and regime; differences are to the variant in the last column.

    Where a variant was trained from several seeds, the mean stands before the standard deviation.
    """
    parts = []
    for data in dict.fromkeys(row["data"] for row in content["rows"]):
        for regime, about in REGIMES.items():
            variants: dict[str, list[Row]] = {}
            for row in content["rows"]:
                if (row["data"], row["regime"]) == (data, regime):
                    variants.setdefault(row["variant"], []).append(row)
            if not variants:
                continue
            lines = [
                f"**{data}**, {about}",
                "",
                "| ingredient | variant | Recall@100 | NDCG | validation Recall@100 / NDCG "
                "| learning rate | epochs | against |",
                "|---" * 8 + "|",
            ]
            for name, rows in sorted(variants.items(), key=_place):
                first = rows[0]
                capped = first["epochs"] and first["stopped_at_the_cap"]
                control = None if first["against"] == name else variants.get(first["against"])
                cells = [
                    *(first["ingredient"], name),
                    *(_with_change(rows, control, metric) for metric in ("recall@100", "ndcg")),
                    f"{first['recall@100_validation']:.4f} / {first['ndcg_validation']:.4f}",
                    f"{first['learning_rate']:g}",
                    f"{first['epochs']}{' (cap)' if capped else ''}",
                    "" if control is None else first["against"],
                ]
                lines.append(f"| {' | '.join(cells)} |")
            parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _place(named: tuple[str, Sequence[Row]]) -> tuple[bool, str, bool, str]:
    """The regime's own variant first, then by ingredient; what others are held against first."""
    name, (first, *_) = named
    own = first["against"] == name
    return not own, first["ingredient"], "," in name, name


def _with_change(rows: Sequence[Row], control: Sequence[Row] | None, name: str) -> str:
    values = [row[name] for row in rows]
    told = f"{mean(values):.4f}"
    if len(values) > 1:
        told += f" ± {stdev(values):.4f}"
    if control is None:
        return told
    return f"{told} ({100 * (mean(values) / mean(row[name] for row in control) - 1):+.1f} %)"
