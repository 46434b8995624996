"""What the next codebook is given (Eq. 7, Table 4)."""

import pytest
import torch

from lightrec.encoder.composite_encoder import CompositeEncoder
from lightrec.encoder.recurrence import RECURRENCES, MapBoth, SubtractMapped
from lightrec.encoder.similarity import CodebookShape, PlainBilinear
from lightrec.errors import ArgumentError

GENERATOR = torch.Generator().manual_seed(3)
STATES, WORDS = torch.randn(6, 4, generator=GENERATOR), torch.randn(6, 4, generator=GENERATOR)
SHAPE = CodebookShape(9, 4, 4)


def test_each_is_its_formula() -> None:
    for name, kind in RECURRENCES.items():
        recurrence = kind(SHAPE)
        start = STATES if name == "none" else STATES - WORDS
        torch.testing.assert_close(recurrence(STATES, WORDS), start)  # maps start as identities
        with torch.no_grad():
            for parameter in recurrence.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=GENERATOR))
        found = recurrence(STATES, WORDS)
        if isinstance(recurrence, MapBoth):
            mapped = STATES @ recurrence.of_state.T - WORDS @ recurrence.of_word.T
            torch.testing.assert_close(found, mapped)
        elif isinstance(recurrence, SubtractMapped):
            torch.testing.assert_close(found, STATES - WORDS @ recurrence.of_word.T)


def test_two_widths() -> None:
    shape = CodebookShape(9, 4, 3)
    for name, kind in RECURRENCES.items():
        if name == "subtract":
            with pytest.raises(ArgumentError, match="not 4 and 3"):
                kind(shape)
        else:
            assert kind(shape)(STATES, WORDS[:, :3]).shape == (6, 4)


@pytest.mark.parametrize("name", ["none", "subtract_w", "w_subtract_w"])
def test_codewords_of_another_width_than_the_items(name: str) -> None:
    encoder = CompositeEncoder(
        *(4, 3, 9),
        word_width=3,
        similarity=PlainBilinear,
        recurrence=RECURRENCES[name],
        generator=GENERATOR,
    )
    encoded = encoder(STATES)
    assert encoded.vectors.shape == (6, 3)
    torch.testing.assert_close(encoded.vectors, encoder.compose(encoded.codes))
    assert encoder.item_codes(STATES).codebooks.shape == (3, 9, 3)
    encoded.vectors.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in encoder.parameters())
