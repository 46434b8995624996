"""Distillation from the float teacher (Eq. 8-11), each as a mean, so that its weight has a meaning.

The paper sums over all users and tunes coefficients between 1e-10 and 1e-4; as means, weights of
the order of 1 mean the same on every data set.
"""

from __future__ import annotations

import torch

from lightrec.encoder.user_grams import Grams


def embedding_distillation(
    items: torch.Tensor, encoded: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """E-KD (Eq. 8): half the squared distance between an item and its encoding.

    Args:
        items: (n, D) teacher vectors q.
        encoded: (n, D) encodings y.
        weights: (n,) summing to 1.
    """
    return 0.5 * (weights * (items - encoded).square().sum(dim=1)).sum()


def inner_product_distillation(
    items: torch.Tensor,
    encoded: torch.Tensor,
    weights: torch.Tensor,
    grams: Grams,
) -> torch.Tensor:
    """IP-KD (Eq. 9, computed as Eq. 10): half the mean over users of (<p1, q> - <p2, y>)^2.

    Args:
        items: (n, T) teacher vectors q.
        encoded: (n, D) encodings y.
        weights: (n,) summing to 1.
        grams: P1'P1, P1'P2 and P2'P2, divided by M.
    """
    squared = (
        ((items @ grams.teacher) * items).sum(dim=1)
        - 2.0 * ((items @ grams.cross) * encoded).sum(dim=1)
        + ((encoded @ grams.student) * encoded).sum(dim=1)
    )
    return 0.5 * (weights * squared).sum()


def ranking_distillation(
    teacher_scores: torch.Tensor, student_scores: torch.Tensor, temperature: float = 0.5
) -> torch.Tensor:
    """R-KD (Eq. 11): mean cross entropy of the top-one probabilities over the negatives.

    Args:
        teacher_scores: (n, L) <p1, q> of each pair's negatives.
        student_scores: (n, L) <p2, y> of the same.
        temperature: T of Eq. 11.
    """
    teacher = torch.softmax(teacher_scores / temperature, dim=1)
    student = torch.log_softmax(student_scores / temperature, dim=1)
    return -(teacher * student).sum(dim=1).mean()
