"""The encoder against a literal loop over the paper's equations."""

import numpy as np
import pytest
import torch
from torch import nn

from lightrec.encoder import CompositeEncoder, composite_encoder
from lightrec.encoder.recurrence import Keep, Subtract
from lightrec.encoder.selection import Hard, StraightThrough
from lightrec.encoder.similarity import Bilinear, CodebookShape, Euclidean
from lightrec.errors import ArgumentError

WIDTH, BOOKS, WORDS, ITEMS = 5, 3, 7, 11


def encoder_of(similarity: str = "euclidean", selection: nn.Module | None = None, seed: int = 1):
    generator = torch.Generator().manual_seed(seed)
    makers = {"euclidean": Euclidean, "bilinear": Bilinear}
    encoder = CompositeEncoder(
        WIDTH,
        BOOKS,
        WORDS,
        similarity=makers[similarity],
        selection=selection,
        generator=generator,
    ).double()
    for each in encoder.similarities:  # w2 starts at zero, where it could be forgotten
        if isinstance(each, Bilinear):
            each.codeword_weight.data = torch.randn(WIDTH, generator=generator).double()
            each.item_weight.data = torch.randn(WIDTH, generator=generator).double()
    return encoder


def items_of(seed: int = 2) -> torch.Tensor:
    return torch.randn(ITEMS, WIDTH, generator=torch.Generator().manual_seed(seed)).double()


def similarity_by_hand(module: nn.Module, x: np.ndarray, c: np.ndarray) -> float:
    if isinstance(module, Euclidean):
        return -float(((x - c) ** 2).sum())
    weight, first, second = (tensor.detach().numpy() for tensor in module.parameters())
    return float(x @ weight @ c + first @ x + second @ c)


def encode_by_hand(encoder: CompositeEncoder, items: np.ndarray):
    """Eq. 1 and 7 in plain loops."""
    vectors, codes = np.zeros_like(items), np.zeros((len(items), BOOKS), int)
    for i, q in enumerate(items):
        x = q.copy()
        for b in range(BOOKS):
            book = encoder.codebooks[b].detach().numpy()
            scores = [similarity_by_hand(encoder.similarities[b], x, c) for c in book]
            codes[i, b] = np.argmax(scores)
            vectors[i] += book[codes[i, b]]
            x = x - book[codes[i, b]]
    return vectors, codes


@pytest.mark.parametrize("selection", [StraightThrough(0.9), StraightThrough(5.0), Hard()])
@pytest.mark.parametrize("similarity", ["euclidean", "bilinear"])
def test_forward_is_the_papers_loop(similarity: str, selection: nn.Module) -> None:
    encoder, items = encoder_of(similarity, selection), items_of()
    vectors, codes = encode_by_hand(encoder, items.numpy())
    encoded = encoder(items)
    assert encoded.codes.dtype == torch.int64
    assert np.array_equal(encoded.codes, codes)
    np.testing.assert_allclose(encoded.vectors.detach(), vectors, rtol=1e-12, atol=1e-12)
    assert len({tuple(row) for row in codes.tolist()}) > 3  # the case says something


def test_the_recurrence_decides_what_the_next_codebook_sees() -> None:
    book = torch.randn(1, WORDS, WIDTH, generator=torch.Generator().manual_seed(0))
    encoder = CompositeEncoder(WIDTH, 2, WORDS, recurrence=Keep)
    encoder.start_from(book.repeat(2, 1, 1).numpy())
    codes = encoder(items_of().float()).codes
    assert torch.equal(codes[:, 0], codes[:, 1])  # equal books that see equal states
    encoder.recurrence = Subtract(CodebookShape(WORDS, WIDTH, WIDTH))
    codes = encoder(items_of().float()).codes
    assert not torch.equal(codes[:, 0], codes[:, 1])


def test_the_recurrence_of_the_paper_has_the_gradient_of_a_difference() -> None:
    states, words = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    left = Subtract(CodebookShape(WORDS, 3, 3))(states, words)
    assert torch.equal(left, states - words)
    left.sum().backward()
    assert states.grad.eq(1).all()
    assert words.grad.eq(-1).all()


def test_item_codes_are_the_codes_of_the_forward_pass(monkeypatch) -> None:
    encoder, items = encoder_of().float(), items_of().float()
    whole = encoder.item_codes(items)
    encoded = encoder(items)
    assert np.array_equal(whole.codes, encoded.codes)
    np.testing.assert_allclose(whole.decode(), encoded.vectors.detach(), atol=1e-5)
    monkeypatch.setattr(composite_encoder, "BLOCK", 4)
    assert np.array_equal(encoder.item_codes(items).codes, whole.codes)


