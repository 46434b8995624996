"""Fold-in: a vector for a user whom the model does not know, from what the user liked.

Implicit ALS's step for one user (Hu, Koren and Volinsky, ICDM 2008) against the decoded items:
with Y_h the items of the history and G the Gram matrix of the whole catalogue,

    p = (a G + Y_h' Y_h + l I)^-1 Y_h' 1.

The history should score 1, everything scores a little towards 0, and p stays small. Closed form,
no torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lightrec.artifact.contents import Users
from lightrec.codes.item_codes import ItemCodes

CATALOGUE_WEIGHT = 250.0
RIDGE = 10.0
_ITEMS_AT_ONCE = 1 << 20
_USERS_LOOKED_AT = 1 << 16


class FoldIn:
    """Fits vectors of histories.

    Args:
        item_codes: The catalogue.
        norm: Length that every vector is scaled to, so that scores of folded-in users are of the
            size of stored users' scores; None leaves the closed form as it is.
        catalogue_weight: How many items of a history the catalogue as a whole counts for; a = this
            / N.
        ridge: l, in units of the mean squared length of an item.
    """

    def __init__(
        self,
        item_codes: ItemCodes,
        norm: float | None = None,
        *,
        catalogue_weight: float = CATALOGUE_WEIGHT,
        ridge: float = RIDGE,
    ) -> None:
        self._item_codes = item_codes
        self._norm = norm
        mean_gram = catalogue_gram(item_codes) / max(item_codes.num_items, 1)
        shrinkage = ridge * np.trace(mean_gram) * np.eye(item_codes.width)
        self._prior = catalogue_weight * mean_gram + shrinkage

    def vectors(self, histories: Sequence[np.ndarray]) -> np.ndarray:
        """The vectors of histories.

        Args:
            histories: For each query the rows of its items.

        Returns:
            (Q, D) float32, the same bits for one history as for many. All zero where there is
            nothing to go by: the history is empty, or its items' vectors add up to zero.
        """
        vectors = np.zeros((len(histories), self._item_codes.width), np.float32)
        for query, rows in enumerate(histories):
            vectors[query] = self._vector(rows)
        return vectors

    def _vector(self, rows: np.ndarray) -> np.ndarray:
        liked = self._item_codes.decode(rows).astype(np.float64)
        target: np.ndarray = liked.sum(axis=0)
        if not target.any():
            return target
        vector: np.ndarray = np.linalg.solve(self._prior + liked.T @ liked, target)
        if self._norm is not None:
            vector *= self._norm / np.linalg.norm(vector)
        return vector


def catalogue_gram(item_codes: ItemCodes) -> np.ndarray:
    """The sum over all items of y y', from how often codewords occur together.

    Costs one pass over the codes, whatever the width, and never decodes the catalogue.

    Returns:
        (D, D) float64.
    """
    codes, codebooks = item_codes.codes, item_codes.codebooks.astype(np.float64)
    gram = np.zeros((item_codes.width, item_codes.width))
    for first in range(item_codes.num_codebooks):
        for second in range(first, item_codes.num_codebooks):
            together = _co_occurrences(codes[:, first], codes[:, second], item_codes.num_codewords)
            product = codebooks[first].T @ together @ codebooks[second]
            gram += product if first == second else product + product.T
    return gram


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


def _co_occurrences(first: np.ndarray, second: np.ndarray, num_codewords: int) -> np.ndarray:
    """How many items have each pair of codewords, (W, W) int64."""
    counts = np.zeros(num_codewords**2, np.int64)
    for start in range(0, len(first), _ITEMS_AT_ONCE):
        block = slice(start, start + _ITEMS_AT_ONCE)
        pairs = first[block].astype(np.int64) * num_codewords + second[block]
        counts += np.bincount(pairs, minlength=len(counts))
    return counts.reshape(num_codewords, num_codewords)
