"""The iALS teacher: its steps against dense algebra and irspack, and how training ends."""

import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sps
from irspack.recommenders.ials import IALSTrainer, LossType, SolverType

from lightrec.errors import ArgumentError, DivergedError, InputError, InterruptedRunError
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import FloatScorer, PopularityScorer
from lightrec.factors import Factors
from lightrec.interactions import History, Interactions, paper_split
from lightrec.interactions.synthetic import synthetic_catalogue
from lightrec.teachers import ials
from lightrec.teachers.ials import (
    IalsConfig,
    first_items,
    half_step,
    objective,
    train_ials,
    transposed,
)
from lightrec.training.run_log import RunLog

CONFIG = IalsConfig(width=6, unobserved_weight=0.05, l2=0.1, frequency_power=0.7)
EMPTY_USER, EMPTY_ITEM = 7, 3


@pytest.fixture(scope="module")
def history() -> History:
    """Rows with fewer pairs than CONFIG's width, as many, and more; one user and item with none."""
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 50, 350), (40 * rng.random(350) ** 1.7).astype(np.int64)
    kept = (users != EMPTY_USER) & (items != EMPTY_ITEM)
    pairs = History.from_pairs(users[kept], items[kept], 50, 40)
    for degrees in (pairs.user_degrees(), pairs.item_degrees()):
        assert degrees.min() == 0
        assert {CONFIG.width - 1, CONFIG.width, CONFIG.width + 1} <= set(degrees.tolist())
    return pairs


def dense(pairs: History) -> np.ndarray:
    matrix = np.zeros((pairs.num_users, pairs.num_items))
    matrix[pairs.user_rows(), pairs.item_rows] = 1
    return matrix


def dense_half_step(seen: np.ndarray, fixed: np.ndarray, config: IalsConfig) -> np.ndarray:
    """The normal equations as they are written down, every pair of the matrix on its own."""
    solved, fixed = [], fixed.astype(np.float64)
    for row in seen:
        weights = row + config.unobserved_weight
        frequency = row.sum() + config.unobserved_weight * len(row)
        penalty = config.l2 * frequency**config.frequency_power
        system = (fixed.T * weights) @ fixed + penalty * np.eye(fixed.shape[1])
        solved.append(np.linalg.solve(system, fixed.T @ row))
    return np.array(solved)


def dense_objective(seen: np.ndarray, factors: Factors, config: IalsConfig) -> float:
    users, items = factors.users.astype(np.float64), factors.items.astype(np.float64)
    scores = users @ items.T
    loss = (seen * (1 - scores) ** 2).sum() + config.unobserved_weight * (scores**2).sum()
    for matrix, vectors in ((seen, users), (seen.T, items)):
        for row, vector in zip(matrix, vectors, strict=True):
            frequency = row.sum() + config.unobserved_weight * len(row)
            loss += config.l2 * frequency**config.frequency_power * (vector**2).sum()
    return float(loss)


