"""Implicit alternating least squares: a float teacher in closed-form steps.

Rendle, Krichene, Zhang and Koren, "Revisiting the performance of iALS on item recommendation
benchmarks", RecSys 2022, after Hu, Koren and Volinsky, ICDM 2008. With S the training pairs, n the
number of a row's pairs, M users and N items, the users p and items q minimise

    sum_S (1 - p·q)^2 + a sum_all (p·q)^2
        + l sum_u (n_u + a N)^v |p_u|^2 + l sum_i (n_i + a M)^v |q_i|^2.

With one side fixed, every row of the other is a linear system of its own. Its matrix is the fixed
side's Gram matrix plus as many rank-one terms as the row has pairs. On the axes of the Gram matrix
all but these terms is diagonal, so that a row with fewer pairs than numbers in a vector needs only
a system as large as its pairs are many (the matrix inversion lemma): the same solution, and most
rows of most catalogues are such rows. This module needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from lightrec.errors import ArgumentError, DivergedError, InputError, InterruptedRunError
from lightrec.evaluation.judging import value_of
from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.progress import track
from lightrec.settings import Settings
from lightrec.training.interruptions import interruptions
from lightrec.training.run_log import RunLog

NAME = "iALS teacher"
_START_SPREAD = 0.1  # length of an item's first vector, about, as the authors draw it
_NUMBERS_AT_ONCE = 1 << 18  # of the vectors gathered for a block of rows: 2 MB, near the cache


class IalsConfig(Settings):
    """Settings of the iALS teacher.

    The defaults were measured on validation pairs; `docs/training.md` has the variants.
    """

    kind: Literal["ials"] = "ials"
    """Which teacher this is."""
    width: int = Field(64, ge=1)
    """D, numbers in a vector: the largest lever of all."""
    unobserved_weight: float = Field(0.003, gt=0)
    """a, what any pair of user and item weighs, beside 1 more for a training pair."""
    l2: float = Field(0.2, gt=0)
    """l, weight of the L2 penalty; what suits depends on `frequency_power`."""
    frequency_power: float = Field(0.5, ge=0, le=1)
    """v, power of a row's frequency in its penalty, 0 for the same on all rows. With 1 the right l2
    differs much between data sets, with .5 less."""
    sweeps: int = Field(16, ge=1)
    """Most solutions of all users and then all items."""
    evaluate_every: int = Field(1, ge=1)
    """Sweeps between two validations."""
    patience: int = Field(3, ge=1)
    """Validations without a better value before training stops."""


def train_ials(
    history: History,
    config: IalsConfig,
    *,
    seed: int,
    held_out_value: Callable[[Factors], dict[str, float]] | None = None,
    stop_after: int | None = None,
    log: RunLog | None = None,
    progress: bool = False,
    doing: str = "",
) -> tuple[Factors, int]:
    """Trains an iALS teacher.

    Args:
        history: Training pairs.
        config: Settings.
        seed: Of the items' first vectors.
        held_out_value: Returns validation metrics, `recall@100` and `ndcg` among them, whose sum
            is maximised: the best sweep's vectors are returned. None: the last sweep's are.
        stop_after: Sweeps to make and return, whatever `config.sweeps` and validation say: the way
            to repeat, on more data, what validation chose.
        log: Hears of every sweep (`epoch`; its `loss` is the objective per training pair) and of
            every validation.
        progress: Shows a progress bar when standard error is a terminal.
        doing: What it begins with, where the run is one of several.

    Returns:
        The vectors, zero for users and items without a training pair, and the sweeps they took.

    Raises:
        InputError: There is no training pair.
        ArgumentError: `stop_after` is less than 1.
        DivergedError: The objective is not finite: `l2` is far out of proportion.
        InterruptedRunError: The user asked to stop; nothing is kept.
    """
    _check(history, stop_after)
    log = log or RunLog()
    by_item = transposed(history)
    items = first_items(history, config.width, seed)
    best = _Best()
    with interruptions() as interrupted:
        last = stop_after or config.sweeps
        for sweep in track(range(1, last + 1), f"{doing}{NAME}", enabled=progress):
            factors = _sweep(history, by_item, items, config, sweep)
            items = factors.items
            loss = objective(history, factors, config) / len(history)
            if not math.isfinite(loss):
                raise _diverged(config, sweep)
            log.event("epoch", of=NAME, epoch=sweep, loss=loss)
            due = sweep % config.evaluate_every == 0 or sweep == last
            if held_out_value is not None and due:
                metrics = held_out_value(factors)
                log.event("validation", of=NAME, epoch=sweep, **metrics)
                best = best.or_better(metrics, factors, sweep)
            if interrupted.is_set():
                raise InterruptedRunError(
                    f"{NAME}: interrupted after sweep {sweep}; run the same command again, "
                    "it starts over"
                )
            patience = config.patience * config.evaluate_every
            if stop_after is None and best.sweep and sweep - best.sweep >= patience:
                break
    if best.factors is None or stop_after is not None:
        return factors, sweep
    return best.factors, best.sweep


@dataclass(frozen=True)
class _Best:
    """The best sweep so far."""

    factors: Factors | None = None
    sweep: int = 0
    value: float = -math.inf

    def or_better(self, metrics: dict[str, float], factors: Factors, sweep: int) -> _Best:
        """This one, or the sweep at hand when validation likes it more."""
        value = value_of(metrics)
        return _Best(factors, sweep, value) if value > self.value else self


def objective(history: History, factors: Factors, config: IalsConfig) -> float:
    """What training minimises: misses of the training pairs, all scores, and the penalty."""
    users, items = factors.users, factors.items
    user_rows, misses = history.user_rows(), 0.0
    for some in _slices(len(history), max(1, _NUMBERS_AT_ONCE // config.width)):
        scores = np.einsum(
            "nd,nd->n", users[user_rows[some]], items[history.item_rows[some]], dtype=np.float64
        )
        misses += float(((1.0 - scores) ** 2).sum())
    scores_squared = float((_gram(users) * _gram(items)).sum())
    penalty = sum(
        float(row_penalties(degrees, others, config) @ np.square(rows, dtype=np.float64).sum(1))
        for degrees, others, rows in (
            (history.user_degrees(), history.num_items, users),
            (history.item_degrees(), history.num_users, items),
        )
    )
    return misses + config.unobserved_weight * scores_squared + penalty


def row_penalties(degrees: np.ndarray, num_others: int, config: IalsConfig) -> np.ndarray:
    """What a row's squared length costs: l (n + a N)^v.

    Args:
        degrees: (rows,) n, training pairs of each row.
        num_others: N, rows of the other side.
        config: Settings.

    Returns:
        (rows,) float64.
    """
    frequencies = degrees + config.unobserved_weight * num_others
    return np.asarray(config.l2 * frequencies**config.frequency_power, np.float64)


def first_items(history: History, width: int, seed: int) -> np.ndarray:
    """Normal draws, (N, D) float32, of mean length about .1; zero for items without a pair."""
    draws = np.random.default_rng(seed).standard_normal((history.num_items, width), np.float32)
    draws *= np.float32(_START_SPREAD / math.sqrt(width))
    draws[history.item_degrees() == 0] = 0.0
    return draws


def transposed(pairs: History) -> History:
    """The same pairs with rows and columns exchanged: which users each item has."""
    return History.from_pairs(pairs.item_rows, pairs.user_rows(), pairs.num_items, pairs.num_users)


def half_step(pairs: History, fixed: np.ndarray, config: IalsConfig) -> np.ndarray:
    """The rows that minimise the objective while the other side is fixed.

    Args:
        pairs: Which fixed rows each row goes with: the history for users, transposed for items.
        fixed: (pairs.num_items, D) float32, the other side.
        config: Settings.

    Returns:
        (pairs.num_users, D) float32; zero for a row without a pair.
    """
    strengths, axes = np.linalg.eigh(_gram(fixed))
    everywhere = config.unobserved_weight * np.maximum(strengths, 0.0)
    on_axes = fixed @ axes.astype(np.float32)
    solved = np.zeros((pairs.num_users, fixed.shape[1]), np.float32)
    for rows, degree in _rows_alike(pairs, fixed.shape[1]):
        diagonal = everywhere + row_penalties(np.array([degree]), pairs.num_items, config)
        if degree <= fixed.shape[1]:
            places = pairs.indptr[rows, None] + np.arange(degree)
            solved[rows] = _solve_by_pairs(on_axes[pairs.item_rows[places]], diagonal)
        else:
            solved[rows[0]] = _solve_by_axes(on_axes, pairs.of(rows[0]), diagonal)
    return solved @ axes.T.astype(np.float32)


def _rows_alike(pairs: History, width: int) -> Iterator[tuple[np.ndarray, int]]:
    """Rows with equally many pairs, in blocks that fit the memory; long rows one by one."""
    degrees = pairs.user_degrees()
    order = np.argsort(degrees, kind="stable")
    values, starts = np.unique(degrees[order], return_index=True)
    for degree, rows in zip(values.tolist(), np.split(order, starts[1:]), strict=True):
        if degree:
            most = max(1, _NUMBERS_AT_ONCE // (degree * width)) if degree <= width else 1
            for some in _slices(len(rows), most):
                yield rows[some], degree


def _solve_by_pairs(vectors: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
    """(diag + V'V)^-1 V'1 = diag^-1 V' (1 + V diag^-1 V')^-1 1, a system of a row's pairs.

    Args:
        vectors: (rows, n, D) V, the fixed vectors of each row's pairs.
        diagonal: (D,) of the matrix without these pairs.

    Returns:
        (rows, D) float64.
    """
    weighted = vectors / diagonal
    systems = np.eye(vectors.shape[1]) + vectors.astype(np.float64) @ weighted.swapaxes(1, 2)
    misses = np.linalg.solve(systems, np.ones((*vectors.shape[:2], 1)))
    return np.asarray((misses.swapaxes(1, 2) @ weighted)[:, 0])


def _solve_by_axes(on_axes: np.ndarray, members: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
    """(diag + V'V)^-1 V'1, a system of a vector's numbers, for one row with many pairs.

    Args:
        on_axes: (N, D) the fixed side.
        members: (n,) the row's pairs: V is `on_axes[members]`.
        diagonal: (D,) of the matrix without these pairs.

    Returns:
        (D,) float64.
    """
    system, target = np.diag(diagonal), np.zeros(len(diagonal))
    for some in _slices(len(members), max(1, _NUMBERS_AT_ONCE // len(diagonal))):
        vectors = on_axes[members[some]].astype(np.float64)
        system += vectors.T @ vectors
        target += vectors.sum(axis=0)
    return np.asarray(np.linalg.solve(system, target))


def _sweep(
    history: History, by_item: History, items: np.ndarray, config: IalsConfig, sweep: int
) -> Factors:
    """All users, then all items."""
    try:
        users = half_step(history, items, config)
        return Factors(users, half_step(by_item, users, config))
    except (np.linalg.LinAlgError, ArgumentError) as error:  # singular, or values not finite
        raise _diverged(config, sweep) from error


def _diverged(config: IalsConfig, sweep: int) -> DivergedError:
    return DivergedError(
        f"{NAME}: the objective is not finite in sweep {sweep}; "
        f"l2 ({config.l2:g}) is far out of proportion, about 0.01 to 1 is usual"
    )


def _gram(vectors: np.ndarray) -> np.ndarray:
    """V'V, (D, D) float64, without a float64 copy of V."""
    gram = np.zeros((vectors.shape[1],) * 2)
    for some in _slices(len(vectors), max(1, _NUMBERS_AT_ONCE // vectors.shape[1])):
        block = vectors[some].astype(np.float64)
        gram += block.T @ block
    return gram


def _slices(length: int, step: int) -> Iterator[slice]:
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def _check(history: History, stop_after: int | None) -> None:
    if not len(history):
        raise InputError(
            "there is no training pair: the iALS teacher learns from pairs of user and item alone"
        )
    if stop_after is not None and stop_after < 1:
        raise ArgumentError(f"stop_after must be at least 1 sweep, not {stop_after}")
