"""`lightrec train`, from the table to the answers, and the tables that it refuses."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace

import numpy as np
import pytest

from lightrec.artifact import load_model
from lightrec.teachers.description import describe_teacher


@pytest.fixture(scope="module")
def training(ratings, quick_choice, tmp_path_factory):
    """A model that the command trained with a teacher of its own choice, and what it printed."""
    import contextlib
    import io

    from lightrec.cli.main import run

    items = ratings.with_name("items.csv")
    rows = [f"i{row:03},Title {row}" for row in range(90)]
    items.write_text("item_id,title\n" + "\n".join(rows) + "\n")
    folder = tmp_path_factory.mktemp("trained") / "model"
    words = ["train", ratings, "--out", folder, "--config", quick_choice, "--items", items]
    words += ["--rating-above", 1, "--seed", 5]
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        pytest.raises(SystemExit) as ended,
    ):
        run([str(word) for word in words])
    assert ended.value.code == 0, out.getvalue() + err.getvalue()
    return folder, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def trained(training):
    """The model's folder, and what was printed to standard output."""
    return training[:2]


def test_it_tells_how_long_the_choice_takes_and_which_teacher_it_was(training):
    """On standard error, without --verbose, as other notes; and nothing else."""
    folder, _, err = training
    ahead, found = err.splitlines()
    assert ahead.startswith("Choosing the teacher among at most 18 candidates: at most 0.1 minutes")
    assert "(teacher.budget_minutes = 20)" in ahead
    config = load_model(folder).config
    told = describe_teacher(config["teacher"], config["teacher_epochs"])
    assert found.startswith(f"The teacher: {told}, chosen on held-out pairs after ")


def test_the_table_says_what_was_chosen_on_its_pairs(trained):
    _, out = trained
    (title,) = [line for line in out.splitlines() if line.startswith("Measured on ")]
    assert "on which open choices (teacher, epochs, users' form) were made too" in title


def test_it_prints_report_table_and_what_to_do_next(trained):
    folder, out = trained
    assert "360 rows read" in out
    assert "catalogue items without any pair (kept)" in out
    table = out[out.index("model ") :].splitlines()
    assert table[0].split()[:5] == ["model", "Recall@20", "Recall@100", "NDCG@100", "NDCG"]
    models = [line.split()[0] for line in table[1:8]]
    assert models == ["popularity", "teacher", "rvq", "aq", *["lightrec"] * 3]
    assert f"lightrec recommend {folder} --user" in out


def test_it_says_which_form_of_users_is_kept_and_by_which_rule(trained):
    """The last one of the table, with what the rule needs beside it."""
    folder, out = trained
    rows = [line for line in out.splitlines() if line.startswith("lightrec (")]
    forms = [line.partition("(")[2].partition(":")[0] for line in rows]
    assert sorted(forms) == ["fitted", "identity", "table"]
    assert forms[-1] == load_model(folder).users.form
    assert f"Kept: {forms[-1]}. Of the forms that come within 1 % of the best" in out
    assert "fewest\nbytes a user (of equally many bytes, the better form is kept)" in out
    per_user = {"identity": "32.0", "fitted": "32.0", "table": "64.0"}
    assert [line.split()[-1] for line in rows] == [per_user[form] for form in forms]


def test_the_folder_holds_a_model_and_the_run_its_log(trained):
    folder, _ = trained
    model = load_model(folder)
    assert model.num_items == 90
    assert model.config["settings"]["seed"] == 5
    assert model.item_columns["title"][0] == "Title 0"
    log = folder.with_name("model.run") / "metrics.jsonl"
    assert {json.loads(line)["event"] for line in log.open()} >= {"tried", "round"}
    assert not (folder.with_name("model.run") / "checkpoints").exists()


def test_what_was_trained_can_be_used(trained, cli):
    folder, _ = trained
    user = load_model(folder).user_ids.ids([0])[0]
    outcome = cli("recommend", folder, "--user", user, "-k", 3)
    assert outcome.code == 0
    assert "Title " in outcome.out
    assert "Measured on" in cli("inspect", folder).out


@pytest.fixture(scope="module")
def many_ratings(tmp_path_factory):
    """A CSV of 40 users and 300 items: enough of them for codebooks of 256 codewords."""
    rows = [f"u{row % 40},i{row % 300}" for row in range(1_200)]
    path = tmp_path_factory.mktemp("tables") / "many.csv"
    path.write_text("\n".join(["user_id,item_id", *dict.fromkeys(rows)]) + "\n")
    return path


