"""`lightrec bench`: what it measures for each kind of model, and what it says about it."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from lightrec.cli import search_times
from lightrec.cli.search_times import Searches, one_blas_thread
from lightrec.codes.item_codes import ItemCodes
from lightrec.interactions import IdMap
from lightrec.native import KERNELS
from lightrec.search.scan import BoundScan

FORMS = ["identity", "fitted", "mapped", "table", "free", "linear", "mlp"]
FLOATS = {"numpy", "float_scan"} if KERNELS is not None else {"numpy"}
CHANGING = {"queries", "median_microseconds", "p95_microseconds", "times_faster_than_numpy"}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_users_is_timed_in_every_way_it_has(cli, in_form, tmp_path, form):
    in_form(form).save(tmp_path / "model")
    outcome = cli("bench", tmp_path / "model", "-k", "3", "-k", "5", "--queries", "6", "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    ways = {"codes", "seen", "recommend", "post_ranking"} | FLOATS
    ways |= {"table"} if form == "table" else set()
    assert sorted((row["search"], row["k"]) for row in found["rows"]) == sorted(
        (way, k) for way in ways for k in (3, 5)
    )
    assert found["query_vectors"] == ("decoded items" if form == "table" else "users")
    for row in found["rows"]:
        assert row.keys() == {"search", "k"} | CHANGING
        assert row["queries"] == 6
        assert 0 < row["median_microseconds"] <= row["p95_microseconds"]
        if row["search"] == "numpy":
            assert row["times_faster_than_numpy"] == 1


def test_what_a_model_lacks_is_left_out(cli, bare_model_folder):
    found = json.loads(cli("bench", bare_model_folder, "--queries", "3", "--json").out)
    assert {row["search"] for row in found["rows"]} == {"codes", "recommend"} | FLOATS


def test_ten_and_a_hundred_are_the_default_and_no_more_than_there_are(cli, model_folder):
    found = json.loads(cli("bench", model_folder, "--queries", "2", "--json").out)
    assert [row["k"] for row in found["rows"] if row["search"] == "codes"] == [10, 60]


def test_the_table_names_machine_scan_and_bytes(cli, model_folder):
    outcome = cli("bench", model_folder, "-k", "7", "--queries", "4")
    assert outcome.code == 0, outcome.err
    first, heading, *rows = outcome.out.splitlines()
    found = json.loads(cli("bench", model_folder, "-k7", "--queries", "4", "--json").out)
    assert first.startswith(f"{found['cpu']}, instruction set {found['instruction_set']}")
    assert ", 60 items, " in first
    if KERNELS is not None:
        kept = f"{found['scan_bytes_per_item']:,.1f}"
        assert first.endswith(f", {kept} bytes an item kept by the scan")
    assert "median µs" in heading
    assert "times faster than numpy" in heading
    assert [row.split()[0] for row in rows] == ["7"] * (3 + len(FLOATS))
    assert any("seen left out" in row for row in rows)


def test_float_vectors_that_would_take_too_much_are_neither_decoded_nor_measured(
    cli, model, model_folder, monkeypatch
):
    whole = 2 * 4 * model.num_items * model.item_codes.width
    codes = type(model.item_codes)
    decode = codes.decode

    def decoding(self, rows=None):
        assert rows is not None, "the whole catalogue was decoded"
        return decode(self, rows)

    monkeypatch.setattr(search_times, "MOST_FLOAT_BYTES", whole)
    assert set(Searches.of(model, 3).ways) > FLOATS
    monkeypatch.setattr(search_times, "MOST_FLOAT_BYTES", whole - 1)
    monkeypatch.setattr(codes, "decode", decoding)
    found = json.loads(cli("bench", model_folder, "--queries", "3", "--json").out)
    assert {row["search"] for row in found["rows"]} == {"codes", "seen", "recommend"}
    assert {row["times_faster_than_numpy"] for row in found["rows"]} == {None}
    assert found["float_bytes"] == whole
    assert "float vectors are not measured" in cli("bench", model_folder, "--queries", "3").out


def test_numpy_is_held_to_one_thread_while_it_is_timed(cli, model_folder, monkeypatch):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    threads = []
    numpy_top_k = search_times.numpy_top_k

    def blas_threads():
        found = threadpoolctl.threadpool_info()
        return [one["num_threads"] for one in found if one["user_api"] == "blas"]

    def watched(*arguments):
        threads.extend(blas_threads())
        return numpy_top_k(*arguments)

    monkeypatch.setattr(search_times, "numpy_top_k", watched)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        found = json.loads(cli("bench", model_folder, "--queries", "2", "--json").out)
        assert blas_threads() == before
    assert found["numpy_on_one_thread"] is True
    assert set(threads) == {1}


def test_it_says_when_numpy_could_not_be_held_to_one_thread(cli, model_folder, monkeypatch):
    assert "threadpoolctl" not in cli("bench", model_folder, "--queries", "2").out
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with one_blas_thread() as held:
        assert held is False
    assert "pip install threadpoolctl" in cli("bench", model_folder, "--queries", "2").out


@pytest.mark.skipif(not BoundScan.available(), reason="needs AVX2")
def test_four_byte_items_name_instruction_set_and_layout(cli, tmp_path):
    from lightrec import compress

    items = np.random.default_rng(0).standard_normal((300, 8), dtype=np.float32)
    model = compress(items=items, users=items[:9])
    scan = Searches.of(model, 2).scan
    assert isinstance(scan, BoundScan)
    model.save(tmp_path / "model")
    found = json.loads(cli("bench", tmp_path / "model", "--queries", "2", "--json").out)
    assert (found["instruction_set"], found["layout"]) == (scan.instruction_set, scan.layout)
    assert found["scan_bytes_per_item"] == pytest.approx(scan.memory / 300)


def test_without_torch_and_without_kernels_it_still_measures(model_folder):
    program = "import sys; sys.modules['torch'] = None\nfrom lightrec.cli.main import run; run()"
    words = ["bench", model_folder, "--queries", "2", "--json"]
    for no_native in ("0", "1"):
        ran = subprocess.run(
            [sys.executable, "-c", program, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LIGHTREC_NO_NATIVE": no_native},
        )
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout)
    assert (found["instruction_set"], found["scan_bytes_per_item"]) == ("none", None)
    assert {row["search"] for row in found["rows"]} == {"codes", "seen", "recommend", "numpy"}


@pytest.mark.parametrize(
    ("words", "said"),
    [(["-k", "0"], "-k 0"), (["-k", "5", "-k", "-2"], "-k -2"), (["--queries", "0"], "--queries")],
)
def test_nothing_to_ask_is_refused(refused, model_folder, words, said):
    assert said in refused(2, "bench", model_folder, *words)


def test_a_catalogue_without_items_is_refused(refused, model, tmp_path):
    empty = dataclasses.replace(
        model,
        item_codes=ItemCodes(model.item_codes.codes[:0], model.item_codes.codebooks),
        item_ids=IdMap.from_values(np.arange(0)),
        item_columns=model.item_columns[:0],
        history=None,
    )
    empty.save(tmp_path / "model")
    assert "no items" in refused(2, "bench", tmp_path / "model")
