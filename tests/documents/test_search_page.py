"""docs/search.md: its worked example is right."""

import re
from pathlib import Path

import numpy as np
import pytest

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "search.md"


@pytest.fixture(scope="module")
def text() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


def numbers_of(text: str, first_cell: str) -> list[float]:
    """The numbers of the table row that begins so."""
    (row,) = re.findall(rf"^\| {re.escape(first_cell)} \|(.*)\|$", text, re.MULTILINE)
    return [float(cell) for cell in row.split("|")]


def test_the_worked_example(text: str) -> None:
    table = np.array([numbers_of(text, f"t[{book}]") for book in range(2)])
    best, bar = table.max(1).sum(), 1.2
    assert f"the best conceivable score is {best:.1f}. Say the bar is {bar}" in text
    deficits = np.floor(np.round((table.max(1, keepdims=True) - table) * 250 / (best - bar), 6))
    deficits = np.minimum(deficits, 255)
    for book in range(2):
        assert numbers_of(text, f"book {book}") == deficits[book].tolist()
    sums = np.minimum(deficits[0][:, None] + deficits[1], 255)
    scores = table[0][:, None] + table[1]
    passing = [tuple(pair) for pair in np.argwhere(sums <= 251).tolist()]
    assert passing == [tuple(pair) for pair in np.argwhere(scores >= bar - 1e-9).tolist()]
    told = re.search(r"only (.*) pass, and these", text)
    assert told is not None
    assert passing == [
        (int(one), int(other)) for one, other in re.findall(r"\((\d), (\d)\)", told.group(1))
    ]


def test_its_picture_is_there(text: str) -> None:
    for name in re.findall(r"!\[[^]]*\]\(([^)]*)\)", text):
        assert (DOCUMENT.parent / name).is_file()
