"""The whole method, end to end, on a catalogue small enough to train in a moment."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import TypeAdapter

from lightrec import train as train_function
from lightrec.artifact.contents import Model
from lightrec.artifact.item_columns import check_catalogue, item_columns
from lightrec.codes.coded_users import FORMS, UsersConfig, users_in_form
from lightrec.errors import (
    ArgumentError,
    InputError,
    LightRecError,
)
from lightrec.evaluation.comparison import Comparison
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, PopularityScorer
from lightrec.interactions import Interactions
from lightrec.interactions.synthetic import SyntheticData, synthetic_catalogue
from lightrec.run import stages
from lightrec.run.held_out_pairs import hold_out
from lightrec.run_config import RunConfig, load_config
from lightrec.serving.recommender import Recommender
from lightrec.teachers.fit import TeacherConfig, fit_teacher
from lightrec.train import train
from lightrec.updates import update

torch.set_num_threads(1)

CODES = {"num_codebooks": 2, "num_codewords": 16, "rounds": 1, "beam": 4}
SMALL = {"teacher": {"kind": "ials", "width": 8, "sweeps": 4}, "codes": CODES}
AUTO = {"kind": "auto", "widths": [8]}
TRAINED = {
    "teacher": {
        "width": 8,
        "epochs": 8,
        "evaluate_every": 2,
        "learning_rate": 0.02,
        "batch_size": 256,
    },
    "codes": CODES,
    "student": {"epochs": 3, "batch_size": 256, "beam": 4, "icm_sweeps": 1},
}
MODELS = ["popularity", "teacher", "rvq", "aq", *["lightrec"] * 3]


def small(**changes) -> RunConfig:
    """The default preset with a teacher that is there in a moment."""
    return load_config("default", **(SMALL | changes))


def with_student(**changes) -> RunConfig:
    """The preset that trains a student."""
    return load_config("trained", **(TRAINED | changes))


@pytest.fixture(scope="module")
def data() -> SyntheticData:
    return synthetic_catalogue(120, 80, seed=2, pairs_per_user=12)


@pytest.fixture(scope="module")
def pairs(data) -> Interactions:
    return Interactions.from_table(data.interactions)


@pytest.fixture(scope="module")
def run(tmp_path_factory, pairs) -> tuple[Model, Path]:
    """A model whose teacher and users' form were chosen, and its run folder."""
    folder = tmp_path_factory.mktemp("run")
    return train(pairs, config=small(teacher=AUTO), run_folder=folder), folder


@pytest.fixture(scope="module")
def run_with_student(tmp_path_factory, pairs) -> tuple[Model, Path]:
    """A model whose codes and users were trained by gradient, and its run folder."""
    folder = tmp_path_factory.mktemp("run")
    return train(pairs, config=with_student(), run_folder=folder), folder


@pytest.fixture(scope="module")
def in_every_form(pairs) -> dict[str, Model]:
    """The same run with each form of users asked for."""
    return {
        form: train(pairs, config=small(users={"form": form}, keep_float_items=True))
        for form in FORMS
    }


def table_of(model: Model) -> Comparison:
    return Comparison.from_json(model.config["comparison"])


def events_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def value(metrics: dict) -> float:
    """What every choice maximises."""
    return metrics["recall@100"] + metrics["ndcg"]


