"""Tables given to `train`, `compress` and `update`: the log tells what became of their rows."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from lightrec.errors import InputError
from lightrec.interactions import ColumnNames, Interactions
from lightrec.interactions.given_pairs import given_pairs

PAIRS = {"user_id": ["a", "a", "b"], "item_id": ["x", "x", "y"]}


def told(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


@pytest.fixture
def log(caplog):
    """What `lightrec` logs, news included."""
    caplog.set_level(logging.INFO, logger="lightrec")
    return caplog


def test_the_report_is_news_and_an_unused_count_is_a_warning(log) -> None:
    pairs = given_pairs({**PAIRS, "play_count": [3, 4, 5]})
    assert len(pairs) == 2
    (news,) = told(log, logging.INFO)
    assert "3 rows read, 2 pairs used" in news
    assert "1 rows merged" in news
    (warning,) = told(log, logging.WARNING)
    assert warning.startswith(f"{pairs.report.source}: column 'play_count' is not used")
    assert "play_count" not in news


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ({**PAIRS, "rating": [3, 4, 5]}, None),
        ({**PAIRS, "rating": [3, 4, 5]}, ColumnNames(rating="")),
        ({**PAIRS, "hours": [3, 4, 5]}, None),
        (csr_matrix(np.array([[3, 0], [0, 2]])), None),
    ],
)
def test_no_weight_is_left_unused_without_a_warning(log, table, columns) -> None:
    given_pairs(table, columns)
    assert len(told(log, logging.WARNING)) == 1


def test_of_two_columns_both_are_named(log) -> None:
    given_pairs({**PAIRS, "rating": [3, 4, 5], "quantity": [1, 1, 2]})
    first, second = told(log, logging.WARNING)
    assert "'rating'" in first
    assert "'quantity'" in second


def test_other_notes_are_news(log) -> None:
    """Nothing is lost by it that would have to be mended."""
    given_pairs(PAIRS, items={"item_id": [1, 2], "title": ["one", "two"]})
    assert told(log, logging.WARNING) == []
    (news,) = told(log, logging.INFO)
    assert "are read as text" in news
    assert "2 catalogue items without any pair (kept)" in news


def test_interactions_carry_their_report_and_are_not_told_again(log) -> None:
    pairs = Interactions.from_table({**PAIRS, "play_count": [3, 4, 5]})
    assert given_pairs(pairs) is pairs
    assert log.records == []


def test_what_cannot_be_used_is_refused_as_ever() -> None:
    with pytest.raises(InputError, match="no column item_id"):
        given_pairs({"user_id": ["a"]})
