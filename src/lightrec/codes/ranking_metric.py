"""The metric of the ranking: an item's error is judged by the users who would rank it high.

A student that copies the teacher's lists is trained by softmax cross-entropy. For a user u with
vector p_u, temperature t and teacher probabilities pi_u = softmax(p_u' q / t), it loses

    -t^2 sum_i pi_ui log softmax(p_u' y / t)_i

by decoded items y_i (t^2 keeps gradients comparable, as in Hinton et al., "Distilling the knowledge
in a neural network", 2015). That is least at y = q. Its Hessian in the scores is
diag(pi_u) - pi_u pi_u'; the second part couples items and is small where no single item holds much
of a list. Without it, the loss over all users is to second order, up to a factor,

    sum_i (q_i - y_i)' H_i (q_i - y_i)   with   H_i = sum_u pi_ui p_u p_u'.

Eq. 9 of the paper with P2 = P1 is this sum with the same pi for all: there every user counts for
every item; here a user counts where the item competes for a place in the user's list. So
quantisation in this metric is list-wise distillation to second order. One H per k-means cell of
similar items stands for the cell's items: more users have a say in it, and an encoder has work to
do for each H.

The temperature is each user's own, so that exp(entropy of pi_u) is the same for all: how many items
a list is about. The metric thus does not depend on the scale of anybody's vectors.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from lightrec.codes.finite_vectors import first_row_not_finite
from lightrec.codes.item_metric import ItemMetric, scaled_and_mixed
from lightrec.codes.residual_kmeans import kmeans
from lightrec.errors import ArgumentError
from lightrec.interactions.history import History
from lightrec.settings import Settings

MAX_CELLS = 256  # what one byte can name
ITEMS_PER_CELL = 8  # on average, at the least
MAX_MATRIX_NUMBERS = 2**27  # in all cells' matrices (512 MB): fewer cells for very wide vectors
CELL_ITERATIONS = 12

MAX_SCORES = 2_000_000_000  # user-item pairs scored: fewer users for a large catalogue ...
FEWEST_USERS = 1_000  # ... but no fewer than these
MAX_ITEMS = 1_000_000  # items scored: beyond, a sample stands for all
FEWEST_ITEMS_OF_A_LIST = 16.0  # perplexity on such a sample, at the least
BLOCK_SCORES = 2**25  # scores held at once (128 MB)
BLOCK_USERS = 2_048

LARGEST_SCORES = 4_096  # of a user: what is further down hardly adds to the entropy
COLDEST, HOTTEST = 1e-3, 1e2  # temperatures, in units of the distance from first to last of a list
BISECTIONS = 14  # of log temperature: to one part in a thousand
LOWEST_EXPONENT = -80.0  # exp(-80) is nothing beside 1, and its square is still a float32
LISTS_OF_EVERYBODY = 1.0  # added to every cell, in all users' mean: decides where no list reaches
NEGLIGIBLE = 1e-2  # of a cell's mean mass: users below it hold less than that of the cell's mass


class RankingMetricConfig(Settings):
    """Settings of the metric of the ranking, and of quantisation in it."""

    cells: int = Field(256, ge=1, le=MAX_CELLS)
    """Cells of similar items, with a matrix each; a small catalogue has fewer."""
    perplexity: float = Field(250.0, ge=1.0)
    """How many items a user's list is about: exp(entropy) of the user's probabilities."""
    identity: float = Field(0.02, gt=0, le=1)
    """Share of the identity in every matrix, so that no direction is free of cost."""
    users: int = Field(30_000, ge=1)
    """Users, drawn at random, who judge; a large catalogue has fewer."""
    rounds: int = Field(3, ge=0)
    """Rounds of encoding items and refitting codebooks in this metric."""
    beam: int = Field(16, ge=0)
    """Partial codes kept while encoding in this metric; 0 only refines the present codes."""
    popularity_power: float = Field(1.0, ge=0.0)
    """An item counts as (its training pairs + 1/2) to this power in these rounds."""


def ranking_metric(
    items: np.ndarray,
    users: np.ndarray,
    *,
    seen: History | None = None,
    weights: np.ndarray | None = None,
    config: RankingMetricConfig | None = None,
    rng: np.random.Generator,
) -> ItemMetric:
    """Measures items' errors by the users who would rank them high.

    H of a cell is the sum of p_u p_u' over users, each weighed by the probability that the user's
    list gives to the cell's items, scaled to trace D and mixed with the identity. A little of all
    users' Gram matrix is added first: it decides where a cell is in nobody's list.

    Args:
        items: (N, D) float item vectors.
        users: (M, D) float user vectors, M >= 1; a score is an inner product.
        seen: (M users, N items) pairs that a list leaves out, as recommendation will.
        weights: (N,) how much an item counts where cells are formed; equal when None.
        config: Settings; the defaults when None.
        rng: Source of the cells' first centres and of the samples of users and items.

    Returns:
        A cell for every item and a (D, D) matrix for every cell.

    Raises:
        ArgumentError: There is no user, shapes do not fit, or a vector is not finite.
    """
    config = config or RankingMetricConfig()
    _check(items, users, seen)
    items, users = items.astype(np.float32, copy=False), users.astype(np.float32, copy=False)
    cells = _cells(items, weights, config.cells, rng)
    judged = _sample(len(items), MAX_ITEMS, rng)
    share = len(judged) / len(items)
    limit = max(MAX_SCORES // len(judged), FEWEST_USERS)
    able = np.arange(len(users)) if seen is None else np.flatnonzero(seen.user_degrees())
    if not len(able):
        able = np.arange(len(users))  # nobody has a pair: vectors are all that there is to go by
    judges = able[_sample(len(able), min(config.users, limit), rng)]
    perplexity = config.perplexity
    if share < 1.0:
        perplexity = max(perplexity * share, FEWEST_ITEMS_OF_A_LIST)
    masses = cell_masses(items, users, cells, judged, judges, seen, perplexity)
    return ItemMetric(cells, _matrices(users[judges], masses, config.identity))


def cell_masses(
    items: np.ndarray,
    users: np.ndarray,
    cells: np.ndarray,
    judged: np.ndarray,
    judges: np.ndarray,
    seen: History | None,
    perplexity: float,
) -> np.ndarray:
    """How much of each user's list falls into each cell of items.

    Args:
        items: (N, D) float32.
        users: (M, D) float32.
        cells: (N,) the cell of each item.
        judged: (n,) rows of the items that are ranked.
        judges: (m,) rows of the users that rank them.
        seen: Pairs that get no probability; none when None.
        perplexity: Of each user's probabilities; at most half of the items ranked.

    Returns:
        (m, K) float32, rows sum to 1; a row is zero where a user has seen all items.
    """
    judged = judged[np.argsort(cells[judged], kind="stable")]  # items of a cell stand together
    present, firsts = np.unique(cells[judged], return_index=True)
    columns = np.full(len(items), -1, np.int64)
    columns[judged] = np.arange(len(judged))
    ranked = np.ascontiguousarray(items[judged].T)
    masses = np.zeros((len(judges), int(cells.max()) + 1), np.float32)
    for block, scores in _score_blocks(users, judges, ranked):
        if seen is not None:
            _leave_out(scores, judges[block], columns, seen)
        probabilities = _probabilities(scores, min(perplexity, len(judged) / 2))
        masses[block, present] = np.add.reduceat(probabilities, firsts, axis=1)
    return masses


def calibrated_temperatures(below_peak: np.ndarray, perplexity: float) -> np.ndarray:
    """The temperature at which each row's softmax has the perplexity asked for.

    Bisection on the logarithm, between temperatures that are certainly too low and too high (a row
    with fewer items than `perplexity`, or with equal scores only, gets some temperature).

    Args:
        below_peak: (n, k) float32, scores minus the row's largest score; minus infinity for items
            that do not count.
        perplexity: exp(entropy) of a row's probabilities.

    Returns:
        (n, 1) float32.
    """
    # In units of the distance down to the rank where a list of that many items would end.
    rank = min(int(perplexity), below_peak.shape[1] - 1)
    unit = -np.partition(below_peak, -rank - 1, axis=1)[:, -rank - 1, None]
    unit = np.clip(unit, np.float32(1e-30), np.float32(1e30))
    low, high = np.full_like(unit, COLDEST), np.full_like(unit, HOTTEST)
    below_peak = np.maximum(below_peak, LOWEST_EXPONENT * HOTTEST * unit) / unit
    for _ in range(BISECTIONS):
        middle = np.sqrt(low * high)
        flat = _entropies(below_peak, middle) > np.log(perplexity)
        low, high = np.where(flat, low, middle), np.where(flat, middle, high)
    return np.asarray(np.sqrt(low * high) * unit)


def _check(items: np.ndarray, users: np.ndarray, seen: History | None) -> None:
    if items.ndim != 2 or users.ndim != 2 or items.shape[1] != users.shape[1]:
        raise ArgumentError(
            f"items {items.shape} and users {users.shape} must be matrices of the same width"
        )
    if not len(users) or not len(items):
        raise ArgumentError("the metric of the ranking needs at least one user and one item")
    for name, vectors in (("items", items), ("users", users)):
        row = first_row_not_finite(vectors)
        if row is not None:
            raise ArgumentError(f"{name} row {row} is not finite; mend or leave out such vectors")
    if seen is not None and (seen.num_users, seen.num_items) != (len(users), len(items)):
        raise ArgumentError(
            f"seen is about {seen.num_users} users and {seen.num_items} items, "
            f"not {len(users)} and {len(items)}"
        )


def _cells(
    items: np.ndarray, weights: np.ndarray | None, most: int, rng: np.random.Generator
) -> np.ndarray:
    """(N,) int32, the cell of each item."""
    fitting = MAX_MATRIX_NUMBERS // items.shape[1] ** 2
    number = max(1, min(most, len(items) // ITEMS_PER_CELL, fitting))
    found = kmeans(items, number, weights=weights, iterations=CELL_ITERATIONS, rng=rng)
    return found.nearest.astype(np.int32)


def _sample(count: int, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Row numbers, ascending: all, or `limit` of them drawn at random."""
    if count <= limit:
        return np.arange(count)
    return np.sort(rng.choice(count, limit, replace=False))


