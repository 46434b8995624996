"""The sampled-softmax teacher: loss and gradient by hand, its start, and that it learns."""

import math

import numpy as np
import pytest
import torch

from lightrec.errors import ConfigError, DivergedError
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import FloatScorer, PopularityScorer
from lightrec.interactions import History, Interactions, Split, paper_split
from lightrec.interactions.synthetic import synthetic_catalogue
from lightrec.settings import validated
from lightrec.teachers import sampled_softmax
from lightrec.teachers.sampled_softmax import (
    SampledSoftmax,
    SampledSoftmaxConfig,
    degree_weights,
    spectral_start,
    train_sampled_softmax,
)
from lightrec.training.loop import Validation
from lightrec.training.user_batches import UserBatch

CONFIG = SampledSoftmaxConfig(width=3, temperature=0.3, history_share=0.4, degree_power=0.25)
LIKED = {0: [1, 4], 1: [0, 2, 4], 3: [5]}  # user 2 has nothing
# Item 4 is a positive of both users and drawn twice, 2 is user 1's own, 1 was not drawn at all.
USERS, DRAWN = [1, 0], [4, 6, 2, 4, 3, 6, 6]


@pytest.fixture(scope="module")
def history() -> History:
    users, items = zip(*((u, i) for u, liked in LIKED.items() for i in liked), strict=True)
    return History.from_pairs(np.array(users), np.array(items), 4, 7)


@pytest.fixture(scope="module")
def split() -> Split:
    data = synthetic_catalogue(300, 200, seed=0, pairs_per_user=20)
    return paper_split(Interactions.from_table(data.interactions), seed=0)


def batch_of(users: list[int], drawn: list[int]) -> UserBatch:
    items = sorted({item for user in users for item in LIKED[user]} | set(drawn))
    degrees = [len(LIKED[user]) for user in users]
    return UserBatch(
        users=torch.tensor(users),
        pair_users=torch.tensor([place for place, n in enumerate(degrees) for _ in range(n)]),
        pair_items=torch.tensor([items.index(item) for user in users for item in LIKED[user]]),
        items=torch.tensor(items),
        draws=torch.tensor([float(drawn.count(item)) for item in items]),
    )


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def mixed_by_hand(users, items, user: int, config: SampledSoftmaxConfig) -> np.ndarray:
    """Part free, part the direction of the sum of the unit vectors of what the user likes."""
    free = (1 - config.history_share) * unit(users[user])
    if user not in LIKED:
        return unit(free)
    liked = sum(unit(items[item]) for item in LIKED[user])
    return unit(free + config.history_share * unit(liked))


def length(item: int, config: SampledSoftmaxConfig, share: float = 0.5) -> float:
    """How much a popular item is stretched; an item that nobody likes counts as half a pair."""
    degrees = [max(sum(item in liked for liked in LIKED.values()), 0.5) for item in range(7)]
    return (degrees[item] / np.mean(degrees)) ** (share * config.popularity_power)


def loss_by_hand(users, items, config: SampledSoftmaxConfig) -> float:
    """One drawn item after the other, as often as it was drawn; the users' own are no rivals."""
    total = 0.0
    mean_degree = (2 + 3 + 1 + 1) / 4  # nobody counts as less than one
    for user in USERS:
        mine = mixed_by_hand(users, items, user, config)
        weight = (len(LIKED[user]) / mean_degree) ** -config.degree_power
        for positive in LIKED[user]:
            rivals = 0.0
            for drawn in DRAWN:
                if drawn not in LIKED[user]:
                    mine_of = {
                        i: mine @ unit(items[i]) * length(i, config) for i in (drawn, positive)
                    }
                    gap = mine_of[drawn] - mine_of[positive]
                    rivals += math.exp(gap / config.temperature)
            total += weight * math.log(1 + rivals)
    return total / len(USERS)


def model_of(history: History, **changes) -> SampledSoftmax:
    """In double precision, with vectors that are not of unit length."""
    model = SampledSoftmax(history, CONFIG.model_copy(update=changes), seed=1).double()
    rng = np.random.default_rng(2)
    with torch.no_grad():
        for table in (model.users, model.items):
            table.copy_(torch.from_numpy(rng.normal(size=tuple(table.shape))))
    return model


