"""A trained encoder without torch: the same codes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lightrec.codes import trained_selection
from lightrec.codes.trained_selection import weight_shapes
from lightrec.encoder.composite_encoder import CompositeEncoder
from lightrec.encoder.exported_selection import exported_selection
from lightrec.encoder.recurrence import RECURRENCES, Recurrence
from lightrec.encoder.similarity import SIMILARITIES, Similarity
from lightrec.errors import ArgumentError

OWN_WIDTH = ("bilinear", "plain_bilinear", "biased_bilinear", "selector")


def encoder_of(similarity: str, recurrence: str, word_width: int = 6) -> CompositeEncoder:
    """With every parameter drawn, as if it had been trained."""
    generator = torch.Generator().manual_seed(5)
    encoder = CompositeEncoder(
        6,
        3,
        17,
        word_width=word_width,
        similarity=SIMILARITIES[similarity],
        recurrence=RECURRENCES[recurrence],
        generator=generator,
    )
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return encoder


def test_the_names_are_those_of_the_configuration():
    assert trained_selection.SIMILARITIES.keys() == SIMILARITIES.keys()
    assert trained_selection.RECURRENCES.keys() == RECURRENCES.keys()


@pytest.mark.parametrize("recurrence", RECURRENCES)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_it_chooses_the_codes_that_the_encoder_chooses(similarity, recurrence, monkeypatch):
    monkeypatch.setattr(trained_selection, "BLOCK", 64)
    encoder = encoder_of(similarity, recurrence)
    items = torch.randn(300, 6, generator=torch.Generator().manual_seed(1))
    wanted = encoder.item_codes(items)
    found = exported_selection(encoder).encode(items.numpy(), encoder.export())
    assert np.array_equal(found.codes, wanted.codes)
    assert all(len(np.unique(column)) > 1 for column in found.codes.T)  # else nothing was shown


@pytest.mark.parametrize("recurrence", ["none", "subtract_w", "w_subtract_w"])
@pytest.mark.parametrize("similarity", OWN_WIDTH)
def test_codewords_may_have_a_width_of_their_own(similarity, recurrence):
    encoder = encoder_of(similarity, recurrence, word_width=4)
    items = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
    selection = exported_selection(encoder)
    assert selection.state_width(4) == 6
    found = selection.encode(items.numpy(), encoder.export())
    assert np.array_equal(found.codes, encoder.item_codes(items).codes)


def test_what_does_not_fit_is_refused():
    encoder = encoder_of("bilinear", "subtract_w")
    selection, codebooks = exported_selection(encoder), encoder.export()
    items = np.zeros((2, 6), np.float32)
    with pytest.raises(ArgumentError, match="the encoder's weights"):
        replace(selection, weights={}).encode(items, codebooks)
    with pytest.raises(ArgumentError, match="the encoder's weights"):
        selection.encode(items[:, :5], codebooks)
    with pytest.raises(ArgumentError, match="'cosine' is none of euclidean, dot"):
        replace(selection, similarity="cosine").encode(items, codebooks)
    with pytest.raises(ArgumentError, match="of one width, not 6 and 4"):
        weight_shapes("dot", "none", 6, (3, 17, 4))


def test_parts_of_ones_own_cannot_be_exported():
    class Mine(Similarity):
        pass

    class Its(Recurrence):
        pass

    with pytest.raises(ArgumentError, match="Mine is none of"):
        exported_selection(CompositeEncoder(4, similarity=Mine))
    with pytest.raises(ArgumentError, match="Its is none of"):
        exported_selection(CompositeEncoder(4, recurrence=Its))
