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
from lightrec.encoder.recurrence import Recurrence, Subtract
from lightrec.encoder.selection import Selection, StraightThrough
from lightrec.encoder.similarity import CodebookShape, Euclidean, Similarity
from lightrec.errors import ArgumentError, InputError

BLOCK = 65_536  # items encoded at once outside training
ASIDE = 0.05  # how far a revived codeword stands from another, in the spread of its codebook


@dataclass(frozen=True)
class Encoded:
    """Composite representations of a block of items.

    Attributes:
        vectors: (n, D) sums of the chosen codewords: y of Eq. 8.
        codes: (n, B) int64 chosen codewords.
        penalty: Scalar that the selection adds to the loss in training; None for nothing.
    """

    vectors: torch.Tensor
    codes: torch.Tensor
    penalty: torch.Tensor | None = None


class CompositeEncoder(nn.Module):
    """Turns item vectors into sums of codewords, one from each codebook."""

    def __init__(
        self,
        width: int,
        num_codebooks: int = 4,
        num_codewords: int = 256,
        *,
        word_width: int | None = None,
        similarity: Callable[[CodebookShape, torch.Generator | None], Similarity] = Euclidean,
        selection: Selection | None = None,
        recurrence: Callable[[CodebookShape], Recurrence] = Subtract,
        generator: torch.Generator | None = None,
    ) -> None:
        """Builds the encoder with Glorot-normal codebooks.

        Args:
            width: Of items.
            num_codebooks: B, bytes per item.
            num_codewords: W, at most 256.
            word_width: D, of codewords and encodings; that of items when None.
            similarity: Makes the similarity of one codebook; called once for each.
            selection: How a codeword is chosen; straight-through at T = 0.9 when None.
            recurrence: Makes what tells the next codebook its state.
            generator: Source of random parameters.

        Raises:
            ArgumentError: A size is out of range, or a part needs items and codewords of one width.
        """
        super().__init__()
        word_width = width if word_width is None else word_width
        if not 1 <= num_codewords <= MAX_CODEWORDS or min(num_codebooks, width, word_width) < 1:
            raise ArgumentError(
                f"need widths >= 1, num_codebooks >= 1, 1 <= num_codewords <= {MAX_CODEWORDS}"
            )
        self.width = width
        shape = CodebookShape(num_codewords, width, word_width)
        spread = (2.0 / (num_codewords + word_width)) ** 0.5
        size = (num_codebooks, num_codewords, word_width)
        self.codebooks = nn.Parameter(torch.randn(size, generator=generator) * spread)
        self.similarities = nn.ModuleList(
            similarity(shape, generator) for _ in range(num_codebooks)
        )
        self.select = selection or StraightThrough()
        self.recurrence = recurrence(shape)

    def forward(self, items: torch.Tensor) -> Encoded:
        """Encodes item vectors.

        Args:
            items: (..., width).

        Returns:
            Vectors (..., D) and codes (..., B).

        Raises:
            ArgumentError: Items have another width.
        """
        if not items.ndim or items.shape[-1] != self.width:
            raise ArgumentError(
                f"the encoder takes items (..., {self.width}), not {tuple(items.shape)}"
            )
        if items.ndim != 2:
            flat: Encoded = self(items.reshape(-1, self.width))
            around = items.shape[:-1]
            return Encoded(
                flat.vectors.view(*around, -1), flat.codes.view(*around, -1), flat.penalty
            )
        state, chosen_words, codes, penalties = items, [], [], []
        for codebook, similarity in zip(self.codebooks, self.similarities, strict=True):
            chosen = self.select(state, codebook, similarity)  # Eq. 1, 4, 6
            state = self.recurrence(state, chosen.words)  # Eq. 7
            chosen_words.append(chosen.words)
            codes.append(chosen.indices)
            if chosen.penalty is not None:
                penalties.append(chosen.penalty)
        total = self.select.passed_on(items, torch.stack(chosen_words).sum(dim=0))
        penalty = torch.stack(penalties).sum() if penalties else None
        return Encoded(total, torch.stack(codes, dim=1), penalty)

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
        """Takes over codebooks, (B, W, D) float32, that a quantiser fitted.

        Raises:
            ArgumentError: The shape is another, or a codeword is not finite.
        """
        if codebooks.shape != tuple(self.codebooks.shape):
            raise ArgumentError(
                f"the encoder's codebooks are {tuple(self.codebooks.shape)}, not {codebooks.shape}"
            )
        if not np.isfinite(codebooks).all():
            raise ArgumentError("the codebooks hold a value that is not finite")
        with torch.no_grad():
            self.codebooks.copy_(torch.from_numpy(codebooks))
        for module, codebook in zip(self.similarities, self.codebooks, strict=True):
            assert isinstance(module, Similarity)
            module.start_from(codebook)

    @torch.no_grad()
    def item_codes(self, items: torch.Tensor) -> ItemCodes:
        """The codes of all items, (N, width), with the codebooks as they stand.

        Raises:
            InputError: An item is not finite.
        """
        finite = torch.isfinite(items).all(dim=1)
        if not finite.all():
            row = int((~finite).nonzero()[0])
            raise InputError(f"item row {row} holds a value that is not finite")
        blocks = [self(block).codes for block in torch.split(items, BLOCK)]
        return ItemCodes(torch.cat(blocks).to("cpu", torch.uint8).numpy(), self.export())

    @torch.no_grad()
    def revive(self, items: torch.Tensor, generator: torch.Generator) -> int:
        """Gives codewords that no item uses a new life.

        As the state of some item, where codewords live among items; else beside another codeword,
        the likelier the more items use it, which hands some of them over as the two move apart.

        Args:
            items: (N, width), the whole catalogue.
            generator: Draws items, codewords, and the small step to the side.

        Returns:
            How many codewords were moved.
        """
        num_words = self.codebooks.shape[1]
        codes = torch.cat([self(block).codes for block in torch.split(items, BLOCK)])
        drawn = torch.randperm(len(items), generator=generator)[:num_words].to(items.device)
        states, moved = items[drawn], 0
        for book, similarity in enumerate(self.similarities):
            assert isinstance(similarity, Similarity)
            codebook = self.codebooks[book]
            counts = torch.bincount(codes[:, book], minlength=num_words)
            dead = (counts == 0).nonzero().ravel()
            words = codebook[codes[drawn, book]]
            if similarity.in_item_space:
                dead = dead[: len(states)]
                codebook[dead] = states[: len(dead)]
            elif len(dead):
                chances = counts.float().cpu()
                drawn_words = torch.multinomial(chances, len(dead), True, generator=generator)
                source = drawn_words.to(dead.device)
                aside = torch.randn(len(dead), codebook.shape[1], generator=generator)
                codebook[dead] = codebook[source] + ASIDE * codebook.std() * aside.to(codebook)
                similarity.copy_words(dead, source)
            moved += len(dead)
            states = self.recurrence(states, words)
        return moved

    def export(self) -> np.ndarray:
        """The codebooks as they stand, (B, W, D) float32, from whatever device and precision."""
        return self.codebooks.detach().to("cpu", torch.float32, copy=True).numpy()
