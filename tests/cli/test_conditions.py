"""What `--where` makes of its texts."""

from __future__ import annotations

import polars as pl
import pytest

from lightrec.cli.queries import read_conditions
from lightrec.errors import ArgumentError

PAIRS = pl.Series([["Jazz", "Folk"], ["Soul", "Jazz"]], dtype=pl.Array(pl.String, 2))
COLUMNS = pl.DataFrame({"mood": ["Sad", None], "tags": [["Jazz"], []], "pair": PAIRS})


@pytest.mark.parametrize(("name", "value"), [("mood", "Sad"), ("tags", "Jazz"), ("pair", "Soul")])
def test_values_that_items_have(name: str, value: str) -> None:
    assert read_conditions([f"{name}={value}"], COLUMNS) == {name: [value]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mood=sad", "no item has that 'mood'; did you mean 'Sad'"),
        ("tags=jaz", "did you mean 'Jazz'"),
        ("pair=zzz", "there are Folk, Jazz, Soul"),
    ],
)
def test_values_that_no_item_has(text: str, told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        read_conditions([text], COLUMNS)
