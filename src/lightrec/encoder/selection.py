"""How one codeword is chosen, and where the gradient goes.

Both selections return the most similar codeword in the forward pass; they differ in the backward
pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from lightrec.encoder.similarity import Bilinear, Euclidean

Similarity = Euclidean | Bilinear


@dataclass(frozen=True)
class Selected:
    """The outcome for a block of items.

    Attributes:
        words: (n, D) the chosen codewords.
        indices: (n,) int64 which they are.
    """

    words: torch.Tensor
    indices: torch.Tensor


class StraightThrough(nn.Module):
    """Tempered softmax with a straight-through gradient (Eq. 4 and 6): the paper's selection."""

    def __init__(self, temperature: float = 0.9) -> None:
        """Sets T of Eq. 4."""
        super().__init__()
        self.temperature = temperature

    def forward(
        self, states: torch.Tensor, codebook: torch.Tensor, similarity: nn.Module
    ) -> Selected:
        """Chooses for states (n, D) from a codebook (W, D)."""
        similarities = similarity(states, codebook)
        soft = torch.softmax(similarities / self.temperature, dim=1)  # Eq. 4
        indices = similarities.argmax(dim=1)
        one_hot = torch.zeros_like(soft).scatter_(1, indices[:, None], 1.0)
        chosen = soft + (one_hot - soft).detach()  # Eq. 6
        return Selected(chosen @ codebook, indices)


class Hard(nn.Module):
    """The exact gradient to the chosen codeword, and none through the choice.

    The straight-through gradient of the choice is biased: by itself it raises the distillation
    error that it should lower. Here the choice is made anew at every step and only its codewords
    move.
    """

    def forward(
        self, states: torch.Tensor, codebook: torch.Tensor, similarity: nn.Module
    ) -> Selected:
        """Chooses for states (n, D) from a codebook (W, D); the choice sees no gradient."""
        with torch.no_grad():
            indices = similarity(states, codebook).argmax(dim=1)
        return Selected(codebook[indices], indices)
