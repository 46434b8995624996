"""Batches of whole users, with one set of negatives for all of them.

A batch holds some users with every training pair they have, and items drawn uniformly that serve
all of them as negatives. Few different items meet many pairs, so a step is a handful of matrix
products. As in `negative_sampling`, the draws depend on (seed, epoch, step) and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions.history import History
from lightrec.training.negative_sampling import generator_of


@dataclass(frozen=True)
class UserBatch:
    """Users, their training pairs, and the items of the batch.

    Attributes:
        users: (n,) int64 user rows.
        pair_users: (m,) int64, the place in `users` of each pair.
        pair_items: (m,) int64, the place in `items` of each pair.
        items: (k,) int64 item rows: of the pairs and of the negatives, each once.
        draws: (k,) float32, how often each item was drawn as a negative.
    """

    users: torch.Tensor
    pair_users: torch.Tensor
    pair_items: torch.Tensor
    items: torch.Tensor
    draws: torch.Tensor


class UserBatches:
    """Shuffled users, each with all of their training pairs."""

    def __init__(
        self, history: History, *, users_per_batch: int, num_negatives: int, seed: int
    ) -> None:
        """Prepares the batches.

        Args:
            history: Training pairs.
            users_per_batch: Users in a batch (the last of an epoch is smaller).
            num_negatives: Items drawn for a batch, with replacement.
            seed: With epoch and step, all that the draws depend on.

        Raises:
            InputError: There is no training pair.
            ArgumentError: A size is not positive.
        """
        if users_per_batch < 1 or num_negatives < 1:
            raise ArgumentError("users_per_batch and num_negatives must be positive")
        if not len(history):
            raise InputError("there are no training pairs")
        self._history = history
        self._users = np.flatnonzero(history.user_degrees())  # nobody else has a pair to learn from
        self._users_per_batch = users_per_batch
        self._num_negatives = num_negatives
        self._seed = seed
        self._order: tuple[int, np.ndarray] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-len(self._users) // self._users_per_batch)

    def batch(self, epoch: int, step: int) -> UserBatch:
        """The batch of one step.

        Args:
            epoch: From 0.
            step: 0 .. steps_per_epoch - 1.
        """
        if self._order is None or self._order[0] != epoch:
            shuffle = torch.randperm(len(self._users), generator=generator_of(self._seed, epoch, 0))
            self._order = (epoch, self._users[shuffle.numpy()])
        begin = step * self._users_per_batch
        users = self._order[1][begin : begin + self._users_per_batch]
        degrees = self._history.user_degrees()[users]
        pair_users = np.repeat(np.arange(len(users)), degrees)
        within = np.arange(len(pair_users)) - (np.cumsum(degrees) - degrees)[pair_users]
        positives = self._history.item_rows[self._history.indptr[users][pair_users] + within]
        draws = self._draws(epoch, step)
        present = draws > 0
        present[positives] = True
        items = np.flatnonzero(present)
        place = np.cumsum(present) - 1
        return UserBatch(
            users=torch.from_numpy(users),
            pair_users=torch.from_numpy(pair_users),
            pair_items=torch.from_numpy(place[positives]),
            items=torch.from_numpy(items),
            draws=torch.from_numpy(draws[items].astype(np.float32)),
        )

    def _draws(self, epoch: int, step: int) -> np.ndarray:
        """(N,) int64, how often each item is a negative of the batch."""
        num_items = self._history.num_items
        generator = generator_of(self._seed, epoch, step + 1)
        drawn = torch.randint(num_items, (self._num_negatives,), generator=generator)
        return np.bincount(drawn.numpy(), minlength=num_items)
