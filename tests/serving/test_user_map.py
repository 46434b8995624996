"""The map of query vectors."""

from __future__ import annotations

import numpy as np

from lightrec.serving.user_map import map_vectors


def test_layers_follow_by_number_with_tanh_between() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(7, 4)), rng.normal(size=(3, 7))
    bias = rng.normal(size=7)
    weights = {"10.weight": second, "2.weight": first, "2.bias": bias}
    vectors = rng.normal(size=(5, 4)).astype(np.float32)
    mapped = map_vectors({k: v.astype(np.float32) for k, v in weights.items()}, vectors)
    assert mapped.dtype == np.float32
    np.testing.assert_allclose(
        mapped, np.tanh(vectors @ first.T + bias) @ second.T, rtol=1e-5, atol=1e-5
    )


def test_one_vector_or_many_is_the_same_to_the_last_bit() -> None:
    rng = np.random.default_rng(1)
    weights = {"0.weight": rng.normal(size=(33, 70)).astype(np.float32)}
    vectors = rng.normal(size=(50, 70)).astype(np.float32)
    together = map_vectors(weights, vectors)
    for vector, mapped in zip(vectors, together, strict=True):
        assert map_vectors(weights, vector[np.newaxis])[0].tobytes() == mapped.tobytes()
