"""Similarities between items and codewords (Eq. 5), and what changes none of their choices."""

import numpy as np
import pytest
import torch

from lightrec.encoder.selection import Hard
from lightrec.encoder.similarity import (
    SIMILARITIES,
    BiasedBilinear,
    Bilinear,
    CodebookShape,
    Euclidean,
    PlainBilinear,
    Selector,
    Similarity,
)
from lightrec.errors import ArgumentError

GENERATOR = torch.Generator().manual_seed(5)
STATES = torch.randn(200, 4, generator=GENERATOR)
CODEBOOK = torch.randn(9, 4, generator=GENERATOR)
SHAPE = CodebookShape(9, 4, 4)
TWO_WIDTHS = CodebookShape(9, 4, 3)


def similarity_of(name: str, shape: CodebookShape = SHAPE) -> Similarity:
    """With every parameter drawn, so that none could be forgotten."""
    made = SIMILARITIES[name](shape, GENERATOR)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=GENERATOR))
    return made


def by_definition(similarity: Similarity, x: np.ndarray, c: np.ndarray, word: int) -> float:
    """Eq. 5 and Table 5, for one state and one codeword."""
    of = {name: value.detach().numpy() for name, value in similarity.named_parameters()}
    return {
        "Dot": lambda: x @ c,
        "ScaledDot": lambda: x @ c / 2,  # sqrt(4)
        "Euclidean": lambda: -((x - c) ** 2).sum() + (x**2).sum(),
        "PlainBilinear": lambda: x @ of["weight"] @ c,
        "Bilinear": lambda: (
            x @ of["weight"] @ c + of["item_weight"] @ x + of["codeword_weight"] @ c
        ),
        "BiasedBilinear": lambda: x @ of["weight"] @ c + of["bias"][word],
        "Selector": lambda: x @ of["weight"][:, word] + of["bias"][word],
    }[type(similarity).__name__]()


@pytest.mark.parametrize("name", SIMILARITIES)
def test_each_is_its_definition(name: str) -> None:
    similarity = similarity_of(name)
    found = similarity(STATES, CODEBOOK).detach().numpy()
    assert found.shape == (200, 9)
    for i in (0, 77, 199):
        for w in range(9):
            expected = by_definition(similarity, STATES[i].numpy(), CODEBOOK[w].numpy(), w)
            assert found[i, w] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_euclidean_orders_codewords_by_distance() -> None:
    similarities = Euclidean(SHAPE)(STATES, CODEBOOK)
    distances = ((STATES[:, None] - CODEBOOK[None]) ** 2).sum(dim=2)
    assert torch.equal(similarities.argmax(dim=1), distances.argmin(dim=1))


@pytest.mark.parametrize("kind", [BiasedBilinear, Selector])
def test_a_start_from_codewords_chooses_as_the_quantiser_did(kind: type[Similarity]) -> None:
    similarity = kind(SHAPE, GENERATOR)
    before = similarity(STATES, CODEBOOK).argmax(dim=1)
    nearest = Euclidean(SHAPE)(STATES, CODEBOOK)
    assert not torch.equal(before, nearest.argmax(dim=1))
    similarity.start_from(CODEBOOK)
    torch.testing.assert_close(similarity(STATES, CODEBOOK), nearest)


@pytest.mark.parametrize("name", SIMILARITIES)
@pytest.mark.parametrize("factor", [1e-3, 0.5, 7.0, 1e4])
def test_scaling_a_codebook_changes_no_choice(name: str, factor: float) -> None:
    """Those that are linear in the codeword (Proposition 3), and the others not."""
    similarity, select = similarity_of(name), Hard()
    before = select(STATES, CODEBOOK, similarity).indices
    same = torch.equal(select(STATES, factor * CODEBOOK, similarity).indices, before)
    assert same == (name not in ("euclidean", "biased_bilinear"))
    assert len(before.unique()) > 2


def test_the_items_own_weight_changes_neither_choice_nor_softmax() -> None:
    similarity = similarity_of("bilinear")
    assert isinstance(similarity, Bilinear)
    soft = torch.softmax(similarity(STATES, CODEBOOK), dim=1)
    similarity.item_weight.data.zero_()
    torch.testing.assert_close(torch.softmax(similarity(STATES, CODEBOOK), dim=1), soft)


def test_matrices_start_with_the_glorot_spread_and_the_rest_at_zero() -> None:
    generator = torch.Generator().manual_seed(1)
    for kind in (PlainBilinear, Bilinear, BiasedBilinear):
        made = kind(CodebookShape(256, 200, 100), generator)
        assert made.weight.shape == (200, 100)
        assert made.weight.std().item() == pytest.approx((2 / 300) ** 0.5, rel=0.02)
        assert all(not p.any() for name, p in made.named_parameters() if name != "weight")
    selector = Selector(CodebookShape(256, 200, 100), generator)
    assert selector.weight.std().item() == pytest.approx((2 / 456) ** 0.5, rel=0.02)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_two_widths_where_a_matrix_lies_between(name: str) -> None:
    if name in ("euclidean", "dot", "scaled_dot"):
        with pytest.raises(ArgumentError, match="not 4 and 3"):
            SIMILARITIES[name](TWO_WIDTHS, GENERATOR)
        return
    similarity = similarity_of(name, TWO_WIDTHS)
    assert similarity(STATES, CODEBOOK[:, :3]).shape == (200, 9)
    if name in ("biased_bilinear", "selector"):
        with pytest.raises(ArgumentError, match="one width"):
            similarity.start_from(CODEBOOK[:, :3])