@pytest.mark.parametrize("power", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("width", [1, 6, 64])  # wider than the catalogue is long, too
@pytest.mark.parametrize("at_once", [1, 50, 1 << 18])  # numbers held: blocks of any size
def test_a_half_step_solves_the_normal_equations(
    history, width: int, power: float, at_once: int, monkeypatch
) -> None:
    monkeypatch.setattr(ials, "_NUMBERS_AT_ONCE", at_once)
    config = CONFIG.model_copy(update={"width": width, "frequency_power": power})
    items = np.random.default_rng(1).normal(size=(40, width)).astype(np.float32)
    users = half_step(history, items, config)
    assert users.dtype == np.float32
    np.testing.assert_allclose(
        users, dense_half_step(dense(history), items, config), rtol=1e-4, atol=2e-6
    )
    np.testing.assert_allclose(
        half_step(transposed(history), users, config),
        dense_half_step(dense(history).T, users, config),
        rtol=1e-4,
        atol=1e-5,
    )


def test_the_fixed_point_solves_both_sides(history) -> None:
    factors, sweeps = train_ials(history, CONFIG, seed=0, stop_after=400)
    assert sweeps == 400
    seen = dense(history)
    users, items = factors.users, factors.items
    assert np.abs(users).max() > 0.3  # nothing has fallen to zero, the trivial fixed point
    np.testing.assert_allclose(users, dense_half_step(seen, items, CONFIG), atol=2e-5)
    np.testing.assert_allclose(items, dense_half_step(seen.T, users, CONFIG), atol=2e-5)


def test_the_objective_is_the_papers(history) -> None:
    rng = np.random.default_rng(2)
    users, items = (rng.normal(size=(rows, 6)).astype(np.float32) for rows in (50, 40))
    factors = Factors(users, items)
    expected = dense_objective(dense(history), factors, CONFIG)
    assert objective(history, factors, CONFIG) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("width", [3, 24])
def test_the_objective_never_rises_from_half_step_to_half_step(history, width: int) -> None:
    config = CONFIG.model_copy(update={"width": width, "l2": 0.01})
    items = first_items(history, width, seed=0)
    by_item, seen = transposed(history), dense(history)
    values = []
    for _ in range(10):
        users = half_step(history, items, config)
        values.append(dense_objective(seen, Factors(users, items), config))
        items = half_step(by_item, users, config)
        values.append(dense_objective(seen, Factors(users, items), config))
    assert all(later <= before * (1 + 1e-6) for before, later in pairwise(values))
    assert values[-1] < 0.7 * values[0]


def test_every_sweep_agrees_with_irspack() -> None:
    rng = np.random.default_rng(3)
    pairs = History.from_pairs(rng.integers(0, 60, 500), rng.integers(0, 40, 500), 60, 40)
    assert pairs.user_degrees().min() > 0  # irspack leaves an empty row where it started
    assert pairs.item_degrees().min() > 0
    matrix = sps.csr_matrix((np.ones(len(pairs)), pairs.item_rows, pairs.indptr), shape=(60, 40))
    config = CONFIG.model_copy(update={"width": 9})
    other = IALSTrainer(
        matrix,
        n_components=9,
        alpha0=config.unobserved_weight,
        reg=config.l2,
        nu=config.frequency_power,
        init_std=0.1,
        solver_type=SolverType.CHOLESKY,
        max_cg_steps=0,
        ialspp_subspace_dimension=9,
        loss_type=LossType.IALSPP,
        random_seed=0,
        n_threads=1,
        prediction_time_max_cg_steps=0,
        prediction_time_ialspp_iteration=0,
    )
    other.core_trainer.item = first_items(pairs, 9, seed=5)
    for sweep in range(1, 6):
        other.run_epoch()
        ours, _ = train_ials(pairs, config, seed=5, stop_after=sweep)
        np.testing.assert_allclose(ours.users, other.core_trainer.user, atol=1e-5)
        np.testing.assert_allclose(ours.items, other.core_trainer.item, atol=1e-5)
        half = other.compute_loss()  # irspack minimises half of the paper's objective
        assert objective(pairs, ours, config) == pytest.approx(2 * half, rel=1e-5)


def test_beats_popularity_clearly() -> None:
    data = synthetic_catalogue(300, 200, seed=0, pairs_per_user=20)
    split = paper_split(Interactions.from_table(data.interactions), seed=0)
    exclude, test = split.train.history(), split.test.history()
    config = IalsConfig(width=16, unobserved_weight=0.1, l2=0.3)
    factors, _ = train_ials(exclude, config, seed=0)
    scorer = FloatScorer(factors.users, factors.items)
    learned = evaluate_ranking(scorer, exclude, test, threads=1).means
    popular = PopularityScorer(exclude.item_degrees())
    baseline = evaluate_ranking(popular, exclude, test, threads=1).means
    assert learned["recall@20"] > 1.5 * baseline["recall@20"]
    assert learned["ndcg"] > 1.3 * baseline["ndcg"]


def test_a_seed_decides_every_byte(history) -> None:
    first, same, other = (
        train_ials(history, CONFIG, seed=seed, stop_after=3)[0] for seed in (4, 4, 5)
    )
    assert first.users.tobytes() == same.users.tobytes()
    assert first.items.tobytes() == same.items.tobytes()
    assert first.items.tobytes() != other.items.tobytes()


def test_rows_without_a_pair_are_zero_and_only_they(history) -> None:
    factors, _ = train_ials(history, CONFIG, seed=0, stop_after=2)
    assert np.array_equal(np.flatnonzero(~factors.users.any(axis=1)), [EMPTY_USER])
    assert np.array_equal(np.flatnonzero(~factors.items.any(axis=1)), [EMPTY_ITEM])
    assert np.array_equal(
        np.flatnonzero(~first_items(history, 6, seed=0).any(axis=1)), [EMPTY_ITEM]
    )


def test_an_item_without_a_pair_changes_nothing_but_the_weights(history) -> None:
    """It adds to N, which the penalty knows; without frequencies it cannot matter at all."""
    config = CONFIG.model_copy(update={"frequency_power": 0.0})
    items = np.random.default_rng(1).normal(size=(41, 6)).astype(np.float32)
    items[40] = 0.0
    wider = History(history.indptr, history.item_rows, 41)
    np.testing.assert_allclose(
        half_step(wider, items, config), half_step(history, items[:40], config), atol=1e-6
    )


def test_items_start_at_a_length_of_about_a_tenth() -> None:
    everything = History.from_pairs(np.zeros(2_000, int), np.arange(2_000), 1, 2_000)
    for width in (16, 256):
        lengths = np.linalg.norm(first_items(everything, width, seed=0), axis=1)
        assert lengths.mean() == pytest.approx(0.1, rel=0.03)


def scripted(values: list[float]):
    """Validation that finds what the script says, sweep after sweep; keeps what it was shown."""
    shown: list[Factors] = []

    def held_out_value(factors: Factors) -> dict[str, float]:
        shown.append(factors)
        value = values[len(shown) - 1]
        return {"recall@100": 0.75 * value, "ndcg": 0.25 * value, "recall@20": -value}

    return held_out_value, shown


def test_returns_the_best_sweep_and_trains_again_for_the_sweeps_found(history) -> None:
    judge, shown = scripted([0.1, 0.3, 0.25, 0.3, 0.9])  # no more is no better
    config = CONFIG.model_copy(update={"patience": 2})
    factors, sweeps = train_ials(history, config, seed=0, held_out_value=judge)
    assert sweeps == 2
    assert len(shown) == 4
    assert factors is shown[1]
    again, made = train_ials(history, config, seed=0, stop_after=2)
    assert made == 2
    assert again.users.tobytes() == factors.users.tobytes()
    assert again.items.tobytes() == factors.items.tobytes()


def test_ends_with_the_sweeps_allowed_when_each_is_better(history) -> None:
    judge, shown = scripted([0.1, 0.2, 0.3])
    config = CONFIG.model_copy(update={"sweeps": 3})
    assert train_ials(history, config, seed=0, held_out_value=judge)[1] == 3
    assert len(shown) == 3


def test_stop_after_is_exact_whatever_validation_and_sweeps_say(history) -> None:
    judge, shown = scripted([0.9, 0.5, 0.4, 0.3, 0.2])
    config = CONFIG.model_copy(update={"sweeps": 2, "patience": 1})
    factors, sweeps = train_ials(history, config, seed=0, held_out_value=judge, stop_after=5)
    assert sweeps == 5
    assert factors is shown[4]
    assert train_ials(history, config, seed=0)[1] == 2


def test_logs_every_sweep_and_validation(history, tmp_path: Path) -> None:
    judge, _ = scripted([0.4, 0.8])
    log = RunLog(tmp_path / "metrics.jsonl")
    factors, _ = train_ials(
        history, CONFIG, seed=0, held_out_value=judge, stop_after=2, log=log, progress=True
    )
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["event"], line["of"], line["epoch"]) for line in lines] == [
        (kind, "iALS teacher", sweep) for sweep in (1, 2) for kind in ("epoch", "validation")
    ]
    expected = dense_objective(dense(history), factors, CONFIG) / len(history)
    assert lines[2]["loss"] == pytest.approx(expected, rel=1e-6)
    assert lines[0]["loss"] > lines[2]["loss"]
    assert lines[3]["ndcg"] == pytest.approx(0.2)


