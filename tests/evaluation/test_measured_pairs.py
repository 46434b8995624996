"""What compressed vectors are measured on: who chooses, who is measured, what is held out."""

from __future__ import annotations

import numpy as np
import pytest

from lightrec.evaluation import measured_pairs
from lightrec.evaluation.measured_pairs import measured_on_interactions, measured_on_test
from lightrec.interactions import History
from lightrec.interactions.shared_pairs import shared_pair_keys

RNG = np.random.default_rng(0)
KEYS = RNG.permutation(40 * 30)[:300]
PAIRS = History.from_pairs(KEYS // 30, KEYS % 30, 40, 30)


def users_of(pairs: History) -> set[int]:
    return set(np.flatnonzero(pairs.user_degrees()).tolist())


def keys_of(pairs: History) -> set[tuple[int, int]]:
    return set(zip(pairs.user_rows().tolist(), pairs.item_rows.tolist(), strict=True))


def test_test_pairs_are_measured_whole_where_nothing_is_chosen() -> None:
    measured = measured_on_test(None, PAIRS, 0, choosing=False)
    assert measured.sought is PAIRS
    assert (len(measured.exclude), measured.exclude.num_users) == (0, 40)
    assert measured.choosing is None
    assert not measured.fitted_anew
    assert measured.title == "300 test pairs"


def test_half_of_the_users_choose_and_the_others_are_measured() -> None:
    measured = measured_on_test(None, PAIRS, 0, choosing=True)
    choosing, sought = users_of(measured.choosing), users_of(measured.sought)
    assert len(choosing) == 20
    assert choosing | sought == users_of(PAIRS)
    assert not choosing & sought
    assert keys_of(measured.choosing) | keys_of(measured.sought) == keys_of(PAIRS)
    assert measured.title == (
        f"{len(measured.sought)} test pairs of 20 users; the form of users was chosen on those of "
        "20 others"
    )
    again, other = (measured_on_test(None, PAIRS, seed, choosing=True) for seed in (0, 1))
    assert users_of(again.choosing) == choosing
    assert users_of(other.choosing) != choosing


def test_no_more_users_choose_than_are_judged(monkeypatch) -> None:
    monkeypatch.setattr(measured_pairs, "JUDGED_USERS", 7)
    measured = measured_on_test(None, PAIRS, 0, choosing=True)
    assert (len(users_of(measured.choosing)), len(users_of(measured.sought))) == (7, 33)


def test_one_user_chooses_and_is_measured_and_the_title_says_so() -> None:
    one = History.from_pairs([3, 3], [1, 2], 40, 30)
    measured = measured_on_test(PAIRS, one, 0, choosing=True)
    assert measured.sought is measured.choosing is one
    assert measured.exclude is PAIRS
    assert measured.title == "2 test pairs, on which the form of users was chosen too"


def test_a_tenth_of_the_interactions_is_held_out_and_never_an_only_pair() -> None:
    measured = measured_on_interactions(PAIRS, 0)
    assert len(measured.sought) == 30
    assert not len(shared_pair_keys(measured.sought, measured.exclude))
    assert keys_of(measured.sought) | keys_of(measured.exclude) == keys_of(PAIRS)
    assert users_of(measured.exclude) == users_of(PAIRS)
    assert measured.user_rows is None
    assert measured.fitted_anew
    assert "30 of the given interactions" in measured.title
    assert keys_of(measured_on_interactions(PAIRS, 0).sought) == keys_of(measured.sought)
    assert keys_of(measured_on_interactions(PAIRS, 1).sought) != keys_of(measured.sought)


@pytest.mark.parametrize(("pairs_each", "held_out"), [(1, 0), (2, 4)])
def test_users_keep_a_pair_however_few_they_have(pairs_each: int, held_out: int) -> None:
    users = np.repeat(np.arange(20), pairs_each)
    pairs = History.from_pairs(users, np.tile(np.arange(pairs_each), 20), 20, 5)
    measured = measured_on_interactions(pairs, 0)
    assert len(measured.sought) == held_out
    assert (measured.exclude.user_degrees() >= 1).all()


def test_no_pairs_at_all_are_none() -> None:
    assert not len(measured_on_interactions(History.from_pairs([], [], 4, 5), 0).sought)


def test_of_many_users_a_sample_is_measured(monkeypatch) -> None:
    monkeypatch.setattr(measured_pairs, "JUDGED_USERS", 7)
    measured = measured_on_interactions(PAIRS, 0)
    rows = measured.user_rows
    assert len(set(rows.tolist())) == 7 == measured.exclude.num_users
    found = keys_of(measured.sought) | keys_of(measured.exclude)
    expected = {
        (place, item) for place, row in enumerate(rows.tolist()) for item in PAIRS.of(row).tolist()
    }
    assert found == expected
