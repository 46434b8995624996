"""`lightrec recommend`, `score` and `similar`."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from lightrec.serving import Recommender


def answers(outcome):
    """The JSON lines that a command printed."""
    assert outcome.code == 0, outcome.err
    return [json.loads(line) for line in outcome.out.splitlines()]


def test_the_answers_are_those_of_the_library(cli, model, model_folder):
    found = answers(cli("recommend", model_folder, "--user", "u3", "--user", "u1", "--json"))
    expected = Recommender(model).recommend(users=["u3", "u1"])
    assert [line["user_id"] for line in found] == ["u3", "u1"]
    for line, ranked in zip(found, expected, strict=True):
        assert [item["item_id"] for item in line["items"]] == ranked.items
        assert [item["score"] for item in line["items"]] == pytest.approx(ranked.scores)
        assert [item["rank"] for item in line["items"]] == list(range(1, 11))
        assert all("title" in item for item in line["items"])


def test_tables_show_titles_as_they_are(cli, model_folder):
    outcome = cli("recommend", model_folder, "--user", "u3", "-k", 3)
    assert outcome.code == 0
    assert outcome.out.splitlines()[0] == "user u3:"
    assert outcome.out.splitlines()[1].split() == ["rank", "item_id", "score", "title", "category"]
    assert outcome.out.count("[bold]") == 3
    assert outcome.out.count(":smile:") == 3


def test_control_characters_in_titles_do_not_reach_the_terminal(cli, model, tmp_path):
    columns = model.item_columns.with_columns(title=pl.lit("red \x1b[31m"))
    replace(model, item_columns=columns).save(tmp_path / "m")
    outcome = cli("recommend", tmp_path / "m", "--user", "u3", "-k", 1)
    assert "\x1b" not in outcome.out
    assert r"red \x1b[31m" in outcome.out


def test_a_history_is_one_query_however_it_is_typed(cli, model, model_folder):
    repeated = answers(
        cli("recommend", model_folder, "--history", 1003, "--history", 1007, "--json")
    )
    listed = answers(cli("recommend", model_folder, "--history", "1003,1007", "--json"))
    assert repeated == listed
    expected = Recommender(model).recommend(histories=[[1003, 1007]])
    assert [item["item_id"] for item in listed[0]["items"]] == expected.items
    assert not {1003, 1007} & set(expected.items)


def test_vectors_come_from_a_file(cli, model, model_folder, tmp_path):
    queries = np.random.default_rng(1).standard_normal((2, model.query_width))
    np.save(tmp_path / "q.npy", queries)
    np.save(tmp_path / "one.npy", queries[0])
    both = answers(cli("recommend", model_folder, "--vector", tmp_path / "q.npy", "--json"))
    one = answers(cli("recommend", model_folder, "--vector", tmp_path / "one.npy", "--json"))
    assert len(both) == 2
    assert one == both[:1]


@pytest.mark.parametrize(
    ("values", "code", "said"),
    [
        ([[1.0, 2.0]], 2, "width|wide"),
        ([[1.0, np.nan, 0.0, 0.0]], 3, "row 1, dimension 2: nan"),
        ([[1.0, np.inf, 0.0, 0.0]], 3, "inf"),
        ([["a", "b", "c", "d"]], 3, "float32"),
    ],
)
def test_unusable_vectors_are_refused(refused, model_folder, tmp_path, values, code, said):
    np.save(tmp_path / "q.npy", np.array(values))
    message = refused(code, "recommend", model_folder, "--vector", tmp_path / "q.npy")
    assert any(word in message for word in said.split("|"))


def test_filters(cli, model_folder, write):
    crime = answers(
        cli("recommend", model_folder, "--user", "u3", "--where", "category=Crime", "--json")
    )
    assert {item["category"] for item in crime[0]["items"]} == {"Crime"}
    years = ("--where", "year=1991", "--where", "year=1993", "--where", "category=Crime")
    either = answers(cli("recommend", model_folder, "--user", "u3", *years, "-k", 60, "--json"))
    assert {item["item_id"] % 5 for item in either[0]["items"]} == {1, 3}
    allowed = write("few.txt", "1001\n1002\n1003\n")
    few = answers(
        cli(
            *("recommend", model_folder, "--user", "u3", "--include-seen", "--json"),
            *("--allow", allowed, "--allow", "1004,1005", "--deny", "1002"),
        )
    )
    assert {item["item_id"] for item in few[0]["items"]} == {1001, 1003, 1004, 1005}


def test_seen_items_come_back_when_asked_for(cli, model, model_folder):
    seen = set(model.item_ids.ids(model.history.of(3)))
    without = answers(cli("recommend", model_folder, "--user", "u3", "-k", 1000, "--json"))
    given = {item["item_id"] for item in without[0]["items"]}
    assert given == set(model.item_ids.series.to_list()) - seen
    all_of_them = answers(
        cli("recommend", model_folder, "--user", "u3", "-k", 1000, "--include-seen", "--json")
    )
    assert len(all_of_them[0]["items"]) == model.num_items


def test_a_model_without_history_warns(cli, bare_model_folder):
    outcome = cli("recommend", bare_model_folder, "--user", "u3")
    assert outcome.code == 0
    assert outcome.err.startswith("lightrec: warning: ")


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_many_users_go_to_a_file(cli, write, model_folder, tmp_path, ending):
    users = write("users.txt", "\n".join(f"u{row}" for row in range(20)))
    out = tmp_path / f"out{ending}"
    outcome = cli("recommend", model_folder, "--users", users, "-k", 2, "--out", out)
    assert outcome.code == 0, outcome.err
    table = pl.read_csv(out) if ending == ".csv" else pl.read_parquet(out)
    assert len(table) == 40
    described = ["title", "category"]
    assert table.columns == ["user_id", "item_id", "score", "rank", "fallback", *described]
    assert table["fallback"].null_count() == 40


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--user", "nobody"], 5, "unknown user id: 'nobody'"),
        (["--history", "007"], 5, "unknown item id: '007'"),
        (["--history", "1.0"], 5, "unknown item id: '1.0'"),
        (["--history", "nan"], 5, "unknown item id: 'nan'"),
        (["--history", "😀"], 5, "unknown item id"),
        (["--history", str(2**63)], 5, f"unknown item id: '{2**63}'"),
        (["--user", "u1", "--deny", "5"], 5, "unknown item id: 5"),
        (["--user", "u1", "-k", "0"], 2, "k must be at least 1"),
        (["--user", "u1", "-k", "-3"], 2, "k must be at least 1"),
        ([], 2, "give one of"),
        (["--user", "u1", "--history", "1001"], 2, "give one of"),
        (["--user", "u1", "--where", "category"], 2, "COLUMN=VALUE"),
        (["--user", "u1", "--where", "colour=red"], 2, "'colour'"),
        (["--user", "u1", "--where", "year=soon"], 2, "'soon'"),
        (["--user", "u1", "--out", "a.xlsx"], 2, "a.xlsx"),
        (["--user", "u1", "--post-ranking", "20"], 2, "float"),
        (["--users", "nowhere.txt"], 3, "nowhere.txt"),
        (["--vector", "nowhere.npy"], 3, "nowhere.npy"),
    ],
)
def test_unusable_requests_are_refused(refused, model_folder, words, code, said):
    assert said in refused(code, "recommend", model_folder, *words)


def test_scores_are_those_of_the_library(cli, model, model_folder, write):
    items = write("items.txt", "1003\n1001\n")
    found = answers(
        cli("score", model_folder, "--user", "u2", "--item", items, "--item", 1009, "--json")
    )
    expected = Recommender(model).score(users=["u2"], items=[1003, 1001, 1009])
    assert [item["item_id"] for item in found[0]["items"]] == [1003, 1001, 1009]
    assert [item["score"] for item in found[0]["items"]] == pytest.approx(expected[0])
    assert cli("score", model_folder, "--user", "u2", "--item", "1003").out.startswith("user u2:\n")


def test_scoring_unknown_items_is_refused(refused, model_folder):
    assert "unknown item id: 5" in refused(5, "score", model_folder, "--user=u2", "--item=5")
    assert "--item" in refused(2, "score", model_folder, "--user=u2")


def test_similar_items_are_those_of_the_library(cli, refused, model, model_folder):
    found = answers(cli("similar", model_folder, "--item", 1004, "-k", 4, "--json"))
    expected = Recommender(model).similar_items(1004, 4)
    assert found[0]["similar_to"] == 1004
    assert [item["item_id"] for item in found[0]["items"]] == expected.items
    assert "unknown item id: 'x'" in refused(5, "similar", model_folder, "--item", "x")
    assert cli("similar", model_folder, "--item", 1004).out.startswith("similar to 1004:\n")
