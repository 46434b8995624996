"""Query times: every way of asking is timed, whatever form the model's users have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lightrec.artifact import Users
from lightrec.cli import query_times as module
from lightrec.cli.query_times import query_times


@pytest.fixture
def with_tables(model):
    """The model with score tables for users."""
    tables = model.item_codes.score_tables(model.users.values).astype(np.float16)
    return replace(model, users=Users("table", tables))


@pytest.mark.parametrize("form", ["identity", "table"])
def test_every_way_of_asking_is_timed(model, with_tables, form):
    found = query_times(with_tables if form == "table" else model, num_queries=3)
    assert found.keys() == {"teacher", "rvq", "lightrec", "table"}
    assert all(time > 0 for time in found.values())


@pytest.mark.parametrize("form", ["identity", "table"])
def test_no_table_is_built_for_users_who_have_one(model, with_tables, form, monkeypatch):
    """Only what a query costs is within the clock: tables of other forms are made before."""
    asked = with_tables if form == "table" else model
    events = []
    codes = type(asked.item_codes)
    build = codes.score_tables

    def building(self, vectors):
        events.append(len(vectors))
        return build(self, vectors)

    monkeypatch.setattr(codes, "score_tables", building)
    monkeypatch.setattr(module, "_WARM_UP", 0)
    query_times(asked, num_queries=3)
    before = [] if form == "table" else [3]
    assert events == before + 3 * [1, 1]  # `rvq` and `lightrec`, but never `table`


def test_the_times_are_medians_of_the_searches_they_name(model, monkeypatch):
    clock = iter(range(1_000_000))
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    assert set(query_times(model, num_queries=5).values()) == {1e6}
