"""Ranking losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def bpr_loss(positive_scores: torch.Tensor, negative_scores: torch.Tensor) -> torch.Tensor:
    """Bayesian personalised ranking (Eq. 3): mean of -log sigmoid(r_ui - r_uj).

    Args:
        positive_scores: (n,) scores of the training pairs.
        negative_scores: (n, L) scores of their negatives.

    Returns:
        Scalar; the paper writes a sum, its authors' code and this function take the mean.
    """
    return F.softplus(negative_scores - positive_scores[:, None]).mean()


def softmax_loss(positive_scores: torch.Tensor, negative_scores: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of a training pair among itself and its negatives.

    Args:
        positive_scores: (n,) scores of the training pairs.
        negative_scores: (n, L) scores of their negatives.
    """
    return F.softplus(negative_scores.logsumexp(dim=1) - positive_scores).mean()


def l2_penalty(*vectors: torch.Tensor, batch_size: int) -> torch.Tensor:
    """Half the squared norm of every vector that the batch uses, divided by the number of pairs.

    Args:
        vectors: Tensors whose last axis is the width.
        batch_size: Training pairs in the batch.
    """
    total = sum((block.square().sum() for block in vectors), start=torch.zeros(()))
    return 0.5 * total / batch_size
