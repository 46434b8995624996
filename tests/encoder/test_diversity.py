"""The regularisers that section 3.3 argues against, and its arguments."""

import numpy as np
import pytest
import torch

from lightrec.encoder.diversity import DIVERSITIES, RIDGE, diversity_penalty

GENERATOR = torch.Generator().manual_seed(2)
BOOKS = torch.randn(3, 20, 4, generator=GENERATOR).double()


def moment(codebook: torch.Tensor) -> np.ndarray:
    square = codebook.numpy().T @ codebook.numpy() / len(codebook)
    return square + RIDGE * np.trace(square) / len(square) * np.eye(len(square))


def logarithm(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(np.log(values)) @ vectors.T


def von_neumann(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.trace(x @ logarithm(x) - x @ logarithm(y) - x + y))


def log_det(x: np.ndarray, y: np.ndarray) -> float:
    ratio = x @ np.linalg.inv(y)
    return float(np.trace(ratio) - np.linalg.slogdet(ratio)[1] - len(x))


@pytest.mark.parametrize(
    ("name", "divergence"), [("von_neumann", von_neumann), ("log_det", log_det)]
)
def test_divergences_are_their_definitions_made_symmetric(name: str, divergence) -> None:
    x, y = moment(BOOKS[0]), moment(BOOKS[1])
    expected = 0.5 * (divergence(x, y) + divergence(y, x))
    assert DIVERSITIES[name](BOOKS[0], BOOKS[1]).item() == pytest.approx(expected)
    assert expected > 0.05


@pytest.mark.parametrize("name", DIVERSITIES)
def test_the_penalty_is_over_all_pairs_and_falls_with_their_difference(name: str) -> None:
    measure = DIVERSITIES[name]
    pairs = [measure(BOOKS[a], BOOKS[b]).item() for a, b in ((0, 1), (0, 2), (1, 2))]
    assert diversity_penalty(BOOKS, measure).item() == pytest.approx(-np.log(np.mean(pairs)))
    assert diversity_penalty(BOOKS[:1], measure).item() == 0.0
    closer = torch.stack([BOOKS[0], 0.9 * BOOKS[0] + 0.1 * BOOKS[1]])
    assert diversity_penalty(closer, measure) > diversity_penalty(BOOKS[:2], measure)
    same = diversity_penalty(torch.stack([BOOKS[0], BOOKS[0]]), measure)
    assert torch.isfinite(same)


def test_what_the_paper_holds_against_them() -> None:
    """A codebook numbered anew is no other codebook; one measure says that it is."""
    numbered_anew = BOOKS[0][torch.randperm(20, generator=GENERATOR)]
    assert DIVERSITIES["frobenius"](BOOKS[0], numbered_anew) > 10
    for name in ("von_neumann", "log_det"):
        assert DIVERSITIES[name](BOOKS[0], numbered_anew).item() == pytest.approx(0, abs=1e-9)
        # but neither do these see that a codebook of other codewords is another one
        assert DIVERSITIES[name](BOOKS[0], -BOOKS[0]).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", DIVERSITIES)
def test_the_gradient_pushes_codebooks_apart(name: str) -> None:
    books = BOOKS.clone().requires_grad_()
    before = diversity_penalty(books, DIVERSITIES[name])
    before.backward()
    assert (books.grad.abs().sum(dim=(1, 2)) > 0).all()
    with torch.no_grad():
        moved = books - 1e-3 * books.grad
    assert diversity_penalty(moved, DIVERSITIES[name]) < before
