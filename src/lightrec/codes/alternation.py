"""Codebooks and vectors of users, fitted to each other in turn.

Each can be fitted in closed form while the other is held: vectors to codebooks (`user_fit`), and
codebooks to vectors (`refit_to_users`). The codes stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.refit_to_users import refit_codebooks_to_users
from lightrec.codes.user_codebooks import codebooks_for_users, vectors_for_tables
from lightrec.codes.user_fit import fit_tables, fit_vectors
from lightrec.codes.user_fit_task import Effort, UserFitConfig
from lightrec.factors import Factors
from lightrec.interactions.history import History

CODEBOOK_USERS = 10_000  # whom codebooks are made for
ALTERNATION_ROUNDS = 5  # of the vectors' fit between two fits of the codebooks


@dataclass(frozen=True)
class UserFits:
    """Fits of a teacher's users to its codes, all with the same settings.

    Attributes:
        teacher: Users (M, T) and items (N, T).
        item_codes: Codes of these items, with codebooks in the teacher's space.
        seen: Pairs that are left out, M users by N items; None for none.
        config: What users are fitted to, and for how long.
        effort: How the fits are carried out.
    """

    teacher: Factors
    item_codes: ItemCodes
    seen: History | None
    config: UserFitConfig
    effort: Effort

    def tables(self, rows: np.ndarray | None = None) -> np.ndarray:
        """(n, B, W) float32 score tables of the users in `rows`, of all when None."""
        return fit_tables(
            self.teacher,
            self.item_codes,
            self.seen,
            self.config,
            user_rows=rows,
            effort=self.effort,
        )

    def vectors(
        self, own: ItemCodes, start: np.ndarray, *, rounds: int, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """(n, D) float32 vectors among the codebooks of `own`, from a start among them."""
        return fit_vectors(
            self.teacher,
            own,
            self.seen,
            self.config,
            start=start,
            user_rows=rows,
            rounds=rounds,
            effort=self.effort,
        )

    def codebooks(self, own: ItemCodes, vectors: np.ndarray, rows: np.ndarray) -> ItemCodes:
        """The codes of `own` with codebooks fitted to the vectors of the users in `rows`."""
        books = refit_codebooks_to_users(
            vectors,
            self.teacher,
            own,
            self.seen,
            self.config,
            user_rows=rows,
            effort=self.effort,
        )
        return ItemCodes(own.codes, books)


@dataclass(frozen=True)
class Alternated:
    """Codebooks for users, and the vectors that they were made with.

    Attributes:
        item_codes: The codes with codebooks (B, W, D).
        rows: (n,) the users whom the codebooks were made for, ascending.
        vectors: (n, D) float32, their vectors.
    """

    item_codes: ItemCodes
    rows: np.ndarray
    vectors: np.ndarray


def users_for_codebooks(num_users: int, seed: int) -> np.ndarray:
    """Ascending rows of the users whom codebooks are made for: all, or a sample of very many."""
    rows = np.arange(num_users)
    if num_users <= CODEBOOK_USERS:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, CODEBOOK_USERS, replace=False))


def alternate(
    fits: UserFits, rows: np.ndarray, tables: np.ndarray, *, width: int, alternations: int
) -> Alternated:
    """Makes codebooks for users, and vectors of these users.

    First those whose score tables come nearest to the users' own tables; then vectors and codebooks
    are fitted to each other in turn.

    Args:
        fits: The users, the codes, and how one is fitted to the other.
        rows: (n,) the users whom the codebooks are made for.
        tables: (n, B, W) float32, their own score tables.
        width: D of the codebooks to make.
        alternations: How often vectors and codebooks are fitted to each other.

    Raises:
        ArgumentError: A shape does not fit, or a value is not finite.
    """
    books = codebooks_for_users(tables, fits.item_codes, width)
    own = ItemCodes(fits.item_codes.codes, books)
    vectors = vectors_for_tables(tables, own)
    rounds = min(ALTERNATION_ROUNDS, fits.config.rounds)
    for _ in range(alternations):
        vectors = fits.vectors(own, vectors, rounds=rounds, rows=rows)
        own = fits.codebooks(own, vectors, rows)
    return Alternated(own, rows, vectors)
