"""The whole method, end to end, on a catalogue small enough to train in a moment."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from lightrec import stages
from lightrec import train as train_function
from lightrec.artifact.contents import Model
from lightrec.comparison import Comparison
from lightrec.errors import (
    ArgumentError,
    InputError,
    LightRecError,
)
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, PopularityScorer
from lightrec.interactions import Interactions
from lightrec.interactions.synthetic import SyntheticData, synthetic_catalogue
from lightrec.run_config import RunConfig, load_config
from lightrec.serving.recommender import Recommender
from lightrec.train import hold_out, train

torch.set_num_threads(1)

SMALL = {
    "teacher": {
        "width": 8,
        "epochs": 8,
        "evaluate_every": 2,
        "learning_rate": 0.02,
        "batch_size": 256,
    },
    "codes": {"num_codebooks": 2, "num_codewords": 16, "rounds": 1, "beam": 4},
    "student": {"epochs": 3, "batch_size": 256, "beam": 4, "icm_sweeps": 1},
}


def small(**changes) -> RunConfig:
    return load_config("default", **(SMALL | changes))


@pytest.fixture(scope="module")
def data() -> SyntheticData:
    return synthetic_catalogue(120, 80, seed=2, pairs_per_user=12)


@pytest.fixture(scope="module")
def pairs(data) -> Interactions:
    return Interactions.from_table(data.interactions)


@pytest.fixture(scope="module")
def run(tmp_path_factory, pairs) -> tuple[Model, Path]:
    """A model trained in one go, and its run folder."""
    folder = tmp_path_factory.mktemp("run")
    return train(pairs, config=small(), run_folder=folder), folder


def table_of(model: Model) -> Comparison:
    return Comparison.from_json(model.config["comparison"])


def saved(model: Model, folder: Path) -> dict[str, bytes]:
    model.save(folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_public_function_is_this_one() -> None:
    assert train_function is train


def test_a_model_is_saved_loaded_and_recommends_nothing_seen(run, pairs, tmp_path) -> None:
    model, _ = run
    model.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    assert np.array_equal(loaded.item_codes.codes, model.item_codes.codes)
    users = pairs.users.series.to_list()
    for recommender in (Recommender(model), Recommender(loaded)):
        for answer in recommender.recommend(users, k=10):
            seen = pairs.items.ids(pairs.history().of(users.index(answer.query)))
            assert len(set(answer.items)) == 10
            assert not set(answer.items) & set(seen)


def test_the_model_is_what_the_configuration_says(run, pairs) -> None:
    model, _ = run
    codes = model.item_codes
    assert (codes.num_items, codes.num_codebooks, codes.num_codewords, codes.width) == (
        len(pairs.items),
        2,
        16,
        8,
    )
    assert (model.users.form, model.users.values.shape) == ("free", (len(pairs.users), 8))
    assert model.config["settings"] == small().model_dump(mode="json")
    assert model.config["data_digest"] == pairs.digest()
    assert model.item_columns["popularity"].to_list() == pairs.history().item_degrees().tolist()
    assert np.array_equal(model.history.item_rows, pairs.history().item_rows)


def test_the_table_compares_every_model_on_the_held_out_pairs(run, pairs) -> None:
    model, _ = run
    table = table_of(model)
    held = hold_out(pairs, small())
    assert [row.model for row in table.rows] == ["popularity", "teacher", "rvq", "aq", "lightrec"]
    assert table.title.startswith(f"{len(held.test):,} held-out")
    popularity = PopularityScorer(held.train.history().item_degrees())
    expected = evaluate_ranking(popularity, held.train.history(), held.test.history()).means
    assert table.row("popularity").metrics == pytest.approx(expected)
    codebooks = 2 * 16 * 8 * 4 / len(pairs.items)
    assert table.row("lightrec").bytes_per_item == pytest.approx(2 + codebooks)
    assert table.row("teacher").bytes_per_item == 32.0
    assert table.row("teacher").metrics["ndcg"] > table.row("popularity").metrics["ndcg"]


def test_without_refitting_the_shipped_model_is_the_one_in_the_table(pairs) -> None:
    model = train(pairs, config=small(), refit=False)
    held = hold_out(pairs, small())
    scorer = CodeScorer(model.item_codes, model.users.values)
    measured = evaluate_ranking(scorer, held.train.history(), held.test.history()).means
    assert table_of(model).row("lightrec").metrics == pytest.approx(measured, rel=1e-12)


def test_the_epochs_are_chosen_where_validation_was_best(run) -> None:
    model, folder = run
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for name, key in (("BPR teacher", "teacher_epochs"), ("student", "student_epochs")):
        curve = [e for e in events if e["event"] == "validation" and e["of"] == name]
        best = max(curve, key=lambda event: event["recall@100"] + event["ndcg"])
        assert model.config[key] == best["epoch"]


def test_refitting_trains_on_all_pairs_for_the_chosen_epochs(pairs) -> None:
    config = small(  # fast enough to pass the best epoch before the last
        teacher=SMALL["teacher"] | {"learning_rate": 0.1, "epochs": 12},
        student=SMALL["student"] | {"learning_rate": 0.05, "epochs": 6},
    )
    model, history = train(pairs, config=config), pairs.history()
    chosen = model.config["teacher_epochs"], model.config["student_epochs"]
    assert 0 < chosen[0] < 12
    assert 0 < chosen[1] < 6
    teacher = stages.fit_teacher(history, config, epochs=chosen[0])
    start = stages.quantize(history, teacher.factors, config, "aq")
    student = stages.fit_student(history, teacher.factors, start, config, epochs=chosen[1])
    assert (teacher.epochs, student.epochs) == chosen
    assert np.array_equal(student.item_codes.codes, model.item_codes.codes)
    assert np.array_equal(student.item_codes.codebooks, model.item_codes.codebooks)
    assert np.array_equal(student.users, model.users.values)


def test_a_seed_decides_every_byte(run, pairs, tmp_path) -> None:
    model, _ = run
    expected = saved(model, tmp_path / "first")
    assert saved(train(pairs, config=small()), tmp_path / "second") == expected
    other = train(pairs, config=small(seed=1))
    assert not np.array_equal(other.item_codes.codebooks, model.item_codes.codebooks)


def test_files_and_tables_train_the_same_model(run, data, tmp_path) -> None:
    expected = saved(run[0], tmp_path / "expected")
    data.interactions.write_csv(tmp_path / "pairs.csv")
    for number, source in enumerate((tmp_path / "pairs.csv", data.interactions.to_pandas())):
        assert saved(train(source, config=small()), tmp_path / str(number)) == expected


def refuse_to_train(monkeypatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise AssertionError("training began")

    # The package binds `lightrec.train` to the function, so the module is found by its name.
    monkeypatch.setattr(sys.modules["lightrec.train"], "learn", failing)


def test_fewer_items_than_codewords_are_refused_before_training(pairs, monkeypatch) -> None:
    refuse_to_train(monkeypatch)
    config = small(codes={"num_codewords": 81})
    with pytest.raises(ArgumentError, match=r"80 items.*num_codewords = 81.*at most 80"):
        train(pairs, config=config)


def test_item_columns_of_lists_are_left_out_and_named(data, tmp_path) -> None:
    items = data.items.with_columns(tags=pl.concat_list("title", "category"))
    model = train(data.interactions, items=items, config=small())
    assert model.item_columns.columns == ["popularity", "title", "category"]
    assert model.config["item_columns_left_out"] == ["tags"]
    model.save(tmp_path / "model")


def test_categories_of_pandas_are_text(data, tmp_path) -> None:
    """They are no lists, and `where` on them is what a category column is for."""
    items = data.items.to_pandas()
    items["category"] = items["category"].astype("category")
    model = train(data.interactions, items=items, config=small())
    model.save(tmp_path / "model")
    expected = data.items["category"].to_list()
    assert Model.load(tmp_path / "model").item_columns["category"].to_list() == expected


def test_nothing_to_hold_out_is_refused_before_training(monkeypatch) -> None:
    refuse_to_train(monkeypatch)
    lonely = pl.DataFrame({"user_id": range(40), "item_id": [n % 20 for n in range(40)]})
    with pytest.raises(LightRecError, match=r"held out|hold out"):
        train(lonely, config=small())


def test_the_latest_pairs_are_held_out_where_there_are_timestamps(pairs) -> None:
    held = hold_out(pairs, small())
    assert held.test.timestamps.min() > held.train.timestamps.max()
    assert len(held.test) == pytest.approx(0.1 * len(pairs), rel=0.1)
    at_random = hold_out(pairs, small(validation={"by": "random", "share": 0.2}))
    assert len(at_random.test) == round(0.2 * len(pairs))
    assert at_random.test.timestamps.min() < held.train.timestamps.max()


def test_without_timestamps_a_uniform_share_is_held_out(data) -> None:
    timeless = Interactions.from_table(data.interactions.drop("timestamp"))
    held = hold_out(timeless, small())
    assert len(held.test) == round(0.1 * len(timeless))
    assert held.train.history().user_degrees().min() >= 1
    assert hold_out(timeless, small()).test.digest() == held.test.digest()
    assert hold_out(timeless, small(seed=1)).test.digest() != held.test.digest()


def test_an_items_table_is_the_catalogue_and_its_columns_are_kept(data) -> None:
    unread = pl.DataFrame({"item_id": ["new"], "title": ["Unread"], "category": ["none"]})
    items = pl.concat([unread, data.items])
    model = train(data.interactions, items=items, config=small())
    assert model.num_items == len(items)
    assert model.item_ids.series.to_list() == items["item_id"].to_list()
    assert model.item_columns.columns == ["popularity", "title", "category"]
    assert model.item_columns["title"].to_list() == items["title"].to_list()
    assert model.item_columns["popularity"][0] == 0


def test_items_beyond_given_interactions_are_not_dropped_in_silence(pairs, data) -> None:
    unread = pl.DataFrame({"item_id": ["new"], "title": ["Unread"], "category": ["none"]})
    try:
        model = train(pairs, items=pl.concat([data.items, unread]), config=small())
    except LightRecError as error:
        assert "item" in str(error)
    else:
        assert model.num_items == len(pairs.items) + 1


@pytest.mark.parametrize(
    "student",
    [
        {"start": "random", "selection": "straight_through", "similarity": "bilinear"},
        {"start": "rvq", "selection": "hard", "user_form": "identity"},
    ],
)
def test_other_starts_and_selections_train_too(pairs, student: dict, tmp_path) -> None:
    model = train(pairs, config=small(student=SMALL["student"] | student))
    model.save(tmp_path / "model")
    names = [row.model for row in table_of(model).rows]
    assert names == ["popularity", "teacher", "rvq", "aq", "lightrec"]
    assert model.users.form == student.get("user_form", "free")


def test_no_gradient_step_may_be_the_best_choice(pairs) -> None:
    config = small(student=SMALL["student"] | {"learning_rate": 10.0, "schedule": "constant"})
    model = train(pairs, config=config, refit=False)
    assert model.config["student_epochs"] == 0
    table = table_of(model)
    assert table.row("lightrec").metrics == table.row("aq").metrics


def test_only_users_with_an_earlier_pair_are_judged(pairs) -> None:
    """Others would be judged by vectors that were never trained."""
    held = hold_out(pairs, small())
    known = held.train.history().user_degrees() > 0
    assert known[held.test.user_rows].all()


def test_where_most_of_the_latest_users_are_new_a_uniform_share_is_held_out() -> None:
    users = np.repeat(np.arange(40), 5)
    table = pl.DataFrame(
        {"user_id": users, "item_id": np.arange(200) % 23, "timestamp": np.arange(200)}
    )
    split = Interactions.from_table(table)
    held = hold_out(split, small())
    assert held.train.history().user_degrees().min() >= 1
    assert len(set(held.test.user_rows.tolist())) > 4
    with pytest.raises(InputError, match="no user has an earlier pair"):
        hold_out(split, small(validation={"by": "time", "share": 0.1}))


def test_without_refit_the_model_keeps_only_what_it_was_trained_on(pairs) -> None:
    model = train(pairs, config=small(), refit=False)
    held = hold_out(pairs, small())
    assert len(model.history) == len(held.train)