def test_bytes_and_form_and_float_items_are_options(cli, many_ratings, write, tmp_path):
    quick = '[teacher]\nkind = "ials"\nwidth = 8\nsweeps = 2\n[users.fit]\nrounds = 2\n'
    file = write("c.toml", quick + "[codes]\nkmeans_iterations = 2\nrounds = 1\nbeam = 2\n")
    words = ("train", many_ratings, "--config", file, "--no-refit")
    more = ("--bytes", 3, "--user-form", "table", "--keep-float-items")
    outcome = cli(*words, "--out", tmp_path / "more", *more)
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""  # the teacher is named: there is no choice to tell of
    model = load_model(tmp_path / "more")
    assert model.item_codes.codes.shape == (model.num_items, 3)
    assert (model.users.form, model.users.values.shape[1:]) == ("table", (3, 256))
    assert model.float_items.shape == (model.num_items, 8)
    assert model.config["settings"]["codes"]["rounds"] == 1  # the file's other settings stay
    assert "Kept:" not in outcome.out  # there was no choice
    assert outcome.out.count("lightrec (") == 1

    assert cli(*words, "--out", tmp_path / "plain", "--user-form", "identity").code == 0
    plain = load_model(tmp_path / "plain")
    assert (plain.users.form, plain.item_codes.num_codebooks) == ("identity", 4)
    assert plain.float_items is None


def test_bytes_that_codewords_do_not_fill_are_refused(refused, ratings, quick_config, tmp_path):
    words = ("train", ratings, "--out", tmp_path / "m", "--config", quick_config)
    message = refused(2, *words, "--bytes", 4)
    assert f"--bytes 4: 256 codewords fill a byte, and {quick_config} asks for" in message
    assert "codes.num_codewords = 16" in message


def test_equal_items_are_finite_and_said_to_share_one_code(
    cli, many_ratings, write, tmp_path, monkeypatch
):
    """A teacher that learned nothing: all forms of users are made, measured and kept finite."""
    stage = importlib.import_module("lightrec.train")
    make_teacher = stage.make_teacher

    def with_equal_items(*arguments, **options):
        made = make_teacher(*arguments, **options)
        equal = np.ones_like(made.factors.items)
        return replace(made, factors=replace(made.factors, items=equal))

    monkeypatch.setattr(stage, "make_teacher", with_equal_items)
    quick = '[teacher]\nkind = "ials"\nwidth = 8\nsweeps = 2\n[users.fit]\nrounds = 2\n'
    file = write("c.toml", quick + "[codes]\nkmeans_iterations = 2\nrounds = 1\nbeam = 2\n")
    for form in ("auto", "identity", "fitted", "table"):
        words = ("train", many_ratings, "--config", file, "--out", tmp_path / form)
        outcome = cli(*words, "--user-form", form)
        assert outcome.code == 0, outcome.err
        assert "(all 300 items share one code, and so all their scores" in outcome.out
        assert outcome.out.count("all 300 items share one code") == 1
        assert "nan" not in outcome.out
        assert outcome.out.count("lightrec (") == (3 if form == "auto" else 1)
        model = load_model(tmp_path / form)
        assert [note[:30] for note in model.config["notes"]] == ["all 300 items share one code, "]
        assert np.isfinite(model.item_codes.codebooks).all()
        assert np.isfinite(model.users.values.astype(np.float32)).all()


def test_options_win_over_the_file(cli, ratings, quick_config, write, tmp_path):
    file = write("c.toml", quick_config.read_text() + '[users]\nform = "fitted"\n')
    words = ("train", ratings, "--out", tmp_path / "m", "--config", file, "--no-refit")
    assert cli(*words).code == 0
    assert load_model(tmp_path / "m").users.form == "fitted"
    assert cli(*words, "--user-form", "auto").code == 0
    settings = load_model(tmp_path / "m").config["settings"]
    assert (settings["users"]["form"], settings["users"]["fit"]["rounds"]) == ("auto", 2)


def test_the_preset_with_a_student_trains_one(cli, ratings, write, tmp_path):
    config = write(
        "student.toml",
        "[teacher]\nwidth = 8\nepochs = 2\n[student]\nepochs = 1\n"
        "[codes]\nnum_codebooks = 2\nnum_codewords = 16\nkmeans_iterations = 2\nrounds = 1\n",
    )
    words = ("train", ratings, "--out", tmp_path / "m", "--config", config)
    outcome = cli(*words, "--preset", "trained", "--keep-float-items")
    assert outcome.code == 0, outcome.err
    assert "Kept:" not in outcome.out
    model = load_model(tmp_path / "m")
    assert (model.users.form, model.item_codes.num_codebooks) == ("free", 2)
    assert model.config["teacher"]["kind"] == "bpr"
    assert model.float_items.shape == (model.num_items, 8)


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
        (["--bytes", "0"], 2, "--bytes 0: an item takes 1 to 64 bytes"),
        (["--bytes", "65"], 2, "--bytes 65: an item takes 1 to 64 bytes"),
        (["--bytes=-4"], 2, "--bytes -4"),
        (["--bytes", "2.5"], 2, "--bytes"),
        (["--user-form", "free"], 2, "--user-form"),
        (["--user-form", "table", "--preset", "trained"], 2, "student.user_form"),
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
        ("[teacher]\nwidht = 8\n", "teacher.auto.widht"),
        ("[teacher]\nkind = 'ials'\nwidht = 8\n", "teacher.ials.widht"),
        ("speed = 8\n", "speed"),
        ("[teacher]\nkind = 'ials'\nwidth = 0\n", "teacher.ials.width"),
        ("[users]\nform = 'free'\n", "users.form"),
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
