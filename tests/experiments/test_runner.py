"""Cells are measured once, test evaluations are counted, and result files lose no row."""

import json
import logging

import pytest

from lightrec.experiments import runner as module
from lightrec.experiments.runner import Row, Runner, digest_of

METRICS = {"recall@100": 0.25, "ndcg": 0.5, "ndcg@100": 0.125}


def made(tmp_path, **changes) -> Runner:
    settings = {
        "name": "study",
        "command": lambda rows: "lightrec experiment study",
        "sources": ["errors.py"],
    }
    return Runner(**(settings | changes), results=tmp_path)


class Measure:
    """Counts how often it is asked."""

    def __init__(self, **fields) -> None:
        self.calls = 0
        self.fields = fields

    def __call__(self) -> Row:
        self.calls += 1
        return {**METRICS, **self.fields}


def place(**changes) -> Row:
    return {"data": "gowalla", "split": 0, "model": "bpr"} | changes


def ledger(tmp_path) -> list[Row]:
    file = tmp_path / "ledger.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def rows_of(tmp_path) -> list[Row]:
    return json.loads((tmp_path / "study.json").read_text())["rows"]


def test_a_finished_cell_is_not_measured_again(tmp_path) -> None:
    measure = Measure()
    first = made(tmp_path).cell({"model": "bpr", "epochs": 3}, "data", measure)
    again = made(tmp_path).cell({"epochs": 3, "model": "bpr"}, "data", measure)  # a later process
    assert measure.calls == 1
    assert again == first
    assert first.items() >= METRICS.items()
    assert first["seconds"] >= 0
    assert first["cpu_seconds"] >= 0


def test_every_part_of_the_identity_counts(tmp_path) -> None:
    measure = Measure()
    made(tmp_path).cell({"model": "bpr", "inner": {"width": 32}}, "data", measure)
    made(tmp_path).cell({"model": "bpr", "inner": {"width": 64}}, "data", measure)
    made(tmp_path).cell({"model": "bpr", "inner": {"width": 32}}, "other data", measure)
    other = made(tmp_path, name="other")
    other.cell({"model": "bpr", "inner": {"width": 32}}, "data", measure)
    assert measure.calls == 4


def test_a_configuration_that_json_rewrites_is_still_found(tmp_path) -> None:
    measure = Measure()
    for _ in range(2):
        made(tmp_path).cell({"cutoffs": (20, 100), "by": {1: "a"}}, "data", measure)
    assert measure.calls == 1


def test_a_measurement_that_fails_leaves_nothing(tmp_path) -> None:
    def failing() -> Row:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        made(tmp_path).test_row(place(), "data", failing)
    assert ledger(tmp_path) == []
    measure = Measure(**place())
    made(tmp_path).test_row(place(), "data", measure)
    assert measure.calls == 1


def test_a_cell_of_an_older_source_is_used_and_said_so(tmp_path, monkeypatch, caplog) -> None:
    measure = Measure()
    monkeypatch.setattr(module, "source_digest", lambda parts: "old")
    first = made(tmp_path).cell({"model": "bpr"}, "data", measure)
    monkeypatch.setattr(module, "source_digest", lambda parts: "new")
    with caplog.at_level(logging.WARNING, logger="lightrec"):
        kept = made(tmp_path).cell({"model": "bpr"}, "data", measure)
    assert measure.calls == 1
    assert kept == first
    assert kept["source_digest"] == "old"  # never wrong about where it comes from
    assert "older source" in caplog.text


def test_stale_cells_are_measured_again_when_asked_and_fresh_ones_are_not(
    tmp_path, monkeypatch
) -> None:
    measure = Measure()
    monkeypatch.setattr(module, "source_digest", lambda parts: "old")
    made(tmp_path).cell({"model": "bpr"}, "data", measure)
    monkeypatch.setattr(module, "source_digest", lambda parts: "new")
    for _ in range(2):
        row = made(tmp_path, stale=True).cell({"model": "bpr"}, "data", measure)
        assert row["source_digest"] == "new"
    assert measure.calls == 2


