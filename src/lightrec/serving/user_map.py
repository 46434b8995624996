"""The map of the user forms `linear`, `mlp` and `fitted`, for query vectors (P2 from P1)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lightrec.artifact.contents import layer_of


def map_vectors(weights: Mapping[str, np.ndarray], vectors: np.ndarray) -> np.ndarray:
    """Applies the map: linear layers in ascending order with tanh between them.

    Args:
        weights: Float32 `K.weight` (out, in) and, if there is one, `K.bias` (out,) of each layer K.
        vectors: (Q, T) float32.

    Returns:
        (Q, D) float32, the same bits for one vector as for many.
    """
    layers = sorted({layer_of(name) for name in weights})
    for place, layer in enumerate(layers):
        if place:
            vectors = np.tanh(vectors)
        # One product a vector: a product of matrices may round differently with the number of rows.
        weight = weights[f"{layer}.weight"]
        mapped = np.empty((len(vectors), len(weight)), np.float32)
        for row, vector in enumerate(vectors):
            np.dot(weight, vector, out=mapped[row])
        vectors = mapped + weights.get(f"{layer}.bias", np.float32(0))
    return vectors
