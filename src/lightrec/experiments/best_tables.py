"""Tables of the default preset: its results, and the choices that led to it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

FORMS = ("identity", "fitted", "table")
LABELS = {
    ("bpr", ""): "BPR, 32 floats",
    ("teacher", ""): "**teacher**, floats",
    ("random_codes", "table"): "random codes, `table`",
    ("start_rvq", "identity"): "residual k-means, `identity`",
    ("start_aq", "identity"): "additive quantisation, `identity`",
    ("start_aq", "table"): "additive quantisation, `table`",
    ("lightrec", "identity"): "**LightRec**, `identity`",
    ("lightrec", "fitted"): "**LightRec**, `fitted`",
    ("lightrec", "table"): "**LightRec**, `table`",
}
"""Models and user forms in the order of the tables."""
SHOWN = ("recall@20", "recall@100", "ndcg@20", "ndcg@100", "ndcg")
WANTED_OF_NEW_USERS = 0.95
"""What new users are to get of what they would have got, had they been trained with all others."""
SUMMARY = (
    *(("teacher", ""), ("random_codes", "table"), ("start_aq", "table")),
    *(("lightrec", "identity"), ("lightrec", "fitted"), ("lightrec", "table")),
)


def best_table(content: Mapping[str, Any]) -> str:
    """Every model and form, a table a data set; in brackets what is left of the teacher's value.

    Over several splits: mean ± standard deviation, of the share too, which is taken split by split.
    """
    parts = []
    for data in _ordered(row["data"] for row in content["rows"]):
        rows = [row for row in content["rows"] if row["data"] == data]
        splits = sorted({row["split"] for row in rows if row["model"] == "teacher"})
        teacher = _of(rows, "teacher", "")
        lines = [
            f"**{data}**, {len(splits)} split{'s' if len(splits) > 1 else ''}, "
            f"{rows[0]['items']:,} items, teacher of {teacher[0]['width']} numbers",
            "",
            "| model | Recall@20 | Recall@100 | NDCG@20 | NDCG@100 | NDCG "
            "| bytes an item, all in | bytes a user |",
            "|---" * 8 + "|",
        ]
        for (model, variant), label in LABELS.items():
            found = _of(rows, model, variant)
            if found:
                cells = [_with_share(found, teacher, name, model) for name in SHOWN]
                size = _mean(found, "bytes_per_item_all_in"), _mean(found, "bytes_per_user")
                fewer = len(found) < len(splits)
                told = f"{label}, split {_listed(found)} only" if fewer else label
                lines.append(f"| {told} | {' | '.join(cells)} | {size[0]:,.1f} | {size[1]:,.0f} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def best_summary(content: Mapping[str, Any]) -> str:
    """The README's short table: teacher, controls and LightRec in its three forms."""
    lines = [
        "| data | model | Recall@100 | NDCG@100 | NDCG | bytes an item: codes / all in "
        "| bytes a user |",
        "|---|---|---|---|---|---|---|",
    ]
    for data in _ordered(row["data"] for row in content["rows"]):
        rows = [row for row in content["rows"] if row["data"] == data]
        for model, variant in SUMMARY:
            found = _of(rows, model, variant)
            if found:
                cells = [_spread(found, name) for name in ("recall@100", "ndcg@100", "ndcg")]
                codes = found[0]["bits_per_item"] / 8
                size, user = _mean(found, "bytes_per_item_all_in"), _mean(found, "bytes_per_user")
                lines.append(
                    f"| {data} | {LABELS[model, variant]} | {' | '.join(cells)} "
                    f"| {codes:,.0f} / {size:,.1f} | {user:,.0f} |"
                )
    return "\n".join(lines)


