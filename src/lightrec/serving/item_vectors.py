"""The catalogue as vectors that new users are fitted to: decoded from the codes, or float."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Protocol

import numpy as np

from lightrec.codes.item_codes import ItemCodes

_ITEMS_AT_ONCE = 1 << 20
_BLOCK_BYTES = 1 << 20  # of float32 vectors: they stay in the cache from one user to the next
_KEPT_BYTES = 1 << 26  # up to this size a float32 copy of half-precision items is kept


class ItemVectors(Protocol):
    """N item vectors, D wide."""

    @property
    def num_items(self) -> int:
        """N."""
        ...

    @property
    def width(self) -> int:
        """D."""
        ...

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of item rows, (n, D) float32."""
        ...

    def gram(self) -> np.ndarray:
        """The sum over all items of y y', (D, D) float64."""
        ...


class DecodedItems:
    """The best vectors that codes alone allow, in the space of their codebooks.

    Args:
        item_codes: The catalogue.
    """

    def __init__(self, item_codes: ItemCodes) -> None:
        self._item_codes = item_codes

    @property
    def num_items(self) -> int:
        """N."""
        return self._item_codes.num_items

    @property
    def width(self) -> int:
        """D."""
        return self._item_codes.width

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The decoded items (Eq. 1), (n, D) float32."""
        return self._item_codes.decode(rows)

    def gram(self) -> np.ndarray:
        """The sum over all items of y y', from how often codewords occur together.

        Costs one pass over the codes, whatever the width, and never decodes the catalogue.

        Returns:
            (D, D) float64.
        """
        codes, num_codewords = self._item_codes.codes, self._item_codes.num_codewords
        codebooks = self._item_codes.codebooks.astype(np.float64)
        gram = np.zeros((self.width, self.width))
        for first in range(len(codebooks)):
            for second in range(first, len(codebooks)):
                together = _co_occurrences(codes[:, first], codes[:, second], num_codewords)
                product = codebooks[first].T @ together @ codebooks[second]
                gram += product if first == second else product + product.T
        return gram


class FloatItems:
    """The teacher's vectors, read in blocks: they may be memory-mapped and of half precision.

    A pass over half-precision vectors widens them all again, unless they take at most 64 MiB as
    float32: then that copy is kept.

    Args:
        vectors: (N, D) float32 or float16, finite.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        self._vectors = vectors

    @property
    def num_items(self) -> int:
        """N."""
        return len(self._vectors)

    @property
    def width(self) -> int:
        """D."""
        return int(self._vectors.shape[1])

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of item rows, (n, D) float32."""
        vectors: np.ndarray = self._vectors[rows].astype(np.float32, copy=False)
        return vectors

    def gram(self) -> np.ndarray:
        """The sum over all items of y y', (D, D) float64, in one pass over the vectors."""
        gram = np.zeros((self.width, self.width))
        for _, vectors in self._blocks():
            exact = vectors.astype(np.float64)
            gram += exact.T @ exact
        return gram

    def scores(self, users: np.ndarray) -> np.ndarray:
        """The products of user vectors with all items, in one pass over the vectors.

        Args:
            users: (Q, D) float32.

        Returns:
            (Q, N) float32, the same bits for one user as for many.
        """
        scores = np.empty((len(users), self.num_items), np.float32)
        for rows, vectors in self._blocks():
            # One product a user: a product of matrices may round differently with their number.
            for user, own in zip(users, scores, strict=True):
                np.dot(vectors, user, out=own[rows])
        return scores

    def _blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        source = self._vectors if self._widened is None else self._widened
        size = max(1, _BLOCK_BYTES // (4 * max(self.width, 1)))
        for start in range(0, self.num_items, size):
            rows = slice(start, min(start + size, self.num_items))
            yield rows, np.ascontiguousarray(source[rows], np.float32)

    @cached_property
    def _widened(self) -> np.ndarray | None:
        """All vectors as float32 where they are half-precision and few."""
        if self._vectors.dtype != np.float16 or 4 * self._vectors.size > _KEPT_BYTES:
            return None
        return self._vectors.astype(np.float32)


def _co_occurrences(first: np.ndarray, second: np.ndarray, num_codewords: int) -> np.ndarray:
    """How many items have each pair of codewords, (W, W) int64."""
    counts = np.zeros(num_codewords**2, np.int64)
    for start in range(0, len(first), _ITEMS_AT_ONCE):
        block = slice(start, start + _ITEMS_AT_ONCE)
        pairs = first[block].astype(np.int64) * num_codewords + second[block]
        counts += np.bincount(pairs, minlength=len(counts))
    return counts.reshape(num_codewords, num_codewords)
