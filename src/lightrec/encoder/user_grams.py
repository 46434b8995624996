"""The users' Gram matrices of IP-KD (Eq. 10), at a cost that their number does not change.

Eq. 9 runs over all users; written as Eq. 10 it needs only P1'P1, P1'P2 and P2'P2. P1'P1 never
changes. How the other two are kept depends on what moves P2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Grams:
    """P1'P1, P1'P2 and P2'P2, each divided by the number of users M.

    Attributes:
        teacher: (T, T) P1'P1 / M.
        cross: (T, D) P1'P2 / M.
        student: (D, D) P2'P2 / M.
    """

    teacher: torch.Tensor
    cross: torch.Tensor
    student: torch.Tensor

    @classmethod
    def of(cls, teacher: torch.Tensor, student: torch.Tensor) -> Grams:
        """From P1 (M, T) and P2 (M, D), with the gradient of both."""
        count = len(teacher)
        return cls(
            teacher.T @ teacher / count, teacher.T @ student / count, student.T @ student / count
        )


class TrackedGrams(nn.Module):
    """For users with vectors of their own, of whom a step moves those of its batch only.

    The matrices are right before every step: what the last one moved has been accounted for. Their
    gradient reaches the users of the batch, and is that of the whole sum for these.
    """

    def __init__(self, teacher: torch.Tensor, vectors: torch.Tensor) -> None:
        """Starts from P1, (M, T), and P2, (M, D)."""
        super().__init__()
        self.register_buffer("teacher", teacher, persistent=False)
        start = Grams.of(teacher, vectors.detach())
        self.register_buffer("square", start.teacher, persistent=False)
        self.register_buffer("cross", start.cross)
        self.register_buffer("student", start.student)
        self._before: tuple[torch.Tensor, torch.Tensor] | None = None

    @torch.no_grad()
    def refresh(self, vectors: torch.Tensor) -> None:
        """Computes both matrices anew, from all of P2, (M, D)."""
        fresh = Grams.of(self.get_buffer("teacher"), vectors.detach())
        self.get_buffer("cross").copy_(fresh.cross)
        self.get_buffer("student").copy_(fresh.student)

    def now(self, rows: torch.Tensor, vectors: torch.Tensor) -> Grams:
        """The matrices as they stand.

        Args:
            rows: (n,) int64 users of the batch, each once.
            vectors: (n, D) their vectors, whose gradient is wanted.
        """
        teacher, fixed = self.get_buffer("teacher"), vectors.detach()
        self._before = rows, fixed.clone()
        change = vectors - fixed  # zero, but for its gradient
        crossed = fixed.T @ change / len(teacher)
        return Grams(
            self.get_buffer("square"),
            self.get_buffer("cross") + teacher[rows].T @ change / len(teacher),
            self.get_buffer("student") + crossed + crossed.T,
        )

    @torch.no_grad()
    def after_step(self, vectors: torch.Tensor) -> None:
        """Accounts for what the step has moved in P2, (M, D): users of its batch at most."""
        if self._before is None:
            return
        teacher, (rows, before) = self.get_buffer("teacher"), self._before
        after, share = vectors.detach()[rows], 1.0 / len(teacher)
        self.get_buffer("cross").add_(teacher[rows].T @ (after - before), alpha=share)
        self.get_buffer("student").add_(after.T @ after - before.T @ before, alpha=share)
        self._before = None


class LinearGrams(nn.Module):
    """For P2 = W P1 + b: from P1'P1 and the mean of P1, exactly."""

    def __init__(self, teacher: torch.Tensor) -> None:
        """Keeps the second moment and the mean of P1, (M, T)."""
        super().__init__()
        self.register_buffer("square", teacher.T @ teacher / len(teacher), persistent=False)
        self.register_buffer("mean", teacher.mean(dim=0), persistent=False)

    def of(self, layer: nn.Linear) -> Grams:
        """The matrices under a layer as it stands, with their gradient to W and b."""
        weight, bias, mean = layer.weight, layer.bias, self.get_buffer("mean")
        teacher = self.get_buffer("square")
        cross = teacher @ weight.T + torch.outer(mean, bias)
        mapped = torch.outer(weight @ mean, bias)
        square = weight @ teacher @ weight.T
        student = square + mapped + mapped.T + torch.outer(bias, bias)
        return Grams(teacher, cross, student)


class SampledGrams(nn.Module):
    """For any other map of P1: an estimate from the same users at every step, drawn once."""

    USERS = 4_096

    def __init__(self, teacher: torch.Tensor) -> None:
        """Draws users of P1, (M, T), or takes all where there are fewer."""
        super().__init__()
        drawn = torch.randperm(len(teacher), generator=torch.Generator().manual_seed(0))
        sample = teacher[drawn[: self.USERS].sort().values]
        self.register_buffer("sample", sample, persistent=False)

    def of(self, users: nn.Module) -> Grams:
        """The matrices under a map as it stands, with their gradient to it."""
        sample = self.get_buffer("sample")
        return Grams.of(sample, users(sample))
