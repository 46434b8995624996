"""The stages that `train` and the experiments share: each start is what it is called."""

import json

import numpy as np
import pytest
import torch

from lightrec.codes.additive_quantization import additive_quantization, encode, popularity_weights
from lightrec.codes.item_metric import ItemMetric
from lightrec.codes.ranking_metric import RankingMetricConfig, ranking_metric
from lightrec.codes.refit_codebooks import refit_codebooks
from lightrec.codes.residual_kmeans import residual_kmeans
from lightrec.encoder.student import Student
from lightrec.errors import ArgumentError, DivergedError
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer
from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.run.stages import fit_student, quantize, student_start
from lightrec.run_config import RunConfig, load_config
from lightrec.training.checkpoint import Checkpoint
from lightrec.training.loop import Surroundings
from lightrec.training.row_adam import RowAdam
from lightrec.training.run_log import RunLog

torch.set_num_threads(1)

USERS, ITEMS, WIDTH = 30, 60, 6


@pytest.fixture(scope="module")
def history() -> History:
    rng = np.random.default_rng(0)
    popularity = 1.0 / np.arange(1, ITEMS + 1)
    picks = [rng.choice(ITEMS, 8, False, popularity / popularity.sum()) for _ in range(USERS)]
    return History.from_pairs(np.repeat(np.arange(USERS), 8), np.concatenate(picks), USERS, ITEMS)


@pytest.fixture(scope="module")
def teacher() -> Factors:
    rng = np.random.default_rng(1)
    spread = np.geomspace(3.0, 0.3, WIDTH)
    return Factors(
        (rng.normal(size=(USERS, WIDTH)) * spread[::-1]).astype(np.float32),
        (rng.normal(size=(ITEMS, WIDTH)) * spread).astype(np.float32),
    )


def config(**student) -> RunConfig:
    return load_config(
        "trained",
        seed=3,
        codes={"num_codebooks": 2, "num_codewords": 8, "rounds": 2, "popularity_power": 1.0},
        teacher={"width": WIDTH, "epochs": 2},
        student={"epochs": 2, "batch_size": 64} | student,
    )


def test_rvq_is_the_papers_baseline(history, teacher) -> None:
    codes = quantize(history, teacher, config(), "rvq")
    rng = np.random.default_rng(3)
    expected = residual_kmeans(teacher.items, 2, 8, iterations=20, rng=rng)  # no weights
    assert np.array_equal(codes.codes, expected.codes)
    assert np.array_equal(codes.codebooks, expected.codebooks)


def test_aq_weighs_items_by_popularity_and_errors_by_the_users(history, teacher) -> None:
    codes = quantize(history, teacher, config(), "aq")
    expected = additive_quantization(
        teacher.items,
        config().codes,
        weights=popularity_weights(history.item_degrees(), 1.0),
        metric=ItemMetric.user_gram(teacher.users, config().metric.identity),
        rng=np.random.default_rng(3),
    )
    assert np.array_equal(codes.codes, expected.codes)
    assert np.array_equal(codes.codebooks, expected.codebooks)


def in_the_metric_of_the_ranking(**settings) -> RunConfig:
    ranking = RankingMetricConfig(cells=4, perplexity=5.0, rounds=1, beam=2, **settings)
    return config().model_copy(update={"ranking": ranking})


def test_metric_codes_start_from_aq_and_go_on_in_the_metric_of_the_ranking(
    history, teacher
) -> None:
    """A round: every item encoded in the metric of its cell, then the codebooks refitted in it."""
    settings = in_the_metric_of_the_ranking()
    codes = quantize(history, teacher, settings, "metric")
    rng, degrees = np.random.default_rng(3), history.item_degrees()
    start = additive_quantization(
        teacher.items,
        settings.codes,
        weights=popularity_weights(degrees, 1.0),
        metric=ItemMetric.user_gram(teacher.users, settings.metric.identity),
        rng=rng,
    )
    metric = ranking_metric(
        teacher.items,
        teacher.users,
        seen=history,
        weights=popularity_weights(degrees, 0.5),
        config=settings.ranking,
        rng=rng,
    )
    found = encode(
        teacher.items, start.codebooks, metric=metric, beam=2, icm_sweeps=2, start=start.codes
    )
    codebooks = refit_codebooks(
        teacher.items, found, weights=popularity_weights(degrees, 1.0), metric=metric
    )
    assert len(metric.matrices) == 4
    assert np.array_equal(codes.codes, found.codes)
    np.testing.assert_allclose(codes.codebooks, codebooks, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(codes.codes, start.codes)


def test_metric_codes_of_no_round_are_aq(history, teacher) -> None:
    settings = in_the_metric_of_the_ranking()
    settings = settings.model_copy(
        update={"ranking": settings.ranking.model_copy(update={"rounds": 0})}
    )
    codes = quantize(history, teacher, settings, "metric")
    additive = quantize(history, teacher, settings, "aq")
    assert np.array_equal(codes.codes, additive.codes)
    assert np.array_equal(codes.codebooks, additive.codebooks)


def test_quantisation_logs_its_rounds(history, teacher, tmp_path) -> None:
    log = tmp_path / "log.jsonl"
    quantize(history, teacher, in_the_metric_of_the_ranking(), "metric", RunLog(log))
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(event["of"], event["round"]) for event in events] == [
        ("additive quantisation", 1),
        ("additive quantisation", 2),
        ("the metric of the ranking", 1),
    ]
    assert all(0 < event["relative_error"] < 1 for event in events)


