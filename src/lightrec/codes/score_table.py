"""Score tables: a query's inner products with every codeword (the table of Eq. 2).

One routine builds every table, for one query or for many, and its arithmetic is fixed so that
numpy and the compiled kernel agree to the last bit: an entry is `((q0*c0 + q1*c1) + q2*c2) + ...`
in float32, with dimensions ascending, the sum starting from `q0*c0`, and each product and each sum
rounded by itself. Rankings by score table are therefore the same on every machine, with and
without the kernels.
"""

from __future__ import annotations

import numpy as np

from lightrec.errors import ArgumentError
from lightrec.native import KERNELS


class ScoreTableBuilder:
    """Builds score tables for fixed codebooks.

    Keeps a copy of the codebooks in the layout that tables are built from; worth holding on to
    where queries come one by one.

    Args:
        codebooks: (B, W, D) float32; B and D at least 1, W 1 to 256.

    Raises:
        ArgumentError: The shape or the dtype does not fit.
    """

    def __init__(self, codebooks: np.ndarray) -> None:
        if codebooks.ndim != 3 or codebooks.dtype != np.float32:
            raise ArgumentError(
                f"codebooks must be (B, W, D) float32, not {codebooks.shape} {codebooks.dtype}"
            )
        num_codebooks, num_codewords, width = codebooks.shape
        if num_codebooks == 0 or width == 0 or not 1 <= num_codewords <= 256:
            raise ArgumentError(
                "codebooks (B, W, D) need B and D of at least 1 and W of 1 to 256, "
                f"not {codebooks.shape}"
            )
        self.num_codebooks, self.num_codewords, self.width = num_codebooks, num_codewords, width
        if KERNELS is not None:
            self.kernel = KERNELS.ScoreTableBuilder(np.ascontiguousarray(codebooks))
        else:
            self._columns = np.ascontiguousarray(codebooks.transpose(2, 0, 1))  # (D, B, W)

    def build(self, queries: np.ndarray) -> np.ndarray:
        """The tables of many queries.

        Args:
            queries: (Q, D) float32.

        Returns:
            (Q, B, W) float32.

        Raises:
            ArgumentError: The shape or the dtype does not fit the codebooks.
        """
        if queries.ndim != 2 or queries.shape[1] != self.width or queries.dtype != np.float32:
            raise ArgumentError(
                f"queries must be (Q, {self.width}) float32, not {queries.shape} {queries.dtype}"
            )
        if KERNELS is not None:
            return np.asarray(self.kernel.build(np.ascontiguousarray(queries)))
        factors = queries.T[:, :, None, None]  # (D, Q, 1, 1)
        tables: np.ndarray = factors[0] * self._columns[0]
        product = np.empty_like(tables)
        for factor, column in zip(factors[1:], self._columns[1:], strict=True):
            np.multiply(factor, column, out=product)
            tables += product
        return tables

    def build_one(self, query: np.ndarray) -> np.ndarray:
        """The table of one query, the same bits as among many.

        Args:
            query: (D,) float32.

        Returns:
            (B, W) float32.
        """
        table: np.ndarray = self.build(query[None])[0]
        return table


def score_tables(queries: np.ndarray, codebooks: np.ndarray) -> np.ndarray:
    """Score tables of queries; see `ScoreTableBuilder` for repeated use with the same codebooks.

    Args:
        queries: (Q, D) float32.
        codebooks: (B, W, D) float32.

    Returns:
        (Q, B, W) float32.

    Raises:
        ArgumentError: A shape or a dtype does not fit.
    """
    return ScoreTableBuilder(codebooks).build(queries)
