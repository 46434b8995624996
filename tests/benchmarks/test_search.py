"""Rows of the search benchmark, on catalogues too small to say anything about time."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from benchmarks import catalogues, results, search
from benchmarks.catalogues import catalogue
from benchmarks.search import contest, together, with_speedups
from lightrec.experiments import search_tables
from lightrec.experiments.search_tables import (
    of_one_processor,
    search_machines,
    search_opponents,
    search_summary,
    search_table,
    search_variants,
)
from lightrec.native import KERNELS

pytestmark = pytest.mark.skipif(
    KERNELS is None or KERNELS.instruction_set() == "portable",
    reason="there are no scans by bounds",
)


def kind_of(row: dict) -> tuple:
    return row["query"], row["filter"], row["post_ranking"], row["batch"]


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogues, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(catalogues, "ITEMS_OF", {"1m_isotropic": 3_000})
    monkeypatch.setattr(catalogues, "NUM_QUERIES", 12)
    monkeypatch.setattr(search, "LEAST_BANDWIDTH", 0.0)
    monkeypatch.setattr(search, "GRAPHS_UP_TO", 0)  # of packages that tests do without
    monkeypatch.setattr(search, "PASSES", ((1 << 31, 1),))
    monkeypatch.setattr(search, "CONTESTS", (("1m_isotropic", "isotropic"),))
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")


def test_rows_of_a_small_catalogue(monkeypatch):
    monkeypatch.setattr(search, "LARGE_BATCHES", (8,))
    given = catalogue("1m_isotropic", "isotropic")
    rows = with_speedups(list(contest(given)))
    assert {row["engine"] for row in rows} == {
        *("numpy_float", "fused_float", "lightrec", "lightrec_flat", "lightrec_inverted_file"),
        *("faiss_flat", "faiss_pq", "faiss_fastscan", "faiss_ivfpq"),
    }
    for row in rows:
        ours = row["engine"].startswith("lightrec")
        assert row["items"] == 3_000 and row["threads"] == 1
        assert 0 < row["median_us"] <= row.get("p95_us", np.inf) <= row.get("worst_us", np.inf)
        exact = ours and row["engine"] != "lightrec_inverted_file"
        if row["batch"] == 1 and (exact or row["engine"] == "faiss_pq") and not row["post_ranking"]:
            assert row["differences"] == 0
        if row["engine"] in ("numpy_float", "fused_float") and row["batch"] == 1:
            assert row["recall"] == 1.0
        same_task = row["query"] == "vector" and row["filter"] == "none"
        if not same_task or row["batch"] > 1:
            assert "speedup_fused_float" not in row
        assert ("speedup_faiss_pq" in row) == same_task
    plain = [row for row in rows if row["engine"] == "lightrec" and row["k"] == 100]
    told = {(row["query"], row["filter"], row["post_ranking"], row["batch"]) for row in plain}
    assert told >= {
        *(("vector", "none", 0, 1), ("table", "none", 0, 1), ("vector", "none", 500, 1)),
        *(("vector", "seen100", 0, 1), ("vector", "allow1pct", 0, 1), ("vector", "none", 0, 1024)),
    }
    content = {"rows": [row | {"cpu": "a processor"} for row in rows]}
    assert len(re.findall(r"\| 1m_isotropic, isotropic \| 3,000 ", search_table(content))) >= 3
    (line,) = re.findall(r"\| 1m_isotropic, isotropic \| 3,000 .*", search_summary(content))
    best = [row for row in plain if row["isa"] == KERNELS.instruction_set()]
    (row,) = [row for row in best if kind_of(row) == ("vector", "none", 0, 1)]
    assert line.split(" | ")[5] == f"{row['speedup_numpy']:,.1f}"
    strange = [one | {"isa": "avx512vbmi", "cpu": "another"} for one in best]
    both = {"rows": [*content["rows"], *strange]}
    assert of_one_processor(both) == content
    assert search_summary(of_one_processor(both)) == search_summary(content)
    machines = search_machines(both).splitlines()[2:4]
    assert [line.split(" | ")[1] for line in machines] == ["a processor", "another"]
    assert machines[0].endswith(f" | {row['speedup_faiss_pq']:,.1f} |")
    monkeypatch.setattr(search_tables, "COMPARED", ("1m_isotropic",))
    assert len(search_opponents(content).splitlines()) == 4 + len(
        [row for row in rows if row["k"] == 100 and kind_of(row) == ("vector", "none", 0, 1)]
    )
    assert all(cell.strip() for cell in search_variants(content).splitlines()[2].split("|")[1:-1])
    monkeypatch.setattr(search, "LARGE", 1_000)
    engines = {(row["engine"], row["isa"]) for row in contest(given) if row["k"] == 10}
    assert {engine for engine, _ in engines} == {
        *("numpy_float", "fused_float", "faiss_flat", "faiss_pq", "lightrec", "lightrec_flat"),
    }
    assert ("lightrec", "portable") not in engines


def test_ratios_are_to_the_same_task():
    def row(engine: str, median: float, **told: object) -> dict:
        plain = {"catalogue": "c", "factors": "f", "k": 10, "batch": 1, "query": "vector"}
        return plain | {"filter": "none", "engine": engine, "median_us": median} | told

    rows = with_speedups(
        [
            row("numpy_float", 30.0),
            row("numpy_float", 20.0, batch=8),
            row("numpy_float", 60.0, k=100),
            row("lightrec", 3.0),
            row("lightrec", 2.0, batch=8),
            row("lightrec", 1.0, query="table"),
            row("lightrec", 1.0, filter="seen100"),
        ]
    )
    assert [row.get("speedup_numpy") for row in rows] == [1, 1, 1, 10, 10, None, None]


def test_what_other_processors_measured_stays(monkeypatch):
    def row(catalogue: str, cpu: str, median: float) -> dict:
        told = {"catalogue": catalogue, "factors": "ials", "engine": "lightrec", "isa": "avx2"}
        return told | {"cpu": cpu, "median_us": median}

    monkeypatch.setattr(search, "CONTESTS", (("small", "ials"), ("large", "ials")))
    older = [row("small", "one", 5.0), row("small", "two", 2.0), row("large", "one", 9.0)]
    measured = [row("small", "one", 4.0)]
    assert together(older, measured) == [*measured, older[1], older[2]]
    assert together(older, [row("small", "three", 1.0)])[1:] == older


def test_the_program_writes_rows(monkeypatch, tmp_path):
    place = {"catalogue": "1m_isotropic", "factors": "isotropic"}
    told = place | {"engine": "lightrec", "query": "table"}
    told |= {"isa": "avx2"}
    monkeypatch.setattr(search, "contest", lambda given: [told | {"items": len(given.items)}])
    monkeypatch.setattr("sys.argv", ["search"])
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # refused, where a machine sets them
        monkeypatch.delenv(name, raising=False)
    search.main()
    written = json.loads((tmp_path / "results" / "search.json").read_text())
    assert [row["items"] for row in written["rows"]] == [3_000]


def test_what_is_resident(tmp_path):
    from benchmarks.resident import resident_bytes

    rng = np.random.default_rng(0)
    np.save(tmp_path / "codes.npy", rng.integers(0, 256, (1_000_000, 4), dtype=np.uint8))
    np.save(tmp_path / "codebooks.npy", rng.standard_normal((4, 256, 8), np.float32))
    files = tmp_path / "codes.npy", tmp_path / "codebooks.npy"
    assert 6.9 < resident_bytes(*files, "avx2", "cells") / 1e6 < 8.5
    assert 3.9 < resident_bytes(*files, "avx2", "flat") / 1e6 < 5.0
