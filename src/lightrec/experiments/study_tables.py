"""Tables of training through the codes: what each ingredient adds, and what a step takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

Row = Mapping[str, Any]
REGIMES = {
    "paper": "from random codebooks, BPR teacher of 32 numbers",
    "best": "from the codes of the default preset and the teacher's users",
    "fitted": "from the codes of the default preset, with fitted codebooks and users",
}


def training_study_table(content: Mapping[str, Any]) -> str:
    """A table for each data set and regime; differences are to the variant in the last column.

    Where a variant was trained from several seeds, the mean stands before the standard deviation;
    differences are of the seeds that both have.
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


def training_step_table(content: Mapping[str, Any]) -> str:
    """The median step of each student, and where a profiler says that its time goes."""
    host = content["machine"]
    lines = [
        "| student | ms a step | products | passes over scores | other torch | the rest |",
        "|---" * 6 + "|",
    ]
    for row in content["rows"]:
        parts = ("products", "matrix_passes", "other_torch", "rest")
        cells = [row["student"], f"{1000 * row['seconds']:.1f}"]
        cells += [f"{100 * row[f'{part}_share']:.0f} %" for part in parts]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"{host['cpu']}, {host['instruction_set']}, one core."]
    return "\n".join(lines)


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
    others = {row["seed"]: row[name] for row in control}
    pairs = [(row[name], others[row["seed"]]) for row in rows if row["seed"] in others]
    if not pairs:
        return told
    ours, theirs = (mean(side) for side in zip(*pairs, strict=True))
    return f"{told} ({100 * (ours / theirs - 1):+.1f} %)"
