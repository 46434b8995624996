"""The value that choices maximise, and the users that they are made on."""

import numpy as np
import pytest

from lightrec.evaluation.judging import JUDGED_USERS, judged_users, value_of
from lightrec.interactions.history import History


def held_out_by(users: np.ndarray, num_users: int) -> History:
    """Two held-out pairs for each of these users."""
    return History.from_pairs(np.repeat(users, 2), np.tile([0, 3], len(users)), num_users, 5)


def test_the_value_is_recall_plus_ndcg() -> None:
    assert value_of({"recall@100": 0.25, "ndcg": 0.5, "recall@20": 9.0, "ndcg@100": 9.0}) == 0.75


@pytest.mark.parametrize("judged", [1, 700, JUDGED_USERS])
def test_everybody_with_a_held_out_pair_is_judged_where_that_is_cheap(judged: int) -> None:
    users = np.sort(np.random.default_rng(0).permutation(3 * JUDGED_USERS)[:judged])
    assert np.array_equal(judged_users(held_out_by(users, 3 * JUDGED_USERS)), users)


def test_nobody_is_judged_where_nothing_is_held_out() -> None:
    assert len(judged_users(held_out_by(np.zeros(0, np.int64), 4))) == 0


def test_of_more_users_a_sample_is_judged_always_the_same() -> None:
    users = np.arange(0, 4 * JUDGED_USERS, 2)
    held_out = held_out_by(users, 4 * JUDGED_USERS)
    sample = judged_users(held_out)
    assert len(sample) == JUDGED_USERS
    assert (np.diff(sample) > 0).all()
    assert np.isin(sample, users).all()
    np.random.seed(5)  # noqa: NPY002 - what is tested is that nobody asks it
    assert np.array_equal(judged_users(held_out), sample)
    # From all over the rows: a quarter of the sample in each quarter of the users, about.
    quarters = np.bincount(sample // JUDGED_USERS, minlength=4) / JUDGED_USERS
    assert np.abs(quarters - 0.25).max() < 0.02
