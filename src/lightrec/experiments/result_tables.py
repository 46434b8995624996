"""Markdown tables from result files: the only way a number gets into a document."""

from __future__ import annotations

import statistics
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from lightrec.experiments.best_tables import (
    best_choices_table,
    best_summary,
    best_table,
    budgets_table,
    fold_in_choices_table,
    fold_in_table,
    live_users_table,
    refitted_codes_table,
    teacher_choices_table,
    updates_table,
)
from lightrec.experiments.reliability_tables import (
    damage_table,
    damaged_tables_table,
    ids_table,
    kill_table,
    resume_table,
)
from lightrec.experiments.search_tables import (
    exactness_table,
    of_last_processor,
    of_one_processor,
    scaling_table,
    search_machines,
    search_opponents,
    search_summary,
    search_table,
    search_variants,
)
from lightrec.experiments.study_tables import training_step_table, training_study_table

Row = Mapping[str, Any]

MAIN_PATH_MODELS = {
    "popularity": "popularity",
    "bpr": "BPR, float teacher",
    "start_random": "random codebooks, untrained",
    "lightrec_random": "→ trained",
    "start_rvq": "residual k-means (RVQ)",
    "lightrec_rvq": "→ trained",
    "start_aq": "additive quantisation",
    "lightrec": "→ trained: **LightRec**",
}
STARTS = {
    "lightrec_random": "start_random",
    "lightrec_rvq": "start_rvq",
    "lightrec": "start_aq",
}
SHOWN = (
    ("recall@20", "Recall@20"),
    ("recall@100", "Recall@100"),
    ("ndcg@100", "NDCG@100"),
    ("ndcg", "NDCG"),
)


def main_path_table(content: Mapping[str, Any]) -> str:
    """Ranking quality and bytes of every model of `main_path.json`, a table a data set."""
    titles = " | ".join(title for _, title in SHOWN)
    parts = []
    for data in sorted({row["data"] for row in content["rows"]}):
        rows = [row for row in content["rows"] if row["data"] == data]
        splits = sorted({row["split"] for row in rows})
        lines = [
            f"**{data}**, {_splits(splits)}, {rows[0]['items']:,} items",
            "",
            f"| model | {titles} | bytes per item, all in | bytes per user |",
            "|---" * (len(SHOWN) + 3) + "|",
        ]
        for model, label in MAIN_PATH_MODELS.items():
            of_model = [row for row in rows if row["model"] == model]
            if of_model:
                cells = [_mean_and_spread(of_model, name) for name, _ in SHOWN]
                cells.append(f"{_mean(of_model, 'bytes_per_item_all_in'):.1f}")
                cells.append(f"{_mean(of_model, 'bytes_per_user'):,.0f}")
                lines.append(f"| {label} | {' | '.join(cells)} |")
        for model, label in (("bpr", "BPR"), ("start_rvq", "RVQ"), ("lightrec", "LightRec")):
            printed = _paper_values().get(data, {}).get(model)
            if printed:
                lines.append(
                    f"| *the paper's {label}* | | *{printed['recall@100']:.4f}* | "
                    f"| *{printed['ndcg']:.4f}* | | |"
                )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def main_path_gains(content: Mapping[str, Any]) -> str:
    """What training adds to its own start, and what is lost to the teacher, paired by split."""
    lines = [
        "| data | trained from | Recall@100 | NDCG | both against the float teacher |",
        "|---|---|---|---|---|",
    ]
    for data in sorted({row["data"] for row in content["rows"]}):
        rows = [row for row in content["rows"] if row["data"] == data]
        for model, start in STARTS.items():
            gains = [_paired(rows, model, start, name) for name in ("recall@100", "ndcg")]
            losses = [_paired(rows, model, "bpr", name) for name in ("recall@100", "ndcg")]
            if all(gains):
                gain = [f"{_percent(each)}" for each in gains]
                loss = " / ".join(_percent(each) for each in losses)
                label = MAIN_PATH_MODELS[start]
                lines.append(f"| {data} | {label} | {gain[0]} | {gain[1]} | {loss} |")
    return "\n".join(lines)


