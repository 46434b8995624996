"""`lightrec recommend`, `score` and `similar`."""

from __future__ import annotations

import json
import weakref
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from lightrec.cli.queries import read_query
from lightrec.interactions import IdMap
from lightrec.serving import Recommender
from lightrec.serving.ranking import Ranking


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


def in_small_blocks(monkeypatch, *, users=3, items=1 << 18):
    monkeypatch.setattr("lightrec.cli.recommend._USERS_AT_A_TIME", users)
    monkeypatch.setattr("lightrec.cli.recommend._ITEMS_AT_A_TIME", items)


@pytest.mark.parametrize("blocks", ["one", "many"])
@pytest.mark.parametrize("words", [[], ["--where", "year=1991"], ["--deny", "1001", "-k", "60"]])
def test_a_file_holds_what_the_library_answers(
    cli, write, model, model_folder, tmp_path, monkeypatch, blocks, words
):
    if blocks == "many":
        in_small_blocks(monkeypatch)
    names = [f"u{row}" for row in range(20)]
    users = write("users.txt", "\n".join(names))
    asked = ("recommend", model_folder, "--user", "u7", "--users", users, *words)
    wanted = {}
    if words:
        wanted = {"where": {"year": [1991]}} if words[0] == "--where" else {"deny": [1001], "k": 60}
    found = Recommender(model).recommend(["u7", *names], **wanted)
    expected = found.to_polars(item_columns=["title", "category"])
    outcome = cli(*asked, "--out", tmp_path / "out.parquet")
    assert outcome.out.endswith(f" ({len(expected):,} items for 21 queries)\n"), outcome
    assert pl.read_parquet(tmp_path / "out.parquet").equals(expected)
    assert pl.read_parquet(tmp_path / "out.parquet").schema == expected.schema
    assert cli(*asked, "--out", tmp_path / "out.csv").code == 0
    assert (tmp_path / "out.csv").read_text() == expected.write_csv()


def test_vectors_keep_their_positions_in_a_file(cli, model, model_folder, tmp_path, monkeypatch):
    in_small_blocks(monkeypatch)
    queries = np.random.default_rng(1).standard_normal((8, model.query_width))
    np.save(tmp_path / "q.npy", queries.astype(np.float32))
    out = tmp_path / "out.parquet"
    assert cli("recommend", model_folder, "--vector", tmp_path / "q.npy", "--out", out).code == 0
    found = Recommender(model).recommend(vectors=queries)
    assert pl.read_parquet(out).equals(found.to_polars(item_columns=["title", "category"]))


@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_printed_does_not_depend_on_blocks(cli, model_folder, monkeypatch, as_json):
    words = ["recommend", model_folder, *(f"--user=u{row}" for row in range(7))]
    words += ["--json"] if as_json else []
    at_once = cli(*words)
    in_small_blocks(monkeypatch)
    assert cli(*words) == at_once
    assert at_once.code == 0


def test_a_file_is_written_in_bounded_memory(cli, write, model_folder, tmp_path, monkeypatch):
    in_small_blocks(monkeypatch, users=1 << 14, items=9)
    users = write("users.txt", "\n".join(f"u{row}" for row in range(20)))
    answers, rows, alive = weakref.WeakSet(), [], []
    rank = Ranking.rank

    def watched(*given):
        alive.append(len(answers))
        found = rank(*given)
        answers.add(found)
        rows.append(len(found.item_ids))
        return found

    monkeypatch.setattr(Ranking, "rank", watched)
    for ending in (".parquet", ".csv", ".csv.gz"):
        out = tmp_path / f"out{ending}"
        assert cli("recommend", model_folder, "--users", users, "-k", 4, "--out", out).code == 0
    assert rows == [8] * 30  # two users at a time
    assert max(alive) <= 1, "answers are held that were written already"


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".csv.gz"])
def test_an_interrupt_leaves_the_old_file(cli, write, model_folder, tmp_path, monkeypatch, ending):
    in_small_blocks(monkeypatch)
    users = write("users.txt", "\n".join(f"u{row}" for row in range(20)))
    out = tmp_path / "there" / f"out{ending}"
    words = ("recommend", model_folder, "--users", users, "--out", out)
    assert cli(*words).code == 0
    old, calls, rank = out.read_bytes(), [], Ranking.rank

    def interrupted(*given):
        calls.append(given)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return rank(*given)

    monkeypatch.setattr(Ranking, "rank", interrupted)
    outcome = cli(*words, "-k", 2)
    assert (outcome.code, outcome.err) == (130, "lightrec: error: interrupted\n")
    assert len(calls) == 4
    assert out.read_bytes() == old
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_all_users_are_looked_up_before_the_first_is_answered(
    refused, write, model_folder, tmp_path, monkeypatch
):
    in_small_blocks(monkeypatch)
    monkeypatch.setattr(Ranking, "rank", None)
    users = write("users.txt", "\n".join([*(f"u{row}" for row in range(20)), "nobody"]))
    out = tmp_path / "new" / "out.csv"
    said = refused(5, "recommend", model_folder, "--users", users, "--out", out)
    assert "unknown user id: 'nobody'" in said
    assert not out.parent.exists()


