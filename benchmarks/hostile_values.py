"""What an attacker writes where a number, a name or a nesting is expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Files = dict[str, bytes]
Forgery = Callable[[np.random.Generator, Files], None]
DEEP = 100_000
SIZES: tuple[Any, ...] = (
    *(0, 1, 2, 3, 255, 256, 257, -1, -5, 2**31 - 1, 2**31, 2**32, 2**40, 2**62 + 5, 2**63 - 1),
    *(2**63, 2**64, 10**30, True, 5.0, 1e300, "5", None, [], [5], {}),
)


def pick(rng: np.random.Generator, options: Any) -> Any:  # noqa: ANN401
    """One of some options."""
    return list(options)[int(rng.integers(len(options)))]
