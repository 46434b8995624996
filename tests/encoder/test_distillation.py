"""Distillation losses against their definitions, written out."""

import math

import pytest
import torch

from lightrec.encoder.distillation import (
    embedding_distillation,
    inner_product_distillation,
    ranking_distillation,
)
from lightrec.encoder.user_grams import Grams

USERS, ITEMS, WIDTH = 13, 6, 4


def draws(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


TEACHER, STUDENT = draws(USERS, WIDTH, seed=1), draws(USERS, WIDTH, seed=2)
VECTORS, ENCODED = draws(ITEMS, WIDTH, seed=3), draws(ITEMS, WIDTH, seed=4)
WEIGHTS = torch.tensor([0.3, 0.1, 0.1, 0.2, 0.25, 0.05]).double()


def test_inner_product_distillation_is_the_double_loop() -> None:
    expected = 0.0
    for q, y, weight in zip(VECTORS, ENCODED, WEIGHTS, strict=True):
        squares = [float(p1 @ q - p2 @ y) ** 2 for p1, p2 in zip(TEACHER, STUDENT, strict=True)]
        expected += 0.5 * float(weight) * sum(squares) / USERS
    found = inner_product_distillation(VECTORS, ENCODED, WEIGHTS, Grams.of(TEACHER, STUDENT))
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_inner_product_distillation_has_the_loops_gradient() -> None:
    encoded, student = ENCODED.clone().requires_grad_(), STUDENT.clone().requires_grad_()
    grams = Grams.of(TEACHER, student)
    inner_product_distillation(VECTORS, encoded, WEIGHTS, grams).backward()
    found = encoded.grad.clone(), student.grad.clone()
    encoded.grad = student.grad = None
    difference = VECTORS @ TEACHER.T - encoded @ student.T
    (0.5 * (WEIGHTS * difference.square().mean(dim=1)).sum()).backward()
    torch.testing.assert_close(found[0], encoded.grad)
    torch.testing.assert_close(found[1], student.grad)


def test_inner_product_distillation_is_zero_where_all_scores_agree() -> None:
    found = inner_product_distillation(VECTORS, VECTORS, WEIGHTS, Grams.of(TEACHER, TEACHER))
    assert found.item() == pytest.approx(0.0, abs=1e-12)


def test_embedding_distillation_is_half_the_weighted_squared_distance() -> None:
    expected = sum(
        0.5 * float(weight) * sum((float(a) - float(b)) ** 2 for a, b in zip(q, y, strict=True))
        for q, y, weight in zip(VECTORS, ENCODED, WEIGHTS, strict=True)
    )
    found = embedding_distillation(VECTORS, ENCODED, WEIGHTS)
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_ranking_distillation_by_hand() -> None:
    # At T = 0.5: teacher e^2 : e^0 for two negatives, student equal, so the cross entropy is log 2;
    # second pair: teacher equal, student e^2 : e^0.
    teacher = torch.tensor([[1.0, 0.0], [3.0, 3.0]])
    student = torch.tensor([[7.0, 7.0], [1.0, 0.0]])
    high = math.exp(2) / (math.exp(2) + 1)
    second = -0.5 * math.log(high) - 0.5 * math.log(1 - high)
    expected = (math.log(2) + second) / 2
    assert ranking_distillation(teacher, student).item() == pytest.approx(expected, rel=1e-6)


def test_ranking_distillation_is_least_where_the_distributions_agree() -> None:
    teacher = draws(5, 6, seed=7)
    probabilities = torch.softmax(teacher / 0.5, dim=1)
    entropy = -(probabilities * probabilities.log()).sum(dim=1).mean()
    assert ranking_distillation(teacher, teacher).item() == pytest.approx(entropy.item())
    shifted = teacher + draws(5, 1, seed=8)  # a shift within a pair's negatives changes nothing
    assert ranking_distillation(teacher, shifted).item() == pytest.approx(entropy.item())
    other = draws(5, 6, seed=9)
    assert ranking_distillation(teacher, other) > entropy + 0.1


def test_the_temperature_is_that_of_equation_11() -> None:
    teacher, student = draws(3, 4, seed=1), draws(3, 4, seed=2)
    found = ranking_distillation(teacher, student, temperature=2.0)
    assert found.item() == pytest.approx(ranking_distillation(teacher / 4, student / 4).item())
