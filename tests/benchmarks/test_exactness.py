"""The comparison finds no difference, and it would find one."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import exactness, results
from benchmarks.adversaries import SIZES, TABLES, searches
from benchmarks.comparison import compare
from benchmarks.exactness import compared, compiled_scans, main, summed
from lightrec.native import KERNELS
from lightrec.search.top_k import TopK, TopKBatch

pytestmark = pytest.mark.skipif(KERNELS is None, reason="there are no compiled scans")

SMALL = 10  # a catalogue of seed 0 with few items and four codebooks
WITH_ROOM = 12  # one of whose filters leave less than is asked for


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    monkeypatch.setattr(exactness, "CATALOGUES", 1)
    return tmp_path


class Wrong:
    """A scan whose answers have something wrong with them now and then."""

    def __init__(self, scan, spoil) -> None:
        self.scan, self.spoil, self.asked = scan, spoil, 0
        self.num_items = scan.num_items

    def top_k(self, *arguments) -> TopK:
        self.asked += 1
        found = self.scan.top_k(*arguments)
        return self.spoil(found) if self.asked % 5 == 1 else found

    def top_k_batch(self, *arguments, threads) -> TopKBatch:
        return self.scan.top_k_batch(*arguments, threads=threads)


def swapped(found: TopK) -> TopK:
    return TopK(found.rows[::-1].copy(), found.scores)


def one_less(found: TopK) -> TopK:
    return TopK(found.rows[:-1], found.scores[:-1])


def last_bit(found: TopK) -> TopK:
    scores = found.scores.copy()
    scores[-1:] = np.nextafter(scores[-1:], np.float32(np.inf))
    return TopK(found.rows, scores)


def narrow(found: TopK) -> TopK:
    return TopK(found.rows.astype(np.int32), found.scores)


def test_scans_answer_as_the_reference_does():
    rows = summed(compared(0, range(5, 8)))
    assert {(row["isa"], row["layout"]) for row in rows} >= {("portable", "flat")}
    assert all(row["queries"] >= 300 for row in rows)
    assert not any(row["differences"] for row in rows)


def test_the_same_seed_gives_the_same_searches():
    one, again, other = searches(0, SMALL), searches(0, SMALL), searches(1, SMALL)
    assert one.about == again.about != other.about
    np.testing.assert_array_equal(one.tables, again.tables)
    np.testing.assert_array_equal(one.item_codes.codes, again.item_codes.codes)
    assert [asked.ks for asked in one.asked] == [asked.ks for asked in again.asked]


def test_tables_are_those_of_the_queries():
    seen = set()
    for catalogue in range(80):
        given = searches(3, catalogue)
        seen |= {kind for kind in TABLES if f", {kind} tables" in given.about}
        built = given.item_codes.score_tables(given.queries)
        np.testing.assert_array_equal(built, given.tables)  # -0.0 is equal to 0.0
    assert seen == set(TABLES)
    assert sum(share for _, _, share in SIZES) == pytest.approx(1)


@pytest.mark.parametrize("spoil", [swapped, one_less, last_bit, narrow])
def test_a_planted_mistake_is_found(spoil):
    given = searches(0, SMALL)
    right = compiled_scans(given)
    wrong = dataclasses.replace(right[0], scan=Wrong(right[0].scan, spoil))
    compare(given, [right[1], wrong] if len(right) > 1 else [wrong], {"catalogue": SMALL})
    assert 0 < wrong.differences < wrong.queries / 4
    assert right[-1].differences == 0
    told = wrong.found[0]
    assert told["call"] == "top_k" and told["catalogue"] == SMALL
    assert {"about", "filter", "k", "query", "engine", "answer"} <= set(told)


def test_what_stands_past_the_end_of_a_batch_counts():
    class Scan(Wrong):
        def top_k_batch(self, *arguments, threads):
            found = self.scan.top_k_batch(*arguments, threads=threads)
            self.asked += int((found.counts < found.rows.shape[1]).sum())
            found.rows[found.rows == -1] = 0
            return found

        def top_k(self, *arguments):
            return self.scan.top_k(*arguments)

    given = searches(0, WITH_ROOM)
    tally = compiled_scans(given)[0]
    tally.scan = Scan(tally.scan, None)
    compare(given, [tally], {})
    assert tally.differences == tally.scan.asked > 0
    assert tally.found[0]["answer"] == "something past the end"


def test_a_refusal_is_a_difference():
    given = searches(0, SMALL)
    tally = compiled_scans(given)[0]
    tally.scan = Wrong(tally.scan, None)
    tally.scan.top_k = lambda table, k, rows: tally.search.scan.top_k(table, 0, rows)
    compare(given, [tally], {})
    assert tally.differences == tally.queries / 4  # batches and two more calls are right
    assert tally.found[0]["answer"].startswith("refused: k must be")


def test_the_program_keeps_finished_chunks(folder, monkeypatch):
    main(["--queries", "300", "--seed", "5"])
    written = json.loads((folder / "exactness.json").read_text())
    assert all(row["system"] == "lightrec" and row["differences"] == 0 for row in written["rows"])
    assert sum(row["queries"] for row in written["rows"]) >= 300
    monkeypatch.setattr(exactness, "compared", None)  # not needed: all of it is there
    main(["--queries", "300", "--seed", "5"])
    assert json.loads((folder / "exactness.json").read_text())["rows"] == written["rows"]


def test_a_difference_is_told_and_ends_with_status_one(folder, monkeypatch, caplog):
    def planted(given):
        made = compiled_scans(given)
        made[0].scan = Wrong(made[0].scan, swapped)
        return made

    monkeypatch.setattr(exactness, "compiled_scans", planted)
    for _ in range(2):  # the second time from what is kept
        caplog.clear()
        with pytest.raises(SystemExit) as status:
            main(["--queries", "300", "--seed", "1"])
        assert status.value.code == 1
        assert '"seed": 1, "catalogue": 0' in caplog.text
    written = json.loads((folder / "exactness.json").read_text())
    assert sum(row["differences"] for row in written["rows"]) > 0
