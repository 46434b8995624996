"""The benchmark of killed runs, with a single kill of each kind."""

from __future__ import annotations

import json

from benchmarks import results, resume


def test_a_killed_run_ends_as_one_that_was_not(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(resume, "KINDS", {"joint": resume.KINDS["joint"]})
    resume.main(["--trials", "1"])
    (row,) = json.loads((tmp_path / "resume.json").read_text())["rows"]
    assert (row["trials"], row["identical_share"], row["lost"]) == (1, 1.0, 0)
    assert row["kills"] == 1
    assert row["resumed"] == 1  # it did not start again from nothing


def test_another_outcome_is_told_from_the_same(tmp_path):
    for name, content in (("one", b"a"), ("same", b"a"), ("other", b"b")):
        (tmp_path / name / "model").mkdir(parents=True)
        (tmp_path / name / "model" / "codes").write_bytes(content)
    digests = [resume.digest_of(tmp_path / name) for name in ("one", "same", "other")]
    assert digests[0] == digests[1] != digests[2]