def test_the_ledger_gets_one_line_for_each_test_evaluation(tmp_path, monkeypatch) -> None:
    measure = Measure(**place())
    made(tmp_path).cell({"part": "validation"}, "data", Measure())  # no test part: no line
    assert ledger(tmp_path) == []
    made(tmp_path).test_row(place(), "data", measure)
    made(tmp_path).test_row(place(), "data", measure)  # from the kept cell
    assert len(ledger(tmp_path)) == 1
    made(tmp_path).test_row(place(split=1), "data", Measure(**place(split=1)))
    monkeypatch.setattr(module, "source_digest", lambda parts: "new")
    made(tmp_path, stale=True).test_row(place(), "data", measure)
    lines = ledger(tmp_path)
    assert [line["split"] for line in lines] == [0, 1, 0]
    first = lines[0]
    assert (first["experiment"], first["data"], first["model"]) == ("study", "gowalla", "bpr")
    assert first["metrics"] == METRICS
    assert first["config_digest"] == digest_of(place())
    assert first.keys() >= {"time", "commit"}


def test_the_ledger_tells_variant_and_seed_where_a_row_has_one(tmp_path) -> None:
    rows = [place(variant="table", seed=3), place(split=1, variant=""), place(split=2)]
    for row in rows:
        made(tmp_path).test_row(row, "data", Measure(**row))
    told = [{name: line.get(name) for name in ("variant", "seed")} for line in ledger(tmp_path)]
    assert told == [{"variant": "table", "seed": 3}, *[{"variant": None, "seed": None}] * 2]
    lines = ledger(tmp_path)
    assert [set(line) & {"variant", "seed"} for line in lines] == [
        {"variant", "seed"},
        set(),
        set(),
    ]


def test_the_result_file_says_where_it_comes_from(tmp_path) -> None:
    runner = made(tmp_path)
    runner.test_row(place(), "data", Measure(**place()))
    assert runner.write() == tmp_path / "study.json"
    content = json.loads((tmp_path / "study.json").read_text())
    assert content.keys() == {
        "command",
        "commit",
        "source_digest",
        "created",
        "machine",
        "versions",
        "rows",
    }
    assert content["command"] == "lightrec experiment study"
    assert content["machine"]["cores"] >= 1
    assert {"python", "numpy", "lightrec"} <= content["versions"].keys()
    (row,) = content["rows"]
    assert row.items() >= (place() | METRICS).items()
    assert row.keys() >= {"seconds", "cpu_seconds", "commit", "source_digest"}


def test_rows_of_other_cells_stay_in_the_result_file(tmp_path) -> None:
    places = [place(), place(split=1), place(model="lightrec"), place(variant="table")]
    for each in places:
        runner = made(tmp_path)  # one process for each
        runner.test_row(each, "data", Measure(**each))
        runner.write()
    rows = rows_of(tmp_path)
    assert len(rows) == 4
    found = {(row["split"], row["model"], row.get("variant", "")) for row in rows}
    assert found == {(0, "bpr", ""), (1, "bpr", ""), (0, "lightrec", ""), (0, "bpr", "table")}


def test_a_cell_measured_again_replaces_its_row(tmp_path, monkeypatch) -> None:
    runner = made(tmp_path)
    runner.test_row(place(), "data", Measure(**place()))
    runner.write()
    monkeypatch.setattr(module, "source_digest", lambda parts: "new")
    again = made(tmp_path, stale=True)
    again.test_row(place(), "data", Measure(**place(ndcg=0.75)))
    again.write()
    (row,) = rows_of(tmp_path)
    assert (row["ndcg"], row["source_digest"]) == (0.75, "new")


def test_rows_do_not_depend_on_the_order_of_measurement(tmp_path) -> None:
    orders = []
    for number, splits in enumerate([(0, 1, 2), (2, 0, 1)]):
        runner = made(tmp_path / str(number))
        for split in splits:
            runner.test_row(place(split=split), "data", Measure(**place(split=split)))
        runner.write()
        orders.append([row["split"] for row in rows_of(tmp_path / str(number))])
    assert orders[0] == orders[1] == [0, 1, 2]


def test_source_digests_follow_the_sources(tmp_path) -> None:
    assert made(tmp_path).source_digest == made(tmp_path).source_digest
    other = made(tmp_path, sources=["errors.py", "codes"])
    assert other.source_digest != made(tmp_path).source_digest
    turned = made(tmp_path, sources=["codes", "errors.py"])
    assert turned.source_digest == other.source_digest


def test_a_source_that_does_not_exist_is_refused(tmp_path) -> None:
    """A file that moved would otherwise silently stop to count."""
    with pytest.raises(Exception, match=r"moved\.py"):
        made(tmp_path, sources=["errors.py", "moved.py"])


def test_digests_are_of_the_value_and_not_of_its_order() -> None:
    assert digest_of({"a": 1, "b": [1, 2]}) == digest_of({"b": [1, 2], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})
