"""Similarities between items and codewords (Eq. 5), and what Proposition 3 says of them."""

import numpy as np
import pytest
import torch

from lightrec.encoder.selection import Hard
from lightrec.encoder.similarity import Bilinear, Euclidean

GENERATOR = torch.Generator().manual_seed(5)
STATES = torch.randn(200, 4, generator=GENERATOR)
CODEBOOK = torch.randn(9, 4, generator=GENERATOR)


def test_euclidean_orders_codewords_by_distance() -> None:
    similarities = Euclidean()(STATES, CODEBOOK)
    distances = ((STATES[:, None] - CODEBOOK[None]) ** 2).sum(dim=2)
    constant = (similarities + distances).std(dim=1)  # |x|^2: the same for all codewords
    assert constant.max() < 1e-5
    assert torch.equal(similarities.argmax(dim=1), distances.argmin(dim=1))


def test_bilinear_is_equation_5_without_its_constant() -> None:
    bilinear = Bilinear(4, GENERATOR)
    assert bilinear.codeword_weight.tolist() == [0.0] * 4
    bilinear.codeword_weight.data = torch.tensor([1.0, -2.0, 0.5, 3.0])
    found = bilinear(STATES, CODEBOOK).detach().numpy()
    weight = bilinear.weight.detach().numpy()
    for i in (0, 77, 199):
        for w in range(9):
            x, c = STATES[i].numpy(), CODEBOOK[w].numpy()
            expected = x @ weight @ c + np.array([1.0, -2.0, 0.5, 3.0]) @ c
            assert found[i, w] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("factor", [1e-3, 0.5, 7.0, 1e4])
def test_scaling_a_codebook_changes_no_bilinear_choice(factor: float) -> None:
    """Proposition 3."""
    bilinear = Bilinear(4, GENERATOR)
    bilinear.codeword_weight.data = torch.randn(4, generator=GENERATOR)
    select = Hard()
    before = select(STATES, CODEBOOK, bilinear).indices
    assert torch.equal(select(STATES, factor * CODEBOOK, bilinear).indices, before)
    assert len(before.unique()) > 2
    # Euclidean distance has no such property: without it, the assertion above would prove nothing.
    near = select(STATES, CODEBOOK, Euclidean()).indices
    assert not torch.equal(select(STATES, factor * CODEBOOK, Euclidean()).indices, near)


def test_bilinear_starts_with_the_glorot_spread() -> None:
    weight = Bilinear(200, torch.Generator().manual_seed(1)).weight
    assert weight.std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.02)
