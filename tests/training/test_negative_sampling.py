"""Batches: every pair once, never a training pair as negative, the same draws in any order."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions.history import History
from lightrec.teachers.bpr import BprConfig, BprFactorization
from lightrec.training import negative_sampling
from lightrec.training.negative_sampling import Batch, PairBatches


def batches_of(history: History, **changes) -> PairBatches:
    sizes = {"batch_size": 7, "num_negatives": 3, "pool_size": None, "seed": 0}
    return PairBatches(history, **(sizes | changes))


def same(first: Batch, second: Batch) -> bool:
    return all(
        torch.equal(getattr(first, name), getattr(second, name))
        for name in ("users", "positives", "negatives")
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Few items, so that many users are dense and some have everything."""
    num_users, num_items = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    pair = st.tuples(st.integers(0, num_users - 1), st.integers(0, num_items - 1))
    pairs = draw(st.lists(pair, min_size=1, max_size=40))
    full = draw(st.sampled_from([None, 0]))
    if full is not None:
        pairs += [(full, item) for item in range(num_items)]
    users, items = zip(*pairs, strict=True)
    return History.from_pairs(np.array(users), np.array(items), num_users, num_items)


@settings(deadline=None, max_examples=150)
@given(histories(), st.sampled_from([None, 1, 2, 5, 100]), st.integers(1, 12), st.integers(0, 99))
def test_a_negative_is_never_a_training_pair(
    history: History, pool_size: int | None, batch_size: int, seed: int
) -> None:
    batches = batches_of(history, pool_size=pool_size, batch_size=batch_size, seed=seed)
    for step in range(batches.steps_per_epoch):
        batch = batches.batch(1, step)
        assert batch.negatives.shape == (len(batch.users), 3)
        assert batch.negatives.min() >= 0
        assert batch.negatives.max() < history.num_items
        for user, positive, negatives in zip(
            batch.users.tolist(), batch.positives.tolist(), batch.negatives.tolist(), strict=True
        ):
            own = set(history.of(user).tolist())
            assert positive in own
            if len(own) == history.num_items:
                assert negatives == [positive] * 3
            else:
                assert not own & set(negatives)


@settings(deadline=None, max_examples=50)
@given(histories(), st.integers(1, 12), st.integers(0, 5))
def test_every_training_pair_is_a_positive_once_an_epoch(
    history: History, batch_size: int, epoch: int
) -> None:
    batches = batches_of(history, batch_size=batch_size)
    assert batches.steps_per_epoch == math.ceil(len(history) / batch_size)
    seen = []
    for step in range(batches.steps_per_epoch):
        batch = batches.batch(epoch, step)
        assert len(batch.users) <= batch_size
        seen += list(zip(batch.users.tolist(), batch.positives.tolist(), strict=True))
    expected = zip(history.user_rows().tolist(), history.item_rows.tolist(), strict=True)
    assert sorted(seen) == sorted(expected)


def test_draws_depend_on_seed_epoch_and_step_alone(history) -> None:
    places = [(epoch, step) for epoch in range(3) for step in range(4)]
    in_order = batches_of(history, batch_size=32, pool_size=10)
    first = {place: in_order.batch(*place) for place in places}
    np.random.default_rng(0).shuffle(places)
    torch.manual_seed(123)  # the global generator has no say
    other = batches_of(history, batch_size=32, pool_size=10)
    for place in places + places[::-1]:
        assert same(other.batch(*place), first[place]), place


def test_seeds_epochs_and_steps_draw_differently(history) -> None:
    batches = batches_of(history, batch_size=32)
    reference = batches.batch(0, 0)
    other_seed = batches_of(history, batch_size=32, seed=1).batch(0, 0)
    for other in (batches.batch(1, 0), batches.batch(0, 1), other_seed):
        # By chance one pair in a hundred and one negative in thirty agree.
        assert (reference.positives == other.positives).float().mean() < 0.2
        assert (reference.negatives == other.negatives).float().mean() < 0.2


def test_negatives_are_uniform_over_the_items_without_a_pair() -> None:
    # Dense enough that most draws are rejected, so that both ways of choosing take part.
    history = History.from_pairs(np.zeros(16, np.int64), np.arange(16), 1, 20)
    for redraws in (negative_sampling.REDRAWS, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(negative_sampling, "REDRAWS", redraws)
            batches = batches_of(history, batch_size=16, num_negatives=20)
            drawn = torch.cat([batches.batch(epoch, 0).negatives.ravel() for epoch in range(25)])
        counts = torch.bincount(drawn, minlength=20)
        assert counts[:16].sum() == 0
        chi_squared = ((counts[16:] - len(drawn) / 4) ** 2 / (len(drawn) / 4)).sum()
        assert chi_squared < 16.3  # 3 degrees of freedom, p = .001


def test_a_pool_bounds_the_number_of_different_negatives(history) -> None:
    batch = batches_of(history, batch_size=100, num_negatives=5, pool_size=12).batch(0, 0)
    assert len(batch.negatives.unique()) <= 12
    free = batches_of(history, batch_size=100, num_negatives=5).batch(0, 0)
    assert len(free.negatives.unique()) > 20


def test_batches_draw_different_pools(history) -> None:
    batches = batches_of(history, batch_size=50, num_negatives=5, pool_size=12)
    pools = [set(batches.batch(0, step).negatives.unique().tolist()) for step in (0, 1)]
    assert pools[0] != pools[1]


@pytest.mark.parametrize("pool_size", [None, 3])
def test_a_user_with_every_item_gives_a_constant_loss_and_no_gradient(pool_size) -> None:
    history = History.from_pairs(np.zeros(6, np.int64), np.arange(6), 1, 6)
    config = BprConfig(width=3, l2=0.0)
    model = BprFactorization(1, 6, config, seed=0)
    batch = batches_of(history, batch_size=6, pool_size=pool_size).batch(0, 0)
    losses = model(batch)
    losses["loss"].backward()
    assert losses["bpr"].item() == pytest.approx(math.log(2))
    for parameter in model.parameters():
        assert parameter.grad.abs().max() < 1e-7


def test_refuses_sizes_that_are_not_positive(history) -> None:
    for fault in ({"batch_size": 0}, {"num_negatives": 0}, {"pool_size": 0}):
        with pytest.raises(ArgumentError, match="positive"):
            batches_of(history, **fault)


def test_refuses_a_history_of_nothing() -> None:
    with pytest.raises(InputError, match="no training pairs"):
        batches_of(History.from_pairs([], [], 2, 3))
