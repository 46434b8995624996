"""The loss of the sampled-softmax teacher, with its gradient by hand.

A step is a handful of passes over (users, items) scores and (items, D) vectors. Left to automatic
differentiation they are several times as many, each into new memory, and cost far more than the
matrix products between them.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from lightrec.training.user_batches import UserBatch

NO_RIVAL = -1e30  # the logit of what is no rival; finite, because there may be no rival at all
LEAST_LENGTH = 1e-12  # shorter vectors are divided by this instead, so that zero stays zero


def sampled_softmax_loss(
    free: torch.Tensor,
    items: torch.Tensor,
    batch: UserBatch,
    *,
    history_share: float,
    scale: torch.Tensor,
    pair_weights: torch.Tensor,
) -> torch.Tensor:
    """Every training pair of the batch's users against the items drawn for all of them.

        loss(u, i) = log(1 + sum_j n_j exp(s_uj - s_ui)),   s_ui = scale_i <u, i>,

    over the items j drawn n_j times each, but for the user's own. i is the direction of the item's
    vector; u that of (1 - share) f + share h, where f is the direction of the user's free vector
    and h that of the sum of the directions i of the user's items.

    Args:
        free: (n, D) free vectors of the batch's users.
        items: (k, D) vectors of the batch's items.
        batch: Who is paired with what, and how often each item was drawn.
        history_share: Share of the history's direction in a user's vector.
        scale: (k,) factor of an item's scores, such as one over the temperature.
        pair_weights: (m,) what each pair counts.

    Returns:
        Scalar: the weighted sum over the pairs divided by n. Gradients flow to `free` and `items`.
    """
    return cast(
        torch.Tensor,
        _SampledSoftmax.apply(  # type: ignore[no-untyped-call]
            free, items, batch, history_share, scale, pair_weights
        ),
    )


def directions(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows scaled to length 1, and their lengths (n, 1)."""
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp_min_(LEAST_LENGTH)
    return vectors / lengths, lengths


def mixed(free: torch.Tensor, liked: torch.Tensor, history_share: float) -> torch.Tensor:
    """A user's vector, before it is scaled to length 1, from two directions."""
    return torch.lerp(free, liked, history_share)


class _SampledSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        free: torch.Tensor,
        items: torch.Tensor,
        batch: UserBatch,
        history_share: float,
        scale: torch.Tensor,
        pair_weights: torch.Tensor,
    ) -> torch.Tensor:
        n, width = free.shape
        pairs = batch.pair_users, batch.pair_items
        items, item_lengths = directions(items)
        free, free_lengths = directions(free)
        likes = items.new_zeros(n, width).index_add_(0, pairs[0], items[pairs[1]])
        liked, liked_lengths = directions(likes)
        users, user_lengths = directions(mixed(free, liked, history_share))

        logits = (users @ items.T).mul_(scale)
        positives = logits[pairs]
        logits.add_(batch.draws.log().clamp_(min=NO_RIVAL))
        logits[pairs] = NO_RIVAL
        peaks = logits.amax(1)
        rivals = logits.sub_(peaks[:, None]).exp_()
        sums = rivals.sum(1)
        gaps = (peaks + sums.log())[batch.pair_users] - positives

        ctx.batch, ctx.history_share = batch, history_share
        ctx.save_for_backward(
            *(items, item_lengths, free, free_lengths, liked, liked_lengths, users, user_lengths),
            *(rivals, sums, scale, torch.sigmoid(gaps).mul_(pair_weights / n)),
        )
        return (F.softplus(gaps) * pair_weights).sum() / n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
        items, item_lengths, free, free_lengths, liked, liked_lengths, *rest = ctx.saved_tensors
        users, user_lengths, rivals, sums, scale, slopes = rest
        pairs = ctx.batch.pair_users, ctx.batch.pair_items

        slopes = slopes * gradients[0]
        of_user = torch.zeros_like(sums).index_add_(0, pairs[0], slopes)
        of_scores = rivals.mul_((of_user / sums)[:, None])
        of_scores[pairs] = -slopes  # a pair is no rival of its own user
        of_scores.mul_(scale)

        of_mixed = _through_directions(of_scores @ items, users, user_lengths)
        of_free = _through_directions(of_mixed * (1.0 - ctx.history_share), free, free_lengths)
        of_liked = _through_directions(of_mixed * ctx.history_share, liked, liked_lengths)
        of_items = of_scores.T @ users
        of_items.index_add_(0, pairs[1], of_liked[pairs[0]])
        of_items = _through_directions(of_items, items, item_lengths)
        return of_free, of_items, None, None, None, None


def _through_directions(
    gradient: torch.Tensor, units: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    """From dL/du to dL/dx, where u = x / |x|: (g - u <g, u>) / |x|; in place."""
    along = torch.linalg.vecdot(gradient, units).unsqueeze(1)
    return gradient.addcmul_(units, along, value=-1.0).div_(lengths)
