"""Users fitted to the codes in closed form, without a label: Eq. 9's P2, free, one user at a time.

Few bytes an item cannot hold every score, so a user is fitted where the ranking is decided: on the
items that the teacher ranks highest, and on those that the student does (its false positives). With
the codes fixed, a user's scores are linear in the user's score table (or vector), and the best one
is a ridge regression on the teacher's scores; it is solved again in rounds, because every solution
has false positives of its own. A sample of the catalogue with a small weight holds the rest down.

A score table of its own has B W numbers for a user to fit; a vector has only D, and shares the
codebooks. Nothing here knows held-out pairs or labels: the teacher's scores are all that is learned
from, and items that a user has trained on are left out, because no ranking will show them.
"""

from __future__ import annotations

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_fit_task import Effort, FitTask, UserFitConfig, kernel_for, require_finite
from lightrec.errors import ArgumentError
from lightrec.factors import Factors
from lightrec.interactions.history import History

_LEAST_SPREAD = 1e-3
_ITEMS_AT_ONCE = 16_384  # decoded together to measure how far they lie apart


def fit_tables(
    teacher: Factors,
    item_codes: ItemCodes,
    seen: History | None,
    config: UserFitConfig | None = None,
    *,
    start: np.ndarray | None = None,
    user_rows: np.ndarray | None = None,
    rounds: int | None = None,
    effort: Effort | None = None,
) -> np.ndarray:
    """Score tables fitted to the codes: users of the form `table`.

    A round minimises, over a user's table T', `sum_j w_j (s_j(T') - t_j)^2 + ridge |T' - T|^2`: s_j
    is the sum of the item's B entries (Eq. 2), t_j the teacher's score, j runs over the round's
    candidates, and T is the table that the round before left.

    A user's answer depends on the seed, not on the threads; nor on the other users, but for the
    last bits of the teacher's scores, which are one matrix product for many users. With and without
    the compiled kernels it agrees to float accuracy, not to the bit: sums run in another order.

    Args:
        teacher: P1 (M, T) and q (N, T) of the paper.
        item_codes: The codes; their codebooks are needed only where `start` is None.
        seen: Pairs that are left out of every fit, M users by N items; None for none.
        config: Settings; the defaults when None.
        start: (n, B, W) float32 tables to start from; those of P1 when None.
        user_rows: (n,) the users to fit; all when None.
        rounds: Instead of `config.rounds`.
        effort: Seed of the catalogue sample, threads, and whether to show a bar.

    Returns:
        (n, B, W) float32.

    Raises:
        ArgumentError: A shape, dtype or row does not fit, or a value is not finite.
    """
    task = FitTask.of(
        teacher, item_codes, seen, config, user_rows=user_rows, rounds=rounds, effort=effort
    )
    tables = np.empty((task.num_users, *item_codes.codebooks.shape[:2]), np.float32)
    if start is None:
        task.require_codebooks_of_teacher_width()
    else:
        _require_start(start, tables.shape)
    fit = kernel_for(item_codes)
    for block in task.blocks("fitting users"):
        begun = item_codes.score_tables(block.users) if start is None else start[block.place]
        tables[block.place] = fit.fit_tables(
            **block.settings,
            ridge=task.config.ridge,
            start=np.ascontiguousarray(begun),
        )
    return tables


def fit_vectors(
    teacher: Factors,
    item_codes: ItemCodes,
    seen: History | None,
    config: UserFitConfig | None = None,
    *,
    start: np.ndarray | None = None,
    user_rows: np.ndarray | None = None,
    rounds: int | None = None,
    effort: Effort | None = None,
) -> np.ndarray:
    """Vectors fitted to the codes and codebooks: users of the form `fitted`.

    As `fit_tables`, with the score `p . y_j + a`: y_j is the decoded item (Eq. 1) and `a` an
    intercept of the round, free and thrown away, since a constant does not change a ranking.

    The ridge on |p' - p|^2 is `config.vector_ridge` times the mean squared distance of decoded
    items from their mean, so that scale and level of the codebooks do not matter: to move a typical
    item's score by d then costs `vector_ridge d^2`. In a score table it costs `ridge d^2 / B`, as
    the step is spread over B entries.

    Args:
        teacher: P1 (M, T) and q (N, T) of the paper.
        item_codes: Codes and codebooks, of any width D.
        seen: Pairs that are left out of every fit, M users by N items; None for none.
        config: Settings; the defaults when None.
        start: (n, D) float32 vectors to start from; P1 when None, for which D must be T.
        user_rows: (n,) the users to fit; all when None.
        rounds: Instead of `config.rounds`.
        effort: Seed of the catalogue sample, threads, and whether to show a bar.

    Returns:
        (n, D) float32.

    Raises:
        ArgumentError: A shape, dtype or row does not fit, or a value is not finite.
    """
    task = FitTask.of(
        teacher, item_codes, seen, config, user_rows=user_rows, rounds=rounds, effort=effort
    )
    vectors = np.empty((task.num_users, item_codes.width), np.float32)
    if start is None:
        task.require_codebooks_of_teacher_width()
    else:
        _require_start(start, vectors.shape)
    fit = kernel_for(item_codes)
    ridge = vector_ridge(task.config, item_codes)
    for block in task.blocks("fitting users"):
        begun = block.users if start is None else start[block.place]
        vectors[block.place] = fit.fit_vectors(
            **block.settings,
            ridge=ridge,
            start=np.ascontiguousarray(begun),
            codebooks=np.ascontiguousarray(item_codes.codebooks),
        )
    return vectors


def vector_ridge(config: UserFitConfig, item_codes: ItemCodes) -> float:
    """What a step of a vector costs for its squared length; see `fit_vectors`."""
    return max(
        config.vector_ridge * mean_squared_distance(item_codes), float(np.finfo(np.float32).tiny)
    )


def mean_squared_distance(item_codes: ItemCodes) -> float:
    """Mean squared distance of decoded items from their mean; 0 where there is no item.

    At least a little of their mean squared norm, so that equal items leave a ridge to hold on to.
    """
    total, mean = 0.0, np.zeros(item_codes.width)
    for begin in range(0, item_codes.num_items, _ITEMS_AT_ONCE):
        decoded = item_codes.decode(slice(begin, begin + _ITEMS_AT_ONCE))
        total += float(np.vdot(decoded, decoded))
        mean += decoded.sum(axis=0, dtype=np.float64)
    squared_norm = total / max(item_codes.num_items, 1)
    mean /= max(item_codes.num_items, 1)
    return max(squared_norm - float(np.vdot(mean, mean)), _LEAST_SPREAD * squared_norm)


def _require_start(start: np.ndarray, shape: tuple[int, ...]) -> None:
    if start.shape != shape or start.dtype != np.float32:
        raise ArgumentError(f"start must be {shape} float32, not {start.shape} {start.dtype}")
    require_finite("start", start)