def test_no_pair_at_all_is_an_input_error() -> None:
    nothing = History.from_pairs(np.zeros(0, int), np.zeros(0, int), 3, 4)
    with pytest.raises(InputError, match="there is no training pair"):
        train_ials(nothing, CONFIG, seed=0)


def test_refuses_to_make_no_sweep(history) -> None:
    with pytest.raises(ArgumentError, match="stop_after must be at least 1 sweep, not 0"):
        train_ials(history, CONFIG, seed=0, stop_after=0)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_an_impossible_penalty_is_named(history) -> None:
    config = CONFIG.model_copy(update={"l2": 1.7e308})
    with pytest.raises(DivergedError, match=r"not finite in sweep 1; l2 \(1.7e\+308\)"):
        train_ials(history, config, seed=0)


def test_an_interruption_is_granted_after_the_sweep(history) -> None:
    def interrupt(_factors: Factors) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGINT)
        return {"recall@100": 0.1, "ndcg": 0.1}

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(InterruptedRunError, match="interrupted after sweep 1"):
        train_ials(history, CONFIG, seed=0, held_out_value=interrupt)
    assert signal.getsignal(signal.SIGINT) is before


def test_needs_no_torch() -> None:
    program = "import sys; sys.modules['torch'] = None\nimport lightrec.teachers.ials"
    subprocess.run([sys.executable, "-c", program], check=True)
