"""Tables of the search benchmark: this project's scans, and others at the same questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

K = 100
"""Of what is shown at one k only."""
COMPARED = ("epinions", "1m")
"""Catalogues for which every engine is shown."""
P95 = "Each query counts with the fastest of its passes; p95 is of the queries."
LAYOUTS = {"cells": "in cells", "flat": "flat", "float32": "float scan in C++"}
"""Of `scaling.json`."""
VARIED = {"items": "N", "k": "k", "width": "D", "num_codebooks": "B, portable scan"}
ENGINES = {
    "numpy_float": "numpy, float32 product and `argpartition`",
    "fused_float": "float32 scan in C++, one pass",
    "faiss_flat": "faiss IndexFlatIP",
    "faiss_pq": "faiss IndexPQ, the same codes",
    "faiss_fastscan": "faiss PQFastScan 8 x 4",
    "faiss_ivfpq": "faiss IVFPQ 4 x 8",
    "hnswlib": "hnswlib",
    "annoy": "Annoy",
    "lightrec": "**LightRec**",
    "lightrec_flat": "LightRec, flat",
    "lightrec_inverted_file": "LightRec, inverted file",
}


def of_one_processor(content: Mapping[str, Any]) -> dict[str, Any]:
    """`search.json` with the rows of one processor for each catalogue, opponents of the same run.

    It is the one with the most instruction sets, and of several the one that was given the most
    catalogues, so that they can be compared.
    """
    widest = Counter(cpu for _, cpu in {(_catalogue(row), row["cpu"]) for row in content["rows"]})
    return _chosen(content, lambda cpu: widest[cpu])


def of_last_processor(content: Mapping[str, Any]) -> dict[str, Any]:
    """Likewise, but of several with as many instruction sets the one that was measured last."""
    return _chosen(content, lambda _: 0)  # which comes first


def _chosen(content: Mapping[str, Any], preference: Callable[[str], int]) -> dict[str, Any]:
    sets: dict[tuple[str, str], dict[str, set[str]]] = {}
    for row in content["rows"]:
        sets.setdefault(_catalogue(row), {}).setdefault(row["cpu"], set()).add(row["isa"])
    chosen = {
        catalogue: max(found, key=lambda cpu: (len(found[cpu]), preference(cpu)))
        for catalogue, found in sets.items()
    }
    rows = [row for row in content["rows"] if row["cpu"] == chosen[_catalogue(row)]]
    return {**content, "rows": rows}


def search_table(content: Mapping[str, Any]) -> str:
    """The scan that the product chooses, on every catalogue and at every k."""
    lines = [
        "| catalogue | items | k | instructions | median µs | p95 | worst | x numpy | x float scan "
        "| x faiss IndexPQ | items scored | bytes an item: scan | resident |",
        "|---" * 13 + "|",
    ]
    rows = content["rows"]
    for row in rows:
        if row["engine"] == "lightrec" and row["isa"] != "portable" and _plain(row):
            resident = row.get("resident_bytes_per_item")
            cells = [
                *(f"{row['catalogue']}, {row['factors']}", f"{row['items']:,}", f"{row['k']}"),
                *(row["isa"], f"{row['median_us']:.1f}", f"{row['p95_us']:.1f}"),
                f"{row['worst_us']:.1f}" if "worst_us" in row else "",
                *(_times(row, name) for name in ("numpy", "fused_float", "faiss_pq")),
                *(f"{100 * row['survivors']:.2g} %", f"{row['scan_bytes_per_item']:.1f}"),
                "" if resident is None else f"{resident:.1f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"{P95} {_machines(rows)}"])


def search_summary(content: Mapping[str, Any]) -> str:
    """The README's short table: one row a catalogue, at k = 100 and the best instructions."""
    rows = [row for row in content["rows"] if row["k"] == K and _plain(row)]
    lines = [
        "| catalogue | items | numpy µs | float scan µs | LightRec µs | x numpy | x float scan "
        "| share of the float top 100 |",
        "|---" * 8 + "|",
    ]
    for row in rows:
        same = [one for one in rows if _catalogue(one) == _catalogue(row)]
        if row["engine"] == "lightrec" and row["isa"] == _best_instructions(same):
            slow = {one["engine"]: f"{one['median_us']:,.0f}" for one in same}
            cells = [
                *(f"{row['catalogue']}, {row['factors']}", f"{row['items']:,}"),
                *(slow.get("numpy_float", ""), slow.get("fused_float", "")),
                *(f"{row['median_us']:.0f}", _times(row, "numpy"), _times(row, "fused_float")),
                f"{row['recall']:.2f}" if "recall" in row else "",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"k = {K}. {_machines(rows)}"])


def search_machines(content: Mapping[str, Any]) -> str:
    """The same question on every processor that was measured, with its best instructions."""
    lines = [
        "| catalogue | processor | numpy µs | float scan µs | faiss IndexPQ µs | LightRec µs "
        "| x numpy | x float scan | x faiss IndexPQ |",
        "|---" * 9 + "|",
    ]
    runs: dict[tuple[tuple[str, str], str], list[Row]] = {}
    for row in content["rows"]:
        if row["k"] == K and _plain(row):
            runs.setdefault((_catalogue(row), row["cpu"]), []).append(row)
    for (catalogue, cpu), rows in runs.items():
        took = {row["engine"]: f"{row['median_us']:,.0f}" for row in rows}
        best = _best_instructions(rows)
        (ours,) = (row for row in rows if (row["engine"], row["isa"]) == ("lightrec", best))
        others = ("numpy_float", "fused_float", "faiss_pq")
        cells = [", ".join(catalogue), cpu, *(took.get(name, "") for name in others)]
        cells.append(f"{ours['median_us']:.1f}")
        cells += [_times(ours, name) for name in ("numpy", "fused_float", "faiss_pq")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"k = {K}."])


