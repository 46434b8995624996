"""Sampled softmax over directions: the strongest float teacher here, and a fast one.

A user's training pairs are to score above a sample of the catalogue:

    loss(u, i) = log(1 + sum_j exp((s_uj - s_ui) / T)),   s = cos(user, item),

over items j drawn uniformly for a whole batch of users, a user's own training items left out. s is
stretched a little for popular items (`popularity_power`). The user's vector is part free, part the
direction of the items in the history (as in SimpleX, Mao et al., CIKM 2021; the loss as in Wu et
al., "On the effectiveness of sampled softmax loss for item recommendation", TOIS 2024). The start
is the truncated SVD of the normalised interactions.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.teachers.sampled_softmax_loss import directions, mixed, sampled_softmax_loss
from lightrec.training.loop import FitResult, LoopConfig, Objective, Surroundings, Validation, fit
from lightrec.training.row_adam import RowAdam
from lightrec.training.user_batches import UserBatch, UserBatches

POWER_ITERATIONS = 4  # of the randomised SVD; more no longer change what training makes of it
OVERSAMPLING = 16
START_NOISE = 1e-3  # length of the noise on a start vector: items alike must be able to part


class SampledSoftmaxConfig(LoopConfig):
    """Settings of the sampled-softmax teacher.

    The defaults were measured on validation pairs; `docs/training.md` has the variants.
    """

    kind: Literal["sampled_softmax"] = "sampled_softmax"
    """Which teacher this is."""
    width: int = Field(128, ge=1)
    """D, numbers in a vector: the largest lever of all."""
    temperature: float = Field(0.1, gt=0)
    """T of the softmax over cosines; what suits differs between data sets."""
    history_share: float = Field(0.5, ge=0, lt=1)
    """Share of the history's direction in a user's vector."""
    num_negatives: int = Field(16_384, ge=1)
    """Items drawn for each batch; more are better and dearer."""
    popularity_power: float = Field(0.1, ge=0, le=1)
    """How much longer popular items' vectors are: (training pairs / mean)^this when ranking, half
    the power while learning. Uniform negatives and unit vectors leave popular items too low."""
    degree_power: float = Field(0.25, ge=0, le=1)
    """A user's pairs weigh (number of pairs / mean)^-this, so that few users do not rule."""
    batch_size: int = Field(128, ge=1)
    """Users a step."""
    learning_rate: float = Field(0.03, gt=0)
    """Of Adam by rows, at the start."""
    schedule: Literal["constant", "cosine", "geometric"] = "geometric"
    """`geometric` lets the learning rate fall to a fifth over `epochs`."""
    epochs: int = Field(20, ge=0)
    """Passes over the users; with validation, the most that are made."""
    evaluate_every: int = Field(4, ge=1)
    """Epochs between two validations."""
    evaluate_start: bool = False
    """Whether the start is validated too: it is far from anything that training leads to."""
    patience: int = Field(2, ge=1)
    """Validations without a better value before training stops."""


class SampledSoftmax(Objective):
    """User and item vectors that meet as cosines."""

    def __init__(self, history: History, config: SampledSoftmaxConfig, seed: int) -> None:
        """Starts from the spectrum of the history."""
        super().__init__()
        self.config, self._history = config, history
        users, items = spectral_start(history, config.width, np.random.default_rng(seed))
        self.users = nn.Parameter(torch.from_numpy(users))
        self.items = nn.Parameter(torch.from_numpy(items))
        lengths = popularity_lengths(history, config.popularity_power / 2)
        weights = degree_weights(history, config.degree_power)
        self.register_buffer("learning_lengths", torch.from_numpy(lengths), persistent=False)
        self.register_buffer("pair_weights", torch.from_numpy(weights), persistent=False)

    def optimiser(self, learning_rate: float) -> torch.optim.Optimizer:
        """Adam by rows: a batch meets few of the items and fewer of the users."""
        return RowAdam(self.parameters(), learning_rate)

    def forward(self, batch: UserBatch) -> dict[str, torch.Tensor]:
        """Mean over the batch's users of the loss of all their pairs."""
        loss = sampled_softmax_loss(
            F.embedding(batch.users, self.users, sparse=True),
            F.embedding(batch.items, self.items, sparse=True),
            batch,
            history_share=self.config.history_share,
            scale=self.get_buffer("learning_lengths")[batch.items] / self.config.temperature,
            pair_weights=self.get_buffer("pair_weights")[batch.users][batch.pair_users],
        )
        return {"loss": loss}

    def factors(self) -> Factors:
        """The vectors as they stand: unit users, items as long as their popularity asks for."""
        import scipy.sparse as sparse

        pairs = self._history
        ones = np.ones(len(pairs), np.float32)
        matrix = sparse.csr_matrix(
            (ones, pairs.item_rows, pairs.indptr), (pairs.num_users, pairs.num_items)
        )
        with torch.no_grad():
            items = directions(self.items.cpu())[0]
            likes = torch.from_numpy(matrix @ items.numpy())
            free, liked = directions(self.users.cpu())[0], directions(likes)[0]
            users = directions(mixed(free, liked, self.config.history_share))[0]
        lengths = popularity_lengths(self._history, self.config.popularity_power)
        return Factors(users.numpy().copy(), items.numpy() * lengths[:, None])


