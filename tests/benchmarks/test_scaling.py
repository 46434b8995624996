"""Rows of the scaling benchmark, on catalogues too small to say anything about time."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import results, scaling
from benchmarks.scaling import Shape, decoded, measured, random_catalogue, shapes
from lightrec.experiments.figures import LAYOUTS, draw_scaling
from lightrec.experiments.search_tables import scaling_table
from lightrec.native import KERNELS

pytestmark = pytest.mark.skipif(KERNELS is None, reason="there are no compiled scans")

SMALL = Shape(items=400, k=5, width=8)
FIELDS = {
    *("engine", "isa", "layout", "items", "k", "width", "num_codebooks", "num_codewords"),
    *("median_us", "p95_us", "cpu_us", "queries", "varied"),
}


def test_one_of_four_is_varied():
    fixed = Shape()
    every = list(shapes(fixed, 10_000_000))
    assert len(every) == 4 + 5 + 7 + 5
    for varied, shape in every:
        changed = {name for name in vars(fixed) if getattr(shape, name) != getattr(fixed, name)}
        assert changed <= {varied}
    assert max(shape.items for _, shape in shapes(fixed, 100_000_000)) == 100_000_000


def test_rows_of_a_small_catalogue():
    rows = list(measured(SMALL, "k", num_queries=6))
    assert [row["engine"] for row in rows][-1] == "fused_float"
    for row in rows:
        assert set(row) >= FIELDS
        assert (row["items"], row["k"], row["varied"], row["queries"]) == (400, 5, "k", 6)
        assert 0 < row["median_us"] <= row["p95_us"]
    if KERNELS.instruction_set() != "portable":
        assert [row["layout"] for row in rows] == ["cells", "flat", "float32"]


@pytest.mark.parametrize("books", [1, 16])
def test_any_number_of_codebooks_with_the_portable_scan(books):
    shape = Shape(items=300, k=5, width=8, num_codebooks=books)
    rows = list(measured(shape, "num_codebooks", num_queries=6))
    assert [row["isa"] for row in rows] == ["portable", "none"]
    assert all(row["num_codebooks"] == books for row in rows)


def test_no_brute_force_where_memory_is_short(monkeypatch):
    monkeypatch.setattr(scaling, "_free_memory", lambda: 1_000)
    assert all(row["engine"] != "fused_float" for row in measured(SMALL, "k", num_queries=6))


def test_floats_are_the_sums_of_the_codewords(monkeypatch):
    monkeypatch.setattr(scaling, "DECODED_AT_ONCE", 37)
    codes = random_catalogue(SMALL, 1).item_codes
    np.testing.assert_array_equal(decoded(codes), codes.decode())


def test_the_program_writes_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(scaling, "shapes", lambda fixed, largest: [("k", SMALL)])
    monkeypatch.setattr(scaling, "NUM_QUERIES", 6)
    scaling.main([])
    written = json.loads((tmp_path / "scaling.json").read_text())
    assert {row["varied"] for row in written["rows"]} == {"k"}


def test_the_table_has_a_line_for_every_shape():
    shapes = [("k", Shape(400, 5, 8)), ("num_codebooks", Shape(400, 5, 8, 2))]
    rows = [row for varied, shape in shapes for row in measured(shape, varied, num_queries=6)]
    lines = scaling_table({"rows": rows}).splitlines()
    assert [line.split(" | ")[:2] for line in lines[2:4]] == [
        ["| k", "5"],
        ["| B, portable scan", "2"],
    ]
    assert lines[3].endswith("|  |")  # the portable scan scores every item


def test_the_figure_has_a_line_for_every_layout(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [row for k in (1, 5) for row in measured(Shape(400, k, 8), "k", num_queries=6)]
    draw_scaling({"rows": rows}, tmp_path / "scaling.svg")
    drawn = (tmp_path / "scaling.svg").read_text()
    layouts = {row["layout"] for row in rows}
    for layout, (label, _, _) in LAYOUTS.items():
        assert (label in drawn) == (layout in layouts)
    assert len(layouts) >= 2
    draw_scaling({"rows": rows}, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text() == drawn
