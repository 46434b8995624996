"""The formulas, against hand-computed cases and against every possible order of tied items."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrec.evaluation.metrics import (
    NDCG_CUTOFFS,
    RECALL_CUTOFFS,
    TestRanks,
    all_metrics,
    cumulative_discount,
    ndcg,
    recall,
)


def ranks_of(scores: list[float], wanted: list[int]) -> TestRanks:
    """One user's ranks, counted item by item."""
    greater = [sum(other > scores[item] for other in scores) for item in wanted]
    equal = [sum(other == scores[item] for other in scores) for item in wanted]
    return TestRanks(np.array(greater), np.array(equal), np.zeros(len(wanted), np.int64), 1)


def expected_over_orders(scores: list[float], wanted: list[int], cutoff: int | None):
    """Mean recall and NDCG over all orders of the items that agree with the scores."""
    recalls, gains = [], []
    last = len(scores) if cutoff is None else cutoff
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(wanted), last) + 1))
    for order in itertools.permutations(range(len(scores))):
        if any(scores[a] < scores[b] for a, b in itertools.pairwise(order)):
            continue
        found = [rank for rank, item in enumerate(order, start=1) if item in wanted]
        found = [rank for rank in found if rank <= last]
        recalls.append(len(found) / len(wanted))
        gains.append(sum(1 / math.log2(rank + 1) for rank in found) / ideal)
    return np.mean(recalls), np.mean(gains)


@st.composite
def tied_rankings(draw: st.DrawFn) -> tuple[list[float], list[int]]:
    scores = draw(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=1, max_size=6))
    places = st.sampled_from(range(len(scores)))
    return scores, draw(st.lists(places, min_size=1, max_size=len(scores), unique=True))


@settings(deadline=None, max_examples=60)
@given(tied_rankings(), st.integers(1, 7))
def test_metrics_are_the_expectation_over_every_order_of_the_ties(ranking, cutoff: int) -> None:
    scores, wanted = ranking
    ranks, discount = ranks_of(scores, wanted), cumulative_discount(len(scores))
    expected_recall, expected_ndcg = expected_over_orders(scores, wanted, cutoff)
    assert recall(ranks, cutoff) == pytest.approx([expected_recall])
    assert ndcg(ranks, discount, cutoff) == pytest.approx([expected_ndcg])
    _, untruncated = expected_over_orders(scores, wanted, None)
    assert ndcg(ranks, discount) == pytest.approx([untruncated])
    _, literal = expected_over_orders(scores, wanted, len(wanted))
    assert all_metrics(ranks, len(scores))["ndcg@nu"] == pytest.approx([literal])


def test_a_tie_across_the_cutoff_counts_by_its_share_inside() -> None:
    # One item is better, four are tied on ranks 2 to 5: two of these four ranks are within 3.
    ranks = TestRanks(np.array([1]), np.array([4]), np.array([0]), 1)
    assert recall(ranks, 3) == pytest.approx([0.5])
    gain = (1 / math.log2(3) + 1 / math.log2(4)) / 4
    assert ndcg(ranks, cumulative_discount(10), 3) == pytest.approx([gain])


def test_when_all_items_tie_recall_is_k_over_n() -> None:
    num_items, wanted = 50, 3
    everything = np.full(wanted, num_items)
    ranks = TestRanks(np.zeros(wanted, np.int64), everything, np.zeros(wanted, np.int64), 1)
    metrics = all_metrics(ranks, num_items)
    assert metrics["recall@20"] == pytest.approx([20 / 50])
    assert metrics["recall@100"] == pytest.approx([1.0])
    discounts = [1 / math.log2(rank + 1) for rank in range(1, num_items + 1)]
    assert metrics["ndcg"] == pytest.approx([wanted * np.mean(discounts) / sum(discounts[:wanted])])


def test_ranks_without_ties_by_hand() -> None:
    # Test items on ranks 1 and 4 of the first user, on rank 2 of the second.
    ranks = TestRanks(np.array([0, 3, 1]), np.ones(3, np.int64), np.array([0, 0, 1]), 2)
    discount = cumulative_discount(5)
    first = (1 + 1 / math.log2(5)) / (1 + 1 / math.log2(3))
    assert ndcg(ranks, discount) == pytest.approx([first, 1 / math.log2(3)])
    assert ndcg(ranks, discount, 3) == pytest.approx([1 / (1 + 1 / math.log2(3)), 1 / math.log2(3)])
    at_own_number = all_metrics(ranks, 5)["ndcg@nu"]
    assert at_own_number == pytest.approx([1 / (1 + 1 / math.log2(3)), 0.0])
    assert recall(ranks, 3) == pytest.approx([0.5, 1.0])
    assert recall(ranks, 1) == pytest.approx([0.5, 0.0])


def test_the_ideal_of_ndcg_at_k_is_cut_at_k() -> None:
    # Three test items lead the ranking: cut after two, nothing better is possible.
    ranks = TestRanks(np.arange(3), np.ones(3, np.int64), np.zeros(3, np.int64), 1)
    assert ndcg(ranks, cumulative_discount(9), 2) == pytest.approx([1.0], abs=1e-15)


def test_cumulative_discount_sums_the_discounts() -> None:
    assert cumulative_discount(3) == pytest.approx(
        [0, 1, 1 + 1 / math.log2(3), 1.5 + 1 / math.log2(3)]
    )


def test_every_reported_metric_is_there_once() -> None:
    ranks = TestRanks(np.array([0]), np.array([1]), np.array([0]), 1)
    names = set(all_metrics(ranks, 3))
    expected = {f"recall@{k}" for k in RECALL_CUTOFFS} | {f"ndcg@{k}" for k in NDCG_CUTOFFS}
    assert names == expected | {"ndcg", "ndcg@nu"}
    assert {"recall@20", "recall@100", "ndcg@10", "ndcg@100"} <= names