def test_integer_users_are_read_from_files_as_from_the_command_line(model, write, tmp_path):
    numbered = replace(model, user_ids=IdMap.from_values([-(2**63), *range(19)], "user"))
    pl.DataFrame({"user": [3, 1]}).write_parquet(tmp_path / "u.parquet")
    for file, expected in (
        (tmp_path / "u.parquet", [3, 1]),
        (write("a.txt", "3\n1\n"), [3, 1]),
        (write("b.txt", f"{-(2**63)}\n{2**63}\n"), [-(2**63), str(2**63)]),
        (write("c.txt", "3\n03\n+3\n 3\n3.0\nx\n"), [3, "03", "+3", " 3", "3.0", "x"]),
    ):
        query = read_query(numbered, users=["2"], users_file=file, history=None, vector=None)
        assert query == {"users": [2, *expected]}
        query = read_query(numbered, users=None, users_file=file, history=None, vector=None)
        assert list(query["users"]) == expected


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        ([], ["title", "category"]),
        (["--item-columns", "year,title"], ["year", "title"]),
        (["--item-columns", "year", "--item-columns", "popularity,year"], ["year", "popularity"]),
        (["--item-columns", ""], []),
    ],
)
def test_item_columns_are_chosen(cli, model, model_folder, tmp_path, words, columns):
    asked = ("recommend", model_folder, "--user", "u3", "--user", "u1", *words)
    expected = Recommender(model).recommend(["u3", "u1"]).to_polars(item_columns=columns)
    assert expected.columns[5:] == columns
    for ending, read in ((".parquet", pl.read_parquet), (".csv", pl.read_csv)):
        assert cli(*asked, "--out", tmp_path / f"out{ending}").code == 0
        found = read(tmp_path / f"out{ending}")
        assert found.columns == expected.columns
        assert found.drop("score", "fallback").equals(expected.drop("score", "fallback"))
    assert cli(*asked).out.splitlines()[1].split() == ["rank", "item_id", "score", *columns]
    columns = columns if words else model.item_columns.columns
    items = [item for line in answers(cli(*asked, "--json")) for item in line["items"]]
    table = Recommender(model).recommend(["u3", "u1"]).to_polars(item_columns=columns)
    assert [list(item) for item in items] == [["item_id", "score", "rank", *columns]] * 20
    assert [[item[name] for name in columns] for item in items] == [
        list(row) for row in table.select(columns).iter_rows()
    ] or not columns


def test_names_of_item_columns_may_hold_commas_or_be_taken(cli, model, tmp_path):
    columns = model.item_columns.with_columns(score=pl.col("year"), fallback=pl.col("year"))
    columns = columns.with_columns(pl.lit("both").alias("year,title"), tags=pl.lit(["a", "b"]))
    replace(model, item_columns=columns).save(tmp_path / "m")
    np.save(tmp_path / "q.npy", np.ones((1, model.query_width)))
    words = ("--item-columns", "year,title", "--item-columns", "score,fallback,tags", "--json")
    (line,) = answers(cli("recommend", tmp_path / "m", "--user", "u3", "-k1", *words))
    own = ["item_id", "score", "rank", "year,title", "item_score"]
    assert list(line["items"][0]) == [*own, "item_fallback", "tags"]
    assert line["items"][0]["tags"] == ["a", "b"]
    (line,) = answers(cli("recommend", tmp_path / "m", "--vector", tmp_path / "q.npy", *words))
    assert list(line["items"][0]) == [*own, "fallback", "tags"]


def test_lists_do_not_go_to_text_files(cli, refused, model, tmp_path):
    columns = model.item_columns.with_columns(tags=pl.lit(["a", "b"]))
    replace(model, item_columns=columns).save(tmp_path / "m")
    words = ("recommend", tmp_path / "m", "--user", "u3", "--item-columns", "tags", "--out")
    assert "column 'tags' holds lists" in refused(2, *words, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    assert cli(*words, tmp_path / "out.parquet").code == 0
    assert pl.read_parquet(tmp_path / "out.parquet")["tags"].to_list() == [["a", "b"]] * 10


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


def test_a_model_without_titles_tells_items_by_their_ids(cli, model, tmp_path):
    bare = replace(model, item_columns=model.item_columns.select("popularity"), digest=None)
    bare.save(tmp_path / "bare")
    item = model.item_ids.ids([7])[0]
    for query in (("--user", "u3"), ("--history", item)):
        outcome = cli("score", tmp_path / "bare", *query, "--item", item)
        assert outcome.code == 0, outcome.err
        assert str(item) in outcome.out
        (line,) = answers(cli("score", tmp_path / "bare", *query, "--item", item, "--json"))
        assert [scored["item_id"] for scored in line["items"]] == [item]


def test_ids_in_a_file_may_be_repeated(cli, model_folder, write):
    users = write("users.txt", "u3\nu1\nu3\n")
    found = answers(cli("recommend", model_folder, "--users", users, "--json"))
    assert [line["user_id"] for line in found] == ["u3", "u1"]


def test_a_file_of_ids_that_is_not_there_is_told_as_such(refused, model_folder):
    said = refused(3, "recommend", model_folder, "--user", "u3", "--deny", "nothing.txt")
    assert "nothing.txt does not exist" in said
