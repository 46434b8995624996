"""The encoder against a reference that spells the search out, and against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrec.codes import assignment
from lightrec.codes.assignment import Assignment, assign
from lightrec.errors import ArgumentError

F = np.float32


class Reference:
    """Encodes one vector; scalar code in the order that the contract names."""

    def __init__(self, inner: np.ndarray, gram: np.ndarray) -> None:
        self.books, self.words = inner.shape
        self.inner, self.gram = inner, gram

    def own(self, book: int, word: int) -> np.float32:
        index = book * self.words + word
        return F(self.gram[index, index] - F(2) * self.inner[book, word])

    def cross(self, book: int, word: int, other: int, other_word: int) -> np.float32:
        return self.gram[other * self.words + other_word, book * self.words + word]

    def step(self, book: int, word: int, others: list[tuple[int, int]]) -> np.float32:
        """Error that a codeword adds to given codes of other books."""
        if not others:
            return self.own(book, word)
        total = self.cross(book, word, *others[0])
        for other in others[1:]:
            total = F(total + self.cross(book, word, *other))
        return F(self.own(book, word) + F(2) * total)

    def error(self, codes: list[int]) -> float:
        total = 0.0
        for book, word in enumerate(codes):
            total += float(self.own(book, word))
            for other in range(book):
                total += 2.0 * float(self.cross(book, word, other, codes[other]))
        return total

    def beam_search(self, beam: int) -> list[int]:
        entries: list[tuple[np.float32, list[int]]] = [(F(0), [])]
        for book in range(self.books):
            extended = [
                (F(error + self.step(book, word, list(enumerate(codes)))), [*codes, word])
                for error, codes in entries
                for word in range(self.words)
            ]
            entries = sorted(extended, key=lambda entry: entry[0])[:beam]  # stable
        return entries[0][1]

    def refine(self, codes: list[int], sweeps: int) -> list[int]:
        codes = list(codes)
        for _ in range(sweeps):
            for book in range(self.books):
                others = [(b, codes[b]) for b in range(self.books) if b != book]
                steps = [self.step(book, word, others) for word in range(self.words)]
                codes[book] = min(range(self.words), key=lambda word: steps[word])
        return codes

    def encode(self, beam: int, sweeps: int, start: list[int] | None) -> tuple[list[int], float]:
        candidates = [] if start is None else [start, self.refine(start, sweeps)]
        if beam > 0:
            candidates.append(self.refine(self.beam_search(beam), sweeps))
        best = min(candidates, key=self.error)  # the first of equals
        return best, self.error(best)


def reference(inner, gram, beam, sweeps, start=None) -> Assignment:
    found = [
        Reference(row, gram).encode(
            beam, sweeps, None if start is None else [int(code) for code in start[i]]
        )
        for i, row in enumerate(inner)
    ]
    return Assignment(
        np.array([codes for codes, _ in found], np.uint8).reshape(len(inner), -1),
        np.array([error for _, error in found]),
    )


def problem(rng, count, books, words, width=5, decimals=None):
    """Inner products and Gram matrix of random vectors and codewords; few decimals make ties."""
    vectors = rng.normal(size=(count, width)) * 2
    codewords = rng.normal(size=(books * words, width))
    if decimals is not None:
        vectors, codewords = vectors.round(decimals), codewords.round(decimals)
    inner = (vectors @ codewords.T).reshape(count, books, words).astype(F)
    return inner, (codewords @ codewords.T).astype(F)


def assert_same(actual: Assignment, expected: Assignment) -> None:
    assert actual.codes.dtype == np.uint8
    assert actual.errors.dtype == np.float64
    np.testing.assert_array_equal(actual.codes, expected.codes)
    np.testing.assert_array_equal(actual.errors, expected.errors)


@pytest.fixture(params=["as installed", "numpy"])
def path(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setattr(assignment, "KERNELS", None)


@pytest.mark.parametrize("books, words", [(1, 1), (1, 7), (2, 3), (3, 5), (4, 4), (5, 2), (6, 3)])
@pytest.mark.parametrize("decimals", [None, 0])
@pytest.mark.parametrize("beam, sweeps", [(1, 0), (3, 0), (3, 2), (40, 1)])
def test_agrees_with_the_reference(path, books, words, decimals, beam, sweeps):
    rng = np.random.default_rng([books, words, beam])
    inner, gram = problem(rng, 6, books, words, decimals=decimals)
    start = rng.integers(0, words, (6, books), dtype=np.uint8)
    for given_start in (None, start):
        assert_same(
            assign(inner, gram, beam=beam, sweeps=sweeps, start=given_start),
            reference(inner, gram, beam, sweeps, given_start),
        )
    assert_same(
        assign(inner, gram, beam=0, sweeps=sweeps, start=start),
        reference(inner, gram, 0, sweeps, start),
    )


@pytest.mark.parametrize("books, words", [(1, 9), (2, 6), (3, 4), (4, 3)])
def test_a_wide_beam_finds_the_optimum(path, books, words):
    inner, gram = problem(np.random.default_rng(books), 8, books, words)
    found = assign(inner, gram, beam=words**books, sweeps=0)
    for row, error in zip(inner, found.errors, strict=True):
        search = Reference(row, gram)
        every = itertools.product(range(words), repeat=books)
        best = min(search.error(list(codes)) for codes in every)
        assert error <= best + 1e-5 * (1 + abs(best))


@given(
    books=st.integers(1, 8),
    words=st.sampled_from([1, 2, 31, 32, 33, 100, 256]),
    beam=st.integers(1, 40),
    sweeps=st.integers(0, 3),
    decimals=st.sampled_from([None, 0, 1]),
    with_start=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_kernel_and_numpy_agree(books, words, beam, sweeps, decimals, with_start, seed):
    if assignment.KERNELS is None:
        pytest.skip("the compiled kernels are not in use")
    rng = np.random.default_rng(seed)
    inner, gram = problem(rng, 5, books, words, decimals=decimals)
    start = rng.integers(0, words, (5, books), dtype=np.uint8) if with_start else None
    by_kernel = assign(inner, gram, beam=beam, sweeps=sweeps, start=start)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assignment, "KERNELS", None)
        assert_same(by_kernel, assign(inner, gram, beam=beam, sweeps=sweeps, start=start))


def test_threads_and_blocks_do_not_matter(path):
    inner, gram = problem(np.random.default_rng(0), 300, 4, 16)
    whole = assign(inner, gram, beam=4, sweeps=1, threads=1)
    assert_same(assign(inner, gram, beam=4, sweeps=1, threads=5), whole)
    parts = [assign(inner[i : i + 1], gram, beam=4, sweeps=1) for i in (0, 131, 299)]
    np.testing.assert_array_equal([p.codes[0] for p in parts], whole.codes[[0, 131, 299]])


def test_errors_are_squared_distances_less_a_constant(path):
    rng = np.random.default_rng(0)
    vectors, words = rng.normal(size=(20, 6)), rng.normal(size=(3, 8, 6))
    flat = words.reshape(24, 6)
    inner = (vectors @ flat.T).reshape(20, 3, 8).astype(F)
    found = assign(inner, (flat @ flat.T).astype(F), beam=4, sweeps=1)
    sums = sum(words[b][found.codes[:, b]] for b in range(3))
    distances = ((vectors - sums) ** 2).sum(1) - (vectors**2).sum(1)
    np.testing.assert_allclose(found.errors, distances, rtol=1e-4, atol=1e-4)


def test_never_worse_than_the_start(path):
    rng = np.random.default_rng(5)
    inner, gram = problem(rng, 200, 4, 8)
    best = assign(inner, gram, beam=16, sweeps=3)
    again = assign(inner, gram, beam=1, sweeps=0, start=best.codes)
    assert (again.errors <= best.errors).all()
    refined = assign(inner, gram, beam=0, sweeps=0, start=best.codes)
    assert_same(refined, best)


def test_no_vectors(path):
    _, gram = problem(np.random.default_rng(0), 1, 2, 3)
    found = assign(np.empty((0, 2, 3), F), gram, beam=2, sweeps=1)
    assert found.codes.shape == (0, 2)
    assert found.errors.shape == (0,)


def test_what_does_not_fit_is_refused(path):
    inner, gram = problem(np.random.default_rng(0), 4, 2, 3)
    start = np.zeros((4, 2), np.uint8)
    with pytest.raises(ArgumentError, match="beam 0"):
        assign(inner, gram, beam=0, sweeps=1)
    with pytest.raises(ArgumentError, match="negative"):
        assign(inner, gram, beam=-1, sweeps=1)
    with pytest.raises(ArgumentError, match="at most"):
        assign(inner, gram, beam=10**9, sweeps=1)
    with pytest.raises(ArgumentError, match="gram must be"):
        assign(inner, gram[:-1], beam=1, sweeps=1)
    with pytest.raises(ArgumentError, match="float32"):
        assign(inner.astype(float), gram, beam=1, sweeps=1)
    with pytest.raises(ArgumentError, match="start must be"):
        assign(inner, gram, beam=1, sweeps=1, start=start[:-1])
    with pytest.raises(ArgumentError, match="index 3"):
        assign(inner, gram, beam=1, sweeps=1, start=start + np.uint8(3))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_values_that_could_overflow_are_refused(path, value):
    inner, gram = problem(np.random.default_rng(0), 4, 2, 3)
    bad_inner, bad_gram = inner.copy(), gram.copy()
    bad_inner[2, 1, 0] = value
    bad_gram[1, 2] = value
    with pytest.raises(ArgumentError, match="in row 2"):
        assign(bad_inner, gram, beam=2, sweeps=1)
    with pytest.raises(ArgumentError, match="gram holds"):
        assign(inner, bad_gram, beam=2, sweeps=1)
