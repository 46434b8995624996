"""Additive-quantisation assignment: the codes whose sum of codewords comes closest to each vector.

The error of codes `c` for a vector x, without the constant `|x|^2`, is

    |sum_b c_b|^2 - 2 <x, sum_b c_b>
        = sum_b (|c_b|^2 - 2 <x, c_b>) + 2 sum_{a < b} <c_a, c_b>,

so the inner products of vectors and codewords and the Gram matrix of the codewords are all that is
needed, in whatever metric the caller measured them. Beam search goes through the books in order
(Babenko and Lempitsky, "Additive quantization for extreme vector compression", CVPR 2014); sweeps
of iterated conditional modes then re-choose one code at a time, all others fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightrec.errors import ArgumentError
from lightrec.native import KERNELS, available_cores

LARGEST_BEAM = 65_536
_BLOCK = 128  # vectors of the numpy path searched at once: bounds its (n, beam, W) arrays


@dataclass(frozen=True)
class Assignment:
    """Codes and how good they are.

    Attributes:
        codes: (n, B) uint8.
        errors: (n,) float64, `|sum of codewords|^2 - 2 <x, sum of codewords>`; lower is better.
    """

    codes: np.ndarray
    errors: np.ndarray


def assign(
    inner: np.ndarray,
    gram: np.ndarray,
    *,
    beam: int,
    sweeps: int,
    start: np.ndarray | None = None,
    threads: int = 0,
) -> Assignment:
    """Chooses codes by beam search and coordinate-wise refinement.

    With `start`, the refinement also runs from there and the better of the two results is kept, so
    errors never exceed those of `start`. Ties go to `start`, then to the lower beam entry, then to
    the lower codeword. Candidates are compared in float32 with sums in book order; the result does
    not depend on `threads`, nor on whether the compiled kernel did the work.

    Args:
        inner: (n, B, W) float32, inner products of the vectors with all codewords.
        gram: (B*W, B*W) float32, symmetric: inner products among all codewords, book by book.
        beam: Partial encodings kept after each book, at most 65,536; 0 refines `start` only.
        sweeps: Refinement passes over the books; they stop early where nothing changes.
        start: (n, B) uint8 codes to refine too.
        threads: Threads for the kernel, 0 for all available cores.

    Returns:
        The codes and their errors.

    Raises:
        ArgumentError: A shape, dtype or index does not fit, or values are not finite.
    """
    if min(beam, sweeps, threads) < 0:
        raise ArgumentError(
            f"beam {beam}, sweeps {sweeps} and threads {threads} must not be negative"
        )
    if beam > LARGEST_BEAM:
        raise ArgumentError(f"beam must be at most {LARGEST_BEAM}, not {beam}")
    _check_arrays(inner, gram, start)
    if beam == 0 and start is None:
        raise ArgumentError("beam 0 only refines: give the codes to start from")
    inner, gram = np.ascontiguousarray(inner), np.ascontiguousarray(gram)
    start = None if start is None else np.ascontiguousarray(start)
    if KERNELS is not None:
        threads = threads or available_cores()
        return Assignment(*KERNELS.encode(inner, gram, beam, sweeps, start, threads))
    return _assign_in_blocks(inner, gram, beam, sweeps, start)


def _check_arrays(inner: np.ndarray, gram: np.ndarray, start: np.ndarray | None) -> None:
    if inner.ndim != 3 or inner.dtype != np.float32:
        raise ArgumentError(f"inner must be (n, B, W) float32, not {inner.shape} {inner.dtype}")
    count, num_codebooks, num_codewords = inner.shape
    if num_codebooks == 0 or not 1 <= num_codewords <= 256:
        raise ArgumentError(f"inner must have B >= 1 and 1 <= W <= 256, not {inner.shape}")
    total = num_codebooks * num_codewords
    if gram.shape != (total, total) or gram.dtype != np.float32:
        raise ArgumentError(
            f"gram must be ({total}, {total}) float32, not {gram.shape} {gram.dtype}"
        )
    if start is None:
        return
    if start.shape != (count, num_codebooks) or start.dtype != np.uint8:
        raise ArgumentError(
            f"start must be ({count}, {num_codebooks}) uint8, not {start.shape} {start.dtype}"
        )
    if start.size and int(start.max()) >= num_codewords:
        raise ArgumentError(
            f"start holds the index {int(start.max())}, but there are {num_codewords} codewords"
        )


def _assign_in_blocks(
    inner: np.ndarray, gram: np.ndarray, beam: int, sweeps: int, start: np.ndarray | None
) -> Assignment:
    count, num_codebooks, _ = inner.shape
    # Values up to this magnitude cannot make any sum of an encoding overflow.
    limit = np.finfo(np.float32).max / np.float32(4 * num_codebooks**2)
    if not (np.abs(gram) <= limit).all():
        raise ArgumentError("gram holds values that are not finite or too large")
    codes, errors = np.empty((count, num_codebooks), np.uint8), np.empty(count)
    for begin in range(0, count, _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        search = _BlockSearch(inner[rows], gram)
        fits = (np.abs(search.own) <= limit).all(axis=(1, 2))
        if not fits.all():
            row = begin + int(np.argmin(fits))
            raise ArgumentError(f"inner holds values that are not finite or too large in row {row}")
        block_start = None if start is None else start[rows]
        codes[rows], errors[rows] = search.assign(beam, sweeps, block_start)
    return Assignment(codes, errors)


class _BlockSearch:
    """The numpy twin of the compiled kernel: same candidates, same roundings, same ties."""

    def __init__(self, inner: np.ndarray, gram: np.ndarray) -> None:
        self.num_vectors, self.num_codebooks, self.num_codewords = inner.shape
        # (B, W, B, W): the Gram matrix by (book, codeword) pairs
        self.gram = gram.reshape(self.num_codebooks, self.num_codewords, self.num_codebooks, -1)
        diagonal = np.diagonal(gram).reshape(self.num_codebooks, self.num_codewords)
        with np.errstate(over="ignore"):  # what overflows is refused by the caller
            self.own = diagonal - np.float32(2) * inner  # (n, B, W): |c|^2 - 2 <x, c>

    def assign(
        self, beam: int, sweeps: int, start: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        if start is None:
            found = self.refine(self.search(beam), sweeps)
            return found, self.errors(found)
        codes, errors = start, self.errors(start)
        codes, errors = self.better(codes, errors, self.refine(start, sweeps))
        if beam > 0:
            codes, errors = self.better(codes, errors, self.refine(self.search(beam), sweeps))
        return codes, errors

    def search(self, beam: int) -> np.ndarray:
        entries = np.zeros((self.num_vectors, 1, 0), np.uint8)
        entry_errors = np.zeros((self.num_vectors, 1), np.float32)
        for book in range(self.num_codebooks):
            others = list(enumerate(np.moveaxis(entries, 2, 0)))
            step = self.candidate_errors(self.own[:, None, book], others, book)
            errors = (entry_errors[:, :, None] + step).reshape(self.num_vectors, -1)
            best = np.argsort(errors, axis=1, kind="stable")[:, :beam]
            parents, words = np.divmod(best, self.num_codewords)
            extended = np.take_along_axis(entries, parents[:, :, None], axis=1)
            entries = np.concatenate([extended, words[:, :, None].astype(np.uint8)], axis=2)
            entry_errors = np.take_along_axis(errors, best, axis=1)
        return np.ascontiguousarray(entries[:, 0])

    def refine(self, codes: np.ndarray, sweeps: int) -> np.ndarray:
        codes = codes.copy()
        for _ in range(sweeps):
            before = codes.copy()
            for book in range(self.num_codebooks):
                others = [(b, codes[:, b]) for b in range(self.num_codebooks) if b != book]
                codes[:, book] = self.candidate_errors(self.own[:, book], others, book).argmin(
                    axis=1
                )
            if np.array_equal(before, codes):
                break
        return codes

    def candidate_errors(
        self, own: np.ndarray, others: list[tuple[int, np.ndarray]], book: int
    ) -> np.ndarray:
        """Error added by each codeword of `book`, given the codes of other books."""
        if not others:
            return own
        rows = [self.gram[other, codes, book] for other, codes in others]
        cross = rows[0]
        for row in rows[1:]:
            cross = cross + row
        return np.asarray(own + np.float32(2) * cross)

    def errors(self, codes: np.ndarray) -> np.ndarray:
        total = np.zeros(self.num_vectors)
        vectors = np.arange(self.num_vectors)
        for book in range(self.num_codebooks):
            total += self.own[vectors, book, codes[:, book]]
            for other in range(book):
                cross = self.gram[other, codes[:, other], book, codes[:, book]]
                total += 2.0 * cross.astype(np.float64)
        return total

    def better(
        self, codes: np.ndarray, errors: np.ndarray, candidate: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        candidate_errors = self.errors(candidate)
        improved = candidate_errors < errors
        return (
            np.where(improved[:, None], candidate, codes),
            np.where(improved, candidate_errors, errors),
        )
