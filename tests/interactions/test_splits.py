import logging
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions import (
    Interactions,
    Split,
    leave_last_out,
    paper_split,
    time_split,
    validation_split,
)


@st.composite
def interactions(draw: st.DrawFn, min_pairs: int = 1) -> Interactions:
    pair = st.tuples(st.integers(0, 8), st.integers(0, 12))
    pairs = draw(st.lists(pair, min_size=min_pairs, unique=True))
    times = draw(st.lists(st.integers(0, 20), min_size=len(pairs), max_size=len(pairs)))
    users, items = zip(*pairs, strict=True)
    return Interactions.from_table({"user": users, "item": items, "time": times})


def check_partition(whole: Interactions, split: Split) -> None:
    train, test = (set(part.pair_keys().tolist()) for part in (split.train, split.test))
    assert not train & test
    assert train | test == set(whole.pair_keys().tolist())
    assert split.train.items is split.test.items is whole.items
    assert split.train.users is split.test.users is whole.users


def degrees(part: Interactions) -> np.ndarray:
    return part.history().user_degrees()


def same(first: Split, second: Split) -> bool:
    return first.test.digest() == second.test.digest()


@given(interactions(), st.integers(0, 3), st.sampled_from([0.5, 0.8, 0.9]))
def test_paper_split_gives_every_user_the_rounded_share(
    whole: Interactions, seed: int, share: float
) -> None:
    split = paper_split(whole, seed, share)
    check_partition(whole, split)
    expected = [round(share * int(degree)) for degree in degrees(whole)]
    assert degrees(split.train).tolist() == expected
    assert same(split, paper_split(whole, seed, share))


@given(interactions(), st.integers(0, 3), st.sampled_from([0.1, 0.3, 0.9]))
def test_validation_leaves_every_user_a_pair(whole: Interactions, seed: int, share: float) -> None:
    split = validation_split(whole, seed, share)
    check_partition(whole, split)
    assert (degrees(split.train) >= 1).all()
    possible = len(whole) - len(whole.users)
    assert len(split.test) == min(round(share * len(whole)), possible)
    assert same(split, validation_split(whole, seed, share))


@given(interactions(), st.integers(1, 4))
def test_leave_last_out_takes_the_latest(whole: Interactions, n: int) -> None:
    split = leave_last_out(whole, n)
    check_partition(whole, split)
    assert degrees(split.test).tolist() == [min(n, int(d) - 1) for d in degrees(whole)]
    assert split.train.timestamps is not None
    assert split.test.timestamps is not None
    for user in range(len(whole.users)):
        tested = split.test.timestamps[split.test.user_rows == user]
        if len(tested):
            assert split.train.timestamps[split.train.user_rows == user].max() <= tested.min()


@given(interactions(min_pairs=5), st.sampled_from([0.2, 0.5]))
def test_time_split_cuts_once_for_all(whole: Interactions, share: float) -> None:
    try:
        split = time_split(whole, share)
    except InputError as error:
        assert "too many pairs share the latest time" in str(error)
        return
    check_partition(whole, split)
    assert split.train.timestamps is not None
    assert split.test.timestamps is not None
    assert split.train.timestamps.max() < split.test.timestamps.min()
    assert 0 < len(split.test) <= round(share * len(whole))


def grid(num_users: int, num_items: int) -> Interactions:
    users = np.repeat(np.arange(num_users), num_items)
    items = np.tile(np.arange(num_items), num_users)
    return Interactions.from_table({"user": users, "item": items})


def test_paper_split_is_uniform_and_depends_on_the_seed() -> None:
    whole = grid(200, 10)
    drawn = sum(paper_split(whole, seed).test.history().item_degrees() for seed in range(20))
    # 20 x 200 users test on 2 of 10 items: 800 draws an item, standard deviation about 25.
    assert np.abs(drawn - 800).max() < 110
    assert not same(paper_split(whole, 0), paper_split(whole, 1))


def test_validation_split_is_uniform_over_pairs() -> None:
    whole = Interactions.from_table({"user": [0] * 90 + [1] * 10, "item": [*range(90), *range(10)]})
    small = [int(degrees(validation_split(whole, seed).test)[1]) for seed in range(400)]
    assert abs(np.mean(small) - 1) < 0.2  # 10 of 100 pairs, 10 pairs held out
    assert len(set(small)) > 2


def test_one_seed_gives_unrelated_splits() -> None:
    whole = Interactions.from_table({"user": [0] * 1000, "item": range(1000)})
    for seed in range(3):
        held_out, tested = (split(whole, seed).test for split in (validation_split, paper_split))
        both = np.intersect1d(held_out.pair_keys(), tested.pair_keys())
        assert abs(len(both) - 20) < 20  # 100 and 200 of 1,000, independently


def test_seeds_are_not_negative() -> None:
    for split in (validation_split, paper_split):
        with pytest.raises(ArgumentError, match="negative: -1"):
            split(grid(2, 2), -1)


def test_rounding_is_to_even() -> None:
    # 0.5 * 5 = 2.5 -> 2 and 0.5 * 3 = 1.5 -> 2
    whole = Interactions.from_table({"user": [0] * 5 + [1] * 3, "item": [*range(5), *range(3)]})
    assert degrees(paper_split(whole, 0, 0.5).train).tolist() == [2, 2]


def test_ties_at_the_cut_stay_in_training() -> None:
    whole = Interactions.from_table(
        {"user": range(10), "item": [0] * 10, "time": [0, 1, 2, 3, 4, 5, 6, 7, 7, 9]}
    )
    split = time_split(whole, 0.2)
    assert split.test.users.ids(split.test.user_rows) == [9]
    assert split.cold_users == 1
    assert split.cold_items == 0
    assert "1 users and 0 items" in split.describe()
    assert "the cut is at 7" in split.describe()


def test_time_split_needs_different_times() -> None:
    table = {"user": range(10), "item": [0] * 10, "time": [1] * 10}
    with pytest.raises(InputError, match="share the latest time"):
        time_split(Interactions.from_table(table))
    with pytest.raises(InputError, match="too few"):
        time_split(Interactions.from_table({"user": [1], "item": [1], "time": [1]}))


def test_leave_last_out_warns_of_the_leak(caplog: pytest.LogCaptureFixture) -> None:
    whole = Interactions.from_table({"user": [1, 1], "item": [1, 2], "time": [1, 2]})
    with caplog.at_level(logging.WARNING, "lightrec"):
        split = leave_last_out(whole)
    assert "later than other users' test pairs" in caplog.text
    assert "leave-last-out" in split.describe()


def test_times_are_needed() -> None:
    for split in (time_split, leave_last_out):
        with pytest.raises(InputError, match=r"needs timestamps.*--timestamp-column"):
            split(grid(2, 2))


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_shares_lie_between_0_and_1(share: float) -> None:
    whole = grid(2, 2)
    for split in (
        partial(paper_split, whole, 0, share),
        partial(validation_split, whole, 0, share),
        partial(time_split, whole, share),
    ):
        with pytest.raises(ArgumentError, match="between 0 and 1"):
            split()
    with pytest.raises(ArgumentError, match="at least 1"):
        leave_last_out(whole, 0)
