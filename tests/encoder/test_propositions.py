"""Propositions 1 to 4 of the paper, of the encoder that is shipped, on cases that are drawn."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrec.encoder.composite_encoder import CompositeEncoder
from lightrec.encoder.distillation import inner_product_distillation
from lightrec.encoder.selection import StraightThrough
from lightrec.encoder.similarity import SIMILARITIES, CodebookShape, Euclidean
from lightrec.encoder.user_grams import Grams

SEEDS = st.integers(0, 2**32 - 1)
WIDTHS = st.integers(1, 6)
WORDS = st.integers(2, 9)
TEMPERATURES = st.floats(0.25, 5.0, width=32)
LINEAR = ("dot", "scaled_dot", "bilinear", "plain_bilinear")
"""Similarities that Eq. 5 can express with constant w1 and w2."""


def drawn(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(SEEDS, WIDTHS, WORDS, st.integers(1, 4), st.sampled_from(sorted(SIMILARITIES)))
def test_encoding_is_a_binary_factorisation_by_inner_products(
    seed: int, width: int, words: int, books: int, similarity: str
) -> None:
    """Proposition 1: Q is approximated by E C', measured by tr[(Q - E C') P'P (Q - E C')']."""
    generator = torch.Generator().manual_seed(seed)
    encoder = CompositeEncoder(
        width, books, words, similarity=SIMILARITIES[similarity], generator=generator
    ).double()
    items, users = drawn(seed, 7, width), drawn(seed + 1, 5, width)
    encoded = encoder(items)
    binary = np.concatenate([np.eye(words)[encoded.codes[:, book]] for book in range(books)], 1)
    assert (binary.sum(axis=1) == books).all()
    codebooks = encoder.codebooks.detach().numpy().reshape(books * words, width)
    factorised = binary @ codebooks
    np.testing.assert_allclose(encoded.vectors.detach(), factorised, rtol=1e-9, atol=1e-12)

    gap = items.numpy() - factorised
    squared = np.trace(gap @ users.numpy().T @ users.numpy() @ gap.T) / len(users)
    weights = torch.full((7,), 1 / 7, dtype=torch.float64)
    loss = inner_product_distillation(items, encoded.vectors, weights, Grams.of(users, users))
    np.testing.assert_allclose(2 * 7 * loss.item(), squared, rtol=1e-8, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(SEEDS, WIDTHS, WORDS, TEMPERATURES)
def test_the_relaxed_choice_is_a_mixtures_posterior(
    seed: int, width: int, words: int, temperature: float
) -> None:
    """Proposition 2: of Gaussians of variance T / 2 around the codewords, all as likely before.

    What leaves the selection is the hard choice; its gradient is that of the posterior's mean.
    """
    states, codebook = drawn(seed, 8, width).requires_grad_(), drawn(seed + 1, words, width)
    pull = drawn(seed + 2, 8, width)
    shape = CodebookShape(words, width, width)
    chosen = StraightThrough(temperature)(states, codebook, Euclidean(shape))
    (pull * chosen.words).sum().backward()
    assert states.grad is not None
    found, states.grad = states.grad.clone(), None

    normal = torch.distributions.Normal(codebook, (temperature / 2) ** 0.5)
    posterior = torch.softmax(normal.log_prob(states[:, None]).sum(dim=2), dim=1)
    (pull * (posterior @ codebook)).sum().backward()
    torch.testing.assert_close(found, states.grad, rtol=1e-7, atol=1e-8)
    assert torch.equal(chosen.indices, posterior.argmax(dim=1))


@settings(max_examples=60, deadline=None)
@given(SEEDS, WIDTHS, WORDS, TEMPERATURES, st.floats(1e-3, 1e3), st.sampled_from(LINEAR))
def test_scaling_a_codebook_is_scaling_the_temperature(
    seed: int, width: int, words: int, temperature: float, factor: float, name: str
) -> None:
    """Proposition 3, of one codebook: no choice changes, and T takes up what the softmax does.

    The recurrence subtracts scaled words, so that it holds of one codebook and not of several.
    """
    shape = CodebookShape(words, width, width)
    similarity = SIMILARITIES[name](shape, torch.Generator().manual_seed(seed)).double()
    codebook, pull = drawn(seed + 1, words, width), drawn(seed + 2, 8, width)

    def chosen(codebook: torch.Tensor, temperature: float) -> tuple[torch.Tensor, ...]:
        states = drawn(seed, 8, width).requires_grad_()
        selected = StraightThrough(temperature)(states, codebook, similarity)
        (pull * selected.words).sum().backward()
        assert states.grad is not None
        return selected.indices, selected.words.detach(), states.grad

    before = chosen(codebook, temperature)
    after = chosen(factor * codebook, factor * temperature)
    assert torch.equal(after[0], before[0])
    torch.testing.assert_close(after[1], factor * before[1])
    torch.testing.assert_close(after[2], factor * before[2], rtol=1e-6, atol=1e-6 * factor)


@settings(max_examples=40, deadline=None)
@given(SEEDS, WIDTHS, WORDS, st.integers(1, 5))
def test_recurrent_encoding_descends_the_reconstruction_error(
    seed: int, width: int, words: int, books: int
) -> None:
    """Proposition 4: every codebook quantises minus the gradient of half the squared error."""
    generator = torch.Generator().manual_seed(seed)
    encoder = CompositeEncoder(width, books, words, generator=generator).double()
    items = drawn(seed, 6, width)
    seen: list[torch.Tensor] = []
    encoder.select.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    codes = encoder(items).codes
    total = torch.zeros_like(items)
    assert len(seen) == books
    for book, state in enumerate(seen):
        total = total.detach().requires_grad_()
        (0.5 * (items - total).square().sum()).backward()
        assert total.grad is not None
        torch.testing.assert_close(state.detach(), -total.grad)
        total = total.detach() + encoder.codebooks[book][codes[:, book]]
