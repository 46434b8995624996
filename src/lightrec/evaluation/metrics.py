"""The metrics' formulas, from the two counts that say where a test item stands.

For a test item with score s among the ranked items, `greater` is the number of items with a higher
score and `equal` the number with exactly s, itself included. Its rank is uniform over
`greater + 1 .. greater + equal`, and every metric is the expectation over it (McSherry and Najork,
"Computing information retrieval performance measures efficiently in the presence of tied scores",
ECIR 2008): equal codes earn nothing and lose nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RECALL_CUTOFFS = (20, 100)
NDCG_CUTOFFS = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)


@dataclass(frozen=True)
class TestRanks:
    """Where the test items of each user stand.

    Attributes:
        greater: (n,) int64, items that score higher than the test item.
        equal: (n,) int64, items that score the same, itself included: at least 1.
        users: (n,) int64, the evaluated user (0 .. number of users - 1) of each test item.
        num_users: Number of evaluated users; each has a test item.
    """

    __test__ = False  # a name that pytest would collect

    greater: np.ndarray
    equal: np.ndarray
    users: np.ndarray
    num_users: int

    @property
    def test_items(self) -> np.ndarray:
        """(num_users,) int64, number of test items of each user."""
        return np.bincount(self.users, minlength=self.num_users)

    def sum_by_user(self, gains: np.ndarray) -> np.ndarray:
        """(num_users,) float64, the users' sums of a value per test item."""
        return np.bincount(self.users, weights=gains, minlength=self.num_users)


def cumulative_discount(num_items: int) -> np.ndarray:
    """(num_items + 1,) float64: entry r is the sum of 1 / log2(rank + 1) over ranks 1 .. r."""
    return np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2.0, num_items + 2.0)))])


def recall(ranks: TestRanks, cutoff: int) -> np.ndarray:
    """Recall@k: expected number of test items among the first k, divided by all test items.

    Args:
        ranks: Where the test items stand.
        cutoff: k.

    Returns:
        (num_users,) float64.
    """
    inside = np.clip((cutoff - ranks.greater) / ranks.equal, 0.0, 1.0)
    found: np.ndarray = ranks.sum_by_user(inside) / ranks.test_items
    return found


def ndcg(
    ranks: TestRanks, discount: np.ndarray, cutoff: np.ndarray | int | None = None
) -> np.ndarray:
    """NDCG with binary relevance, expected over ties.

    Args:
        ranks: Where the test items stand.
        discount: `cumulative_discount` of at least the number of ranked items.
        cutoff: k, one for all or (num_users,) one per user; None for the whole ranking, which is
            what the paper's tables hold.

    Returns:
        (num_users,) float64.
    """
    last = len(discount) - 1 if cutoff is None else np.minimum(cutoff, len(discount) - 1)
    per_user = np.broadcast_to(np.asarray(last), (ranks.num_users,))
    limit = per_user[ranks.users]
    first, final = np.minimum(ranks.greater, limit), np.minimum(ranks.greater + ranks.equal, limit)
    gains = (discount[final] - discount[first]) / ranks.equal
    ideal = discount[np.minimum(ranks.test_items, per_user)]
    normalised: np.ndarray = ranks.sum_by_user(gains) / ideal
    return normalised


def all_metrics(ranks: TestRanks, num_items: int) -> dict[str, np.ndarray]:
    """Every reported metric by its name in the result files.

    Args:
        ranks: Where the test items stand.
        num_items: Size of the catalogue.

    Returns:
        (num_users,) float64 for `recall@20`, `recall@100`, `ndcg`, `ndcg@10` .. `ndcg@100`,
        `ndcg@nu`.
    """
    discount = cumulative_discount(num_items)
    metrics = {f"recall@{k}": recall(ranks, k) for k in RECALL_CUTOFFS}
    metrics["ndcg"] = ndcg(ranks, discount)
    metrics |= {f"ndcg@{k}": ndcg(ranks, discount, k) for k in NDCG_CUTOFFS}
    metrics["ndcg@nu"] = ndcg(ranks, discount, ranks.test_items)
    return metrics
