"""The BPR teacher: its gradient by hand, its determinism, and that it learns."""

import numpy as np
import pytest
import torch

from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import FloatScorer, PopularityScorer
from lightrec.interactions import Interactions, Split, paper_split
from lightrec.interactions.synthetic import synthetic_catalogue
from lightrec.teachers.bpr import BprConfig, BprFactorization, train_bpr
from lightrec.training.loop import Validation
from lightrec.training.negative_sampling import Batch

# One item is a positive and a negative of the same batch, one user occurs twice.
BATCH = Batch(
    torch.tensor([1, 0, 1]),
    torch.tensor([4, 2, 2]),
    torch.tensor([[0, 2], [4, 3], [0, 0]]),
)


@pytest.fixture(scope="module")
def split() -> Split:
    data = synthetic_catalogue(300, 200, seed=0, pairs_per_user=20)
    return paper_split(Interactions.from_table(data.interactions), seed=0)


def trained(split: Split, config: BprConfig, seed: int = 0) -> BprFactorization:
    history = split.train.history()
    model = BprFactorization(history.num_users, history.num_items, config, seed)
    train_bpr(model, history, seed=seed)
    return model


def test_loss_and_gradient_by_hand() -> None:
    config = BprConfig(width=3, l2=0.05)
    model = BprFactorization(2, 5, config, seed=1).double()
    users, items = (p.detach().numpy().copy() for p in (model.users, model.items))
    loss, user_gradient, item_gradient = 0.0, np.zeros_like(users), np.zeros_like(items)
    for u, i, negatives in zip(
        BATCH.users.tolist(), BATCH.positives.tolist(), BATCH.negatives.tolist(), strict=True
    ):
        for j in negatives:  # mean of -log sigmoid(<p, q_i - q_j>) over six differences
            gap = items[i] - items[j]
            sigmoid = 1 / (1 + np.exp(-users[u] @ gap))
            loss -= np.log(sigmoid) / 6
            user_gradient[u] -= (1 - sigmoid) * gap / 6
            item_gradient[i] -= (1 - sigmoid) * users[u] / 6
            item_gradient[j] += (1 - sigmoid) * users[u] / 6
        loss += 0.05 * 0.5 * (users[u] ** 2).sum() / 3  # L2 on every vector that the pair uses
        user_gradient[u] += 0.05 * users[u] / 3
        for item in [i, *negatives]:
            loss += 0.05 * 0.5 * (items[item] ** 2).sum() / 3
            item_gradient[item] += 0.05 * items[item] / 3
    losses = model(BATCH)
    losses["loss"].backward()
    assert losses["loss"].item() == pytest.approx(loss, rel=1e-10)
    np.testing.assert_allclose(model.users.grad, user_gradient, rtol=1e-9)
    np.testing.assert_allclose(model.items.grad, item_gradient, rtol=1e-9)


def test_without_l2_the_loss_is_bpr_alone() -> None:
    losses = BprFactorization(2, 5, BprConfig(width=3, l2=0.0), seed=1)(BATCH)
    assert losses["loss"].item() == losses["bpr"].item()


def test_beats_popularity_clearly(split) -> None:
    exclude, test = split.train.history(), split.test.history()
    config = BprConfig(width=16, epochs=25, learning_rate=0.01, batch_size=256)
    factors = trained(split, config).factors()
    scorer = FloatScorer(factors.users, factors.items)
    learned = evaluate_ranking(scorer, exclude, test, threads=1).means
    popular = PopularityScorer(exclude.item_degrees())
    baseline = evaluate_ranking(popular, exclude, test, threads=1).means
    assert learned["recall@20"] > 1.5 * baseline["recall@20"]
    assert learned["ndcg@10"] > 2 * baseline["ndcg@10"]
    assert learned["ndcg"] > 1.3 * baseline["ndcg"]


def test_a_seed_decides_every_byte(split) -> None:
    config = BprConfig(width=8, epochs=2, learning_rate=0.01, batch_size=512)
    first, same, other = (trained(split, config, seed).factors() for seed in (4, 4, 5))
    assert first.users.tobytes() == same.users.tobytes()
    assert first.items.tobytes() == same.items.tobytes()
    assert first.items.tobytes() != other.items.tobytes()
    history = split.train.history()
    model = BprFactorization(history.num_users, history.num_items, config, seed=4)
    train_bpr(model, history, seed=5)  # the same start, other batches
    assert first.items.tobytes() != model.factors().items.tobytes()


def test_stops_early_and_trains_again_for_the_epochs_found(split) -> None:
    history = split.train.history()
    config = BprConfig(
        width=8, epochs=9, learning_rate=0.01, batch_size=512, evaluate_every=1, patience=2
    )
    model = BprFactorization(history.num_users, history.num_items, config, seed=0)
    script = iter([0.1, 0.2, 0.3, 0.25, 0.2])
    validation = Validation(lambda: {"quality": next(script)}, lambda metrics: metrics["quality"])
    result = train_bpr(model, history, seed=0, validation=validation)
    assert result.epochs == 2
    again = BprFactorization(history.num_users, history.num_items, config, seed=0)
    train_bpr(again, history, seed=0, stop_after=result.epochs)
    assert torch.equal(again.users, model.users)
    assert torch.equal(again.items, model.items)


def test_starts_with_the_glorot_spread() -> None:
    model = BprFactorization(1_000, 3_000, BprConfig(width=32), seed=0)
    assert model.users.std().item() == pytest.approx((2 / 1_032) ** 0.5, rel=0.02)
    assert model.items.std().item() == pytest.approx((2 / 3_032) ** 0.5, rel=0.02)


def test_factors_do_not_follow_later_training() -> None:
    model = BprFactorization(3, 4, BprConfig(width=2), seed=0)
    factors = model.factors()
    before = factors.users.copy(), factors.items.copy()
    with torch.no_grad():
        model.users.zero_()
        model.items.zero_()
    assert np.array_equal(factors.users, before[0])
    assert np.array_equal(factors.items, before[1])
