"""Recurrent composite encoding (Eq. 1, 4, 6 and 7): the paper's algorithm as a torch layer.

Example:
    encoder = CompositeEncoder(width=32)
    encoded = encoder(items)                        # items: (n, 32), from any network
    loss = task_loss(users @ encoded.vectors.T)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from lightrec.codes.item_codes import MAX_CODEWORDS, ItemCodes
from lightrec.encoder.recurrence import Subtract
from lightrec.encoder.selection import StraightThrough
from lightrec.encoder.similarity import Euclidean
from lightrec.errors import ArgumentError

BLOCK = 65_536  # items encoded at once outside training


@dataclass(frozen=True)
class Encoded:
    """Composite representations of a block of items.

    Attributes:
        vectors: (n, D) sums of the chosen codewords: y of Eq. 8.
        codes: (n, B) int64 chosen codewords.
    """

    vectors: torch.Tensor
    codes: torch.Tensor


class CompositeEncoder(nn.Module):
    """Turns item vectors into sums of codewords, one from each codebook."""

    def __init__(
        self,
        width: int,
        num_codebooks: int = 4,
        num_codewords: int = 256,
        *,
        similarity: Callable[[], nn.Module] = Euclidean,
        selection: nn.Module | None = None,
        recurrence: nn.Module | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        """Builds the encoder with Glorot-normal codebooks.

        Args:
            width: D, of items and codewords.
            num_codebooks: B, bytes per item.
            num_codewords: W, at most 256.
            similarity: Makes the similarity of one codebook; called once for each.
            selection: How a codeword is chosen; straight-through at T = 0.9 when None.
            recurrence: What the next codebook is given; x - y when None.
            generator: Source of the random codebooks.
        """
        super().__init__()
        if not 1 <= num_codewords <= MAX_CODEWORDS or num_codebooks < 1 or width < 1:
            raise ArgumentError(
                f"need width >= 1, num_codebooks >= 1, 1 <= num_codewords <= {MAX_CODEWORDS}"
            )
        spread = (2.0 / (num_codewords + width)) ** 0.5
        shape = (num_codebooks, num_codewords, width)
        self.codebooks = nn.Parameter(torch.randn(shape, generator=generator) * spread)
        self.similarities = nn.ModuleList(similarity() for _ in range(num_codebooks))
        self.select = selection or StraightThrough()
        self.recurrence = recurrence or Subtract()

    def forward(self, items: torch.Tensor) -> Encoded:
        """Encodes item vectors.

        Args:
            items: (n, D).
        """
        state, total, codes = items, torch.zeros_like(items), []
        for codebook, similarity in zip(self.codebooks, self.similarities, strict=True):
            chosen = self.select(state, codebook, similarity)  # Eq. 1, 4, 6
            total = total + chosen.words
            state = self.recurrence(state, chosen.words)  # Eq. 7
            codes.append(chosen.indices)
        return Encoded(total, torch.stack(codes, dim=1))

    def compose(self, codes: torch.Tensor) -> torch.Tensor:
        """Decodes given codes (Eq. 1), with the exact gradient to the codewords.

        Args:
            codes: (n, B) int64.

        Returns:
            (n, D).
        """
        words: Sequence[torch.Tensor] = [
            torch.nn.functional.embedding(codes[:, book], codebook)
            for book, codebook in enumerate(self.codebooks)
        ]
        return torch.stack(list(words)).sum(dim=0)

    def start_from(self, codebooks: np.ndarray) -> None:
        """Takes over codebooks, (B, W, D) float32, that a quantiser fitted."""
        if codebooks.shape != tuple(self.codebooks.shape):
            raise ArgumentError(
                f"the encoder's codebooks are {tuple(self.codebooks.shape)}, not {codebooks.shape}"
            )
        with torch.no_grad():
            self.codebooks.copy_(torch.from_numpy(codebooks))

    @torch.no_grad()
    def item_codes(self, items: torch.Tensor) -> ItemCodes:
        """The codes of all items, (N, D), with the codebooks as they stand."""
        blocks = [self(block).codes for block in torch.split(items, BLOCK)]
        return ItemCodes(torch.cat(blocks).to("cpu", torch.uint8).numpy(), self.export())

    def export(self) -> np.ndarray:
        """The codebooks as they stand, (B, W, D) float32, from whatever device and precision."""
        return self.codebooks.detach().to("cpu", torch.float32, copy=True).numpy()
