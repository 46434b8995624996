"""The benchmark of damaged Parquet tables, in short: no reader dies, every refusal is an error."""

from __future__ import annotations

import json

from benchmarks import damaged_tables, in_children, results
from lightrec.interactions import Interactions


def test_a_few_hundred_damaged_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    damaged_tables.main(["--trials", "360"])
    rows = json.loads((tmp_path / "damaged_tables.json").read_text())["rows"]
    assert len(rows) == len(damaged_tables.MUTATIONS)
    for row in rows:
        counted = ("rejected", "accepted_unchanged", "accepted_changed", "uncaught", "crashed")
        assert sum(row[name] for name in counted) == row["trials"] == 40
        assert (row["uncaught"], row["crashed"]) == (0, 0)
    of = {row["fault"].rpartition(" ")[2]: row for row in rows}
    assert of["emptied"]["rejected"] == of["truncated"]["rejected"] == 40
    assert of["swapped"]["accepted_changed"] == 40


def test_a_reader_that_dies_or_raises_something_else_is_seen(monkeypatch):
    with damaged_tables.reader(0) as trial:
        monkeypatch.setattr(Interactions, "from_table", lambda _: 1 / 0)
        assert trial(0).result == damaged_tables.UNCAUGHT
    died = iter([in_children.Outcome(in_children.CRASHED, "", "the process ended")])
    monkeypatch.setattr(damaged_tables, "outcomes", lambda *_: died)
    rows, faults = damaged_tables.measured(0, [0])
    assert rows[0]["crashed"] == 1
    assert "the process ended" in faults[0]
