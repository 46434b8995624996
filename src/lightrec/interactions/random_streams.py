"""Independent random numbers for every purpose from one seed."""

from __future__ import annotations

import numpy as np

from lightrec.errors import ArgumentError


def random_stream(seed: int, purpose: str) -> np.random.Generator:
    """A generator for one purpose.

    Two purposes share no numbers, so that one seed can number the rows, split the pairs and hold
    some out without any of these following from another.

    Raises:
        ArgumentError: the seed is negative.
    """
    if seed < 0:
        raise ArgumentError(f"a seed must not be negative: {seed}")
    return np.random.default_rng([seed, *purpose.encode()])
