"""How the catalogue is encoded while the student learns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lightrec.codes.additive_quantization import encode
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import ItemMetric
from lightrec.codes.trained_selection import TrainedSelection
from lightrec.encoder.composite_encoder import CompositeEncoder
from lightrec.encoder.exported_selection import exported_selection
from lightrec.training.negative_sampling import generator_of

REVIVAL = 1 << 31  # in the place of a step, so that revivals draw from a stream of their own


@dataclass(frozen=True)
class EncodedItems:
    """Some items of the catalogue.

    Attributes:
        vectors: (n, D) encodings y, with their gradient.
        items: (n, T) float vectors q that are encoded; with a gradient where items are trained.
        penalty: Scalar that the selection adds to the loss; None for nothing.
    """

    vectors: torch.Tensor
    items: torch.Tensor
    penalty: torch.Tensor | None = None


class ItemEncoding(nn.Module):
    """What training and export need of an encoding of the catalogue."""

    encoder: CompositeEncoder

    revived = 0
    """Codewords that have been given a new life so far."""

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Called at the start of every epoch, from 0, of so many; nothing by default."""

    def forward(self, rows: torch.Tensor) -> EncodedItems:
        """Encodes item rows (n,), each given once."""
        raise NotImplementedError("an encoding turns item rows into vectors")

    def item_codes(self, rows: torch.Tensor | None = None) -> ItemCodes:
        """The codes of some rows, or the whole catalogue, as they stand."""
        raise NotImplementedError("an encoding exports codes")

    def chosen_by(self) -> TrainedSelection | ItemMetric:
        """What chooses codes as they are chosen here, for new items, without torch."""
        raise NotImplementedError("an encoding tells how codes are chosen")


class RecurrentEncoding(ItemEncoding):
    """The paper's: one codebook after the other, chosen anew in every step (Eq. 7)."""

    def __init__(
        self,
        encoder: CompositeEncoder,
        items: torch.Tensor,
        *,
        trained: bool = False,
        revive_every: int = 0,
        seed: int = 0,
    ) -> None:
        """Encodes teacher vectors.

        Args:
            encoder: Holds the codebooks.
            items: (N, T), where training starts from, or what stays.
            trained: Whether the item vectors are parameters.
            revive_every: Epochs between two revivals of unused codewords; 0 never.
            seed: Of the revivals.
        """
        super().__init__()
        self.encoder = encoder
        if trained:
            self.items = nn.Parameter(items.clone())
        else:
            self.register_buffer("items", items, persistent=False)
        self._revive_every, self._seed = revive_every, seed

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Tells the selection how far training is, and revives codewords where that is due."""
        self.encoder.select.start_epoch(epoch / max(epochs - 1, 1))
        if self._revive_every and epoch and epoch % self._revive_every == 0:
            generator = generator_of(self._seed, epoch, REVIVAL)
            self.revived += self.encoder.revive(self._items.detach(), generator)

    def forward(self, rows: torch.Tensor) -> EncodedItems:
        """Encodes item rows (n,), each given once."""
        items = F.embedding(rows, self._items, sparse=self._items.requires_grad)
        encoded = self.encoder(items)
        return EncodedItems(encoded.vectors, items, encoded.penalty)

    def item_codes(self, rows: torch.Tensor | None = None) -> ItemCodes:
        """Encodes some rows, or the whole catalogue."""
        items = self._items.detach()
        return self.encoder.item_codes(items if rows is None else items[rows])

    def chosen_by(self) -> TrainedSelection:
        """The encoder, as it stands."""
        return exported_selection(self.encoder)

    @property
    def _items(self) -> torch.Tensor:
        return self.items if isinstance(self.items, nn.Parameter) else self.get_buffer("items")


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
        refresh_every: int = 1,
    ) -> None:
        """Starts from given codes.

        Args:
            encoder: Holds the codebooks.
            items: (N, D) frozen teacher vectors.
            codes: (N, B) uint8.
            metric: How an item's error is measured when codes are chosen.
            beam: Of the search at each refresh; 0 only refines the codes at hand.
            icm_sweeps: Of the search at each refresh.
            refresh_every: Epochs between two refreshes; 0 keeps the codes.
        """
        super().__init__()
        self.encoder = encoder
        self.register_buffer("items", items, persistent=False)
        self._metric, self._beam, self._icm_sweeps = metric, beam, icm_sweeps
        self._refresh_every = refresh_every
        self.register_buffer("codes", torch.from_numpy(codes.copy()))

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Chooses all codes anew where that is due; no item gets a worse one than it has."""
        if not self._refresh_every or epoch % self._refresh_every:
            return
        present = self.item_codes()
        found = encode(
            self.get_buffer("items").cpu().numpy(),
            present.codebooks,
            metric=self._metric,
            beam=self._beam,
            icm_sweeps=self._icm_sweeps,
            start=present.codes,
        )
        self.get_buffer("codes").copy_(torch.from_numpy(found.codes))

    def forward(self, rows: torch.Tensor) -> EncodedItems:
        """Encodes item rows (n,), each given once."""
        codes = self.get_buffer("codes")[rows].long()
        return EncodedItems(self.encoder.compose(codes), self.get_buffer("items")[rows])

    def item_codes(self, rows: torch.Tensor | None = None) -> ItemCodes:
        """The codes as they stand, of some rows or of all."""
        held = self.get_buffer("codes")
        codes = (held if rows is None else held[rows]).to("cpu", copy=True).numpy()
        return ItemCodes(codes, self.encoder.export())

    def chosen_by(self) -> ItemMetric:
        """The metric in which all codebooks of an item are chosen together."""
        return self._metric
