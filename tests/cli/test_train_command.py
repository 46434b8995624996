"""`lightrec train`, from the table to the answers, and the tables that it refuses."""

from __future__ import annotations

import json

import pytest

from lightrec.artifact import load_model


@pytest.fixture(scope="module")
def trained(ratings, quick_config, tmp_path_factory):
    """A model that the command trained, and what it printed."""
    import contextlib
    import io

    from lightrec.cli.main import run

    items = ratings.with_name("items.csv")
    rows = [f"i{row:03},Title {row}" for row in range(90)]
    items.write_text("item_id,title\n" + "\n".join(rows) + "\n")
    folder = tmp_path_factory.mktemp("trained") / "model"
    words = ["train", ratings, "--out", folder, "--config", quick_config, "--items", items]
    words += ["--rating-above", 1, "--seed", 5]
    with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit) as ended:
        run([str(word) for word in words])
    assert ended.value.code == 0, out.getvalue()
    return folder, out.getvalue()


def test_it_prints_report_table_and_what_to_do_next(trained):
    folder, out = trained
    assert "360 rows read" in out
    assert "catalogue items without any pair (kept)" in out
    table = out[out.index("model ") :].splitlines()
    assert table[0].split()[:5] == ["model", "Recall@20", "Recall@100", "NDCG@100", "NDCG"]
    models = [line.split()[0] for line in table[1:6]]
    assert models == ["popularity", "teacher", "rvq", "aq", "lightrec"]
    assert f"lightrec recommend {folder} --user" in out


def test_the_folder_holds_a_model_and_the_run_its_log(trained):
    folder, _ = trained
    model = load_model(folder)
    assert model.num_items == 90
    assert model.config["settings"]["seed"] == 5
    assert model.item_columns["title"][0] == "Title 0"
    log = folder.with_name("model.run") / "metrics.jsonl"
    assert {json.loads(line)["event"] for line in log.open()} >= {"epoch", "validation"}


def test_what_was_trained_can_be_used(trained, cli):
    folder, _ = trained
    user = load_model(folder).user_ids.ids([0])[0]
    outcome = cli("recommend", folder, "--user", user, "-k", 3)
    assert outcome.code == 0
    assert "Title " in outcome.out
    assert "Measured on" in cli("inspect", folder).out


def test_the_same_command_replaces_the_model_without_history(
    trained, cli, refused, ratings, quick_config, tmp_path
):
    words = ("train", ratings, "--out", tmp_path / "m", "--config", quick_config)
    for _ in range(2):
        outcome = cli(*words, "--no-history", "--no-refit", "--run-folder", tmp_path / "r")
        assert outcome.code == 0, outcome.err
    assert (tmp_path / "r" / "metrics.jsonl").exists()
    assert not (tmp_path / "m.run").exists()
    assert load_model(tmp_path / "m").history is None
    assert "--train FILE" in refused(2, "evaluate", tmp_path / "m", ratings)


def test_training_pairs_cannot_be_evaluated(trained, refused, ratings):
    folder, _ = trained
    assert "trained on" in refused(3, "evaluate", folder, ratings)


def test_something_else_in_the_way_is_not_overwritten(refused, ratings, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "something else" in refused(4, "train", ratings, "--out", tmp_path)
    assert (tmp_path / "thesis.tex").exists()


GOOD = "user_id,item_id\na,1\nb,2\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("user_id,item_id\n", "has no rows"),
        ("user_id,thing\na,1\n", "no column item_id"),
        ("item_id,rating\n1,2\n", "no column user_id"),
        ("user,member,item_id\na,b,1\n", "both could be user_id"),
        ("user_id,item_id\na,1\nb\n", "line 3"),
        ("user_id,item_id\na,1\nb,2,3\n", "line 3"),
        ("user_id,item_id\na,1\n,2\n", "line 3, column 'user_id': the id is missing"),
        ("user_id,item_id,rating\na,1,5\nb,2,NaN\n", "line 3, column 'rating'"),
        ("user_id,item_id,rating\na,1,inf\n", "line 2, column 'rating'"),
        ("user_id,item_id,rating\na,1,-1\n", "line 2, column 'rating'"),
        ("user_id,item_id,rating\na,1,good\n", "'good'"),
        ("user_id,item_id,timestamp\na,1,noon\n", "column 'timestamp'"),
        ('user_id,item_id\na,"1\n', "line 2"),
        ("user_id,item_id\na,\xff\n", None),
    ],
)
def test_unusable_tables_are_refused(refused, write, tmp_path, text, said):
    table = write("t.csv", text)
    if said is None:
        table.write_bytes(text.encode("latin1"))
        said = "UTF-8"
    message = refused(3, "train", table, "--out", tmp_path / "m")
    assert said in message
    assert str(table) in message
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--user-column", "who"], 3, "no column 'who'"),
        (["--rating-above", "3"], 3, "no rating column"),
        (["--min-user-pairs", "9"], 3, "relax them"),
        (["--min-user-pairs", "0"], 2, "at least 1"),
        (["--preset", "best"], 2, "'best'"),
        (["--seed", "-1"], 2, "--seed"),
        (["--config", "nowhere.toml"], 2, "nowhere.toml"),
        (["--items", "nowhere.csv"], 3, "nowhere.csv"),
        ([], 2, "codewords"),  # two items cannot fill 256 codewords
    ],
)
def test_unusable_options_are_refused(refused, write, tmp_path, words, code, said):
    table = write("t.csv", GOOD)
    assert said in refused(code, "train", table, "--out", tmp_path / "m", *words)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[teacher]\nwidht = 8\n", "teacher.widht"),
        ("speed = 8\n", "speed"),
        ("[teacher]\nwidth = 0\n", "teacher.width"),
        ("[teacher\n", "cannot be read as TOML"),
    ],
)
def test_unusable_settings_are_refused(refused, write, ratings, tmp_path, text, said):
    config = write("c.toml", text)
    message = refused(2, "train", ratings, "--out", tmp_path / "m", "--config", config)
    assert said in message
    assert str(config) in message


def test_odd_ids_come_out_as_they_went_in(cli, write, quick_config, tmp_path):
    odd = ["nan", "007", "1.0", "NULL", "😀", str(2**63), " a ", "-0", "1e5", "é"]
    users = [f"user {word}" for word in odd]
    rows = [f"{user},{item}" for user in users for item in [*odd, *map(str, range(20))]]
    table = write("t.csv", "user_id,item_id\n" + "\n".join(rows) + "\n")
    outcome = cli("train", table, "--out", tmp_path / "m", "--config", quick_config)
    assert outcome.code == 0, outcome.err
    model = load_model(tmp_path / "m")
    assert set(odd) <= set(model.item_ids.series.to_list())
    assert set(model.user_ids.series.to_list()) == set(users)
    for item in odd:
        found = cli("similar", tmp_path / "m", "--item", item, "-k", 1, "--json")
        assert json.loads(found.out)["similar_to"] == item
