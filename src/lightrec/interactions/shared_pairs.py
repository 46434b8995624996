"""Pairs that stand in two histories: what must not be tested because it was trained on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lightrec.errors import ArgumentError
from lightrec.interactions.history import History


def shared_pair_keys(first: History, second: History) -> npt.NDArray[np.int64]:
    """The pairs of both, each as `user_row * num_items + item_row`, ascending.

    Args:
        first: Pairs over some users and items.
        second: Pairs over the same ones.

    Raises:
        ArgumentError: The catalogues differ in size.
    """
    if first.num_items != second.num_items:
        raise ArgumentError(f"the pairs speak of {first.num_items} and of {second.num_items} items")
    return np.intersect1d(_keys(first), _keys(second), assume_unique=True)


def _keys(pairs: History) -> npt.NDArray[np.int64]:
    keys: npt.NDArray[np.int64] = (
        pairs.user_rows().astype(np.int64) * pairs.num_items + pairs.item_rows
    )
    return keys