def budgets_table(content: Mapping[str, Any]) -> str:
    """Recall@100 / NDCG@100 of every quantiser by the bytes of a code."""
    parts = []
    for data in _ordered(row["data"] for row in content["rows"]):
        rows = [row for row in content["rows"] if row["data"] == data]
        sizes = sorted({row["bytes"] for row in rows if row["num_codebooks"]})
        lines = [
            f"**{data}**, split 0: Recall@100 / NDCG@100",
            "",
            "| model | " + " | ".join(f"{size:.0f} B" for size in sizes) + " |",
            "|---" * (len(sizes) + 1) + "|",
        ]
        for model, variant in _ordered((row["model"], row["variant"]) for row in rows):
            found = {
                row["bytes"]: row
                for row in rows
                if (row["model"], row["variant"]) == (model, variant)
            }
            if model in ("float32", "float16", "int8"):
                continue
            cells = [_pair(found[size]) if size in found else "" for size in sizes]
            lines.append(f"| {model}, `{variant}` | {' | '.join(cells)} |")
        all_in = {row["bytes"]: row["bytes_per_item_all_in"] for row in rows if row["width"]}
        cells = [f"{all_in[size]:,.1f}" for size in sizes]
        lines.append(f"| *bytes an item, all in* | {' | '.join(cells)} |")
        lines += _bytes_per_user(rows, sizes)
        plain = [row for row in rows if row["model"] in ("float32", "float16", "int8")]
        told = [f"{r['model']} ({r['bytes']:,.0f} B): {_pair(r)}" for r in plain]
        lines += ["", "Stored plainly: " + "; ".join(told) + "."]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _bytes_per_user(rows: Sequence[Row], sizes: Sequence[float]) -> list[str]:
    """What a user takes at every size of a code, a line for each form that is there."""
    lines = []
    for form in FORMS:
        found = {row["bytes"]: row["bytes_per_user"] for row in _of(rows, "lightrec", form)}
        if found:
            cells = [f"{found[size]:,.0f}" if size in found else "" for size in sizes]
            lines.append(f"| *bytes a user, `{form}`* | {' | '.join(cells)} |")
    return lines


def fold_in_table(content: Mapping[str, Any]) -> str:
    """Users who were held out whole; in brackets the share of what trained ones of a form get.

    What the codes alone give is held against both forms: a model of either has no more to go by
    where it keeps no float items.
    """
    lines = [
        "| data | users | met how | beside trained | Recall@100 | NDCG@100 | NDCG |",
        "|---" * 7 + "|",
    ]
    rows = content["rows"]
    trained = {(row["data"], row["variant"]): row for row in rows if row["model"] == "trained"}
    order = ("trained", "known_items", "folded_in")
    for row in sorted(rows, key=lambda row: (row["data"], order.index(row["model"]))):
        own = row["variant"].removeprefix("float items: ")
        for form in ("identity", "table") if own == "codes only" else (own,):
            cells = [
                f"{row[name]:.4f}" + _share_of(row, trained[row["data"], form], name)
                for name in ("recall@100", "ndcg@100", "ndcg")
            ]
            users, beside = row["model"].replace("_", " "), form * (row["model"] != "trained")
            head = f"{row['data']} | {users} | {row['variant']} | {beside}"
            lines.append(f"| {head} | {' | '.join(cells)} |")
    reached = []
    for data in _ordered(row["data"] for row in rows):
        new = _of([row for row in rows if row["data"] == data], "folded_in", "float items: table")
        if new:
            share = new[0]["recall@100"] / trained[data, "table"]["recall@100"]
            verdict = "reached" if share >= WANTED_OF_NEW_USERS else "missed"
            reached.append(f"{data} {100 * share:.1f} %, {verdict}")
    wanted = f"{100 * WANTED_OF_NEW_USERS:.0f} %"
    aim = f"Wanted: {wanted} of the Recall@100 of trained `table` users, with float items"
    return "\n".join([*lines, "", f"{aim}; found: {'; '.join(reached)}."])


