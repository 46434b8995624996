"""Users with training and test pairs, and scores to rank them by."""

import numpy as np
import pytest

from lightrec.interactions.history import History


def made_pairs(
    num_users: int, num_items: int, seed: int, *, train: int = 8, test: int = 4
) -> tuple[History, History]:
    """Disjoint training and test pairs; every tenth user has no test pair."""
    rng = np.random.default_rng(seed)
    picks = np.array([rng.permutation(num_items)[: train + test] for _ in range(num_users)])
    tested = np.flatnonzero(np.arange(num_users) % 10 != 7)
    counts = rng.integers(1, test + 1, num_users)
    wanted = [(user, item) for user in tested for item in picks[user, train : train + counts[user]]]
    users, items = np.array(wanted).T
    return (
        History.from_pairs(
            np.repeat(np.arange(num_users), train), picks[:, :train].ravel(), num_users, num_items
        ),
        History.from_pairs(users, items, num_users, num_items),
    )


@pytest.fixture(scope="session")
def pairs() -> tuple[History, History]:
    """90 users, 300 items."""
    return made_pairs(90, 300, seed=3)
