"""Figures of the documents, drawn from result files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightrec.durable_files import write_file
from lightrec.errors import MissingExtraError

Row = Mapping[str, Any]

LINES = {
    ("opq", "identity"): ("OPQ", "tab:gray", ":"),
    ("rvq", "identity"): ("RVQ", "tab:brown", ":"),
    ("aq", "identity"): ("AQ", "tab:olive", "--"),
    ("lightrec", "identity"): ("LightRec, identity", "tab:cyan", "-"),
    ("lightrec", "fitted"): ("LightRec, fitted", "tab:blue", "-"),
    ("lightrec", "table"): ("LightRec, table", "tab:red", "-"),
}
PLAIN = {"int8": ("int8", "v"), "float16": ("float16", "s"), "float32": ("float32", "o")}
LAYOUTS = {
    "float32": ("float scan", "black", "o-"),
    "flat": ("codes, flat", "tab:blue", ".--"),
    "cells": ("codes, cells", "tab:red", ".-"),
}
VARIED = {
    "items": "N, items",
    "k": "k, results",
    "width": "D, numbers a codeword",
    "num_codebooks": "B, codebooks (portable scan)",
}
METRICS = {"recall@100": "Recall@100", "ndcg@100": "NDCG@100"}


def draw_budgets(content: Mapping[str, Any], file: Path) -> None:
    """Quality against bytes an item, codebooks counted; a row a data set, a column a metric.

    Args:
        content: Of `budgets.json`.
        file: Where to draw, SVG. The same content gives the same bytes with the same matplotlib.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    data = list(dict.fromkeys(row["data"] for row in content["rows"]))
    with _sheet(file, len(data), len(METRICS)) as grid:
        for place, name in enumerate(data):
            rows = [row for row in content["rows"] if row["data"] == name]
            for axes, (metric, title) in zip(grid[place], METRICS.items(), strict=True):
                _draw(axes, rows, metric)
                axes.set(title=f"{name}, {title}", xlabel="bytes an item, codebooks counted")
        grid[0][0].legend(fontsize=7)


def draw_scaling(content: Mapping[str, Any], file: Path) -> None:
    """Time of a query against what is varied, the rest fixed; random codes, the worst case.

    Args:
        content: Of `scaling.json`.
        file: Where to draw, SVG, as `draw_budgets` does.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with _sheet(file, 2, 2) as grid:
        for axes, (varied, title) in zip(grid.flat, VARIED.items(), strict=True):
            rows = [row for row in content["rows"] if row["varied"] == varied]
            for layout, (label, colour, style) in LAYOUTS.items():
                found = sorted(
                    (row[varied], row["median_us"]) for row in rows if row["layout"] == layout
                )
                if found:
                    axes.plot(*zip(*found, strict=True), style, color=colour, label=label)
            axes.set(xlabel=title, ylabel="median microseconds", xscale="log", yscale="log")
            axes.grid(visible=True, alpha=0.3)
        next(axes for axes in grid.flat if axes.lines).legend(fontsize=7)


@contextmanager
def _sheet(file: Path, rows: int, columns: int) -> Iterator[Any]:
    """Axes to draw on, which go to the file at the end."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtraError("drawing figures", "report") from error
    mpl.use("svg")
    from matplotlib import pyplot as plt

    with mpl.rc_context({"svg.hashsalt": "lightrec", "svg.fonttype": "none", "font.size": 9}):
        figure, grid = plt.subplots(rows, columns, figsize=(9.0, 3.4 * rows), squeeze=False)
        yield grid
        figure.tight_layout()
        drawn = io.BytesIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
        write_file(file, drawn.getbuffer())
        plt.close(figure)


def _draw(axes: Any, rows: Sequence[Row], metric: str) -> None:  # noqa: ANN401
    for (model, variant), (label, colour, style) in LINES.items():
        found = [row for row in rows if (row["model"], row["variant"]) == (model, variant)]
        found.sort(key=lambda row: row["bytes_per_item_all_in"])
        sizes = [row["bytes_per_item_all_in"] for row in found]
        values = [row[metric] for row in found]
        axes.plot(sizes, values, style, color=colour, marker=".", label=label)
    for model, (label, marker) in PLAIN.items():
        for row in rows:
            if row["model"] == model:
                size = row["bytes_per_item_all_in"]
                axes.plot([size], [row[metric]], marker, color="black", label=label, markersize=5)
    axes.set_xscale("log")
    axes.grid(visible=True, alpha=0.3)