def tables(model: SampledSoftmax) -> tuple[np.ndarray, np.ndarray]:
    return model.users.detach().numpy().copy(), model.items.detach().numpy().copy()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"degree_power": 0.0},
        {"temperature": 0.05},
        {"history_share": 0.0},
        {"popularity_power": 0.8},
    ],
)
def test_the_loss_by_hand(history, changes: dict[str, float]) -> None:
    model = model_of(history, **changes)
    losses = model(batch_of(USERS, DRAWN))
    assert set(losses) == {"loss"}
    expected = loss_by_hand(*tables(model), model.config)
    assert losses["loss"].item() == pytest.approx(expected, rel=1e-6)  # weights are float32


def test_the_gradient_is_that_of_finite_differences(history) -> None:
    model = model_of(history)
    model(batch_of(USERS, DRAWN))["loss"].backward()
    both, step = tables(model), 1e-6
    for table, parameter in zip(both, (model.users, model.items), strict=True):
        assert parameter.grad.is_sparse
        slopes = np.zeros_like(table)
        for place in np.ndindex(table.shape):
            ends = []
            for sign in (1, -1):
                table[place] += sign * step
                ends.append(loss_by_hand(*both, model.config))
                table[place] -= sign * step
            slopes[place] = (ends[0] - ends[1]) / (2 * step)
        assert np.abs(slopes).max() > 0.1
        np.testing.assert_allclose(parameter.grad.to_dense(), slopes, rtol=1e-5, atol=1e-7)


def test_an_item_that_a_user_likes_is_no_rival_but_of_others(history) -> None:
    """Drawing more of what both like changes nothing; what one of them likes, only the other."""
    model = model_of(history)
    loss = model(batch_of(USERS, DRAWN))["loss"].item()
    assert model(batch_of(USERS, [*DRAWN, 4, 4, 4]))["loss"].item() == pytest.approx(loss, rel=1e-9)
    assert model(batch_of(USERS, [*DRAWN, 2]))["loss"].item() > loss * (1 + 1e-6)


def test_a_user_who_likes_all_that_was_drawn_has_a_finite_gradient(history) -> None:
    """Where few negatives are drawn, a user may have no rival: item 1 is another's, not drawn."""
    model = model_of(history)
    losses = model(batch_of(USERS, [4, 2]))
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    assert torch.isfinite(model.users.grad.to_dense()).all()
    assert torch.isfinite(model.items.grad.to_dense()).all()


def test_a_user_with_every_item_has_nothing_to_learn() -> None:
    everything = History.from_pairs(np.zeros(6, int), np.arange(6), 1, 6)
    model = SampledSoftmax(everything, CONFIG, seed=0)
    train_sampled_softmax(model, everything, seed=0, stop_after=2)
    assert torch.isfinite(model.users).all()
    assert torch.isfinite(model.items).all()


def test_factors_are_unit_users_stretched_items_and_the_mix_that_the_loss_scores_by(
    history,
) -> None:
    model = SampledSoftmax(history, CONFIG, seed=1)
    with torch.no_grad():
        model.users.mul_(3.0)
        model.items.mul_(0.2)
    users, items = tables(model)
    factors = model.factors()
    expected = [mixed_by_hand(users, items, user, CONFIG) for user in range(4)]
    np.testing.assert_allclose(factors.users, expected, atol=1e-6)
    stretched = [unit(item) * length(row, CONFIG, 1.0) for row, item in enumerate(items)]
    np.testing.assert_allclose(factors.items, stretched, atol=1e-6)
    assert factors.users.dtype == factors.items.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(factors.users, axis=1), 1.0, rtol=1e-6)


def test_factors_do_not_follow_later_training(history) -> None:
    model = SampledSoftmax(history, CONFIG, seed=1)
    factors = model.factors()
    before = factors.users.copy(), factors.items.copy()
    with torch.no_grad():
        model.users.zero_()
        model.items.zero_()
    assert np.array_equal(factors.users, before[0])
    assert np.array_equal(factors.items, before[1])


def test_pairs_of_users_with_many_weigh_less(history) -> None:
    weights = degree_weights(history, 0.5)
    assert weights.dtype == np.float32
    expected = [(n / 1.75) ** -0.5 for n in (2, 3, 1, 1)]  # user 2 has none and counts as one
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert degree_weights(history, 0.0).tolist() == [1.0] * 4
    total = degree_weights(history, 1.0)[[0, 1, 3]] * [2, 3, 1]  # at power 1 all weigh the same
    np.testing.assert_allclose(total, 1.75, rtol=1e-6)


