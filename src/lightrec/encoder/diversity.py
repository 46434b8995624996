"""Regularisers that push codebooks apart (section 3.3): what the recurrence does without.

The paper argues against them: there are B (B - 1) / 2 terms, and numbering codewords anew changes
the Frobenius norm of a difference though not the codebooks. The divergences compare second moments,
which two different codebooks may share. Each is larger for more different codebooks; training
subtracts the logarithm, so that its weight means the same for codebooks of any scale.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import torch

RIDGE = 1e-3  # of the mean diagonal, so that second moments have logarithms


Measure = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def diversity_penalty(codebooks: torch.Tensor, measure: Measure) -> torch.Tensor:
    """Minus the logarithm of how different codebooks are, on average over all pairs.

    Args:
        codebooks: (B, W, D); with a single codebook the penalty is 0.
        measure: Of two codebooks, (W, D) each.
    """
    pairs = [measure(one, other) for one, other in combinations(codebooks, 2)]
    if not pairs:
        return codebooks.new_zeros(())
    return -torch.log(torch.stack(pairs).mean().clamp_min(torch.finfo(codebooks.dtype).tiny))


def squared_distance(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Squared Frobenius norm of the difference; depends on how codewords are numbered."""
    return (one - other).square().sum()


def von_neumann_divergence(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """tr(X log X - X log Y - X + Y) of the second moments X and Y, symmetrised."""
    x, y = _second_moment(one), _second_moment(other)
    log_x, log_y = _logarithm(x), _logarithm(y)
    return 0.5 * torch.trace((x - y) @ (log_x - log_y))


def log_det_divergence(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """tr(X Y^-1) - log det(X Y^-1) - D of the second moments X and Y, symmetrised."""
    x, y = _second_moment(one), _second_moment(other)
    both = torch.trace(torch.linalg.solve(y, x)) + torch.trace(torch.linalg.solve(x, y))
    return 0.5 * both - len(x)


def _second_moment(codebook: torch.Tensor) -> torch.Tensor:
    moment = codebook.T @ codebook / len(codebook)
    ridge = RIDGE * torch.trace(moment) / len(moment)
    return moment + ridge * torch.eye(len(moment), dtype=moment.dtype, device=moment.device)


def _logarithm(matrix: torch.Tensor) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    logarithm: torch.Tensor = (vectors * values.log()) @ vectors.T
    return logarithm


DIVERSITIES: dict[str, Measure] = {
    "frobenius": squared_distance,
    "von_neumann": von_neumann_divergence,
    "log_det": log_det_divergence,
}
"""By their names in the configuration."""
