"""An embedding layer whose rows are sums of codewords: a drop-in for `torch.nn.Embedding`.

Example:
    items = CompositeEmbedding(num_items, 64)       # was: nn.Embedding(num_items, 64)
    scores = users @ items(rows).T                  # trained by whatever loss there is
    items.item_codes()                              # four bytes an item, to be searched
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from lightrec.codes.item_codes import ItemCodes
from lightrec.encoder.composite_encoder import CompositeEncoder, Encoded
from lightrec.errors import ArgumentError


class CompositeEmbedding(nn.Module):
    """A table of float vectors, seen by the rest of the network through their codes only.

    Attributes:
        num_embeddings: N.
        embedding_dim: Width of the float vectors.
        padding_idx: The row that stands for nothing, as in `torch.nn.Embedding`; None for none.
        weight: (N, D) float vectors that are encoded; needed in training, not in serving.
        encoder: Turns them into sums of codewords.
        penalty: What the selection adds to the loss for the rows of the latest call; None where it
            adds nothing. Codebooks of `IdentityStraightThrough` learn from it alone.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        num_codebooks: int = 4,
        num_codewords: int = 256,
        *,
        padding_idx: int | None = None,
        sparse: bool = False,
        generator: torch.Generator | None = None,
        **parts: Any,  # noqa: ANN401
    ) -> None:
        """Draws float vectors and codebooks.

        Args:
            num_embeddings: N, rows of the table.
            embedding_dim: Width of its vectors.
            num_codebooks: B, bytes per item.
            num_codewords: W, at most 256.
            padding_idx: A row whose vector is zero and learns nothing. It has a code like any
                other, which a search should leave out.
            sparse: Whether the table's gradient is sparse, as in `torch.nn.Embedding`.
            generator: Source of random parameters.
            parts: Similarity, selection and so on, as for `CompositeEncoder`.

        Raises:
            ArgumentError: A size or `padding_idx` is out of range.
        """
        super().__init__()
        if num_embeddings < 1:
            raise ArgumentError(f"num_embeddings must be at least 1, not {num_embeddings}")
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ArgumentError(f"padding_idx {padding_idx} is no row of {num_embeddings}")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.encoder = CompositeEncoder(
            embedding_dim, num_codebooks, num_codewords, generator=generator, **parts
        )
        drawn = torch.randn(num_embeddings, embedding_dim, generator=generator)
        # As long as what the random codebooks can add up to.
        spread = (2.0 * num_codebooks / (num_codewords + embedding_dim)) ** 0.5
        self.weight = nn.Parameter(spread * drawn)
        self.sparse = sparse
        self.penalty: torch.Tensor | None = None

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Composite vectors of some rows.

        Args:
            rows: Integers of any shape, 0 to N - 1.

        Returns:
            The same shape with one more axis, of the codewords' width.
        """
        different, places = torch.unique(rows, return_inverse=True)
        encoded = self.encode(different)
        self.penalty, vectors = encoded.penalty, encoded.vectors
        if self.padding_idx is not None:
            vectors = vectors.masked_fill((different == self.padding_idx)[:, None], 0.0)
        return F.embedding(places, vectors)

    def __getstate__(self) -> dict[str, Any]:
        """Without the penalty, whose graph can be neither copied nor pickled."""
        return self.__dict__ | {"penalty": None}

    def encode(self, rows: torch.Tensor) -> Encoded:
        """Vectors, codes and the selection's penalty of rows (n,)."""
        encoded: Encoded = self.encoder(F.embedding(rows, self.weight, sparse=self.sparse))
        return encoded

    def item_codes(self) -> ItemCodes:
        """The codes of all rows as they stand."""
        return self.encoder.item_codes(self.weight.detach())
