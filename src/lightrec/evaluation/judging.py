"""How models are judged where choices are made: one value, on a bounded number of users."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lightrec.interactions.history import History

JUDGED_USERS = 8_192
"""Validation users that choices are made on: more hardly change them, and take time."""


def value_of(metrics: Mapping[str, float]) -> float:
    """Recall@100 + NDCG: what early stopping and every choice of settings maximise."""
    return metrics["recall@100"] + metrics["ndcg"]


def judged_users(held_out: History) -> np.ndarray:
    """The users that choices are made on: all with a held-out pair, or a sample of them."""
    users = np.flatnonzero(held_out.user_degrees())
    if len(users) > JUDGED_USERS:
        users = np.sort(np.random.default_rng(0).choice(users, JUDGED_USERS, replace=False))
    return users
