"""The same catalogue as a faiss index, for those who have one in use.

An item's score is the query's product with the sum of its codewords. Product quantisation sums the
products of pieces of the query with codewords of the pieces; asked with the query repeated B times,
it does the same. So the codebooks go into `IndexPQ` as they are, behind a linear map that repeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError

if TYPE_CHECKING:
    import faiss

_FAISS_CODEWORDS = 256  # codes of 8 bits


def to_faiss(item_codes: ItemCodes) -> faiss.Index:
    """A faiss index that scores the items as their codes do, up to the rounding of sums.

    Queries are vectors of the codewords' width. faiss orders items of equal score as it likes, and
    offers neither this project's filters nor its guarantee of the last bit.

    Args:
        item_codes: The catalogue.

    Returns:
        An `IndexPreTransform` over an `IndexPQ`, by inner product; ids are rows.

    Raises:
        ArgumentError: faiss is not installed.
    """
    try:
        import faiss
    except ImportError:
        raise ArgumentError(
            "faiss is not installed; install it with: pip install 'lightrec[baselines]'"
        ) from None
    num_codebooks, num_codewords, width = item_codes.codebooks.shape
    index = faiss.IndexPQ(width * num_codebooks, num_codebooks, 8, faiss.METRIC_INNER_PRODUCT)
    centroids = np.zeros((num_codebooks, _FAISS_CODEWORDS, width), np.float32)
    centroids[:, :num_codewords] = item_codes.codebooks
    faiss.copy_array_to_vector(centroids.ravel(), index.pq.centroids)
    faiss.copy_array_to_vector(np.ascontiguousarray(item_codes.codes).ravel(), index.codes)
    index.ntotal = item_codes.num_items
    index.is_trained = True

    repeat = faiss.LinearTransform(width, width * num_codebooks, False)
    identities = np.tile(np.eye(width, dtype=np.float32), (num_codebooks, 1))
    faiss.copy_array_to_vector(identities.ravel(), repeat.A)
    repeat.is_trained = True
    whole = faiss.IndexPreTransform(repeat, index)
    repeat.this.disown()  # type: ignore[attr-defined]
    index.this.disown()  # type: ignore[attr-defined]
    whole.own_fields = True  # it frees both
    return whole