def _score_blocks(
    users: np.ndarray, judges: np.ndarray, ranked: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Scores of all items, a block of users at a time, in one buffer that is used again."""
    size = int(np.clip(BLOCK_SCORES // ranked.shape[1], 1, BLOCK_USERS))
    buffer = np.empty((min(size, len(judges)), ranked.shape[1]), np.float32)
    for start in range(0, len(judges), size):
        block = slice(start, min(start + size, len(judges)))
        scores = buffer[: block.stop - start]
        np.matmul(users[judges[block]], ranked, out=scores)
        yield block, scores


def _leave_out(
    scores: np.ndarray, user_rows: np.ndarray, columns: np.ndarray, seen: History
) -> None:
    """Minus infinity at the items that the users have seen."""
    theirs = [columns[seen.of(int(user))] for user in user_rows]
    rows = np.repeat(np.arange(len(theirs)), [len(each) for each in theirs])
    found = np.concatenate(theirs)
    scores[rows[found >= 0], found[found >= 0]] = -np.inf


def _probabilities(scores: np.ndarray, perplexity: float) -> np.ndarray:
    """Softmax of each row at its calibrated temperature, in place."""
    peaks = scores.max(axis=1, keepdims=True)
    scores -= np.where(np.isfinite(peaks), peaks, np.float32(0))  # all seen: stays -inf
    largest = scores
    if scores.shape[1] > LARGEST_SCORES:
        largest = np.partition(scores, -LARGEST_SCORES, axis=1)[:, -LARGEST_SCORES:]
    scores /= calibrated_temperatures(largest, max(perplexity, 1.0))
    np.exp(scores, out=scores)
    scores /= np.maximum(scores.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return scores


def _entropies(below_peak: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """(n, 1), entropy in nats of each row's softmax."""
    exponents = np.maximum(below_peak / temperature, np.float32(LOWEST_EXPONENT))
    likelihoods = np.exp(exponents)
    total = likelihoods.sum(axis=1, keepdims=True)
    mean = np.einsum("nk,nk->n", likelihoods, exponents)[:, None] / total
    return np.asarray(np.log(total) - mean)


def _matrices(users: np.ndarray, masses: np.ndarray, identity: float) -> np.ndarray:
    """(K, D, D) float32, a matrix per cell from the (m, D) users and their (m, K) masses."""
    width = users.shape[1]
    gram = users.T @ users / np.float32(len(users))
    matrices = np.empty((masses.shape[1], width, width), np.float32)
    for cell, mass in enumerate(np.ascontiguousarray(masses.T)):
        heavy = mass > NEGLIGIBLE * mass.mean()
        weighed = users[heavy] * np.sqrt(mass[heavy])[:, None]
        moment = weighed.T @ weighed + np.float32(LISTS_OF_EVERYBODY) * gram
        matrices[cell] = scaled_and_mixed(moment, identity)
    return matrices
