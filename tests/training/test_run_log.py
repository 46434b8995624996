"""The log of a run."""

import json
import logging

from lightrec.training.run_log import RunLog


def test_writes_one_object_a_line_and_appends(tmp_path) -> None:
    file = tmp_path / "runs" / "metrics.jsonl"
    RunLog(file).event("epoch", of="teacher", epoch=1, loss=0.25)
    RunLog(file).event("validation", of="teacher", epoch=1, **{"recall@100": 0.5})
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert [event["event"] for event in events] == ["epoch", "validation"]
    assert events[0]["loss"] == 0.25
    assert events[1]["recall@100"] == 0.5
    assert all(event["seconds"] >= 0 for event in events)


def test_tells_people_in_short(caplog) -> None:
    with caplog.at_level(logging.INFO, logger="lightrec"):
        RunLog().event("epoch", of="teacher", epoch=3, loss=1 / 3)
    assert caplog.messages == ["epoch  of teacher  epoch 3  loss 0.3333"]


def test_keeps_no_file_unless_asked(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    RunLog().event("epoch", epoch=1)
    assert list(tmp_path.iterdir()) == []
