"""Where the gradient of each selection goes, by finite differences."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from lightrec.encoder.composite_encoder import CompositeEncoder
from lightrec.encoder.recurrence import Subtract
from lightrec.encoder.selection import (
    Hard,
    IdentityStraightThrough,
    Selected,
    StraightThrough,
)
from lightrec.encoder.similarity import Bilinear, CodebookShape, Euclidean
from lightrec.errors import ArgumentError

WIDTH, BOOKS, WORDS, ITEMS, TEMPERATURE = 3, 2, 4, 5, 0.9
SHAPE = CodebookShape(WORDS, WIDTH, WIDTH)
Arrays = dict[str, np.ndarray]


def case(similarity: str, selection: str) -> tuple[CompositeEncoder, torch.Tensor]:
    generator = torch.Generator().manual_seed(6)
    hard = selection == "hard"
    encoder = CompositeEncoder(
        WIDTH,
        BOOKS,
        WORDS,
        similarity=Euclidean if similarity == "euclidean" else Bilinear,
        selection=Hard() if hard else StraightThrough(TEMPERATURE),
        recurrence=Subtract,
        generator=generator,
    ).double()
    for each in encoder.similarities:
        if isinstance(each, Bilinear):
            each.codeword_weight.data = torch.randn(WIDTH, generator=generator).double()
            each.item_weight.data = torch.randn(WIDTH, generator=generator).double()
    items = torch.randn(ITEMS, WIDTH, generator=generator).double()
    return encoder, items.requires_grad_()


def task_loss(vectors):
    """Neither linear nor symmetric in the encodings."""
    weights = np.linspace(-1.0, 2.0, ITEMS * WIDTH).reshape(ITEMS, WIDTH)
    if isinstance(vectors, torch.Tensor):
        weights = torch.from_numpy(weights)
    return (weights * vectors + vectors**3).sum()


def arrays_of(encoder: CompositeEncoder, items: torch.Tensor) -> Arrays:
    parameters = {name: value.detach().numpy().copy() for name, value in encoder.named_parameters()}
    return {"items": items.detach().numpy().copy(), **parameters}


def similarities_by_hand(arrays: Arrays, book: int, states: np.ndarray) -> np.ndarray:
    codebook = arrays["codebooks"][book]
    if f"similarities.{book}.weight" not in arrays:
        return 2 * states @ codebook.T - (codebook**2).sum(axis=1)
    weight = arrays[f"similarities.{book}.weight"]
    return (states @ weight + arrays[f"similarities.{book}.codeword_weight"]) @ codebook.T


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def frozen_gaps(arrays: Arrays) -> list[np.ndarray]:
    """What Eq. 6 stops the gradient through: one-hot minus softmax, at the present parameters."""
    states, gaps = arrays["items"], []
    for book in range(BOOKS):
        similarities = similarities_by_hand(arrays, book, states)
        one_hot = np.eye(WORDS)[similarities.argmax(axis=1)]
        gaps.append(one_hot - softmax(similarities / TEMPERATURE))
        states = states - one_hot @ arrays["codebooks"][book]
    return gaps


def soft_surrogate(arrays: Arrays, gaps: list[np.ndarray]) -> float:
    """The function whose plain gradient Eq. 6 promises."""
    states, total = arrays["items"], np.zeros((ITEMS, WIDTH))
    for book in range(BOOKS):
        soft = softmax(similarities_by_hand(arrays, book, states) / TEMPERATURE)
        words = (soft + gaps[book]) @ arrays["codebooks"][book]
        total, states = total + words, states - words
    return float(task_loss(total))


def finite_differences(function: Callable[[Arrays], float], arrays: Arrays) -> Arrays:
    gradients = {name: np.zeros_like(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        for place in np.ndindex(array.shape):
            values = []
            for step in (1e-5, -1e-5):
                moved = {**arrays, name: array.copy()}
                moved[name][place] += step
                values.append(function(moved))
            gradients[name][place] = (values[0] - values[1]) / 2e-5
    return gradients


def gradients_of(encoder: CompositeEncoder, items: torch.Tensor) -> Arrays:
    task_loss(encoder(items).vectors).backward()
    found = {"items": items.grad, **{n: p.grad for n, p in encoder.named_parameters()}}
    return {name: grad.numpy() for name, grad in found.items() if grad is not None}


@pytest.mark.parametrize("similarity", ["euclidean", "bilinear"])
def test_straight_through_has_the_gradient_of_the_softmax(similarity: str) -> None:
    encoder, items = case(similarity, "straight_through")
    arrays = arrays_of(encoder, items)
    gaps = frozen_gaps(arrays)
    expected = finite_differences(lambda moved: soft_surrogate(moved, gaps), arrays)
    found = gradients_of(encoder, items)
    for name, gradient in expected.items():
        if name.endswith("item_weight"):  # w1 of Eq. 5 matters to nothing, and is not trained
            assert name not in found
            np.testing.assert_allclose(gradient, 0.0, atol=1e-8)
            continue
        np.testing.assert_allclose(found[name], gradient, rtol=1e-5, atol=1e-6, err_msg=name)


class PlainFormula(StraightThrough):
    """Eq. 4 and 6 as they are written, left to automatic differentiation."""

    def forward(self, states, codebook, similarity) -> Selected:
        soft = torch.softmax(similarity(states, codebook) / self.get_buffer("temperature"), dim=1)
        indices = soft.argmax(dim=1)
        one_hot = torch.eye(len(codebook), dtype=soft.dtype)[indices]
        return Selected((soft + (one_hot - soft).detach()) @ codebook, indices)


@pytest.mark.parametrize("similarity", ["euclidean", "bilinear"])
def test_straight_through_is_the_plain_formula(similarity: str) -> None:
    encoder, items = case(similarity, "straight_through")
    found = gradients_of(encoder, items)
    vectors = encoder(items).vectors
    encoder.select = PlainFormula(TEMPERATURE)
    encoder.zero_grad()
    items.grad = None
    torch.testing.assert_close(encoder(items).vectors, vectors)
    expected = gradients_of(encoder, items)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kept", ["float32", "bfloat16"])
def test_mixed_precision(kept: str) -> None:
    """As under `torch.autocast`: similarities in 16 bits, codebooks in 32 or 16."""
    generator = torch.Generator().manual_seed(0)
    encoder = CompositeEncoder(8, 2, 16, generator=generator).to(getattr(torch, kept))
    items = torch.randn(20, 8, generator=generator).to(getattr(torch, kept)).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        vectors = encoder(items).vectors
    vectors.float().square().sum().backward()
    for gradient in (items.grad, encoder.codebooks.grad):
        assert torch.isfinite(gradient).all()
        assert gradient.any()


@pytest.mark.parametrize("similarity", ["euclidean", "bilinear"])
def test_straight_through_reaches_every_parameter(similarity: str) -> None:
    encoder, items = case(similarity, "straight_through")
    found = gradients_of(encoder, items)
    assert (np.abs(found["codebooks"]).sum(axis=2) > 0).all()  # every codeword, chosen or not
    assert (np.abs(found["items"]).sum(axis=1) > 0).all()
    for name, gradient in found.items():
        assert (np.abs(gradient) > 0).all(), name


def test_straight_through_forward_is_the_hard_choice_at_any_temperature() -> None:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(50, WIDTH, generator=generator)
    codebook = torch.randn(WORDS, WIDTH, generator=generator)
    expected = Hard()(states, codebook, Euclidean(SHAPE))
    for temperature in (1e-3, 0.9, 1e3):
        found = StraightThrough(temperature)(states, codebook, Euclidean(SHAPE))
        assert torch.equal(found.indices, expected.indices)
        torch.testing.assert_close(found.words, expected.words, rtol=1e-5, atol=1e-6)


def test_hard_has_the_exact_gradient_with_codes_fixed() -> None:
    encoder, items = case("bilinear", "hard")
    codes = encoder(items).codes.numpy()

    def fixed_codes(arrays: Arrays) -> float:
        chosen = [arrays["codebooks"][book, codes[:, book]] for book in range(BOOKS)]
        return float(task_loss(np.sum(chosen, axis=0)))

    arrays = arrays_of(encoder, items)
    expected = finite_differences(fixed_codes, {"codebooks": arrays["codebooks"]})["codebooks"]
    found = gradients_of(encoder, items)
    np.testing.assert_allclose(found["codebooks"], expected, rtol=1e-6, atol=1e-7)
    unchosen = np.array(
        [[word not in codes[:, book] for word in range(WORDS)] for book in range(BOOKS)]
    )
    assert unchosen.any()
    assert (found["codebooks"][unchosen] == 0).all()


def test_hard_lets_no_gradient_through_the_choice() -> None:
    encoder, items = case("bilinear", "hard")
    found = gradients_of(encoder, items)
    assert found.keys() == {"codebooks"}  # neither items nor similarities


def test_ties_go_to_the_lower_codeword() -> None:
    codebook = torch.tensor([[2.0], [1.0], [1.0], [3.0]])
    states, nearest = torch.tensor([[1.0]]), Euclidean(CodebookShape(4, 1, 1))
    for selection in (Hard(), StraightThrough(), IdentityStraightThrough()):
        assert selection(states, codebook, nearest).indices.tolist() == [1]


def test_identity_straight_through_hands_the_gradient_to_the_items() -> None:
    generator = torch.Generator().manual_seed(0)
    encoder = CompositeEncoder(
        WIDTH, 3, WORDS, selection=IdentityStraightThrough(0.25), generator=generator
    ).double()
    items = torch.randn(50, WIDTH, generator=generator).double().requires_grad_()
    encoded = encoder(items)
    torch.testing.assert_close(encoded.vectors, encoder.compose(encoded.codes))
    weights = torch.randn(50, WIDTH, generator=generator).double()
    (weights * encoded.vectors).sum().backward()
    torch.testing.assert_close(items.grad, weights)
    assert encoder.codebooks.grad is None or not encoder.codebooks.grad.any()


def test_every_codebook_pulls_at_its_state_and_at_the_item() -> None:
    generator = torch.Generator().manual_seed(0)
    encoder = CompositeEncoder(
        WIDTH, 3, WORDS, selection=IdentityStraightThrough(0.25), generator=generator
    ).double()
    items = torch.randn(50, WIDTH, generator=generator).double().requires_grad_()
    encoded = encoder(items)
    assert encoded.penalty is not None
    encoded.penalty.backward()
    state, of_items, mean = items.detach(), torch.zeros(50, WIDTH).double(), 0.0
    for book in range(3):
        codes = encoded.codes[:, book]
        gaps = state - encoder.codebooks[book].detach()[codes]
        mean += 1.25 * gaps.square().sum(dim=1).mean().item()
        of_items += 0.25 * 2 * gaps / 50
        pulled = torch.zeros(WORDS, WIDTH).double().index_add_(0, codes, -2 * gaps / 50)
        torch.testing.assert_close(encoder.codebooks.grad[book], pulled)
        state = gaps
    torch.testing.assert_close(items.grad, of_items)
    assert encoded.penalty.item() == pytest.approx(mean)


def test_a_temperature_may_change_over_training() -> None:
    select = StraightThrough(2.0, 0.5)
    found = []
    for done in (0.0, 0.5, 1.0):
        select.start_epoch(done)
        found.append(select.temperature.item())
    assert found == pytest.approx([2.0, 1.0, 0.5])
    steady = StraightThrough(0.9)
    steady.start_epoch(1.0)
    assert steady.temperature.item() == pytest.approx(0.9)


@pytest.mark.parametrize(
    "make",
    [
        lambda: StraightThrough(0.0),
        lambda: StraightThrough(0.9, -1.0),
        lambda: IdentityStraightThrough(-0.1),
    ],
)
def test_settings_out_of_range(make) -> None:
    with pytest.raises(ArgumentError):
        make()
