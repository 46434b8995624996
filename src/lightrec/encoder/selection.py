"""How one codeword is chosen, and where the gradient goes.

All selections return the most similar codeword in the forward pass; they differ in the backward
pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

from lightrec.encoder.similarity import Similarity
from lightrec.errors import ArgumentError


def most_similar(similarities: torch.Tensor) -> torch.Tensor:
    """(n,) int64 the codeword of the highest similarity, the first of equals; of (n, W)."""
    found = similarities.detach()
    if found.device.type == "cpu" and found.dtype == torch.float32:
        return torch.from_numpy(found.numpy().argmax(axis=1))  # a tenth of the time of torch's
    return found.argmax(dim=1)


@dataclass(frozen=True)
class Selected:
    """The outcome for a block of items.

    Attributes:
        words: (n, D) the chosen codewords.
        indices: (n,) int64 which they are.
        penalty: Scalar that training adds to its loss; None for nothing.
    """

    words: torch.Tensor
    indices: torch.Tensor
    penalty: torch.Tensor | None = None


class Selection(nn.Module):
    """What an encoder needs of a selection."""

    def passed_on(self, items: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        """What the rest of the network sees of items (n, S): the sum of words (n, D) by default."""
        del items
        return total

    def start_epoch(self, done: float) -> None:
        """Told which share of training lies behind, 0 to 1; nothing by default."""

    def forward(
        self, states: torch.Tensor, codebook: torch.Tensor, similarity: Similarity
    ) -> Selected:
        """Chooses for states (n, S) from a codebook (W, D)."""
        raise NotImplementedError("a selection chooses a codeword for every state")


class StraightThrough(Selection):
    """Tempered softmax with a straight-through gradient (Eq. 4 and 6): the paper's selection."""

    def __init__(self, temperature: float = 0.9, final_temperature: float | None = None) -> None:
        """Sets T of Eq. 4.

        Args:
            temperature: At the start.
            final_temperature: At the end, reached geometrically; the same when None.

        Raises:
            ArgumentError: A temperature is not positive and finite.
        """
        super().__init__()
        self.first = temperature
        self.last = temperature if final_temperature is None else final_temperature
        if not (0 < self.first < math.inf and 0 < self.last < math.inf):
            raise ArgumentError(
                f"temperatures must be positive and finite: {self.first}, {self.last}"
            )
        # A buffer, so that a run taken up again amid an epoch goes on at the same temperature.
        self.register_buffer("temperature", torch.tensor(self.first))

    def start_epoch(self, done: float) -> None:
        """Cools down, or warms up."""
        self.get_buffer("temperature").fill_(self.first * (self.last / self.first) ** done)

    def forward(
        self, states: torch.Tensor, codebook: torch.Tensor, similarity: Similarity
    ) -> Selected:
        """Chooses for states (n, S) from a codebook (W, D)."""
        similarities = similarity(states, codebook)
        indices = most_similar(similarities)
        temperature = self.get_buffer("temperature")
        words = _ChosenWords.apply(  # type: ignore[no-untyped-call]
            similarities, codebook, indices, temperature
        )
        return Selected(words, indices)


class _ChosenWords(torch.autograd.Function):
    """`chosen @ codebook` with `chosen = soft + stop_gradient(one_hot - soft)` (Eq. 4 and 6).

    Forwards that is the chosen codeword, to the bit. Backwards the codebook gets the gradient of
    the one-hot choice and the similarities that of the soft one. Written out, a step passes over
    matrices of n by W half as often as the formula would.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch has no type for it
        similarities: torch.Tensor,
        codebook: torch.Tensor,
        indices: torch.Tensor,
        temperature: torch.Tensor,
    ) -> torch.Tensor:
        ctx.save_for_backward(similarities, codebook, indices, temperature)
        return F.embedding(indices, codebook)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        *gradients: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        similarities, codebook, indices, temperature = ctx.saved_tensors
        of_words = gradients[0]
        of_codebook = torch.zeros_like(codebook).index_add_(0, indices, of_words)
        # In mixed precision similarities and codebook differ in type; the softmax wants 32 bits.
        precise = torch.promote_types(similarities.dtype, torch.float32)
        soft = similarities.to(precise) / temperature
        torch.softmax(soft, dim=1, out=soft)  # Eq. 4
        of_choice = (of_words @ codebook.T).to(precise)
        of_choice -= torch.linalg.vecdot(of_choice, soft)[:, None]
        of_similarities = of_choice.mul_(soft).div_(temperature).to(similarities.dtype)
        return of_similarities, of_codebook, None, None


class IdentityStraightThrough(Selection):
    """The codewords forwards, the item's own gradient backwards: as if nothing had been chosen.

    The gradient does not reach the codebooks, so a penalty pulls every chosen codeword to its
    state, and items, where they are trained, to their codewords (van den Oord, Vinyals and
    Kavukcuoglu, "Neural discrete representation learning", NeurIPS 2017, Eq. 3). The codewords
    that the recurrence subtracts have no gradient, so that all codebooks pull at the item.
    """

    def __init__(self, commitment: float = 0.25) -> None:
        """Sets beta, what the pull on the states counts beside that on the codewords.

        Raises:
            ArgumentError: It is negative or not finite.
        """
        super().__init__()
        if not 0 <= commitment < math.inf:
            raise ArgumentError(f"commitment must be finite and not negative: {commitment}")
        self.commitment = commitment

    def forward(
        self, states: torch.Tensor, codebook: torch.Tensor, similarity: Similarity
    ) -> Selected:
        """Chooses for states (n, D) from a codebook (W, D)."""
        similarity.shape.require_one_width("the identity straight-through gradient")
        with torch.no_grad():
            indices = most_similar(similarity(states, codebook))
        words = codebook[indices]
        pull = (states.detach() - words).square().sum(dim=1)
        pull = pull + self.commitment * (states - words.detach()).square().sum(dim=1)
        return Selected(words.detach(), indices, pull.mean())

    def passed_on(self, items: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        """The sum of words, with the gradient of the items."""
        return items + (total - items).detach()


class Hard(Selection):
    """The exact gradient to the chosen codeword, and none through the choice.

    The straight-through gradient of the choice is biased: by itself it raises the distillation
    error that it should lower. Here the choice is made anew at every step and only its codewords
    move.
    """

    def forward(
        self, states: torch.Tensor, codebook: torch.Tensor, similarity: Similarity
    ) -> Selected:
        """Chooses for states (n, S) from a codebook (W, D); the choice sees no gradient."""
        with torch.no_grad():
            indices = most_similar(similarity(states, codebook))
        return Selected(codebook[indices], indices)
