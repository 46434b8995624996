"""How float models are judged where choices are made."""

import numpy as np
import pytest

from lightrec.errors import ArgumentError
from lightrec.evaluation import judging
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import FloatScorer
from lightrec.factors import Factors
from lightrec.interactions import History
from lightrec.teachers.judge import teacher_judge

RNG = np.random.default_rng(3)
FACTORS = Factors(
    RNG.normal(size=(60, 4)).astype(np.float32), RNG.normal(size=(200, 4)).astype(np.float32)
)


@pytest.fixture(scope="module")
def parts() -> tuple[History, History]:
    """Training and held-out pairs; every third user has none held out."""
    picks = np.array([RNG.permutation(200)[:12] for _ in range(60)])
    users = np.flatnonzero(np.arange(60) % 3)
    return (
        History.from_pairs(np.repeat(np.arange(60), 8), picks[:, :8].ravel(), 60, 200),
        History.from_pairs(np.repeat(users, 4), picks[users, 8:].ravel(), 60, 200),
    )


def test_measures_as_the_final_evaluation_does(parts) -> None:
    pairs, held_out = parts
    metrics = teacher_judge(pairs, held_out)(FACTORS)
    scorer = FloatScorer(FACTORS.users, FACTORS.items)
    assert metrics == evaluate_ranking(scorer, pairs, held_out).means


def test_training_pairs_are_not_ranked(parts) -> None:
    """A model that puts them first is as good as one that puts them last."""
    pairs, held_out = parts
    seen = np.zeros((60, 200), np.float32)
    seen[pairs.user_rows(), pairs.item_rows] = 1.0
    found = np.zeros((60, 200), np.float32)
    found[held_out.user_rows(), held_out.item_rows] = 1.0
    judge = teacher_judge(pairs, held_out)
    first, last = (
        judge(Factors(found + sign * 9 * seen, np.eye(200, dtype=np.float32))) for sign in (1, -1)
    )
    assert first == last
    assert first["ndcg"] == pytest.approx(1.0)


def test_judges_on_a_bounded_number_of_users(parts, monkeypatch) -> None:
    pairs, held_out = parts
    monkeypatch.setattr(judging, "JUDGED_USERS", 15)
    metrics = teacher_judge(pairs, held_out)(FACTORS)
    users = judging.judged_users(held_out)
    assert len(users) == 15
    scorer = FloatScorer(FACTORS.users, FACTORS.items)
    assert metrics == evaluate_ranking(scorer, pairs, held_out, user_rows=users).means
    assert metrics != evaluate_ranking(scorer, pairs, held_out).means


def test_refuses_pairs_that_were_trained_on(parts) -> None:
    pairs, _ = parts
    with pytest.raises(ArgumentError, match="among the pairs that the model was trained on"):
        teacher_judge(pairs, pairs)(FACTORS)
