"""What the next codebook is given, once a codeword has been chosen (Eq. 7)."""

from __future__ import annotations

import torch
from torch import nn


class Subtract(nn.Module):
    """x - y: the next codebook encodes what is left over."""

    def forward(self, states: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """(n, D) next states from states and chosen words, both (n, D)."""
        return states - words


class SubtractDetached(nn.Module):
    """x - y with no gradient through it: each codebook answers for the total error alone."""

    def forward(self, states: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """(n, D) next states from states and chosen words, both (n, D)."""
        return (states - words).detach()
