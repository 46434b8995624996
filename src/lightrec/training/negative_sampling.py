"""Batches of training pairs with sampled negatives.

Randomness is a function of (seed, epoch, step) and nothing else, so a run that is taken up again
at any step draws exactly what the uninterrupted run would have drawn, and no generator state is
ever saved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions.history import History

REDRAWS = 8  # of rejected negatives, before the rest are chosen among the allowed items one by one


@dataclass(frozen=True)
class Batch:
    """Training pairs with their negatives.

    Attributes:
        users: (n,) int64 user rows.
        positives: (n,) int64 item rows, one training pair each.
        negatives: (n, L) int64 item rows that the user has no training pair with.
    """

    users: torch.Tensor
    positives: torch.Tensor
    negatives: torch.Tensor


class PairBatches:
    """Shuffled training pairs with uniform, rejected negatives.

    A user who has every item has no negative: the positive stands in for it, and the pair then
    gives a constant loss and no gradient.
    """

    def __init__(
        self,
        history: History,
        *,
        batch_size: int,
        num_negatives: int,
        pool_size: int | None,
        seed: int,
    ) -> None:
        """Prepares the batches.

        Args:
            history: Training pairs.
            batch_size: Pairs in a batch (the last of an epoch is smaller).
            num_negatives: L, negatives for each pair.
            pool_size: Negatives come from this many items drawn for the batch, so that few
                different items have to be encoded; None draws each from the whole catalogue.
            seed: With epoch and step, all that the draws depend on.

        Raises:
            InputError: There is no training pair.
            ArgumentError: A size is not positive.
        """
        if batch_size < 1 or num_negatives < 1 or (pool_size is not None and pool_size < 1):
            raise ArgumentError("batch_size, num_negatives and pool_size must be positive")
        if not len(history):
            raise InputError("there are no training pairs")
        self._history = history
        self._users = torch.from_numpy(history.user_rows().astype(np.int64))
        self._items = torch.from_numpy(history.item_rows.astype(np.int64))
        self._keys = self._users * history.num_items + self._items  # ascending
        self._batch_size = batch_size
        self._num_negatives = num_negatives
        self._pool_size = pool_size
        self._seed = seed
        self._order: tuple[int, torch.Tensor] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-len(self._users) // self._batch_size)

    def batch(self, epoch: int, step: int) -> Batch:
        """The batch of one step.

        Args:
            epoch: From 0.
            step: 0 .. steps_per_epoch - 1.
        """
        if self._order is None or self._order[0] != epoch:
            shuffle = generator_of(self._seed, epoch, 0)
            self._order = (epoch, torch.randperm(len(self._users), generator=shuffle))
        chosen = self._order[1][step * self._batch_size : (step + 1) * self._batch_size]
        users, positives = self._users[chosen], self._items[chosen]
        generator = generator_of(self._seed, epoch, step + 1)
        return Batch(users, positives, self._negatives(users, positives, generator))

    def _negatives(
        self, users: torch.Tensor, positives: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        num_items = self._history.num_items
        pool = None
        if self._pool_size is not None:
            pool = torch.randint(num_items, (self._pool_size,), generator=generator)

        def draw(count: int) -> torch.Tensor:
            drawn = torch.randint(
                num_items if pool is None else len(pool), (count,), generator=generator
            )
            return drawn if pool is None else pool[drawn]

        owners = users.repeat_interleave(self._num_negatives)
        negatives = draw(len(owners))
        rejected = torch.nonzero(self._is_training_pair(owners, negatives)).ravel()
        for _ in range(REDRAWS):
            if not len(rejected):
                break
            negatives[rejected] = draw(len(rejected))
            still = self._is_training_pair(owners[rejected], negatives[rejected])
            rejected = rejected[still]
        for place in rejected.tolist():
            own = self._history.of(int(owners[place]))
            allowed = np.setdiff1d(np.arange(num_items), own)
            if len(allowed):
                pick = int(torch.randint(len(allowed), (1,), generator=generator))
                negatives[place] = int(allowed[pick])
            else:
                negatives[place] = positives[place // self._num_negatives]
        return negatives.view(len(users), self._num_negatives)

    def _is_training_pair(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        keys = users * self._history.num_items + items
        places = torch.searchsorted(self._keys, keys).clamp_(max=len(self._keys) - 1)
        return self._keys[places] == keys


def generator_of(seed: int, epoch: int, step: int) -> torch.Generator:
    """The generator of a step's draws (and, as step 0, of an epoch's order)."""
    words = np.random.SeedSequence([seed, epoch, step]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))
