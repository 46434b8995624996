"""How float models are judged where choices are made."""

from __future__ import annotations

from lightrec.evaluation.judging import judged_users
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import FloatScorer
from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.teachers.fit import Judge


def teacher_judge(pairs: History, held_out: History) -> Judge:
    """Measures float models on held-out pairs."""
    users = judged_users(held_out)

    def measure(factors: Factors) -> dict[str, float]:
        scorer = FloatScorer(factors.users, factors.items)
        return evaluate_ranking(scorer, pairs, held_out, user_rows=users).means

    return measure
