"""Ranking losses by hand."""

import math

import pytest
import torch

from lightrec.training.losses import bpr_loss, l2_penalty


def test_bpr_is_the_mean_of_minus_log_sigmoid() -> None:
    positive = torch.tensor([1.0, 0.0])
    negative = torch.tensor([[0.0, 3.0], [0.0, -1.0]])
    differences = [1.0, -2.0, 0.0, 1.0]
    expected = sum(-math.log(1 / (1 + math.exp(-gap))) for gap in differences) / 4
    assert bpr_loss(positive, negative).item() == pytest.approx(expected, rel=1e-6)


def test_bpr_is_finite_where_the_sigmoid_underflows() -> None:
    lost = bpr_loss(torch.tensor([0.0]), torch.tensor([[1e4]]))
    assert lost.item() == pytest.approx(1e4)
    assert bpr_loss(torch.tensor([1e4]), torch.tensor([[0.0]])).item() == 0.0


def test_equal_scores_cost_log_two() -> None:
    assert bpr_loss(torch.zeros(3), torch.zeros(3, 2)).item() == pytest.approx(math.log(2))


def test_bpr_pushes_the_positive_up_and_the_negative_down() -> None:
    positive, negative = torch.zeros(1, requires_grad=True), torch.zeros(1, 1, requires_grad=True)
    bpr_loss(positive, negative).backward()
    assert positive.grad.item() == pytest.approx(-0.5)
    assert negative.grad.item() == pytest.approx(0.5)


def test_l2_is_half_the_squared_norm_per_pair() -> None:
    users, items = torch.tensor([[3.0, 4.0]]), torch.ones(1, 3, 2)
    assert l2_penalty(users, items, batch_size=2).item() == pytest.approx(0.5 * (25 + 6) / 2)