def normalised(pairs: History) -> np.ndarray:
    """D_u^-1/2 X D_i^-1/2, entry by entry."""
    matrix = np.zeros((pairs.num_users, pairs.num_items))
    for user, item in zip(pairs.user_rows(), pairs.item_rows, strict=True):
        degrees = pairs.user_degrees()[user] * pairs.item_degrees()[item]
        matrix[user, item] = degrees**-0.5
    return matrix


def against_svd(pairs: History, width: int) -> tuple[float, float]:
    """Largest deviation of users and of items from numpy's SVD; axes may change sign together."""
    left, strengths, right = np.linalg.svd(normalised(pairs), full_matrices=False)
    assert strengths[width - 1] - strengths[width : width + 1].sum() > 1e-3  # an axis to be found
    users, items = spectral_start(pairs, width, np.random.default_rng(0))
    assert (users.dtype, items.dtype) == (np.float32, np.float32)
    roots = np.sqrt(strengths[:width])
    exact = [
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for rows in (left[:, :width] * roots, right[:width].T * roots)
    ]
    signs = np.sign((items * exact[1]).sum(axis=0))
    return np.abs(users * signs - exact[0]).max(), np.abs(items * signs - exact[1]).max()


def test_starts_with_the_truncated_svd() -> None:
    rng = np.random.default_rng(4)
    for seen in (rng.random((12, 9)) < 0.5, rng.random((9, 14)) < 0.6):
        pairs = History.from_pairs(*np.nonzero(seen), *seen.shape)
        assert np.linalg.matrix_rank(normalised(pairs)) == min(seen.shape)
        for width in (1, 4, min(seen.shape)):
            assert max(against_svd(pairs, width)) < 0.02  # the noise is not nothing


def test_finds_the_leading_axes_of_a_matrix_larger_than_its_probe(monkeypatch) -> None:
    """Four groups of users and items and a little disorder: four axes stand out of eighty."""
    monkeypatch.setattr(sampled_softmax, "START_NOISE", 0.0)
    rng = np.random.default_rng(6)
    user_groups, item_groups = np.sort(rng.integers(0, 4, 120)), np.sort(rng.integers(0, 4, 80))
    chance = np.where(user_groups[:, None] == item_groups, np.linspace(0.4, 0.9, 80), 0.02)
    seen = rng.random((120, 80)) < chance
    pairs = History.from_pairs(*np.nonzero(seen), 120, 80)
    assert max(against_svd(pairs, 4)) < 2e-3


def test_where_the_rank_ends_there_is_a_little_noise() -> None:
    """Three users alike, two items alike: of rank 1, so that all but one number is noise."""
    pairs = History.from_pairs(np.repeat([0, 1, 2], 2), np.tile([0, 1], 3), 4, 3)
    for width in (2, 6, 40):
        users, items = spectral_start(pairs, width, np.random.default_rng(0))
        assert (users.shape, items.shape) == ((4, width), (3, width))
        for rows, known in ((users, 3), (items, 2)):
            np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, rtol=1e-5)
            np.testing.assert_allclose(np.abs(rows[:known, 0]), 1.0, atol=1e-4)
            assert np.abs(rows[:known, 1:]).max() < 0.01
        assert not np.array_equal(items[0], items[1])  # alike, and yet able to part
        assert not np.array_equal(users[0], users[1])


def trained(split: Split, config: SampledSoftmaxConfig, seed: int = 0) -> SampledSoftmax:
    pairs = split.train.history()
    model = SampledSoftmax(pairs, config, seed)
    train_sampled_softmax(model, pairs, seed=seed)
    return model


SMALL = SampledSoftmaxConfig(
    evaluate_start=True, popularity_power=0.0, width=16, epochs=8, batch_size=64, num_negatives=64
)


def quality(split: Split, model: SampledSoftmax) -> dict[str, float]:
    factors = model.factors()
    scorer = FloatScorer(factors.users, factors.items)
    return evaluate_ranking(scorer, split.train.history(), split.test.history(), threads=1).means


