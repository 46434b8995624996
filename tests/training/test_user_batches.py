"""Batches of users: all their pairs once an epoch, in their places, the same draws in any order."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions.history import History
from lightrec.training.user_batches import UserBatch, UserBatches

FIELDS = ("users", "pair_users", "pair_items", "items", "draws")


def batches_of(history: History, **changes) -> UserBatches:
    sizes = {"users_per_batch": 3, "num_negatives": 5, "seed": 0}
    return UserBatches(history, **(sizes | changes))


def same(first: UserBatch, second: UserBatch) -> bool:
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in FIELDS)


def pairs_of(batch: UserBatch) -> list[tuple[int, int]]:
    users, items = batch.users[batch.pair_users], batch.items[batch.pair_items]
    return list(zip(users.tolist(), items.tolist(), strict=True))


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Few pairs, so that users without one are common; some users have everything."""
    num_users, num_items = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    pair = st.tuples(st.integers(0, num_users - 1), st.integers(0, num_items - 1))
    pairs = draw(st.lists(pair, min_size=1, max_size=20))
    if draw(st.booleans()):
        pairs += [(0, item) for item in range(num_items)]
    users, items = zip(*pairs, strict=True)
    return History.from_pairs(np.array(users), np.array(items), num_users, num_items)


@settings(max_examples=50)
@given(histories(), st.integers(1, 12), st.integers(0, 5))
def test_every_pair_of_every_user_comes_once_an_epoch(
    history: History, users_per_batch: int, epoch: int
) -> None:
    batches = batches_of(history, users_per_batch=users_per_batch)
    active = np.flatnonzero(history.user_degrees()).tolist()
    assert batches.steps_per_epoch == math.ceil(len(active) / users_per_batch)
    made = [batches.batch(epoch, step) for step in range(batches.steps_per_epoch)]
    assert all(len(batch.users) == users_per_batch for batch in made[:-1])
    assert sorted(user for batch in made for user in batch.users.tolist()) == active
    expected = zip(history.user_rows().tolist(), history.item_rows.tolist(), strict=True)
    assert sorted(pair for batch in made for pair in pairs_of(batch)) == sorted(expected)


@settings(max_examples=50)
@given(histories(), st.integers(1, 12), st.integers(1, 9), st.integers(0, 99))
def test_places_point_where_they_should(
    history: History, users_per_batch: int, num_negatives: int, seed: int
) -> None:
    batches = batches_of(
        history, users_per_batch=users_per_batch, num_negatives=num_negatives, seed=seed
    )
    for step in range(batches.steps_per_epoch):
        batch = batches.batch(2, step)
        assert sorted(batch.pair_users.tolist()) == batch.pair_users.tolist()
        for place, user in enumerate(batch.users.tolist()):
            liked = batch.items[batch.pair_items[batch.pair_users == place]].tolist()
            assert liked == history.of(user).tolist()
        items = batch.items.tolist()
        assert items == sorted(set(items))
        assert 0 <= items[0] <= items[-1] < history.num_items
        assert batch.draws.sum() == num_negatives
        drawn = batch.items[batch.draws > 0].tolist()
        assert set(items) == set(drawn) | {item for _, item in pairs_of(batch)}


def test_types_are_what_torch_looks_up_with(history) -> None:
    batch = batches_of(history).batch(0, 0)
    kinds = {name: getattr(batch, name).dtype for name in FIELDS}
    assert kinds.pop("draws") == torch.float32
    assert set(kinds.values()) == {torch.int64}


def test_negatives_are_uniform_over_the_whole_catalogue() -> None:
    """A user's own items too: other users of the batch need them as negatives."""
    history = History.from_pairs(np.zeros(7, np.int64), np.arange(7), 2, 20)
    batches = batches_of(history, num_negatives=50)
    counts = np.zeros(20)
    for epoch in range(40):
        batch = batches.batch(epoch, 0)
        counts[batch.items.numpy()] += batch.draws.numpy()
    expected = 40 * 50 / 20
    assert ((counts - expected) ** 2 / expected).sum() < 43.8  # 19 degrees of freedom, p = .001


def test_draws_depend_on_seed_epoch_and_step_alone(history) -> None:
    places = [(epoch, step) for epoch in range(3) for step in range(7)]
    in_order = batches_of(history)
    first = {place: in_order.batch(*place) for place in places}
    np.random.default_rng(0).shuffle(places)
    torch.manual_seed(123)  # the global generator has no say
    other = batches_of(history)
    for place in places + places[::-1]:
        assert same(other.batch(*place), first[place]), place


def test_seeds_and_epochs_order_users_differently(history) -> None:
    def order(batches: UserBatches, epoch: int) -> list[int]:
        made = (batches.batch(epoch, step) for step in range(batches.steps_per_epoch))
        return [user for batch in made for user in batch.users.tolist()]

    batches = batches_of(history)
    orders = [order(batches, 0), order(batches, 1), order(batches_of(history, seed=1), 0)]
    assert len({tuple(each) for each in orders}) == 3
    assert list(range(20)) not in orders


def test_seeds_epochs_and_steps_draw_different_negatives(history) -> None:
    def drawn(batches: UserBatches, epoch: int, step: int) -> tuple[float, ...]:
        batch = batches.batch(epoch, step)
        draws = torch.zeros(history.num_items)
        draws[batch.items] = batch.draws
        return tuple(draws.tolist())

    batches = batches_of(history, num_negatives=20)
    other = batches_of(history, num_negatives=20, seed=1)
    draws = {drawn(batches, 0, 0), drawn(batches, 0, 1), drawn(batches, 1, 0), drawn(other, 0, 0)}
    assert len(draws) == 4


@pytest.mark.parametrize("sizes", [{"users_per_batch": 0}, {"num_negatives": 0}])
def test_refuses_sizes_that_are_not_positive(history, sizes: dict[str, int]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(sizes))):
        batches_of(history, **sizes)


def test_refuses_a_history_without_a_pair() -> None:
    nothing = History.from_pairs(np.zeros(0, int), np.zeros(0, int), 3, 4)
    with pytest.raises(InputError, match="no training pairs"):
        batches_of(nothing)
