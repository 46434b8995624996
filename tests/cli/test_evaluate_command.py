"""`lightrec evaluate`: what it measures, and what it refuses to measure."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer
from lightrec.interactions import History


@pytest.fixture
def unseen(model):
    """Two pairs for each user that are not among the training pairs: user rows, item rows."""
    rng = np.random.default_rng(5)
    pairs = []
    for user in range(model.num_users):
        free = np.setdiff1d(np.arange(model.num_items), model.history.of(user))
        pairs += [(user, item) for item in rng.choice(free, 2, replace=False)]
    return np.array(pairs).T


def csv(model, rows, extra=""):
    """Pairs as a CSV of ids."""
    users, items = model.user_ids.ids(rows[0]), model.item_ids.ids(rows[1])
    lines = [f"{user},{item}" for user, item in zip(users, items, strict=True)]
    return "\n".join(["user_id,item_id", *lines]) + "\n" + extra


def test_metrics_are_those_of_the_evaluator(cli, model, model_folder, write, unseen):
    test = write("test.csv", csv(model, unseen))
    outcome = cli("evaluate", model_folder, test, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    sought = History.from_pairs(*unseen, model.num_users, model.num_items)
    expected = evaluate_ranking(
        CodeScorer(model.item_codes, model.users.values), model.history, sought
    )
    assert found["metrics"]["lightrec"] == pytest.approx(expected.means)
    assert {"popularity", "lightrec"} == set(found["metrics"])
    assert (found["users"], found["pairs"], found["unknown_users"]) == (20, 40, 0)
    assert found["bytes_per_item"] == pytest.approx(2 + 2 * 8 * 4 * 4 / 60)


def test_the_table_shows_every_metric(cli, model, model_folder, write, unseen):
    outcome = cli("evaluate", model_folder, write("test.csv", csv(model, unseen)))
    assert outcome.code == 0
    shown = [line.split()[0] for line in outcome.out.splitlines()]
    assert {"Recall@20", "Recall@100", "NDCG", "NDCG@100", "NDCG@N_u"} <= set(shown)
    assert "bytes per item, codebooks counted: 6.3" in outcome.out


def test_unknown_users_and_items_are_counted(cli, model, model_folder, write, unseen):
    test = write("test.csv", csv(model, unseen, "stranger,1001\nu1,42\nu1,43\n"))
    outcome = cli("evaluate", model_folder, test)
    assert "1 of 43 pairs cannot be ranked: the model does not know 1 of the users" in outcome.out
    assert "2 of 43 pairs cannot be ranked: the model does not know 2 of the items" in outcome.out
    found = json.loads(cli("evaluate", model_folder, test, "--json").out)
    assert found["pairs"] + found["unknown_user_pairs"] + found["unknown_item_pairs"] == 43


@pytest.fixture
def counted(model, write, unseen):
    """Those pairs with a column of counts, the first one twice."""
    first, *rows = csv(model, unseen).splitlines()
    lines = [f"{first},play_count", *(f"{row},3" for row in [*rows, rows[0]])]
    return write("counted.csv", "\n".join(lines) + "\n")


def test_what_became_of_every_row_is_told_in_either_form(cli, model_folder, counted):
    outcome = cli("evaluate", model_folder, counted)
    assert f"{counted}: 41 rows read, 40 pairs used" in outcome.out
    assert outcome.out.count("'play_count' is not used: every row counts once") == 1
    outcome = cli("evaluate", model_folder, counted, "--json")
    report = json.loads(outcome.out)["reports"]["test"]
    assert (report["rows_in"], report["rows_used"], report["merged_duplicates"]) == (41, 40, 1)
    assert report["source"] == str(counted)
    (note,) = report["notes"]
    assert "'play_count' is not used: every row counts once" in note
    assert outcome.err == ""


def test_training_pairs_are_refused_and_named(refused, model, model_folder, write, unseen):
    trained = (model.history.user_rows()[:5], model.history.item_rows[:5])
    both = np.concatenate([unseen, trained], axis=1)
    message = refused(3, "evaluate", model_folder, write("test.csv", csv(model, both)))
    user, item = model.user_ids.ids([0])[0], model.item_ids.ids(model.history.of(0)[:1])[0]
    assert f"('{user}', {item})" in message
    assert "and 2 more" in message


def test_without_history_the_training_pairs_are_asked_for(
    cli, refused, model, model_folder, bare_model_folder, write, unseen
):
    test = write("test.csv", csv(model, unseen))
    assert "--train FILE" in refused(2, "evaluate", bare_model_folder, test)
    train = write("train.csv", csv(model, (model.history.user_rows(), model.history.item_rows)))
    bare = cli("evaluate", bare_model_folder, test, "--train", train, "--json")
    full = cli("evaluate", model_folder, test, "--json")
    bare, full = json.loads(bare.out), json.loads(full.out)
    reports = bare.pop("reports"), full.pop("reports")
    assert bare == full
    assert [list(each) for each in reports] == [["train", "test"], ["test"]]
    assert reports[0]["test"] == reports[1]["test"]
    assert reports[0]["train"]["rows_used"] == len(model.history)
    assert "trained on" in refused(3, "evaluate", bare_model_folder, train, "--train", train)


def test_a_table_of_strangers_is_refused(refused, model_folder, write):
    test = write("test.csv", "user_id,item_id\nanna,007\n")
    message = refused(3, "evaluate", model_folder, test)
    assert "'anna'" in message
    assert "'u0'" in message


def test_a_noncanonical_number_is_another_id(cli, model_folder, write):
    test = write("test.csv", "user_id,item_id\nu1,01001\nu1,+1001\nu1,1001.0\nu0,1059\nu1,1058\n")
    assert "3 of 5 pairs cannot be ranked" in cli("evaluate", model_folder, test).out
