"""The best four bytes, in short: tiny data sets, a teacher chosen among narrow ones, every row."""

import numpy as np
import polars as pl
import pytest
import torch

from lightrec.codes.coded_users import FORMS
from lightrec.codes.item_codes import ItemCodes
from lightrec.durable_files import read_json
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer
from lightrec.experiments import best, runner, teacher_cache
from lightrec.experiments.parts import test_part as part_of_split  # pytest would collect it
from lightrec.experiments.parts import validation_part
from lightrec.interactions import synthetic_catalogue
from lightrec.interactions.public_datasets import PUBLIC_DATASETS
from lightrec.run.stages import quantize
from lightrec.run_config import load_config
from lightrec.teachers.bpr import BprConfig
from lightrec.teachers.fit import fit_teacher

FIELDS = {
    *("data", "model", "variant", "split", "seed", "users", "items", "train_share", "epochs"),
    *("teacher_width", "width", "num_codebooks", "num_codewords", "bits_per_item", "collisions"),
    *("bytes_per_item_all_in", "bytes_per_user", "seconds", "cpu_seconds"),
    *("recall@20", "recall@100", "ndcg", "ndcg@100", "ndcg@nu", "source_digest", "commit"),
}
LIGHTREC = {("lightrec", form) for form in FORMS}
CONTROLS = {
    ("random_codes", "table"),
    ("start_rvq", "identity"),
    ("start_aq", "identity"),
    ("start_aq", "table"),
}
SMALL = {
    "teacher": {"kind": "auto", "widths": [8]},
    "codes": {"num_codebooks": 2, "num_codewords": 16, "rounds": 1},
    "ranking": {"cells": 4, "rounds": 1},
    "users": {"fit": {"rounds": 2}, "alternations": 1},
}


