"""Additive codes: the one representation that every quantised model shares.

An item is B bytes; byte b picks row `codes[i, b]` of codebook b; the item's vector is the sum of
the B rows (Eq. 1), and a user's score is the sum of B entries of the user's score table (Eq. 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lightrec.codes.score_table import ScoreTableBuilder
from lightrec.errors import ArgumentError
from lightrec.native import KERNELS

MAX_CODEWORDS = 256


@dataclass(frozen=True, eq=False)
class ItemCodes:
    """Items as indices into codebooks.

    Attributes:
        codes: (N, B) uint8; `codes[i, b]` is the codeword of item i in codebook b.
        codebooks: (B, W, D) float32; W is at most 256, D any width.

    Raises:
        ArgumentError: A shape, dtype or range does not fit, or a codeword is not finite.
    """

    codes: np.ndarray
    codebooks: np.ndarray

    def __post_init__(self) -> None:
        codes, codebooks = self.codes, self.codebooks
        if codes.ndim != 2 or codes.dtype != np.uint8:
            raise ArgumentError(f"codes must be (N, B) uint8, not {codes.shape} {codes.dtype}")
        if codebooks.ndim != 3 or codebooks.dtype != np.float32:
            raise ArgumentError(
                f"codebooks must be (B, W, D) float32, not {codebooks.shape} {codebooks.dtype}"
            )
        num_codebooks, num_codewords, width = codebooks.shape
        if codes.shape[1] != num_codebooks or num_codebooks == 0 or width == 0:
            raise ArgumentError(
                f"codes {codes.shape} and codebooks {codebooks.shape} do not belong together"
            )
        if not 1 <= num_codewords <= MAX_CODEWORDS:
            raise ArgumentError(
                f"a codebook holds 1 to {MAX_CODEWORDS} codewords, not {num_codewords}"
            )
        if codes.size and int(codes.max()) >= num_codewords:
            raise ArgumentError(
                f"codes hold index {int(codes.max())}, the codebooks have {num_codewords} codewords"
            )
        if not np.isfinite(codebooks).all():
            raise ArgumentError("codebooks hold values that are not finite")

    def __getstate__(self) -> dict[str, np.ndarray]:
        # What is kept for speed is built again where the copy is used.
        return {"codes": self.codes, "codebooks": self.codebooks}

    @property
    def num_items(self) -> int:
        """N, the number of items."""
        return int(self.codes.shape[0])

    @property
    def num_codebooks(self) -> int:
        """B, the number of codebooks: bytes per item."""
        return int(self.codebooks.shape[0])

    @property
    def num_codewords(self) -> int:
        """W, the number of codewords in each codebook."""
        return int(self.codebooks.shape[1])

    @property
    def width(self) -> int:
        """D, the width of codewords and of decoded items."""
        return int(self.codebooks.shape[2])

    @property
    def bits_per_item(self) -> float:
        """B log2 W: the size of one item's code in bits."""
        return float(self.num_codebooks * np.log2(self.num_codewords))

    @property
    def bytes_per_item_all_in(self) -> float:
        """Bytes of codes and float32 codebooks, divided by the number of items."""
        return float(self.codes.nbytes + self.codebooks.nbytes) / max(self.num_items, 1)

    def decode(self, rows: np.ndarray | slice | None = None) -> np.ndarray:
        """The items' vectors, summed over the codebooks in order (Eq. 1).

        Args:
            rows: Item rows, all items when None.

        Returns:
            (n, D) float32.
        """
        codes = self.codes if rows is None else self.codes[rows]
        vectors: np.ndarray = self.codebooks[0][codes[:, 0]]
        for book in range(1, self.num_codebooks):
            vectors += self.codebooks[book][codes[:, book]]
        return vectors

    def score_tables(self, queries: np.ndarray) -> np.ndarray:
        """Score tables of query vectors: entry (b, w) is the query's product with a codeword.

        Args:
            queries: (Q, D) float32.

        Returns:
            (Q, B, W) float32, the same bits for one query as for many.
        """
        return self._tables.build(queries)

    @cached_property
    def _tables(self) -> ScoreTableBuilder:
        return ScoreTableBuilder(self.codebooks)

    def scores(self, tables: np.ndarray, rows: slice | None = None) -> np.ndarray:
        """Scores of all items (or of a slice of them) by table look-up, in codebook order (Eq. 2).

        Args:
            tables: (Q, B, W) float32.
            rows: The items to score, all when None.

        Returns:
            (Q, n) float32.
        """
        if tables.ndim != 3 or tables.shape[1:] != self.codebooks.shape[:2]:
            raise ArgumentError(
                f"score tables must be (Q, {self.num_codebooks}, {self.num_codewords}), "
                f"not {tables.shape}"
            )
        codes = self.codes if rows is None else self.codes[rows]
        tables = np.ascontiguousarray(tables, dtype=np.float32)
        if KERNELS is not None:
            return np.asarray(KERNELS.scores(np.ascontiguousarray(codes), tables, 1))
        scores = tables[:, 0][:, codes[:, 0]]
        for book in range(1, self.num_codebooks):
            scores += tables[:, book][:, codes[:, book]]
        return scores

    @cached_property
    def health(self) -> CodebookHealth:
        """How evenly the codewords are used and how many items share a code."""
        return CodebookHealth.of(self.codes, self.num_codewords)

    @property
    def sharing_rows(self) -> np.ndarray:
        """Rows of the items whose whole code another item has too, int64, ascending."""
        return sharing_rows(self.codes)


@dataclass(frozen=True)
class CodebookHealth:
    """Signs of collapsed codebooks.

    Attributes:
        used: Per codebook, the number of codewords that some item uses.
        perplexity: Per codebook, exp of the entropy of the usage: W when all are used evenly.
        collisions: Items whose whole code another item has too.
    """

    used: tuple[int, ...]
    perplexity: tuple[float, ...]
    collisions: int

    @classmethod
    def of(cls, codes: np.ndarray, num_codewords: int) -> CodebookHealth:
        """Counts over `codes`, (N, B) uint8."""
        used, perplexity = [], []
        for column in codes.T:
            counts = np.bincount(column, minlength=num_codewords)
            share = counts[counts > 0] / max(len(codes), 1)
            used.append(int((counts > 0).sum()))
            perplexity.append(float(np.exp(-(share * np.log(share)).sum())))
        return cls(tuple(used), tuple(perplexity), len(sharing_rows(codes)))

    def describe(self) -> str:
        """One line for logs and `lightrec inspect`."""
        used = "/".join(map(str, self.used))
        perplexity = "/".join(f"{value:.0f}" for value in self.perplexity)
        return (
            f"codewords used {used}, perplexity {perplexity}, {self.collisions} items share a code"
        )


def sharing_rows(codes: np.ndarray) -> np.ndarray:
    """Rows whose whole code occurs more than once, int64, ascending.

    Args:
        codes: (N, B) uint8.
    """
    # A code of a machine word's length is compared as one number: sorting these is much faster.
    size = codes.shape[1]
    whole_code = np.dtype(f"u{size}") if size in (1, 2, 4, 8) else np.dtype((np.void, size))
    whole = np.ascontiguousarray(codes).view(whole_code).ravel()
    _, places, counts = np.unique(whole, return_inverse=True, return_counts=True)
    return np.flatnonzero(counts[places] > 1)
