"""BPR matrix factorisation, the paper's teacher (Eq. 3), in the setting of its authors.

Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009. The authors'
code uses dense Adam at 1e-3, an L2 penalty of .001 on the vectors in the batch, 5 uniform
negatives that are no training pairs, batches of 1024 and Glorot-normal starts.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.training.loop import FitResult, LoopConfig, Objective, Surroundings, Validation, fit
from lightrec.training.losses import bpr_loss, l2_penalty
from lightrec.training.negative_sampling import Batch, PairBatches


class BprConfig(LoopConfig):
    """Settings of the BPR teacher; the defaults are the paper's."""

    kind: Literal["bpr"] = "bpr"
    """Which teacher this is."""
    width: int = Field(32, ge=1)
    """D, numbers in a vector."""
    num_negatives: int = Field(5, ge=1)
    """Negatives for each training pair."""
    l2: float = Field(1e-3, ge=0)
    """Weight of the L2 penalty on the vectors in a batch."""
    epochs: int = Field(400, ge=0)
    """Most passes over the training pairs; validation stops it before."""
    evaluate_every: int = Field(10, ge=1)
    """Epochs between two validations."""
    patience: int = Field(4, ge=1)
    """Validations without a better value before training stops."""


class BprFactorization(Objective):
    """Free user and item vectors, trained to rank training pairs above unobserved ones."""

    def __init__(self, num_users: int, num_items: int, config: BprConfig, seed: int) -> None:
        """Draws the vectors from the Glorot normal distribution."""
        super().__init__()
        self.config = config
        generator = torch.Generator().manual_seed(seed)
        self.users = _glorot(num_users, config.width, generator)
        self.items = _glorot(num_items, config.width, generator)

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """BPR loss and L2 penalty of a batch."""
        users = F.embedding(batch.users, self.users)
        items = F.embedding(torch.cat([batch.positives[:, None], batch.negatives], 1), self.items)
        scores = torch.einsum("nd,nld->nl", users, items)
        ranking = bpr_loss(scores[:, 0], scores[:, 1:])
        penalty = self.config.l2 * l2_penalty(users, items, batch_size=len(users))
        return {"loss": ranking + penalty, "bpr": ranking}

    def factors(self) -> Factors:
        """The vectors as they stand."""
        users, items = (table.detach().to("cpu", copy=True) for table in (self.users, self.items))
        return Factors(users.numpy(), items.numpy())


def train_bpr(
    model: BprFactorization,
    history: History,
    *,
    seed: int,
    validation: Validation | None = None,
    stop_after: int | None = None,
    surroundings: Surroundings | None = None,
) -> FitResult:
    """Trains a BPR teacher in place.

    Args:
        model: The model, with its settings.
        history: Training pairs.
        seed: Of order and negatives.
        validation: Judge for early stopping.
        stop_after: Epochs to train where validation chose them before.
        surroundings: Log, checkpoint, progress bar.

    Returns:
        How the run ended.
    """
    config = model.config
    batches = PairBatches(
        history,
        batch_size=config.batch_size,
        num_negatives=config.num_negatives,
        pool_size=None,
        seed=seed,
    )
    return fit(
        model,
        batches,
        config,
        name="BPR teacher",
        validation=validation,
        stop_after=stop_after,
        surroundings=surroundings,
    )


def _glorot(rows: int, width: int, generator: torch.Generator) -> nn.Parameter:
    spread = (2.0 / (rows + width)) ** 0.5
    return nn.Parameter(torch.randn(rows, width, generator=generator) * spread)