def test_a_random_start_is_drawn_with_the_student(history, teacher) -> None:
    settings = config(start="random", selection="straight_through")
    assert student_start(history, teacher, settings) is None
    student = fit_student(history, teacher, None, settings, epochs=0)
    assert student.item_codes.codebooks.shape == (2, 8, WIDTH)
    assert student.epochs == 0


def test_what_no_quantiser_is_called_is_refused(history, teacher) -> None:
    with pytest.raises(ArgumentError, match="not from 'random'"):
        quantize(history, teacher, config(), "random")


def test_a_student_of_no_epochs_is_its_start(history, teacher) -> None:
    start = quantize(history, teacher, config(), "aq")
    student = fit_student(history, teacher, start, config(), epochs=0)
    assert np.array_equal(student.item_codes.codes, start.codes)
    assert np.array_equal(student.item_codes.codebooks, start.codebooks)
    assert np.array_equal(student.users, teacher.users)


def test_joint_codes_are_chosen_anew_every_epoch_in_the_users_metric(history, teacher) -> None:
    start = quantize(history, teacher, config(), "rvq")
    settings = config(learning_rate=1e-12, l2=0.0)  # codewords stay, so only choices can change
    student = fit_student(history, teacher, start, settings, epochs=1)
    expected = encode(
        teacher.items,
        start.codebooks,
        metric=ItemMetric.user_gram(teacher.users, settings.metric.identity),
        beam=settings.student.beam,
        icm_sweeps=settings.student.icm_sweeps,
        start=start.codes,
    )
    assert np.array_equal(student.item_codes.codes, expected.codes)
    assert not np.array_equal(expected.codes, start.codes)
    assert not np.array_equal(encode(teacher.items, start.codebooks).codes, expected.codes)


def test_a_student_returns_what_validation_measured_best(history, teacher) -> None:
    rng = np.random.default_rng(4)
    wanted = [rng.choice(np.setdiff1d(np.arange(ITEMS), history.of(u)), 3) for u in range(USERS)]
    users = np.repeat(np.arange(USERS), 3)
    held_out = History.from_pairs(users, np.concatenate(wanted), USERS, ITEMS)
    start = quantize(history, teacher, config(), "aq")
    student = fit_student(history, teacher, start, config(epochs=5), held_out=held_out)

    def quality(codes, vectors) -> float:
        means = evaluate_ranking(CodeScorer(codes, vectors), history, held_out).means
        return means["recall@100"] + means["ndcg"]

    found = quality(student.item_codes, student.users)
    assert found >= quality(start, teacher.users)
    settings = config(epochs=5)
    every = [fit_student(history, teacher, start, settings, epochs=n) for n in range(6)]
    qualities = [quality(each.item_codes, each.users) for each in every]
    assert found == max(qualities)
    assert student.epochs == int(np.argmax(qualities))


@pytest.mark.parametrize("validated", [True, False])
def test_collapsed_codes_stop_the_run(
    history, teacher, monkeypatch, tmp_path, validated: bool
) -> None:
    """In their second epoch all codewords become one, after which no item differs from another."""
    unseen = [np.setdiff1d(np.arange(ITEMS), history.of(user))[0] for user in range(USERS)]
    held_out = History.from_pairs(np.arange(USERS), np.array(unseen), USERS, ITEMS)
    settings = config(selection="hard")
    start = quantize(history, teacher, settings, "aq")
    start_epoch, begun = Student.start_epoch, []

    def collapsing(student: Student, epoch: int) -> None:
        start_epoch(student, epoch)
        begun.append(epoch)
        if epoch == 1:
            with torch.no_grad():
                student.encoding.encoder.codebooks.fill_(1e-3)
            monkeypatch.setattr(RowAdam, "step", lambda optimiser: None)

    monkeypatch.setattr(Student, "start_epoch", collapsing)
    surroundings = Surroundings(checkpoint=tmp_path / "run", checkpoint_seconds=0)
    with pytest.raises(DivergedError, match=r"collapsed.*last good checkpoint is in") as found:
        fit_student(
            history,
            teacher,
            start,
            settings,
            held_out=held_out if validated else None,
            surroundings=surroundings,
        )
    assert found.value.exit_code == 6
    assert begun == [0, 1]
    kept = Checkpoint.load(tmp_path / "run", {})
    assert kept is not None
    assert (kept.progress["epoch"], kept.progress["step"]) == (1, 0)


def test_a_start_in_which_all_items_share_a_code_is_no_model(history, teacher) -> None:
    tiny = Factors(teacher.users, 1e-6 * teacher.items)  # among random codebooks all alike
    settings = config(start="random", selection="hard", epochs=0)
    with pytest.raises(DivergedError, match="no epoch was better"):
        fit_student(history, tiny, None, settings)
