"""The evaluator: what it counts, what it refuses, and what must not change its results."""

from dataclasses import dataclass

import numpy as np
import pytest

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError
from lightrec.evaluation import ranking_evaluation
from lightrec.evaluation.metrics import TestRanks, all_metrics
from lightrec.evaluation.ranking_evaluation import RankingResult, evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer, PopularityScorer, Scorer
from lightrec.interactions.history import History


@dataclass(frozen=True)
class MatrixScorer:
    """Scores read from a matrix, (M, N)."""

    matrix: np.ndarray

    @property
    def num_items(self) -> int:
        return self.matrix.shape[1]

    def scores(self, user_rows: np.ndarray, items: slice) -> np.ndarray:
        return self.matrix[user_rows, items].astype(np.float32)


def scorer_of(kind: str, num_users: int, num_items: int) -> Scorer:
    rng = np.random.default_rng(11)
    users = rng.normal(size=(num_users, 6)).astype(np.float32)
    if kind == "float":
        return FloatScorer(users, rng.normal(size=(num_items, 6)).astype(np.float32))
    codes = ItemCodes(  # 9 different codes for all items: many ties
        rng.integers(0, 3, (num_items, 2), dtype=np.uint8),
        rng.normal(size=(2, 3, 6)).astype(np.float32),
    )
    if kind == "tables":
        return CodeScorer(codes, rng.normal(size=(num_users, 2, 3)).astype(np.float32))
    return CodeScorer(codes, users)


def counted_by_hand(scores: np.ndarray, exclude: History, test: History) -> dict[str, np.ndarray]:
    """The metrics from a sentence of the protocol: all items but the user's training pairs."""
    greater, equal, users, number = [], [], [], 0
    for user in range(test.num_users):
        if not len(test.of(user)):
            continue
        ranked = np.delete(scores[user], exclude.of(user))
        for item in test.of(user):
            greater.append(int((ranked > scores[user, item]).sum()))
            equal.append(int((ranked == scores[user, item]).sum()))
            users.append(number)
        number += 1
    ranks = TestRanks(np.array(greater), np.array(equal), np.array(users), number)
    return all_metrics(ranks, test.num_items)


def same_bits(first: RankingResult, second: RankingResult) -> bool:
    return np.array_equal(first.user_rows, second.user_rows) and all(
        first.per_user[name].tobytes() == second.per_user[name].tobytes() for name in first.per_user
    )