def saved(model: Model, folder: Path) -> dict[str, bytes]:
    model.save(folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_public_function_is_this_one() -> None:
    assert train_function is train


@pytest.mark.parametrize("form", [*FORMS, "free"])
def test_a_model_is_saved_loaded_and_recommends_nothing_seen(
    in_every_form, run_with_student, pairs, tmp_path, form: str
) -> None:
    model = run_with_student[0] if form == "free" else in_every_form[form]
    model.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    assert np.array_equal(loaded.item_codes.codes, model.item_codes.codes)
    assert loaded.users.form == form
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
    assert model.users.form == table_of(model).row("lightrec").variant
    assert model.num_users == len(pairs.users)
    assert model.config["settings"] == small(teacher=AUTO).model_dump(mode="json")
    assert model.config["student_epochs"] is None
    assert model.config["data_digest"] == pairs.digest()
    assert model.item_columns["popularity"].to_list() == pairs.history().item_degrees().tolist()
    assert np.array_equal(model.history.item_rows, pairs.history().item_rows)
    assert model.float_items is None


def test_a_model_with_a_student_is_what_the_configuration_says(run_with_student, pairs) -> None:
    model, _ = run_with_student
    assert (model.users.form, model.users.values.shape) == ("free", (len(pairs.users), 8))
    assert (model.item_codes.num_codebooks, model.item_codes.num_codewords) == (2, 16)
    assert model.config["settings"] == with_student().model_dump(mode="json")
    assert model.config["teacher"]["kind"] == "bpr"


def test_the_table_compares_every_model_on_the_held_out_pairs(run, pairs) -> None:
    model, _ = run
    table = table_of(model)
    held = hold_out(pairs, small())
    assert [row.model for row in table.rows] == MODELS
    assert {row.variant for row in table.rows[-3:]} == set(FORMS)
    assert table.title.startswith(f"{len(held.test):,} held-out")
    popularity = PopularityScorer(held.train.history().item_degrees())
    expected = evaluate_ranking(popularity, held.train.history(), held.test.history()).means
    assert table.row("popularity").metrics == pytest.approx(expected)
    assert table.row("teacher").bytes_per_item == 32.0
    assert table.row("teacher").metrics["ndcg"] > table.row("popularity").metrics["ndcg"]
    codebooks = 2 * 16 * 8 * 4 / len(pairs.items)
    for row in table.rows[-3:]:
        assert row.bytes_per_item == pytest.approx(2 + codebooks)
        assert (
            row.bytes_per_user == {"identity": 32, "fitted": 32, "table": 2 * 2 * 16}[row.variant]
        )


def test_the_table_of_a_student_has_one_lightrec(run_with_student) -> None:
    table = table_of(run_with_student[0])
    assert [row.model for row in table.rows] == MODELS[:5]
    assert table.row("lightrec").variant == "free"
    assert table.row("lightrec").bytes_per_user == 32.0


def test_the_form_with_the_fewest_bytes_within_the_tolerance_is_shipped(pairs) -> None:
    for tolerance in (0.0, 0.01, 1.0):
        users = {"form": "auto", "tolerance": tolerance}
        table = table_of(train(pairs, config=small(users=users), refit=False))
        forms = table.rows[-3:]
        best = max(value(row.metrics) for row in forms)
        good = [row for row in forms if value(row.metrics) >= (1 - tolerance) * best]
        assert table.row("lightrec") in good
        assert table.row("lightrec").bytes_per_user == min(row.bytes_per_user for row in good)


def test_the_form_that_was_asked_for_is_the_only_one(in_every_form) -> None:
    for form, model in in_every_form.items():
        assert model.users.form == form
        table = table_of(model)
        assert [row.model for row in table.rows] == MODELS[:5]
        assert table.row("lightrec").variant == form


def test_the_codes_are_the_same_whatever_the_form(in_every_form) -> None:
    identity, fitted, table = (in_every_form[form] for form in FORMS)
    for other in (fitted, table):
        assert np.array_equal(other.item_codes.codes, identity.item_codes.codes)
    assert np.array_equal(table.item_codes.codebooks, identity.item_codes.codebooks)
    assert not np.array_equal(fitted.item_codes.codebooks, identity.item_codes.codebooks)


def test_users_are_in_the_form_that_their_name_says(in_every_form, pairs) -> None:
    history = pairs.history()
    teacher = fit_teacher(
        history,
        small().teacher,
        seed=0,
        epochs=tuple(in_every_form["table"].config["teacher_epochs"]),
    ).factors
    identity, fitted, table = (in_every_form[form].users for form in FORMS)
    assert np.array_equal(identity.values, teacher.users)
    assert identity.map_weights is None
    assert fitted.values.shape == teacher.users.shape
    assert fitted.map_weights["0.weight"].shape == (8, 8)
    assert (table.values.shape, table.values.dtype) == ((len(pairs.users), 2, 16), np.float16)
    codes = in_every_form["identity"].item_codes
    for form, users in (("fitted", fitted), ("table", table)):
        expected = users_in_form(form, teacher, codes, history, UsersConfig())
        np.testing.assert_array_equal(users.values, expected.values)


def test_the_teachers_items_are_kept_where_that_is_asked_for(
    in_every_form, pairs, tmp_path
) -> None:
    model = in_every_form["table"]
    epochs = tuple(model.config["teacher_epochs"])
    teacher = fit_teacher(pairs.history(), small().teacher, seed=0, epochs=epochs).factors
    assert np.array_equal(model.float_items, teacher.items.astype(np.float16))
    model.save(tmp_path / "model")
    assert np.array_equal(Model.load(tmp_path / "model").float_items, model.float_items)


def test_the_teacher_is_the_best_that_validation_found(run) -> None:
    model, folder = run
    tried = [event for event in events_of(folder) if event["event"] == "tried"]
    assert {event["teacher"]["kind"] for event in tried} == {"sampled_softmax", "ials"}
    finalists = [event for event in tried if event["teacher"]["width"] == 8]
    blends = [event for event in events_of(folder) if event["event"] == "blended"]
    shipped = value(table_of(model).row("teacher").metrics)
    assert shipped >= max(map(value, finalists))
    chosen, epochs = model.config["teacher"], model.config["teacher_epochs"]
    if chosen["kind"] == "blend":
        parts = chosen["parts"]
        (event,) = [event for event in blends if event["teacher"] == chosen]
        assert value(event) == pytest.approx(shipped)
    else:
        parts = [chosen]
    trained_for = [
        event["epochs"] for part in parts for event in finalists if event["teacher"] == part
    ]
    assert trained_for == epochs


@pytest.mark.parametrize(
    "teacher",
    [
        {"kind": "auto"},
        {"kind": "blend", "parts": [{"kind": "ials"}] * 2, "weights": [1, 1], "width": 128},
    ],
)
def test_a_table_smaller_than_the_teacher_is_wide_is_no_error(pairs, teacher: dict) -> None:
    """The widths of the default preset are for catalogues of thousands; this one has 80 items."""
    table = table_of(train(pairs, config=small(teacher=teacher), refit=False))
    assert value(table.row("teacher").metrics) > value(table.row("popularity").metrics)


def test_without_refitting_the_shipped_model_is_the_one_in_the_table(pairs) -> None:
    held = hold_out(pairs, small())
    for config in (with_student(), *(small(users={"form": form}) for form in FORMS)):
        model = train(pairs, config=config, refit=False)
        scorer = CodeScorer(model.item_codes, model.users.values)
        measured = evaluate_ranking(scorer, held.train.history(), held.test.history()).means
        assert table_of(model).row("lightrec").metrics == pytest.approx(measured, rel=1e-12)


def test_the_epochs_are_chosen_where_validation_was_best(run_with_student) -> None:
    model, folder = run_with_student
    for name, chosen in (
        ("BPR teacher", model.config["teacher_epochs"]),
        ("student", [model.config["student_epochs"]]),
    ):
        curve = [e for e in events_of(folder) if e["event"] == "validation" and e["of"] == name]
        assert chosen == [max(curve, key=value)["epoch"]]


def test_refitting_repeats_on_all_pairs_what_validation_chose(run, pairs) -> None:
    model, _ = run
    history = pairs.history()
    chosen = TypeAdapter(TeacherConfig).validate_python(model.config["teacher"])
    epochs = tuple(model.config["teacher_epochs"])
    teacher = fit_teacher(history, chosen, seed=0, epochs=epochs).factors
    codes = stages.quantize(history, teacher, small(), "metric")
    form = table_of(model).row("lightrec").variant
    users = users_in_form(form, teacher, codes, history, UsersConfig())
    assert np.array_equal(users.item_codes.codes, model.item_codes.codes)
    assert np.array_equal(users.item_codes.codebooks, model.item_codes.codebooks)
    assert np.array_equal(users.values, model.users.values)


def test_refitting_trains_a_student_on_all_pairs_for_the_chosen_epochs(pairs) -> None:
    config = with_student(  # fast enough to pass the best epoch before the last
        teacher=TRAINED["teacher"] | {"learning_rate": 0.1, "epochs": 12},
        student=TRAINED["student"] | {"learning_rate": 0.05, "epochs": 6},
    )
    model, history = train(pairs, config=config), pairs.history()
    (teacher_epochs,), student_epochs = (
        model.config["teacher_epochs"],
        model.config["student_epochs"],
    )
    assert 0 < teacher_epochs < 12
    assert 0 < student_epochs < 6
    teacher = fit_teacher(history, config.teacher, seed=0, epochs=(teacher_epochs,))
    start = stages.quantize(history, teacher.factors, config, "aq")
    student = stages.fit_student(history, teacher.factors, start, config, epochs=student_epochs)
    assert (teacher.epochs, student.epochs) == ((teacher_epochs,), student_epochs)
    assert np.array_equal(student.item_codes.codes, model.item_codes.codes)
    assert np.array_equal(student.item_codes.codebooks, model.item_codes.codebooks)
    assert np.array_equal(student.users, model.users.values)


def test_the_validation_pairs_decide_and_are_not_trained_on_before(pairs, monkeypatch) -> None:
    """Nothing that the first fit learns from knows them; the second one has them all."""
    given = []
    learn = sys.modules["lightrec.train"].learn

    def recording(history, config, **options):
        given.append((len(history), options.get("held_out"), options.get("repeat") is not None))
        return learn(history, config, **options)

    monkeypatch.setattr(sys.modules["lightrec.train"], "learn", recording)
    train(pairs, config=small())
    held = hold_out(pairs, small())
    (first, judged, repeated), (second, nothing, repeats) = given
    assert (first, second) == (len(held.train), len(pairs))
    assert len(judged) == len(held.test)
    assert nothing is None
    assert (repeated, repeats) == (False, True)


def test_a_seed_decides_every_byte(run, run_with_student, pairs, tmp_path) -> None:
    configs = small(teacher=AUTO), with_student()
    for number, ((model, _), config) in enumerate(
        zip((run, run_with_student), configs, strict=True)
    ):
        expected = saved(model, tmp_path / f"first {number}")
        assert saved(train(pairs, config=config), tmp_path / f"second {number}") == expected
        other = train(pairs, config=config.model_copy(update={"seed": 1}))
        assert not np.array_equal(other.item_codes.codebooks, model.item_codes.codebooks)


def test_files_and_tables_train_the_same_model(pairs, data, tmp_path) -> None:
    expected = saved(train(pairs, config=small()), tmp_path / "expected")
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


def test_one_codeword_for_all_items_is_refused_before_training(pairs, monkeypatch) -> None:
    refuse_to_train(monkeypatch)
    with pytest.raises(ArgumentError, match=r"num_codewords = 1 gives all 80 items the same code"):
        train(pairs, config=small(codes={"num_codewords": 1}))


def test_item_columns_of_lists_travel_and_structures_are_left_out_and_named(data, tmp_path) -> None:
    items = data.items.with_columns(
        tags=pl.concat_list("title", "category"), odd=pl.struct("title", "category")
    )
    model = train(data.interactions, items=items, config=small())
    assert model.item_columns.columns == ["popularity", "title", "category", "tags"]
    assert model.config["item_columns_left_out"] == ["odd"]
    model.save(tmp_path / "model")
    assert Model.load(tmp_path / "model").item_columns["tags"].equals(model.item_columns["tags"])


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


def test_an_items_table_may_hold_as_text_the_ids_that_interactions_hold_as_integers() -> None:
    pairs = Interactions.from_table(pl.DataFrame({"user_id": [1, 2, 2], "item_id": [7, 7, 9]}))
    items = pl.DataFrame({"item_id": ["9", "7"], "title": ["nine", "seven"]})
    check_catalogue(pairs, items)
    popularity = pairs.history().item_degrees()
    columns = item_columns(pairs.items, popularity, items)
    assert columns["title"].to_list() == ["seven", "nine"]
    assert columns["popularity"].to_list() == [2, 1]
    few = item_columns(pairs.items, popularity, items[:1])
    assert few["title"].to_list() == [None, "nine"]
    for stranger in ("x1", "07", "9" * 30):
        more = pl.concat([items, pl.DataFrame({"item_id": [stranger], "title": [""]})])
        with pytest.raises(InputError, match="1 items of the items table"):
            check_catalogue(pairs, more)


@pytest.mark.parametrize(
    "student",
    [
        {"start": "random", "selection": "straight_through", "similarity": "bilinear"},
        {"start": "rvq", "selection": "hard", "user_form": "identity"},
    ],
)
def test_other_starts_and_selections_train_too(pairs, student: dict, tmp_path) -> None:
    model = train(pairs, config=with_student(student=TRAINED["student"] | student))
    model.save(tmp_path / "model")
    assert [row.model for row in table_of(model).rows] == MODELS[:5]
    assert model.users.form == student.get("user_form", "free")


@pytest.mark.parametrize("recurrence", ["subtract", "w_subtract_w"])
def test_a_model_encodes_new_items_as_its_encoder_was_trained_to(
    pairs, recurrence, tmp_path
) -> None:
    student = TRAINED["student"] | {
        **{"start": "random", "selection": "straight_through", "similarity": "bilinear"},
        **{"recurrence": recurrence, "user_form": "identity", "epochs": 2},
    }
    model = train(pairs, config=with_student(student=student, keep_float_items=True))
    model.save(tmp_path / "model")
    model = Model.load(tmp_path / "model")
    chosen = model.selection.trained
    assert (chosen.similarity, chosen.recurrence) == ("bilinear", recurrence)
    items = model.float_items.astype(np.float32)  # halved, so that a near tie may fall otherwise
    again = chosen.encode(items, model.item_codes.codebooks)
    assert (again.codes == model.item_codes.codes).all(axis=1).mean() > 0.95
    more = update(model, item_ids=["new"], item_vectors=items[3:4]).model
    assert np.array_equal(more.item_codes.codes[-1], again.codes[3])


def test_no_gradient_step_may_be_the_best_choice(pairs) -> None:
    student = TRAINED["student"] | {"learning_rate": 1.0, "schedule": "constant"}
    config = with_student(student=student)
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
    with pytest.raises(InputError, match="no user has another"):
        hold_out(split, small(validation={"by": "time", "share": 0.1}))


@pytest.mark.parametrize("last_days", [(0, 200), (5, 200), (0, 1000)])
def test_where_many_pairs_have_the_same_time_a_uniform_share_is_held_out(last_days) -> None:
    """Exports by day: the cut falls before, or inside, a day that holds more than the share."""
    later, on_one_day = last_days
    times = np.concatenate(
        [np.arange(1000 - on_one_day - later), [2000] * on_one_day, 3000 + np.arange(later)]
    )
    columns = {"user_id": np.arange(1000) % 50, "item_id": np.arange(1000) % 97, "timestamp": times}
    split = Interactions.from_table(pl.DataFrame(columns))
    held = hold_out(split, small(validation={"by": "auto", "share": 0.1}))
    assert len(held.test) == round(0.1 * len(split))
    assert any("uniform share" in note for note in held.notes)
    with pytest.raises(InputError, match=r"validation\.by") if not later else nullcontext():
        by_time = hold_out(split, small(validation={"by": "time", "share": 0.1}))
        assert len(by_time.test) == later


def test_items_that_share_a_code_are_noted(run, pairs) -> None:
    one_byte = train(pairs, config=small(codes=CODES | {"num_codebooks": 1}), refit=False)
    for model in (run[0], one_byte):
        _, counts = np.unique(model.item_codes.codes, axis=0, return_counts=True)
        sharing = counts[counts > 1].sum()
        told = [note.split(",")[0] for note in model.config["notes"]]
        assert told == ([f"{sharing} items share their code with another"] if sharing else [])
    assert one_byte.config["notes"]  # 80 items have 16 codes


def test_what_became_of_the_rows_of_a_table_is_in_the_log(data, pairs, caplog) -> None:
    table = data.interactions.with_columns(play_count=pl.lit(3))
    with caplog.at_level(logging.INFO, logger="lightrec"):
        train(table, config=small(), refit=False)
    told = [record for record in caplog.records if "rows read" in record.getMessage()]
    assert [record.levelno for record in told] == [logging.INFO]
    assert f"{len(table):,} rows read, {len(pairs):,} pairs used" in told[0].getMessage()
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert ["'play_count' is not used" in record.getMessage() for record in warnings] == [True]


def test_without_refit_the_model_keeps_only_what_it_was_trained_on(pairs) -> None:
    model = train(pairs, config=small(), refit=False)
    held = hold_out(pairs, small())
    assert len(model.history) == len(held.train)