def fold_in_choices_table(content: Mapping[str, Any]) -> str:
    """Every setting of fold-in, one line each, beside how new users are met."""
    rows = content["rows"]
    met = _ordered(row["regime"] for row in rows)
    lines = [
        f"| data | teacher | setting | {' | '.join(met)} |",
        "|---" * (3 + len(met)) + "|",
    ]
    found = {(*_choice(row), row["regime"]): row for row in rows}
    names = ("recall@100_validation", "ndcg@100_validation")
    for data, teacher, variant in sorted({_choice(row) for row in rows}, key=_default_first):
        cells = []
        for each in met:
            row = found[data, teacher, variant, each]
            cells.append(" / ".join(f"{row[name]:.4f}" for name in names))
        kind = teacher.replace("ials", "iALS")
        lines.append(f"| {data} | {kind} | {variant} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _choice(row: Row) -> tuple[str, str, str]:
    return row["data"], row["model"], row["variant"]


def _default_first(choice: tuple[str, str, str]) -> tuple[str, str, bool, str]:
    data, teacher, variant = choice
    return data, teacher, variant != "default", variant


def _share_of(row: Row, trained: Row, name: str) -> str:
    """In brackets, what is left of a trained user's value; empty for those themselves."""
    return "" if row is trained else f" ({100 * row[name] / trained[name]:.1f} %)"


def updates_table(content: Mapping[str, Any]) -> str:
    """A model brought up to date or trained again, beside one trained anew."""
    lines = [
        "| data | model | codes changed | Recall@100 / NDCG | of later items | seconds |",
        "|---|---|---|---|---|---|",
    ]
    rows = content["rows"]
    made = dict.fromkeys(
        (row["data"], row["model"], row["variant"].removesuffix(row["sought"])) for row in rows
    )
    for data, model, variant in made:
        cells: list[str] = []
        of_one: Mapping[str, Any] = {}
        for sought in ("all pairs", "later items"):
            found = [
                row
                for row in rows
                if (row["data"], row["model"], row["variant"]) == (data, model, variant + sought)
            ]
            pair = f"{found[0]['recall@100']:.4f} / {found[0]['ndcg']:.4f}" if found else ""
            cells.append(pair)
            of_one = found[0] if found else of_one
        name = f"{model}, {variant.removesuffix(', ')}" if variant else model
        changed, items = of_one["codes_changed"], of_one["items"]
        lines.append(
            f"| {data} | {name} | {changed:,} of {items:,} ({100 * changed / items:.0f} %) | "
            f"{' | '.join(cells)} | {of_one['making_seconds']:.0f} |"
        )
    return "\n".join(lines)


def best_choices_table(content: Mapping[str, Any]) -> str:
    """Every variant of the default preset on validation pairs, by form of users."""
    forms = ("identity", "linear", "fitted", "table")
    lines = [
        "| data | variant | `identity`, Recall@100 / NDCG | `linear` | `fitted` | `table` |",
        "|---|---|---|---|---|---|",
    ]
    for data in _ordered(row["data"] for row in content["rows"]):
        rows = [row for row in content["rows"] if row["data"] == data]
        teacher = _validation_pair(rows[0], "teacher")
        lines.append(f"| {data} | *the float teacher* | {teacher} | | | |")
        rows.sort(key=lambda row: (row["variant"] != "default", row["variant"].partition(":")[0]))
        for row in rows:
            cells = [_validation_pair(row, form) for form in forms]
            lines.append(f"| | {row['variant']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def refitted_codes_table(content: Mapping[str, Any]) -> str:
    """What users gain from codes that were fitted to users before them."""
    shown = ("recall@20", "recall@100", "ndcg@100", "ndcg")
    lines = [
        "| data | codes fitted to users | other codes | users | Recall@20 | Recall@100 | NDCG@100 "
        "| NDCG |",
        "|---" * 8 + "|",
    ]
    for row in sorted(content["rows"], key=lambda row: (row["data"], row["times"], row["variant"])):
        cells = [row["data"], f"{row['times']} x", f"{100 * row['items_changed']:.0f} %"]
        cells += [f"`{row['variant']}`", *(f"{row[f'{name}_validation']:.4f}" for name in shown)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def live_users_table(content: Mapping[str, Any]) -> str:
    """What a query by vector is worth, for users whom nobody has fitted."""
    lines = [
        "| data | query | numbers in a codeword | Recall@100 | NDCG |",
        "|---|---|---|---|---|",
    ]
    for data in _ordered(row["data"] for row in content["rows"]):
        rows = {row["variant"]: row for row in content["rows"] if row["data"] == data}
        order = ["float", *sorted(set(rows) - {"float"}, key=lambda name: _query_order(rows[name]))]
        for variant in order:
            row, teacher = rows[variant], rows["float"]
            cells = []
            for name in ("recall@100_validation", "ndcg_validation"):
                share = f" ({100 * row[name] / teacher[name]:.1f} %)" if row is not teacher else ""
                cells.append(f"{row[name]:.4f}{share}")
            query = variant.partition(", ")[0] if "numbers" in variant else variant
            lines.append(f"| {data} | {query} | {row['width']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _query_order(row: Row) -> tuple[bool, int, str]:
    return "numbers" in row["variant"], -row["width"], row["variant"]


def teacher_choices_table(content: Mapping[str, Any]) -> str:
    """Every variant of the teachers on validation pairs."""
    lines = [
        "| data | teacher | variant | Recall@20 | Recall@100 | NDCG@20 | NDCG | epochs | CPU s |",
        "|---" * 9 + "|",
    ]
    names = [f"{name}_validation" for name in ("recall@20", "recall@100", "ndcg@20", "ndcg")]
    order = {"sampled_softmax": 0, "ials": 1}
    rows = sorted(
        content["rows"],
        key=lambda row: (row["data"], order[row["model"]], row["variant"] != "default"),
    )
    for row in rows:
        cells = " | ".join(f"{row[name]:.4f}" for name in names)
        kind = row["model"].replace("_", " ").replace("ials", "iALS")
        lines.append(
            f"| {row['data']} | {kind} | {row['variant']} | {cells} "
            f"| {row['epochs']} | {row['cpu_seconds']:.0f} |"
        )
    return "\n".join(lines)


def _validation_pair(row: Row, form: str) -> str:
    if f"ndcg_validation_{form}" not in row:
        return ""
    recall, ndcg = (row[f"{name}_validation_{form}"] for name in ("recall@100", "ndcg"))
    return f"{recall:.4f} / {ndcg:.4f}"


def _listed(rows: Sequence[Row]) -> str:
    return ", ".join(str(split) for split in sorted({row["split"] for row in rows}))


def _of(rows: Sequence[Row], model: str, variant: str) -> list[Row]:
    return [row for row in rows if (row["model"], row["variant"]) == (model, variant)]


def _ordered(values: Any) -> list[Any]:  # noqa: ANN401
    return list(dict.fromkeys(values))


def _mean(rows: Sequence[Row], name: str) -> float:
    return statistics.fmean(row[name] for row in rows)


def _spread(rows: Sequence[Row], name: str) -> str:
    return _mean_and_deviation([row[name] for row in rows], 4)


def _mean_and_deviation(values: Sequence[float], decimals: int) -> str:
    """The mean, and the standard deviation where there are several values."""
    mean = f"{statistics.fmean(values):.{decimals}f}"
    return f"{mean} ± {statistics.stdev(values):.{decimals}f}" if len(values) > 1 else mean


def _with_share(rows: Sequence[Row], teacher: Sequence[Row], name: str, model: str) -> str:
    """Mean and spread, and those of its share of the teacher's value on the same split."""
    if model == "teacher":
        return _spread(rows, name)
    theirs = {row["split"]: row[name] for row in teacher}
    shares = [100 * row[name] / theirs[row["split"]] for row in rows if row["split"] in theirs]
    share = f" ({_mean_and_deviation(shares, 1)} %)" if shares else ""
    return f"{_spread(rows, name)}{share}"


def _pair(row: Row) -> str:
    return f"{row['recall@100']:.4f} / {row['ndcg@100']:.4f}"
