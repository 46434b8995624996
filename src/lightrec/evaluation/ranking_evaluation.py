"""Ranks the whole catalogue for every test user, a block at a time.

Scores are computed in tiles whose shape never changes (32 users by up to 262,144 items), so that
the same arithmetic is done whatever the block size and the number of threads, and the results are
equal to the last bit. Nothing larger than a tile per thread is ever held.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from lightrec.errors import ArgumentError
from lightrec.evaluation.metrics import TestRanks, all_metrics
from lightrec.evaluation.scorers import Scorer
from lightrec.interactions.history import History
from lightrec.native import available_cores
from lightrec.progress import track

USERS_PER_TILE = 32
ITEMS_PER_TILE = 262_144
SORT_FROM = 24  # with more test items than this, sorting the scores beats counting for each


@dataclass(frozen=True)
class RankingResult:
    """Metrics of one model on one test part.

    Attributes:
        user_rows: (n,) int64, the evaluated users: those asked for, else all that have a test pair.
        per_user: Each metric as (n,) float64, in the order of `user_rows`.
    """

    user_rows: np.ndarray
    per_user: dict[str, np.ndarray]

    @property
    def means(self) -> dict[str, float]:
        """Each metric's mean over the evaluated users."""
        return {name: float(values.mean()) for name, values in self.per_user.items()}

    def describe(self) -> str:
        """The four metrics that every table shows, in one line."""
        means = self.means
        shown = ("recall@20", "recall@100", "ndcg@100", "ndcg")
        return "  ".join(f"{name} {means[name]:.4f}" for name in shown)


def evaluate_ranking(
    scorer: Scorer,
    exclude: History,
    test: History,
    *,
    user_rows: np.ndarray | None = None,
    block_size: int = 1024,
    threads: int | None = None,
    progress: bool = False,
) -> RankingResult:
    """Recall and NDCG over all items but each user's excluded ones.

    Args:
        scorer: The model.
        exclude: Pairs that are not ranked: what the model was trained on.
        test: Pairs to find. A pair may not stand in both.
        user_rows: Users to evaluate; all with a test pair when None.
        block_size: Users handed out at a time (rounded up to whole tiles); no effect on results.
        threads: Tiles computed at once, all available cores when None or 0; no effect on results.
        progress: Shows a progress bar when standard error is a terminal.

    Returns:
        Metrics per user.

    Raises:
        ArgumentError: Sizes do not fit, nobody has a test pair, or a test pair is excluded.
    """
    _check(scorer, exclude, test)
    degrees = test.user_degrees()
    users = np.flatnonzero(degrees) if user_rows is None else np.asarray(user_rows, np.int64)
    if len(users) and not 0 <= users.min() <= users.max() < test.num_users:
        raise ArgumentError(f"user_rows must lie in 0..{test.num_users - 1}")
    users = users[degrees[users] > 0]
    if not len(users):
        raise ArgumentError("no user has a test pair: there is nothing to evaluate")
    starts = np.concatenate([[0], np.cumsum(degrees[users])])
    greater = np.zeros(starts[-1], np.int64)
    equal = np.zeros(starts[-1], np.int64)

    def rank_tile(first: int) -> None:
        tile = users[first : first + USERS_PER_TILE]
        bounds = starts[first : first + len(tile) + 1]
        _rank_tile(scorer, exclude, test, tile, bounds, greater, equal)

    threads = threads or available_cores()
    with ThreadPoolExecutor(threads) as pool:
        blocks = list(_blocks(len(users), block_size))
        for tiles in track(blocks, "ranking", enabled=progress):
            list(pool.map(rank_tile, tiles))
    ranks = TestRanks(greater, equal, np.repeat(np.arange(len(users)), degrees[users]), len(users))
    return RankingResult(users, all_metrics(ranks, scorer.num_items))


def _check(scorer: Scorer, exclude: History, test: History) -> None:
    if exclude.num_users != test.num_users:
        raise ArgumentError(
            f"excluded pairs speak of {exclude.num_users} users, test pairs of {test.num_users}"
        )
    if not scorer.num_items == exclude.num_items == test.num_items:
        raise ArgumentError(
            f"the model ranks {scorer.num_items} items, the pairs speak of "
            f"{exclude.num_items} (excluded) and {test.num_items} (test)"
        )
    common = _count_common(exclude, test)
    if common:
        raise ArgumentError(
            f"{common} test pairs are among the pairs that the model was trained on; "
            "evaluate on pairs that it has not seen"
        )


def _count_common(exclude: History, test: History) -> int:
    return len(np.intersect1d(_keys(exclude), _keys(test), assume_unique=True))


def _keys(pairs: History) -> np.ndarray:
    keys: np.ndarray = pairs.user_rows().astype(np.int64) * pairs.num_items + pairs.item_rows
    return keys


def _blocks(num_users: int, block_size: int) -> Iterator[range]:
    """First users of the tiles, a block of tiles at a time."""
    if block_size < 1:
        raise ArgumentError(f"block_size must be at least 1, not {block_size}")
    step = -(-block_size // USERS_PER_TILE) * USERS_PER_TILE
    for start in range(0, num_users, step):
        yield range(start, min(start + step, num_users), USERS_PER_TILE)


def _rank_tile(
    scorer: Scorer,
    exclude: History,
    test: History,
    tile: np.ndarray,
    bounds: np.ndarray,
    greater: np.ndarray,
    equal: np.ndarray,
) -> None:
    """Fills the counts of the tile's test items: entries bounds[0] .. bounds[-1]."""
    # A short last tile is filled up with its first user: the shape of the product never changes.
    padded = np.concatenate([tile, np.repeat(tile[:1], USERS_PER_TILE - len(tile))])
    slices = [
        slice(start, min(start + ITEMS_PER_TILE, scorer.num_items))
        for start in range(0, scorer.num_items, ITEMS_PER_TILE)
    ]
    sought = np.empty(bounds[-1] - bounds[0], np.float32)
    offsets = bounds - bounds[0]
    scores = np.empty((0, 0), np.float32)
    for items in slices:  # the scores that the counts are taken against
        scores = _scores(scorer, padded, items)
        for place, user in enumerate(tile):
            wanted = test.of(user)
            inside = (wanted >= items.start) & (wanted < items.stop)
            found = sought[offsets[place] : offsets[place + 1]]
            found[inside] = scores[place, wanted[inside] - items.start]
    for items in slices:
        if len(slices) > 1:
            scores = _scores(scorer, padded, items)
        for place, user in enumerate(tile):
            row = scores[place]
            hidden = exclude.of(user)
            hidden = hidden[(hidden >= items.start) & (hidden < items.stop)]
            row[hidden - items.start] = -np.inf
            found = sought[offsets[place] : offsets[place + 1]]
            more, same = _count(row, found)
            greater[bounds[place] : bounds[place + 1]] += more
            equal[bounds[place] : bounds[place + 1]] += same


def _scores(scorer: Scorer, user_rows: np.ndarray, items: slice) -> np.ndarray:
    scores = np.asarray(scorer.scores(user_rows, items), dtype=np.float32)
    if not np.isfinite(scores).all():
        raise ArgumentError("the model gives scores that are not finite")
    return scores


def _count(row: np.ndarray, sought: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many entries of `row` are greater than, and equal to, each sought value."""
    if len(sought) > SORT_FROM:
        ordered = np.sort(row)
        right = np.searchsorted(ordered, sought, side="right")
        return len(row) - right, right - np.searchsorted(ordered, sought, side="left")
    more = np.array([np.count_nonzero(row > value) for value in sought])
    same = np.array([np.count_nonzero(row == value) for value in sought])
    return more, same