def search_opponents(content: Mapping[str, Any]) -> str:
    """Every engine at k = 100: speed, and how much of the float answer it finds."""
    parts = []
    shown = [row for row in content["rows"] if row["k"] == K and _plain(row)]
    for catalogue in _catalogues(shown):
        rows = [row for row in shown if _catalogue(row) == catalogue]
        if catalogue[0] not in COMPARED:
            continue
        lines = [
            f"**{catalogue[0]}, {catalogue[1]}**, {rows[0]['items']:,} items, k = {K}",
            "",
            "| engine | median µs | p95 | share of the float answer | seconds to build |",
            "|---" * 5 + "|",
        ]
        for row in sorted(rows, key=lambda row: list(ENGINES).index(row["engine"])):
            about = [row["setting"], row["isa"] if row["isa"] != "none" else ""]
            told = ", ".join([ENGINES[row["engine"]], *filter(None, about)])
            lines.append(
                f"| {told} | {row['median_us']:,.1f} | {row['p95_us']:,.1f} "
                f"| {row['recall']:.3f} | {row['build_seconds']:,.1f} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def search_variants(content: Mapping[str, Any]) -> str:
    """What else a search can be asked, at k = 100, beside the plain search of the same run."""
    lines = [
        "| catalogue | instructions | plain | every item read | from a stored table "
        "| 100 seen excluded | 1 % allowed | post-ranking 500 | batch of 64, each "
        "| batch of 1,024, each |",
        "|---" * 10 + "|",
    ]
    at_k = [row for row in content["rows"] if row["k"] == K]
    ours = [row for row in at_k if row["engine"] == "lightrec"]
    flat = {
        (*_catalogue(row), row["isa"]): f"{row['median_us']:,.1f}"
        for row in at_k
        if row["engine"] == "lightrec_flat" and _plain(row)
    }
    for catalogue in _catalogues(ours):
        for isa in dict.fromkeys(row["isa"] for row in ours if row["isa"] != "portable"):
            rows = [row for row in ours if _catalogue(row) == catalogue and row["isa"] == isa]
            kinds = {_kind(row): f"{row['median_us']:,.1f}" for row in rows}
            asked = [
                *(("table", "none", 0, 1), ("vector", "seen100", 0, 1)),
                *(("vector", "allow1pct", 0, 1), ("vector", "none", 500, 1)),
                *(("vector", "none", 0, 64), ("vector", "none", 0, 1024)),
            ]
            plain = kinds.get(("vector", "none", 0, 1), "")
            cells = [
                *(", ".join(catalogue), isa, plain, flat.get((*catalogue, isa), "")),
                *(kinds.get(kind, "") for kind in asked),
            ]
            if rows:
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Medians in microseconds. {_machines(content['rows'])}"])


def scaling_table(content: Mapping[str, Any]) -> str:
    """Time of one query against what is varied, the rest fixed."""
    lines = [
        f"| varied | value | {' | '.join(f'{told} µs' for told in LAYOUTS.values())} "
        "| items scored, in cells |",
        "|---" * (3 + len(LAYOUTS)) + "|",
    ]
    found: dict[tuple[str, int], dict[str, Row]] = {}
    for row in content["rows"]:
        found.setdefault((row["varied"], row[row["varied"]]), {})[row["layout"]] = row
    for (varied, value), rows in found.items():
        cells = [f"{rows[name]['median_us']:,.0f}" if name in rows else "" for name in LAYOUTS]
        share = f"{100 * rows['cells']['survivors']:.2g} %" if "cells" in rows else ""
        told = " | ".join([VARIED[varied], f"{value:,}", *cells, share])
        lines.append(f"| {told} |")
    fixed = {row["isa"] for row in content["rows"] if row["layout"] == "cells"}
    return "\n".join([*lines, "", f"In cells and flat: {', '.join(sorted(fixed))}."])


def exactness_table(content: Mapping[str, Any]) -> str:
    """How many answers were compared with the reference, and how many were wrong."""
    lines = ["| scan | instructions | layout | answers | differences |", "|---" * 5 + "|"]
    for row in content["rows"]:
        lines.append(
            f"| `{row['engine']}` | {row['isa']} | {row['layout']} | {row['queries']:,} "
            f"| {row['differences']} |"
        )
    return "\n".join(lines)


def _plain(row: Row) -> bool:
    return _kind(row) == ("vector", "none", 0, 1)


def _kind(row: Row) -> tuple[str, str, int, int]:
    return row["query"], row["filter"], row["post_ranking"], row["batch"]


def _catalogue(row: Row) -> tuple[str, str]:
    return row["catalogue"], row["factors"]


def _catalogues(rows: Sequence[Row]) -> list[tuple[str, str]]:
    return list(dict.fromkeys(_catalogue(row) for row in rows))


def _best_instructions(rows: Sequence[Row]) -> str:
    found = {row["isa"] for row in rows if row["engine"] == "lightrec"}
    return next(isa for isa in ("avx512vbmi", "avx2", "portable") if isa in found)


def _times(row: Row, name: str) -> str:
    return f"{row[f'speedup_{name}']:,.1f}" if f"speedup_{name}" in row else ""


def _machines(rows: Sequence[Row]) -> str:
    catalogues: dict[str, dict[str, None]] = {}
    for row in rows:
        catalogues.setdefault(row["cpu"], {})[row["catalogue"]] = None
    if len(catalogues) == 1:
        return f"{next(iter(catalogues))}, one core."
    told = (f"{cpu}: {', '.join(measured)}" for cpu, measured in catalogues.items())
    return f"{'; '.join(told)}. One core."
