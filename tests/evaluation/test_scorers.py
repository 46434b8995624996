"""Float models, coded models and popularity behind one method."""

import numpy as np
import pytest

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer, PopularityScorer
from lightrec.interactions.history import History

RNG = np.random.default_rng(4)
USERS = RNG.normal(size=(5, 3)).astype(np.float32)
CODES = ItemCodes(
    RNG.integers(0, 4, (9, 2), dtype=np.uint8), RNG.normal(size=(2, 4, 3)).astype(np.float32)
)
ROWS, ITEMS = np.array([4, 0, 4]), slice(2, 7)


def test_float_scores_are_inner_products() -> None:
    items = RNG.normal(size=(9, 3)).astype(np.float32)
    scorer = FloatScorer(USERS, items)
    assert scorer.num_items == 9
    scores = scorer.scores(ROWS, ITEMS)
    assert scores.shape == (3, 5)
    expected = [[sum(USERS[u] * items[i]) for i in range(2, 7)] for u in ROWS]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_coded_scores_are_inner_products_with_the_decoded_items() -> None:
    scorer = CodeScorer(CODES, USERS)
    assert scorer.num_items == 9
    scores = scorer.scores(ROWS, ITEMS)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, USERS[ROWS] @ CODES.decode()[ITEMS].T, rtol=1e-5, atol=1e-6)


def test_users_may_be_score_tables_of_their_own() -> None:
    tables = RNG.normal(size=(5, 2, 4)).astype(np.float32)
    scores = CodeScorer(CODES, tables).scores(ROWS, ITEMS)
    expected = [
        [tables[u, 0, CODES.codes[i, 0]] + tables[u, 1, CODES.codes[i, 1]] for i in range(2, 7)]
        for u in ROWS
    ]
    assert np.array_equal(scores, np.array(expected, np.float32))


def test_half_precision_users_score_as_float32() -> None:
    half = USERS.astype(np.float16)
    scores = CodeScorer(CODES, half).scores(ROWS, ITEMS)
    expected = CodeScorer(CODES, half.astype(np.float32)).scores(ROWS, ITEMS)
    assert scores.dtype == np.float32
    assert np.array_equal(scores, expected)


def test_popularity_scores_everybody_alike_and_lends_no_memory() -> None:
    degrees = np.array([5, 0, 2, 9])
    scorer = PopularityScorer(degrees)
    scores = scorer.scores(np.array([3, 8]), slice(1, 4))
    assert scores.tolist() == [[0.0, 2.0, 9.0]] * 2
    scores[0] = -1.0  # the evaluator hides excluded items in place
    assert scores[1].tolist() == [0.0, 2.0, 9.0]
    assert degrees.tolist() == [5, 0, 2, 9]


@pytest.mark.parametrize("shapes", [((5, 3), (9, 4)), ((5,), (9, 5)), ((5, 3), (9,))])
def test_float_scorer_refuses_widths_that_differ(shapes) -> None:
    with pytest.raises(ArgumentError, match="same width"):
        FloatScorer(*(np.zeros(shape, np.float32) for shape in shapes))


def test_double_precision_vectors_are_ranked_like_single_or_refused() -> None:
    # Compared in two precisions a test item does not even equal itself.
    users, items = RNG.normal(size=(4, 5)), RNG.normal(size=(30, 5))
    nothing = History.from_pairs([], [], 4, 30)
    test = History.from_pairs([0, 1, 2, 3], [3, 4, 5, 6], 4, 30)
    single = FloatScorer(users.astype(np.float32), items.astype(np.float32))
    expected = evaluate_ranking(single, nothing, test).means
    try:
        found = evaluate_ranking(FloatScorer(users, items), nothing, test).means
    except ArgumentError:
        return
    assert found == pytest.approx(expected)
