"""The ways to search a model: each answers what its name says, and all are fairly timed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lightrec.artifact import Users
from lightrec.cli import search_times
from lightrec.cli.search_times import Search, Searches
from lightrec.native import KERNELS
from lightrec.search.reference_scan import ReferenceScan

FORMS = ["identity", "fitted", "mapped", "table", "free", "linear", "mlp"]
FLOATS = {"numpy", "float_scan"} if KERNELS is not None else {"numpy"}


def best(model, table, k, without=()):
    """Rows of the k best items for a score table, by the reference."""
    codes = model.item_codes
    rows = ReferenceScan(codes.codes, codes.num_codewords).top_k(table, model.num_items).rows
    return [row for row in rows.tolist() if row not in without][:k]


def rows_of(found):
    return getattr(found, "rows", found).tolist()


@pytest.mark.parametrize("form", FORMS)
def test_searches_by_codes_answer_what_their_names_say(in_form, form):
    model = in_form(form)
    searches = Searches.of(model, model.num_users)
    ways, users = searches.ways, searches.users.tolist()
    assert sorted(users) == list(range(model.num_users))
    tables = model.item_codes.score_tables(searches.vectors)
    assert [rows_of(ways["codes"].top_k(query, 4)) for query in range(len(tables))] == [
        best(model, table, 4) for table in tables
    ]
    if form == "table":
        tables = model.users.values[users].astype(np.float32)
        assert [rows_of(ways["table"].top_k(query, 4)) for query in range(len(tables))] == [
            best(model, table, 4) for table in tables
        ]
    else:
        assert np.array_equal(searches.vectors, model.users.values[users])
    left_out = 0
    for query, (table, user) in enumerate(zip(tables, users, strict=True)):
        seen = model.history.of(user).tolist()
        assert rows_of(ways["seen"].top_k(query, 9)) == best(model, table, 9, seen)
        ids = ways["recommend"].top_k(query, 9).items
        assert ids == model.item_ids.ids(best(model, table, 9, seen))
        left_out += len(set(seen) & set(best(model, table, 9)))
    assert left_out  # else nothing was shown


@pytest.mark.parametrize("form", FORMS)
def test_searches_by_floats_find_the_decoded_items_with_the_highest_scores(in_form, form):
    model = in_form(form)
    searches, items = Searches.of(model, 5), model.item_codes.decode()
    for name in FLOATS:
        for query, vector in enumerate(searches.vectors):
            found = rows_of(searches.ways[name].top_k(query, 8))
            scores = items @ vector
            assert len(set(found)) == 8
            np.testing.assert_allclose(
                scores[found], np.sort(scores)[::-1][:8], rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("form", FORMS)
def test_post_ranking_orders_candidates_of_the_codes_by_float_items(in_form, form, monkeypatch):
    model = in_form(form)
    monkeypatch.setattr(search_times, "CANDIDATES_PER_RESULT", 3)
    searches = Searches.of(model, 4)
    floats = model.float_items.astype(np.float32)
    as_wide = floats.shape[1] == model.item_codes.width
    vectors = searches.vectors if as_wide else floats
    for query in range(4):
        recalled = rows_of(searches.ways["codes"].top_k(query, 12))
        found = searches.ways["post_ranking"].top_k(query, 4)
        assert set(rows_of(found)) <= set(recalled)
        scores = np.sort(floats[recalled] @ vectors[query])[::-1][:4]
        np.testing.assert_allclose(found.scores, scores, rtol=1e-4, atol=1e-5)


def test_a_model_without_users_is_asked_by_its_items(model):
    nobody = Users("identity", np.empty((0, model.item_codes.width), np.float32))
    searches = Searches.of(dataclasses.replace(model, users=nobody, history=None), 1000)
    assert not searches.from_users
    assert searches.ways["codes"].num_queries == model.num_items
    assert rows_of(searches.ways["codes"].top_k(0, 3))


def test_times_are_of_each_querys_fastest_pass(model, monkeypatch):
    """By a made-up clock: query q takes q + 1 seconds, but for one slow pass."""
    now, asked = 0.0, []

    def slow_in_the_first_pass(query, k):
        nonlocal now
        asked.append(query)
        now += (query + 1) * (100 if len(asked) <= warm + 4 else 1)

    def as_fast_again(query, k):
        nonlocal now
        now += (query + 1) / 2

    warm = 2 * search_times._WARM_UP
    monkeypatch.setattr(search_times.time, "perf_counter", lambda: now)
    searches = dataclasses.replace(
        Searches.of(model, 2),
        ways={"numpy": Search(slow_in_the_first_pass, 4), "codes": Search(as_fast_again, 4)},
    )
    numpy_, codes = searches.times(3)
    assert numpy_.median_microseconds == pytest.approx(2.5e6)
    assert numpy_.p95_microseconds == pytest.approx(3.85e6)
    assert codes.times_faster_than_numpy == pytest.approx(2)
    assert asked[warm:] == [0, 1, 2, 3] * search_times._PASSES


def test_searches_take_turns_and_slow_ones_are_asked_fewer_queries(model, monkeypatch):
    now, turns = 0.0, []

    def search(name, seconds):
        def top_k(query, k):
            nonlocal now
            turns.append(name)
            now += seconds

        return Search(top_k, 30)

    monkeypatch.setattr(search_times.time, "perf_counter", lambda: now)
    ways = {"slow": search("slow", 10.0), "fast": search("fast", 1e-6)}
    slow, fast = dataclasses.replace(Searches.of(model, 2), ways=ways).times(1)
    assert (slow.queries, fast.queries) == (search_times._FEWEST_QUERIES, 30)
    assert slow.times_faster_than_numpy is None
    warm = 2 * 2 * search_times._WARM_UP
    one_turn = ["slow"] * slow.queries + ["fast"] * fast.queries
    assert turns[warm:] == one_turn * search_times._PASSES