def main_path_summary(content: Mapping[str, Any]) -> str:
    """The README's short table: teacher, RVQ and LightRec only."""
    lines = [
        "| data | model | Recall@100 | NDCG@100 | NDCG | bytes per item, all in | bytes per user |",
        "|---|---|---|---|---|---|---|",
    ]
    short = {"bpr": "float teacher (BPR)", "start_rvq": "residual k-means", "lightrec": "LightRec"}
    for data in sorted({row["data"] for row in content["rows"]}):
        for model, label in short.items():
            rows = [r for r in content["rows"] if r["data"] == data and r["model"] == model]
            if rows:
                names = ("recall@100", "ndcg@100", "ndcg")
                cells = [_mean_and_spread(rows, name) for name in names]
                size, user = _mean(rows, "bytes_per_item_all_in"), _mean(rows, "bytes_per_user")
                cells += [f"{size:.1f}", f"{user:,.0f}"]
                lines.append(f"| {data} | {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def choices_table(content: Mapping[str, Any]) -> str:
    """Every variant that was tried on validation pairs, best first within its group."""
    lines = [
        "| data | variant | start, Recall@100 / NDCG | best epoch, Recall@100 / NDCG | epoch |",
        "|---|---|---|---|---|",
    ]
    for data in sorted({row["data"] for row in content["rows"]}):
        rows = [row for row in content["rows"] if row["data"] == data]
        teacher = _pair(rows[0], "_teacher")
        lines.append(f"| {data} | *the float teacher* | | {teacher} | |")
        for row in sorted(rows, key=_group_and_quality):
            start = _pair(row, "_start") if "ndcg_validation_start" in row else "random"
            lines.append(f"| | {row['variant']} | {start} | {_pair(row, '')} | {row['epochs']} |")
    return "\n".join(lines)


def _pair(row: Row, suffix: str) -> str:
    recall, ndcg = (row[f"{name}_validation{suffix}"] for name in ("recall@100", "ndcg"))
    return f"{recall:.4f} / {ndcg:.4f}"


def _group_and_quality(row: Row) -> tuple[str, float]:
    group = row["variant"].partition(":")[0] if ":" in row["variant"] else ""
    return group, -(row["recall@100_validation"] + row["ndcg_validation"])


def timings_table(content: Mapping[str, Any]) -> str:
    """Wall times of the main path's parts, and the machines that they were taken on."""
    lines = [
        "| data | what | seconds | most memory | chosen | machine |",
        "|---" * 6 + "|",
    ]
    for row in content["rows"]:
        memory = f"{row['peak_gib']:.2f} GiB" if "peak_gib" in row else ""
        chosen = f"{row['teacher']}; {row['users']} users" if "teacher" in row else ""
        host = f"{row['cpu']}, {row['instruction_set']}"
        cells = (row["data"], row["model"], f"{row['seconds']:.2f}", memory, chosen, host)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"All on {content['machine']['cores']} cores."]
    return "\n".join(lines)


TABLES = {
    "exactness": ("exactness.json", exactness_table),
    "scaling": ("scaling.json", scaling_table),
    "search": ("search.json", search_table),
    "search_machines": ("search.json", search_machines),
    "search_opponents": ("search.json", search_opponents),
    "search_summary": ("search.json", search_summary),
    "search_variants": ("search.json", search_variants),
    "best": ("best.json", best_table),
    "best_choices": ("best_choices.json", best_choices_table),
    "teacher_choices": ("teacher_choices.json", teacher_choices_table),
    "best_summary": ("best.json", best_summary),
    "budgets": ("budgets.json", budgets_table),
    "fold_in": ("fold_in.json", fold_in_table),
    "fold_in_choices": ("fold_in_choices.json", fold_in_choices_table),
    "refitted_codes": ("refitted_codes.json", refitted_codes_table),
    "live_users": ("live_users.json", live_users_table),
    "updates": ("updates.json", updates_table),
    "damage": ("damage.json", damage_table),
    "damaged_tables": ("damaged_tables.json", damaged_tables_table),
    "ids": ("ids.json", ids_table),
    "kill": ("kill.json", kill_table),
    "kill_rivals": ("kill_rivals.json", kill_table),
    "resume": ("resume.json", resume_table),
    "timings": ("timings.json", timings_table),
    "training_step": ("training_step.json", training_step_table),
    "training_study": ("training_study.json", training_study_table),
    "choices": ("choices.json", choices_table),
    "main_path": ("main_path.json", main_path_table),
    "main_path_gains": ("main_path.json", main_path_gains),
    "main_path_summary": ("main_path.json", main_path_summary),
}
"""Each table that a document can hold: its result file and what renders it."""
PARTS = {
    **dict.fromkeys(("search", "search_opponents", "search_summary"), of_one_processor),
    "search_variants": of_last_processor,
}
"""What of its result file a table is given, where that is not all."""


def _splits(splits: Sequence[int]) -> str:
    if len(splits) == 1:
        return f"split {splits[0]}"
    return f"mean ± standard deviation over splits {', '.join(map(str, splits))}"


def _mean(rows: Sequence[Row], name: str) -> float:
    return statistics.fmean(row[name] for row in rows)


def _mean_and_spread(rows: Sequence[Row], name: str) -> str:
    values = [row[name] for row in rows]
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.4f}{spread}"


def _paired(rows: Sequence[Row], model: str, other: str, name: str) -> list[float]:
    """Relative differences of `model` from `other`, split by split."""
    ours = {row["split"]: row[name] for row in rows if row["model"] == model}
    theirs = {row["split"]: row[name] for row in rows if row["model"] == other}
    common = sorted(ours.keys() & theirs.keys())
    return [ours[split] / theirs[split] - 1.0 for split in common]


def _percent(values: Sequence[float]) -> str:
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.fmean(values):+.1f}{spread} %"


def _paper_values() -> dict[str, dict[str, dict[str, float]]]:
    file = resources.files("lightrec.experiments") / "paper_values.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))
