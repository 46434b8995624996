"""How the catalogue is encoded while the student learns."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from lightrec.codes.additive_quantization import encode
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import ItemMetric
from lightrec.encoder.composite_encoder import CompositeEncoder


class ItemEncoding(nn.Module):
    """What training and export need of an encoding of the catalogue."""

    def refresh(self) -> None:
        """Called at the start of every epoch; does nothing unless overridden."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, D) encodings y of item rows (n,), with their gradient."""
        raise NotImplementedError("an encoding turns item rows into vectors")

    def item_codes(self) -> ItemCodes:
        """The codes of the whole catalogue as they stand."""
        raise NotImplementedError("an encoding exports codes")


class RecurrentEncoding(ItemEncoding):
    """The paper's: one codebook after the other, chosen anew in every step (Eq. 7)."""

    def __init__(self, encoder: CompositeEncoder, items: torch.Tensor) -> None:
        """Encodes the frozen teacher vectors `items`, (N, D)."""
        super().__init__()
        self.encoder = encoder
        self.register_buffer("items", items, persistent=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, D) encodings of item rows (n,)."""
        vectors: torch.Tensor = self.encoder(self.get_buffer("items")[rows]).vectors
        return vectors

    def item_codes(self) -> ItemCodes:
        """Encodes the whole catalogue."""
        return self.encoder.item_codes(self.get_buffer("items"))


class JointEncoding(ItemEncoding):
    """All codebooks of an item chosen together, by beam search and ICM, once an epoch.

    Codebooks from additive quantisation are not ordered from coarse to fine, so choosing greedily
    among them would spoil them. Between two refreshes the codewords move under fixed codes, which
    gives the exact gradient and costs no search.
    """

    def __init__(
        self,
        encoder: CompositeEncoder,
        items: torch.Tensor,
        codes: np.ndarray,
        *,
        metric: ItemMetric,
        beam: int,
        icm_sweeps: int,
    ) -> None:
        """Starts from given codes.

        Args:
            encoder: Holds the codebooks.
            items: (N, D) frozen teacher vectors.
            codes: (N, B) uint8.
            metric: How an item's error is measured when codes are chosen.
            beam: Of the search at each refresh; 0 only refines the codes at hand.
            icm_sweeps: Of the search at each refresh.
        """
        super().__init__()
        self.encoder = encoder
        self._items = items.numpy()
        self._metric, self._beam, self._icm_sweeps = metric, beam, icm_sweeps
        self.register_buffer("codes", torch.from_numpy(codes.copy()))

    def refresh(self) -> None:
        """Chooses all codes anew; no item gets a worse one than it has."""
        present = self.item_codes()
        found = encode(
            self._items,
            present.codebooks,
            metric=self._metric,
            beam=self._beam,
            icm_sweeps=self._icm_sweeps,
            start=present.codes,
        )
        self.get_buffer("codes").copy_(torch.from_numpy(found.codes))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, D) encodings of item rows (n,)."""
        return self.encoder.compose(self.get_buffer("codes")[rows].long())

    def item_codes(self) -> ItemCodes:
        """The codes as they stand."""
        codes = self.get_buffer("codes").to("cpu", copy=True).numpy()
        return ItemCodes(codes, self.encoder.export())