def train_sampled_softmax(
    model: SampledSoftmax,
    history: History,
    *,
    seed: int,
    validation: Validation | None = None,
    stop_after: int | None = None,
    surroundings: Surroundings | None = None,
) -> FitResult:
    """Trains the teacher in place; arguments as for `train_bpr`."""
    config = model.config
    batches = UserBatches(
        history, users_per_batch=config.batch_size, num_negatives=config.num_negatives, seed=seed
    )
    return fit(
        model,
        batches,
        config,
        name="sampled-softmax teacher",
        validation=validation,
        stop_after=stop_after,
        surroundings=surroundings,
    )


def degree_weights(history: History, power: float) -> np.ndarray:
    """(M,) float32 (n_u / mean n)^-power, for users without a pair too."""
    degrees = np.maximum(history.user_degrees(), 1)
    weights: np.ndarray = (degrees / degrees.mean()) ** -power
    return weights.astype(np.float32)


def popularity_lengths(history: History, power: float) -> np.ndarray:
    """(N,) float32 (n_i / mean n)^power; an item without a pair counts as half a pair."""
    degrees = np.maximum(history.item_degrees(), 0.5)
    lengths: np.ndarray = (degrees / degrees.mean()) ** power
    return lengths.astype(np.float32)


def spectral_start(
    history: History, width: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Unit user and item vectors from the truncated SVD of D_u^-1/2 X D_i^-1/2.

    By randomised subspace iteration (Halko, Martinsson and Tropp, SIAM Review 2011). Where the
    history has less rank than `width`, what is left is noise.

    Args:
        history: X, the training pairs.
        width: D.
        rng: Source of the probe and of the noise.

    Returns:
        (M, D) and (N, D) float32.
    """
    import scipy.sparse as sparse

    user_degrees, item_degrees = history.user_degrees(), history.item_degrees()
    scale = np.sqrt(np.maximum(user_degrees, 1))[history.user_rows()]
    values = 1.0 / (scale * np.sqrt(np.maximum(item_degrees, 1))[history.item_rows])
    matrix = sparse.csr_matrix(
        (values.astype(np.float32), history.item_rows, history.indptr),
        (history.num_users, history.num_items),
    )
    transposed = matrix.T.tocsr()
    rank = min(width + OVERSAMPLING, *matrix.shape)
    items = rng.standard_normal((history.num_items, rank), np.float32)
    for _ in range(POWER_ITERATIONS):
        items = _orthonormal(transposed @ (matrix @ items))
    users = _orthonormal(matrix @ items)
    left, strengths, right = np.linalg.svd(transposed @ users, full_matrices=False)
    roots = np.sqrt(strengths)
    return (
        _unit_rows((users @ right.T) * roots, width, rng),
        _unit_rows(left * roots, width, rng),
    )


def _orthonormal(vectors: np.ndarray) -> np.ndarray:
    """A basis of the columns' span, in their own precision (numpy would go to float64 and back)."""
    import scipy.linalg as linalg

    basis: np.ndarray = linalg.qr(vectors, mode="economic", overwrite_a=True, check_finite=False)[0]
    return basis


def _unit_rows(vectors: np.ndarray, width: int, rng: np.random.Generator) -> np.ndarray:
    """The leading columns plus a little noise, rows scaled to length 1."""
    noise = START_NOISE / math.sqrt(width)
    rows = noise * rng.standard_normal((len(vectors), width), np.float32)
    used = min(width, vectors.shape[1])
    rows[:, :used] += vectors[:, :used]
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
