"""Gradients of every form of the encoder, by central differences in double precision.

Eq. 6 adds a constant to the softmax, so that its forward pass is a choice. The function that its
gradient belongs to is the same network with that constant held fixed: it is smooth, and its central
differences are what the straight-through gradient has to be.
"""

import pytest
import torch

from lightrec.encoder.composite_encoder import CompositeEncoder
from lightrec.encoder.recurrence import RECURRENCES
from lightrec.encoder.selection import Hard, Selected, Selection, StraightThrough
from lightrec.encoder.similarity import SIMILARITIES, Similarity

WIDTH, BOOKS, WORDS, ITEMS, TEMPERATURE, STEP = 3, 3, 4, 4, 0.9, 1e-6


class FrozenGap(Selection):
    """Softmax plus what Eq. 6 held constant at the point where the gradient is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.gaps: list[torch.Tensor] = []
        self.book = 0

    def forward(
        self, states: torch.Tensor, codebook: torch.Tensor, similarity: Similarity
    ) -> Selected:
        values = similarity(states, codebook)
        soft = torch.exp(values / TEMPERATURE)
        soft = soft / soft.sum(dim=1, keepdim=True)
        if len(self.gaps) == self.book:
            self.gaps.append((torch.eye(WORDS).double()[values.argmax(dim=1)] - soft).detach())
        chosen = soft + self.gaps[self.book]
        self.book = (self.book + 1) % BOOKS
        return Selected(chosen @ codebook, values.argmax(dim=1))


class FixedChoice(Selection):
    """The codewords chosen at the point where the gradient is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.choices: list[torch.Tensor] = []
        self.book = 0

    def forward(
        self, states: torch.Tensor, codebook: torch.Tensor, similarity: Similarity
    ) -> Selected:
        if len(self.choices) == self.book:
            self.choices.append(similarity(states, codebook).argmax(dim=1))
        chosen = self.choices[self.book]
        self.book = (self.book + 1) % BOOKS
        return Selected(codebook[chosen], chosen)


def encoder(similarity: str, recurrence: str, selection: Selection) -> CompositeEncoder:
    generator = torch.Generator().manual_seed(8)
    made = CompositeEncoder(
        *(WIDTH, BOOKS, WORDS),
        similarity=SIMILARITIES[similarity],
        selection=selection,
        recurrence=RECURRENCES[recurrence],
        generator=generator,
    ).double()
    with torch.no_grad():  # whatever starts at zero or as the identity
        for name, parameter in made.named_parameters():
            if name != "codebooks":
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator).double()
    return made


def loss(made: CompositeEncoder, items: torch.Tensor) -> torch.Tensor:
    vectors = made(items).vectors
    weights = torch.linspace(-1, 2, vectors.numel()).double().reshape(vectors.shape)
    return (weights * vectors + vectors**3).sum()


def central_differences(made: CompositeEncoder, items: torch.Tensor, of: torch.Tensor):
    found = torch.zeros_like(of)
    with torch.no_grad():
        for place in range(of.numel()):
            value = of.view(-1)[place].item()
            sides = []
            for step in (STEP, -STEP):
                of.view(-1)[place] = value + step
                sides.append(loss(made, items).item())
            of.view(-1)[place] = value
            found.view(-1)[place] = (sides[0] - sides[1]) / (2 * STEP)
    return found


@pytest.mark.parametrize("recurrence", RECURRENCES)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(
    ("selection", "smooth"), [(StraightThrough(TEMPERATURE), FrozenGap), (Hard(), FixedChoice)]
)
def test_every_form_has_the_gradient_of_its_smooth_twin(
    similarity: str, recurrence: str, selection: Selection, smooth: type[Selection]
) -> None:
    items = torch.randn(ITEMS, WIDTH, generator=torch.Generator().manual_seed(2)).double()
    made = encoder(similarity, recurrence, selection)
    twin = encoder(similarity, recurrence, smooth())
    leaf = items.clone().requires_grad_()
    value = loss(made, leaf)
    value.backward()
    torch.testing.assert_close(loss(twin, items), value.detach())
    pairs = [("items", leaf, items)]
    named = dict(twin.named_parameters())
    pairs += [(name, parameter, named[name].data) for name, parameter in made.named_parameters()]
    moved = 0
    for name, analytic, at in pairs:
        expected = central_differences(twin, items, at)
        got = torch.zeros_like(at) if analytic.grad is None else analytic.grad
        torch.testing.assert_close(
            got, expected, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )
        moved += bool(expected.abs().max() > 1e-4)
    assert moved >= 1
