"""The evaluator's self-checks: other people's evaluator, and values known beforehand."""

import numpy as np
import pytest
import scipy.sparse as sparse
from irspack import Evaluator

from lightrec.evaluation.metrics import cumulative_discount
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import FloatScorer, PopularityScorer
from lightrec.interactions.history import History


def matrix(history: History) -> sparse.csr_matrix:
    ones = np.ones(len(history))
    shape = (history.num_users, history.num_items)
    return sparse.csr_matrix((ones, history.item_rows, history.indptr), shape=shape)


def random_scorer(num_users: int, num_items: int, seed: int = 0) -> FloatScorer:
    rng = np.random.default_rng(seed)
    return FloatScorer(
        rng.normal(size=(num_users, 8)).astype(np.float32),
        rng.normal(size=(num_items, 8)).astype(np.float32),
    )


def test_agrees_with_irspack_on_continuous_scores(pairs) -> None:
    exclude, test = pairs
    scorer = random_scorer(test.num_users, test.num_items)
    ours = evaluate_ranking(scorer, exclude, test).means
    judge = Evaluator(
        matrix(test), masked_interactions=matrix(exclude), recall_with_cutoff=False, n_threads=1
    )
    scores = (scorer.users @ scorer.items.T).astype(np.float64)
    theirs = judge.get_scores_from_score_matrix(scores, cutoffs=[10, 20, 50, 100])
    for name in ("recall@20", "recall@100", "ndcg@10", "ndcg@20", "ndcg@50", "ndcg@100"):
        assert ours[name] == pytest.approx(theirs[name], rel=1e-9), name


def test_a_perfect_oracle_scores_exactly_one(pairs) -> None:
    _, test = pairs
    # One dimension per user: a user's own test items score 1, all others 0.
    items = np.asarray(matrix(test).todense(), np.float32).T
    oracle = FloatScorer(np.eye(test.num_users, dtype=np.float32), items)
    assert set(evaluate_ranking(oracle, *pairs).means.values()) == {1.0}


def test_the_worst_oracle_scores_nothing_at_the_top(pairs) -> None:
    exclude, test = pairs
    items = -np.asarray(matrix(test).todense(), np.float32).T
    means = evaluate_ranking(
        FloatScorer(np.eye(test.num_users, dtype=np.float32), items), exclude, test
    ).means
    assert means["recall@20"] == means["recall@100"] == means["ndcg@100"] == means["ndcg@nu"] == 0
    assert means["ndcg"] > 0.1  # untruncated, it has a high floor


def test_popularity_gives_its_known_value(pairs) -> None:
    exclude, test = pairs
    degrees = np.bincount(exclude.item_rows, minlength=test.num_items)
    expected_recall, expected_ndcg = [], []
    for user in range(test.num_users):
        wanted = test.of(user)
        if not len(wanted):
            continue
        ranked = np.delete(degrees, exclude.of(user))
        shares, gains = [], []
        for item in wanted:
            first = int((ranked > degrees[item]).sum()) + 1
            ranks = np.arange(first, first + int((ranked == degrees[item]).sum()))
            shares.append(np.mean(ranks <= 20))
            gains.append(np.mean(1 / np.log2(ranks + 1)))
        expected_recall.append(np.mean(shares))
        ideal = np.sum(1 / np.log2(np.arange(2, len(wanted) + 2)))
        expected_ndcg.append(np.sum(gains) / ideal)
    means = evaluate_ranking(PopularityScorer(exclude.item_degrees()), exclude, test).means
    assert means["recall@20"] == pytest.approx(np.mean(expected_recall), rel=1e-12)
    assert means["ndcg"] == pytest.approx(np.mean(expected_ndcg), rel=1e-12)


def test_constant_scores_give_the_floor_and_random_scores_come_near_it(pairs) -> None:
    exclude, test = pairs
    floor = evaluate_ranking(PopularityScorer(np.zeros(test.num_items)), exclude, test).means
    ranked = test.num_items - 8  # every user has eight training pairs
    assert floor["recall@20"] == pytest.approx(20 / ranked)
    ideal = cumulative_discount(ranked)
    wanted = test.user_degrees()[test.user_degrees() > 0]
    assert floor["ndcg"] == pytest.approx(np.mean(wanted * ideal[ranked] / ranked / ideal[wanted]))
    means = [
        evaluate_ranking(random_scorer(test.num_users, test.num_items, seed), exclude, test).means
        for seed in range(8)
    ]
    assert np.mean([each["ndcg"] for each in means]) == pytest.approx(floor["ndcg"], rel=0.05)
    assert np.mean([each["recall@20"] for each in means]) == pytest.approx(
        floor["recall@20"], rel=0.25
    )


def test_the_order_of_rows_earns_nothing(pairs) -> None:
    exclude, test = pairs
    order = np.random.default_rng(1).permutation(test.num_items)
    codes = np.random.default_rng(0).integers(0, 5, test.num_items).astype(np.float64)  # ties
    before = evaluate_ranking(PopularityScorer(codes), exclude, test).means
    place = np.argsort(order)
    moved = [
        History.from_pairs(part.user_rows(), place[part.item_rows], part.num_users, part.num_items)
        for part in pairs
    ]
    after = evaluate_ranking(PopularityScorer(codes[order]), *moved).means
    assert after == pytest.approx(before, rel=1e-12)
