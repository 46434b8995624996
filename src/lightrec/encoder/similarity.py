"""How similar an item is to each codeword of a codebook (Eq. 5 and its special cases).

Each similarity maps item states (n, D) and a codebook (W, D) to (n, W) similarities.
"""

from __future__ import annotations

import torch
from torch import nn


class Euclidean(nn.Module):
    """Negative squared distance; up to a constant per item, 2 <x, c> - |c|^2.

    Eq. 5 with constant w2 cannot express it: the term in the codeword is quadratic.
    """

    def forward(self, states: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
        """(n, W) similarities; |x|^2, which changes no choice, is left out."""
        return 2.0 * states @ codebook.T - codebook.square().sum(dim=1)


class Bilinear(nn.Module):
    """x' W c + <w2, c> (Eq. 5); <w1, x> is the same for all codewords, so it cannot matter."""

    def __init__(self, width: int, generator: torch.Generator | None = None) -> None:
        """Draws W from the Glorot normal distribution, as the authors do; w2 starts at zero."""
        super().__init__()
        spread = (1.0 / width) ** 0.5
        self.weight = nn.Parameter(torch.randn(width, width, generator=generator) * spread)
        self.codeword_weight = nn.Parameter(torch.zeros(width))

    def forward(self, states: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
        """(n, W) similarities."""
        return (states @ self.weight + self.codeword_weight) @ codebook.T