def small(preset):
    return load_config(preset, **SMALL)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Public data sets made up; one of them carries a split of its own."""
    root = tmp_path_factory.mktemp("data")
    made = synthetic_catalogue(150, 200, seed=1)
    pairs = made.interactions.select(user="user_id", item="item_id")
    tested = pl.Series(np.arange(len(pairs)) % 5 == 0)
    split = pairs.with_columns(
        source_split=pl.when(tested).then(pl.lit("test")).otherwise(pl.lit("train"))
    )
    for name, table in (("citeulike-t", pairs), ("gowalla", split)):
        (root / name).mkdir()
        table.write_parquet(root / name / "interactions.parquet")
        made.items.select(item="item_id").write_parquet(root / name / "items.parquet")
    return root


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout to write results into, and small settings."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("checkout")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(best, "load_config", small)
        patch.setattr(best, "BPR", BprConfig(epochs=4, evaluate_every=2, width=4))
        patch.setattr(best, "BPR_DATA", ("citeulike-t",))
        for module in (runner, teacher_cache):
            patch.setattr(module, "project_root", lambda: folder)
        yield folder


@pytest.fixture(scope="module")
def content(checkout, data):
    """What two splits of one set and the split that another carries left in the result file."""
    best.run(["citeulike-t"], (0, 1), root=data)
    return read_json(best.run(["gowalla_source_split"], root=data))


def rows_of(content, name="citeulike-t", split=0) -> dict[tuple[str, str], dict]:
    return {
        (row["model"], row["variant"]): row
        for row in content["rows"]
        if (row["data"], row["split"]) == (name, split)
    }


def test_every_row_is_measured_and_controls_on_the_first_split_only(content):
    assert rows_of(content).keys() == {("teacher", ""), ("bpr", ""), *LIGHTREC, *CONTROLS}
    assert rows_of(content, split=1).keys() == {("teacher", ""), *LIGHTREC}
    assert rows_of(content, "gowalla_source_split").keys() == {("teacher", ""), *LIGHTREC}
    assert len(content["rows"]) == 9 + 4 + 4
    assert all(row.keys() >= FIELDS for row in content["rows"])
    data = "--data citeulike-t --data gowalla_source_split"
    assert content["command"] == f"lightrec experiment best {data} --splits 0,1"


def test_rows_tell_what_an_item_and_a_user_take(content):
    rows = rows_of(content)
    width = rows["teacher", ""]["width"]
    assert rows["teacher", ""]["bytes_per_item_all_in"] == 4 * width
    assert rows["teacher", ""]["bits_per_item"] == 32 * width
    assert rows["bpr", ""]["bytes_per_user"] == 4 * 4
    per_user = {"identity": 4 * width, "fitted": 4 * width, "table": 2 * 2 * 16}
    for _, form in LIGHTREC:
        row = rows["lightrec", form]
        assert row["bits_per_item"] == 8  # two codebooks of 16
        assert row["bytes_per_item_all_in"] == 2 + 2 * 16 * width * 4 / 200
        assert row["bytes_per_user"] == per_user[form]
        assert row["teacher_width"] == width


def test_codes_that_know_nothing_of_the_items_rank_worse(content):
    rows = rows_of(content)
    assert rows["random_codes", "table"]["ndcg"] < 0.8 * rows["lightrec", "table"]["ndcg"]


def test_rows_are_the_stages_measured_on_the_test_pairs(content, checkout, data):
    """The teacher and the plainest coded row of split 1, by hand."""
    cells = [read_json(file) for file in (checkout / "experiments/results/cells/best").iterdir()]
    (chosen,) = (
        cell["row"]
        for cell in cells
        if cell["identity"]["config"]["part"] == "validation"
        and cell["identity"]["config"]["data"] == "citeulike-t"
        and cell["identity"]["config"]["teacher"]["kind"] == "auto"
    )
    part, settings = part_of_split("citeulike-t", 1, data), small("default")
    fitted = teacher_cache.fitted_teacher(None, chosen)
    factors = fit_teacher(part.pairs, fitted.config, seed=0, epochs=fitted.epochs).factors
    codes = quantize(part.pairs, factors, settings, "metric")
    for place, scorer in (
        (("teacher", ""), FloatScorer(factors.users, factors.items)),
        (("lightrec", "identity"), CodeScorer(codes, factors.users)),
    ):
        means = evaluate_ranking(scorer, part.pairs, part.sought).means
        found = rows_of(content, split=1)[place]
        assert {name: found[name] for name in means} == pytest.approx(means)


def test_finished_cells_are_not_measured_again(data, content, monkeypatch):
    def refuse(*_arguments, **_options):
        raise AssertionError("a finished cell was measured again")

    for name in ("ranking_row", "teacher_of", "users_in_form", "quantize"):
        monkeypatch.setattr(best, name, refuse)
    again = read_json(best.run(["citeulike-t"], (0, 1), root=data))
    assert again["rows"] == content["rows"]


def test_choices_are_made_on_validation_pairs_of_split_0_and_then_frozen(
    checkout, data, content, monkeypatch
):
    """The ledger counts what was evaluated on test: the rows, and no choice."""
    results = checkout / "experiments/results"
    ledger = results / "ledger.jsonl"
    before = len(ledger.read_text().splitlines())
    asked = []
    teacher_of = best.teacher_of

    def recording(part, config, chosen, surroundings):
        asked.append((part.digest, config.teacher.kind, chosen))
        return teacher_of(part, config, chosen, surroundings)

    monkeypatch.setattr(best, "teacher_of", recording)
    for cell in (results / "cells/best").iterdir():
        cell.unlink()  # the teachers stay in the cache
    best.run(["citeulike-t"], (0, 1), root=data)
    choosing = [(digest, kind) for digest, kind, chosen in asked if chosen is None]
    validation = validation_part("citeulike-t", data).digest
    assert choosing == [(validation, "auto"), (validation, "bpr")]
    parts = {part_of_split("citeulike-t", split, data).digest for split in (0, 1)}
    frozen = {
        (chosen.config.model_dump_json(), chosen.epochs)
        for digest, kind, chosen in asked
        if digest in parts and kind == "auto"
    }
    assert len(frozen) == 1
    assert {digest for digest, _, chosen in asked if chosen is not None} == parts
    assert before == len(content["rows"])
    assert len(ledger.read_text().splitlines()) == before + len(rows_of(content)) + 4


def test_random_codes_do_not_depend_on_the_items_but_their_codebooks_do():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 300, 5)).astype(np.float32)
    codes = best.random_codes(first, small("default"))
    assert isinstance(codes, ItemCodes)
    assert np.array_equal(codes.codes, best.random_codes(second, small("default")).codes)
    # Least squares: what is left over has no mean in any codeword's items.
    left = first - codes.decode()
    for book in range(2):
        for word in range(16):
            members = left[codes.codes[:, book] == word]
            np.testing.assert_allclose(members.mean(axis=0), 0.0, atol=1e-3)
    assert (left**2).sum() < (first**2).sum()


def test_the_recorded_data_sets_are_known():
    """A name that does not exist would fail only after hours."""
    names = {name.removesuffix("_source_split") for name in (*best.DATA, *best.BPR_DATA)}
    assert names <= PUBLIC_DATASETS.keys()
