"""A made-up shop of books with planted tastes: for demonstrations and tests without any data.

Items have a category and a latent vector near their category's; users like a few categories. What a
user picks follows taste and a long-tailed popularity, so that a model which learns tastes beats
popularity clearly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from lightrec.errors import ArgumentError
from lightrec.interactions.made_up_titles import CATEGORIES, made_up_titles
from lightrec.interactions.random_streams import random_stream

_WIDTH = 16  # of the planted tastes
_TASTE = 2.5  # weight of taste against popularity and chance
_TAIL = 1.1  # spread of the log popularity
_FIRST_SECOND, _SECONDS = 1_672_531_200, 2 * 365 * 86_400  # two years from 2023-01-01
_USERS_AT_ONCE = 512

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SyntheticData:
    """A made-up catalogue and who read what.

    Attributes:
        interactions: columns `user_id`, `item_id` (text) and `timestamp` (int64, seconds since
            1970); one row a pair, in order of time.
        items: columns `item_id`, `title`, `category` (text); titles are unique.
    """

    interactions: pl.DataFrame
    items: pl.DataFrame


def synthetic_catalogue(
    num_users: int, num_items: int, seed: int, *, pairs_per_user: float = 30.0
) -> SyntheticData:
    """Makes up a catalogue, its users and their interactions.

    Args:
        num_users: at least 1.
        num_items: at least 20.
        seed: same seed, same data.
        pairs_per_user: the mean number of pairs of a user; nobody has fewer than 5, or more than
            half of the catalogue.

    Raises:
        ArgumentError: a size is too small.
    """
    if num_users < 1 or num_items < 20:
        raise ArgumentError(f"needs 1 user and 20 items or more, not {num_users} and {num_items}")
    if not pairs_per_user >= 5:
        raise ArgumentError(f"pairs_per_user must be at least 5, not {pairs_per_user}")
    rng = random_stream(seed, "synthetic catalogue")
    centres = _unit(rng.standard_normal((len(CATEGORIES), _WIDTH), dtype=np.float32))
    category = rng.integers(len(CATEGORIES), size=num_items)
    items = _unit(centres[category] + 0.15 * rng.standard_normal((num_items, _WIDTH), np.float32))
    popularity = (_TAIL * rng.standard_normal(num_items)).astype(np.float32)
    user_rows, item_rows = _picks(
        rng, _tastes(rng, centres, num_users), items, popularity, pairs_per_user
    )
    item_ids = _numbered_ids("b", num_items)
    interactions = pl.DataFrame(
        {
            "user_id": _numbered_ids("u", num_users).gather(user_rows),
            "item_id": item_ids.gather(item_rows),
            "timestamp": _FIRST_SECOND + rng.integers(_SECONDS, size=len(user_rows)),
        }
    )
    catalogue = pl.DataFrame(
        {
            "item_id": item_ids,
            "title": made_up_titles(category, rng),
            "category": pl.Series(CATEGORIES).gather(category),
        }
    )
    return SyntheticData(interactions.sort("timestamp", maintain_order=True), catalogue)


def _tastes(rng: np.random.Generator, centres: Floats, num_users: int) -> Floats:
    """Each user's taste: a mixture of about two categories, float32 (users, width)."""
    mixture = rng.dirichlet(np.full(len(centres), 0.15), num_users).astype(np.float32)
    personal = 0.1 * rng.standard_normal((num_users, centres.shape[1]), np.float32)
    return _unit(mixture @ centres + personal)


def _picks(
    rng: np.random.Generator,
    users: Floats,
    items: Floats,
    popularity: Floats,
    pairs_per_user: float,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """User and item rows of every pick; without replacement, by the Gumbel top-k trick."""
    spread = rng.lognormal(-0.32, 0.8, len(users))  # of mean 1
    counts = np.clip(np.rint(spread * pairs_per_user), 5, len(items) // 2).astype(np.int64)
    most = int(counts.max())
    picked = []
    for start in range(0, len(users), _USERS_AT_ONCE):
        block = slice(start, start + _USERS_AT_ONCE)
        utility = _TASTE * _WIDTH**0.5 * (users[block] @ items.T) + popularity
        utility += rng.gumbel(size=utility.shape).astype(np.float32)
        best = np.argpartition(-utility, most - 1, axis=1)[:, :most]
        order = np.argsort(-np.take_along_axis(utility, best, axis=1), axis=1)
        best = np.take_along_axis(best, order, axis=1)
        picked.append(best[np.arange(most) < counts[block, np.newaxis]])
    return np.repeat(np.arange(len(users)), counts), np.concatenate(picked)


def _unit(vectors: Floats) -> Floats:
    lengths: Floats = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths


def _numbered_ids(letter: str, count: int) -> pl.Series:
    width = len(str(count))
    return pl.Series([f"{letter}{number:0{width}}" for number in range(1, count + 1)])