def test_beats_popularity_clearly_and_its_own_start(split) -> None:
    exclude, test = split.train.history(), split.test.history()
    popular = PopularityScorer(exclude.item_degrees())
    baseline = evaluate_ranking(popular, exclude, test, threads=1).means
    learned = quality(split, trained(split, SMALL))
    start = quality(split, SampledSoftmax(exclude, SMALL, seed=0))
    assert learned["recall@20"] > 1.8 * baseline["recall@20"]
    assert learned["ndcg@10"] > 2.5 * baseline["ndcg@10"]
    assert learned["ndcg"] > 1.02 * start["ndcg"]


def test_learns_from_a_start_that_knows_nothing(split, monkeypatch) -> None:
    def noise(history: History, width: int, rng: np.random.Generator):
        rows = history.num_users, history.num_items
        return tuple(rng.standard_normal((each, width), np.float32) / 4 for each in rows)

    monkeypatch.setattr(sampled_softmax, "spectral_start", noise)
    exclude = split.train.history()
    config = SMALL.model_copy(update={"epochs": 40})
    before = quality(split, SampledSoftmax(exclude, config, seed=0))
    assert quality(split, trained(split, config))["recall@20"] > 4 * before["recall@20"]


def test_a_seed_decides_every_byte(split) -> None:
    config = SMALL.model_copy(update={"epochs": 2})
    first, same, other = (trained(split, config, seed).factors() for seed in (4, 4, 5))
    assert first.users.tobytes() == same.users.tobytes()
    assert first.items.tobytes() == same.items.tobytes()
    assert first.items.tobytes() != other.items.tobytes()
    pairs = split.train.history()
    model = SampledSoftmax(pairs, config, seed=4)
    train_sampled_softmax(model, pairs, seed=5)  # the same start, other batches
    assert first.items.tobytes() != model.factors().items.tobytes()


def test_the_global_generators_have_no_say(split) -> None:
    config = SMALL.model_copy(update={"epochs": 1})
    made = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - what is tested is that nobody asks it
        made.append(trained(split, config).factors().items.tobytes())
    assert made[0] == made[1]


def test_stops_early_and_trains_again_for_the_epochs_found(split) -> None:
    pairs = split.train.history()
    config = SMALL.model_copy(update={"epochs": 9, "evaluate_every": 1, "patience": 2})
    model = SampledSoftmax(pairs, config, seed=0)
    script = iter([0.1, 0.2, 0.3, 0.25, 0.2])
    validation = Validation(lambda: {"quality": next(script)}, lambda metrics: metrics["quality"])
    result = train_sampled_softmax(model, pairs, seed=0, validation=validation)
    assert result.epochs == 2
    again = SampledSoftmax(pairs, config, seed=0)
    train_sampled_softmax(again, pairs, seed=0, stop_after=result.epochs)
    assert torch.equal(again.users, model.users)
    assert torch.equal(again.items, model.items)


def test_batches_have_the_configured_size(split, monkeypatch) -> None:
    sizes = []

    class Watched(SampledSoftmax):
        def forward(self, batch: UserBatch) -> dict[str, torch.Tensor]:
            sizes.append((len(batch.users), int(batch.draws.sum())))
            return super().forward(batch)

    pairs = split.train.history()
    config = SMALL.model_copy(update={"epochs": 1, "batch_size": 130, "num_negatives": 33})
    train_sampled_softmax(Watched(pairs, config, seed=0), pairs, seed=0)
    assert sizes == [(130, 33), (130, 33), (40, 33)]


def test_an_impossible_learning_rate_is_named(split) -> None:
    pairs = split.train.history()
    model = SampledSoftmax(pairs, SMALL.model_copy(update={"learning_rate": 3e38}), seed=0)
    with pytest.raises(DivergedError, match=r"sampled-softmax teacher: .*not finite"):
        train_sampled_softmax(model, pairs, seed=0)


@pytest.mark.parametrize(
    "settings",
    [
        {"width": 0},
        {"temperature": 0},
        {"history_share": 1},  # nothing of the user's own would be left to train
        {"history_share": -0.1},
        {"num_negatives": 0},
        {"degree_power": 1.5},
        {"kind": "bpr"},
    ],
)
def test_refuses_settings_out_of_range(settings: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        validated(SampledSoftmaxConfig, settings, "run.toml")