@pytest.mark.parametrize("kind", ["float", "codes", "tables"])
def test_counts_every_item_but_the_excluded_pairs(pairs, kind: str) -> None:
    exclude, test = pairs
    scorer = scorer_of(kind, test.num_users, test.num_items)
    everyone = np.arange(test.num_users)
    scores = np.concatenate(  # in the evaluator's own tiles: the float product is then bit-equal
        [
            scorer.scores(np.resize(everyone[start:], 32), slice(0, test.num_items))
            for start in range(0, test.num_users, 32)
        ]
    )[: test.num_users]
    result = evaluate_ranking(scorer, exclude, test, threads=1)
    for name, expected in counted_by_hand(scores, exclude, test).items():
        np.testing.assert_allclose(result.per_user[name], expected, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", ["float", "codes", "tables"])
def test_block_size_and_threads_change_no_bit(pairs, kind: str) -> None:
    exclude, test = pairs
    scorer = scorer_of(kind, test.num_users, test.num_items)
    reference = evaluate_ranking(scorer, exclude, test, block_size=1000, threads=1)
    for block_size in (1, 7, 32, 1000):
        for threads in (1, 2):
            result = evaluate_ranking(scorer, exclude, test, block_size=block_size, threads=threads)
            assert same_bits(result, reference), (block_size, threads)


@pytest.mark.parametrize("tile", [1, 7, 64, 299])
@pytest.mark.parametrize("kind", ["codes", "popularity", "matrix"])
def test_streaming_over_item_tiles_changes_no_bit(pairs, monkeypatch, kind: str, tile: int) -> None:
    exclude, test = pairs
    if kind == "popularity":
        scorer: Scorer = PopularityScorer(exclude.item_degrees())
    elif kind == "matrix":
        rng = np.random.default_rng(2)
        scorer = MatrixScorer(rng.normal(size=(test.num_users, test.num_items)))
    else:
        scorer = scorer_of(kind, test.num_users, test.num_items)
    whole = evaluate_ranking(scorer, exclude, test, threads=1)
    monkeypatch.setattr(ranking_evaluation, "ITEMS_PER_TILE", tile)
    assert same_bits(evaluate_ranking(scorer, exclude, test, threads=2), whole)


def test_many_test_items_are_counted_like_few(monkeypatch) -> None:
    rng = np.random.default_rng(5)
    num_items = 200
    wanted = np.sort(rng.permutation(num_items)[:60])
    test = History.from_pairs(np.zeros(60, np.int64), wanted, 1, num_items)
    exclude = History.from_pairs([0], [np.setdiff1d(np.arange(num_items), wanted)[0]], 1, num_items)
    scorer = MatrixScorer(rng.integers(0, 12, (1, num_items)))
    by_sorting = evaluate_ranking(scorer, exclude, test)
    monkeypatch.setattr(ranking_evaluation, "SORT_FROM", num_items)
    assert same_bits(evaluate_ranking(scorer, exclude, test), by_sorting)


def test_an_excluded_item_never_ranks_above_a_test_item() -> None:
    exclude = History.from_pairs([0, 0], [0, 1], 1, 4)
    test = History.from_pairs([0], [2], 1, 4)
    scorer = MatrixScorer(np.array([[9.0, 5.0, 5.0, 1.0]]))  # 0 beats it and 1 ties with it
    assert evaluate_ranking(scorer, exclude, test).means["ndcg"] == pytest.approx(1.0)
    nothing = History.from_pairs([], [], 1, 4)
    ranks_2_and_3 = (1 / np.log2(3) + 1 / np.log2(4)) / 2
    assert evaluate_ranking(scorer, nothing, test).means["ndcg"] == pytest.approx(ranks_2_and_3)


def test_users_without_test_pairs_are_left_out(pairs) -> None:
    exclude, test = pairs
    scorer = scorer_of("float", test.num_users, test.num_items)
    result = evaluate_ranking(scorer, exclude, test)
    assert result.user_rows.tolist() == np.flatnonzero(test.user_degrees()).tolist()
    assert len(result.user_rows) < test.num_users
    assert {len(values) for values in result.per_user.values()} == {len(result.user_rows)}
    some = evaluate_ranking(scorer, exclude, test, user_rows=np.array([7, 12, 3]))  # 7 has none
    assert some.user_rows.tolist() == [12, 3]


def test_chosen_users_get_what_they_get_among_all(pairs) -> None:
    exclude, test = pairs
    scorer = scorer_of("codes", test.num_users, test.num_items)
    everyone = evaluate_ranking(scorer, exclude, test)
    chosen = np.array([40, 2, 61])
    some = evaluate_ranking(scorer, exclude, test, user_rows=chosen)
    places = np.searchsorted(everyone.user_rows, chosen)
    for name, values in some.per_user.items():
        assert values.tolist() == everyone.per_user[name][places].tolist()


def test_refuses_test_pairs_that_were_trained_on() -> None:
    exclude = History.from_pairs([0, 1, 1], [0, 1, 2], 2, 4)
    test = History.from_pairs([0, 1, 1], [0, 2, 3], 2, 4)
    with pytest.raises(ArgumentError, match=r"2 test pairs .* trained on"):
        evaluate_ranking(MatrixScorer(np.zeros((2, 4))), exclude, test)


def test_a_pair_of_two_other_rows_is_no_overlap() -> None:
    # (0, 3) and (1, 0) would have one number if keys were made with the wrong factor.
    exclude, test = History.from_pairs([0], [3], 2, 4), History.from_pairs([1], [0], 2, 4)
    assert evaluate_ranking(MatrixScorer(np.zeros((2, 4))), exclude, test).user_rows.tolist() == [1]


def test_refuses_sizes_that_do_not_fit() -> None:
    scorer = MatrixScorer(np.zeros((2, 4)))
    with pytest.raises(ArgumentError, match="2 users, test pairs of 3"):
        evaluate_ranking(
            scorer, History.from_pairs([], [], 2, 4), History.from_pairs([0], [1], 3, 4)
        )
    with pytest.raises(ArgumentError, match="ranks 4 items"):
        evaluate_ranking(
            scorer, History.from_pairs([], [], 2, 5), History.from_pairs([0], [1], 2, 5)
        )


def test_refuses_to_evaluate_nothing() -> None:
    nothing = History.from_pairs([], [], 2, 4)
    with pytest.raises(ArgumentError, match="no user has a test pair"):
        evaluate_ranking(MatrixScorer(np.zeros((2, 4))), nothing, nothing)


def test_refuses_a_block_of_no_users(pairs) -> None:
    with pytest.raises(ArgumentError, match="block_size"):
        evaluate_ranking(scorer_of("float", 90, 300), *pairs, block_size=0)


def test_refuses_users_that_do_not_exist(pairs) -> None:
    for row in (90, -1):
        with pytest.raises(ArgumentError):
            evaluate_ranking(scorer_of("float", 90, 300), *pairs, user_rows=np.array([row]))


@pytest.mark.parametrize("fault", [np.nan, np.inf])
def test_refuses_a_test_item_whose_score_is_not_finite(fault: float) -> None:
    nothing, test = History.from_pairs([], [], 1, 4), History.from_pairs([0], [1], 1, 4)
    scores = np.array([[3.0, fault, 1.0, 0.0]])
    with pytest.raises(ArgumentError, match="not finite"):
        evaluate_ranking(MatrixScorer(scores), nothing, test)


@pytest.mark.parametrize("many", [False, True])
def test_refuses_nan_for_an_item_that_is_only_ranked_against(many: bool) -> None:
    # Counted as not greater it would lift every test item by one rank, in silence.
    num_items = 40
    wanted = np.arange(1, 31 if many else 2)
    nothing = History.from_pairs([], [], 1, num_items)
    test = History.from_pairs(np.zeros(len(wanted), np.int64), wanted, 1, num_items)
    scores = np.zeros((1, num_items))
    scores[0, 0] = np.nan
    with pytest.raises(ArgumentError, match="not finite"):
        evaluate_ranking(MatrixScorer(scores), nothing, test)


def test_refuses_nan_user_vectors_of_a_coded_model(pairs) -> None:
    scorer = scorer_of("codes", 90, 300)
    scorer.users[0, 0] = np.nan
    with pytest.raises(ArgumentError, match="not finite"):
        evaluate_ranking(scorer, *pairs)


def test_describes_itself_by_the_four_metrics_of_every_table(pairs) -> None:
    result = evaluate_ranking(scorer_of("float", 90, 300), *pairs)
    for name in ("recall@20", "recall@100", "ndcg@100", "ndcg"):
        assert f"{name} {result.means[name]:.4f}" in result.describe()
