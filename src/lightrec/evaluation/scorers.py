"""What can be ranked: float models, coded models and popularity, behind one method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError


class Scorer(Protocol):
    """Scores of all items for some users."""

    @property
    def num_items(self) -> int:
        """N."""
        ...

    def scores(self, user_rows: np.ndarray, items: slice) -> np.ndarray:
        """(len(user_rows), len(items)) float32, higher is better."""
        ...


@dataclass(frozen=True)
class FloatScorer:
    """Inner products of user and item vectors.

    Attributes:
        users: (M, D) float32.
        items: (N, D) float32.
    """

    users: np.ndarray
    items: np.ndarray

    def __post_init__(self) -> None:
        if (
            self.users.ndim != 2
            or self.items.ndim != 2
            or self.users.shape[1] != self.items.shape[1]
        ):
            raise ArgumentError(
                f"users {self.users.shape} and items {self.items.shape} must have the same width"
            )

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.items)

    def scores(self, user_rows: np.ndarray, items: slice) -> np.ndarray:
        """(len(user_rows), len(items)) float32."""
        return np.asarray(self.users[user_rows] @ self.items[items].T)


@dataclass(frozen=True)
class CodeScorer:
    """Sums of score-table entries: what search ranks by.

    Attributes:
        item_codes: The catalogue.
        users: (M, D) user vectors, or (M, B, W) score tables of their own.
    """

    item_codes: ItemCodes
    users: np.ndarray

    @property
    def num_items(self) -> int:
        """N."""
        return self.item_codes.num_items

    def scores(self, user_rows: np.ndarray, items: slice) -> np.ndarray:
        """(len(user_rows), len(items)) float32."""
        users = self.users[user_rows].astype(np.float32)
        tables = users if users.ndim == 3 else self.item_codes.score_tables(users)
        return self.item_codes.scores(tables, items)


@dataclass(frozen=True)
class PopularityScorer:
    """The same scores for everybody: how often an item occurs in training.

    Attributes:
        degrees: (N,) training pairs of each item.
    """

    degrees: np.ndarray

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.degrees)

    def scores(self, user_rows: np.ndarray, items: slice) -> np.ndarray:
        """(len(user_rows), len(items)) float32."""
        row = self.degrees[items].astype(np.float32)
        return np.broadcast_to(row, (len(user_rows), len(row))).copy()
