"""Fold-in: a vector for a user whom the model does not know, from what the user liked.

Implicit ALS's step for one user (Hu, Koren and Volinsky, ICDM 2008) against the vectors of the
items: with Y_h those of the history and G the Gram matrix of the whole catalogue,

    p = (a G + Y_h' Y_h + l I)^-1 Y_h' 1.

The history should score 1, everything scores a little towards 0, and p stays small. Closed form,
no torch. Against the teacher's vectors (`FloatItems`) p is a user of the teacher's space; against
decoded items (`DecodedItems`) it is the best that the codes alone allow, in their codebooks' space.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lightrec.artifact.contents import Users
from lightrec.artifact.verify import MAX_MAGNITUDE
from lightrec.serving.item_vectors import ItemVectors

CATALOGUE_WEIGHT = 500.0
RIDGE = 5.0
"""Chosen on validation pairs of users held out whole: `lightrec experiment fold_in_choices`."""
_USERS_LOOKED_AT = 1 << 16


class FoldIn:
    """Fits vectors of histories.

    Making it costs one pass over the catalogue, a history then O(n D^2 + D^3) for its n items.

    Args:
        items: The catalogue.
        norm: Length that every vector is scaled to, so that scores of folded-in users are of the
            size of stored users' scores; None leaves the closed form as it is.
        catalogue_weight: How many items of a history the catalogue as a whole counts for; a = this
            / N.
        ridge: l, in units of the mean squared length of an item.
    """

    def __init__(
        self,
        items: ItemVectors,
        norm: float | None = None,
        *,
        catalogue_weight: float = CATALOGUE_WEIGHT,
        ridge: float = RIDGE,
    ) -> None:
        self._items = items
        self._norm = norm
        mean_gram = items.gram() / max(items.num_items, 1)
        shrinkage = ridge * np.trace(mean_gram) * np.eye(items.width)
        self._prior = catalogue_weight * mean_gram + shrinkage

    def vectors(self, histories: Sequence[np.ndarray]) -> np.ndarray:
        """The vectors of histories.

        Args:
            histories: For each query the rows of its items.

        Returns:
            (Q, D) float32, the same bits for one history as for many. All zero where there is
            nothing to go by: the history is empty, or its items' vectors add up to zero.
        """
        vectors = np.zeros((len(histories), self._items.width), np.float32)
        for query, rows in enumerate(histories):
            vectors[query] = self._vector(rows)
        return vectors

    def contributions(self, rows: np.ndarray, item_row: int) -> np.ndarray:
        """What each item of a history adds to the score of an item: y_i' (a G + ...)^-1 y_h.

        Args:
            rows: The history's item rows.
            item_row: The item scored, i.

        Returns:
            (n,) float64, in the order of `rows`; their sum is the score, before any scaling.
        """
        liked = self._items.of(rows).astype(np.float64)
        (item,) = self._items.of(np.array([item_row])).astype(np.float64)
        parts: np.ndarray = liked @ np.linalg.solve(self._prior + liked.T @ liked, item)
        return parts

    def _vector(self, rows: np.ndarray) -> np.ndarray:
        liked = self._items.of(rows).astype(np.float64)
        target: np.ndarray = liked.sum(axis=0)
        if not target.any():
            return target
        vector: np.ndarray = np.linalg.solve(self._prior + liked.T @ liked, target)
        if self._norm is not None:
            vector *= self._norm / np.linalg.norm(vector)
        # Only tiny item vectors lead beyond what a model may hold.
        vector *= min(1.0, MAX_MAGNITUDE / np.abs(vector).max())
        return vector


def median_norm(users: Users) -> float | None:
    """Median length of the stored users' vectors, of at most 65,536 evenly spaced ones.

    Returns:
        None where users have no vectors, or none that is not zero.
    """
    if users.form == "table":
        return None
    step = -(-len(users.values) // _USERS_LOOKED_AT) or 1
    norms = np.linalg.norm(users.values[::step].astype(np.float64), axis=1)
    norms = norms[norms > 0]
    return float(np.median(norms)) if len(norms) else None