def test_a_layer_of_a_network_in_double_precision_exports_float32() -> None:
    encoder, items = encoder_of(), items_of()
    codes = encoder.item_codes(items)
    assert codes.codebooks.dtype == np.float32
    assert np.array_equal(codes.codes, encoder(items).codes)


def test_item_codes_do_not_follow_later_training() -> None:
    encoder, items = encoder_of().float(), items_of().float()
    codes = encoder.item_codes(items)
    before = codes.codebooks.copy()
    with torch.no_grad():
        encoder.codebooks.zero_()
    assert np.array_equal(codes.codebooks, before)


def test_compose_decodes_and_gives_the_codewords_their_exact_gradient() -> None:
    encoder = encoder_of()
    codes = torch.tensor([[0, 1, 2], [0, 6, 2], [3, 3, 3]])
    vectors = encoder.compose(codes)
    expected = sum(encoder.codebooks[b, codes[:, b]] for b in range(BOOKS))
    torch.testing.assert_close(vectors, expected)
    pull = torch.tensor([[1.0], [10.0], [100.0]]).double().expand(3, WIDTH)
    (vectors * pull).sum().backward()
    used = torch.zeros(BOOKS, WORDS).double()
    for row, weight in zip(codes, (1.0, 10.0, 100.0), strict=True):
        for book, word in enumerate(row):
            used[book, word] += weight
    torch.testing.assert_close(encoder.codebooks.grad, used[:, :, None].expand(-1, -1, WIDTH))


def test_a_generator_decides_the_codebooks() -> None:
    same = [encoder_of("bilinear", seed=3).state_dict() for _ in range(2)]
    assert all(torch.equal(same[0][key], same[1][key]) for key in same[0])
    assert not torch.equal(encoder_of(seed=4).codebooks, encoder_of(seed=3).codebooks)


def test_random_codebooks_have_the_glorot_spread() -> None:
    encoder = CompositeEncoder(64, 4, 256, generator=torch.Generator().manual_seed(0))
    assert encoder.codebooks.std().item() == pytest.approx((2 / (256 + 64)) ** 0.5, rel=0.01)
    assert abs(encoder.codebooks.mean().item()) < 1e-3


def test_every_codebook_has_a_similarity_of_its_own() -> None:
    encoder = encoder_of("bilinear")
    weights = [similarity.weight for similarity in encoder.similarities]
    assert len({weight.data_ptr() for weight in weights}) == BOOKS
    assert not torch.equal(weights[0], weights[1])


def test_works_as_a_layer_of_any_network() -> None:
    torch.manual_seed(0)
    tower = nn.Sequential(nn.Linear(6, WIDTH), nn.Tanh())
    encoder = CompositeEncoder(WIDTH, num_codebooks=2, num_codewords=8)
    parameters = [*tower.parameters(), *encoder.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=0.02)
    features, wanted = torch.randn(40, 6), torch.randn(40, WIDTH)
    losses = []
    for _ in range(60):
        loss = (encoder(tower(features)).vectors - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert all(parameter.grad.abs().sum() > 0 for parameter in parameters)
    assert losses[-1] < 0.8 * losses[0]


def test_start_from_takes_a_copy() -> None:
    encoder = CompositeEncoder(WIDTH, BOOKS, WORDS)
    books = np.random.default_rng(0).normal(size=(BOOKS, WORDS, WIDTH)).astype(np.float32)
    encoder.start_from(books)
    assert np.array_equal(encoder.codebooks.detach(), books)
    books[:] = 0.0
    assert encoder.codebooks.abs().sum() > 0


@pytest.mark.parametrize("shape", [(1, WORDS, WIDTH), (BOOKS, WORDS, WIDTH + 1), (WORDS, WIDTH)])
def test_start_from_refuses_codebooks_of_other_sizes(shape: tuple[int, ...]) -> None:
    encoder = CompositeEncoder(WIDTH, BOOKS, WORDS)
    with pytest.raises(ArgumentError):
        encoder.start_from(np.zeros(shape, np.float32))


@pytest.mark.parametrize("sizes", [(0, 2, 4), (3, 0, 4), (3, 2, 0), (3, 2, 257)])
def test_refuses_sizes_out_of_range(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ArgumentError, match="num_codewords <= 256"):
        CompositeEncoder(*sizes)
