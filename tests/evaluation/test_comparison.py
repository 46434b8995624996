"""The honest table: the shipped row, query times by form, and JSON that reads back."""

from __future__ import annotations

import json

import pytest

from lightrec.evaluation.comparison import Comparison, ComparisonRow

METRICS = {"recall@20": 0.1, "recall@100": 0.25, "ndcg@100": 0.125, "ndcg": 0.5}
TABLE = Comparison(
    "12 pairs",
    (
        ComparisonRow("teacher", METRICS, 32.0, 32.0),
        ComparisonRow("rvq", METRICS, 4.0, 32.0, microseconds=7.0),
        ComparisonRow("lightrec", METRICS, 4.0, 32.0, variant="identity"),
        ComparisonRow("lightrec", METRICS, 4.0, 2048.0, variant="table"),
    ),
)


def test_of_several_rows_of_a_model_the_last_is_the_shipped_one() -> None:
    assert TABLE.row("lightrec").variant == "table"
    assert TABLE.row("teacher").bytes_per_item == 32.0
    with pytest.raises(KeyError, match="aq"):
        TABLE.row("aq")


def test_times_are_those_of_the_form_where_it_is_named_and_else_of_the_model() -> None:
    timed = TABLE.with_times({"teacher": 100.0, "lightrec": 30.0, "table": 20.0})
    assert [row.microseconds for row in timed.rows] == [100.0, 7.0, 30.0, 20.0]
    assert [row.microseconds for row in TABLE.rows] == [None, 7.0, None, None]


def test_json_reads_back() -> None:
    assert Comparison.from_json(json.loads(json.dumps(TABLE.to_json()))) == TABLE


def test_tables_from_before_there_were_forms_are_read() -> None:
    content = TABLE.to_json()
    for row in content["rows"]:
        del row["variant"]
    assert {row.variant for row in Comparison.from_json(content).rows} == {""}
