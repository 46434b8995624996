"""Numbering codewords so that neighbours are alike.

A scan by bounds groups neighbouring codewords under one bound, and keeps items with neighbouring
codewords side by side. The closer neighbours are, the tighter the bounds.
"""

from __future__ import annotations

import numpy as np

POWER_STEPS = 6  # of the search for the direction of largest spread; it need not be exact


def paired_codebooks(codebooks: np.ndarray) -> np.ndarray:
    """Codebooks of the bytes that two small codebooks share: all sums of their codewords.

    Args:
        codebooks: (8, W, D) float, W at most 16.

    Returns:
        (4, 256, D); the byte of codewords i and j, of an even codebook and the next, is i + 16 j.
        Bytes that stand for no codeword are zero vectors.
    """
    pairs, num_codewords, width = len(codebooks) // 2, codebooks.shape[1], codebooks.shape[2]
    sums = np.zeros((pairs, 16, 16, width), codebooks.dtype)
    low, high = codebooks[0::2, np.newaxis, :], codebooks[1::2, :, np.newaxis]
    sums[:, :num_codewords, :num_codewords] = high + low
    return sums.reshape(pairs, 256, width)


def neighbourly_labels(codebooks: np.ndarray) -> np.ndarray:
    """A number for every codeword, so that codewords of near numbers are near each other.

    Each codebook is halved across its direction of largest spread, again and again: any aligned
    group of 2^n numbers is one part of that division.

    Args:
        codebooks: (B, W, D) float, W at most 256.

    Returns:
        (B, 256) uint8, a permutation of 0 .. 255 in each codebook; those past W - 1 belong to no
        codeword.
    """
    num_codebooks, num_codewords, _ = codebooks.shape
    labels = np.empty((num_codebooks, 256), np.uint8)
    for book, words in enumerate(codebooks):
        order = _divided(words.astype(np.float64), np.arange(num_codewords))
        labels[book, order] = np.arange(num_codewords)
        labels[book, num_codewords:] = np.arange(num_codewords, 256)
    return labels


def _divided(words: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The rows in the order of the division."""
    if len(rows) <= 2:
        return rows
    spread = words[rows] - words[rows].mean(0)
    along = spread @ spread[np.argmax((spread**2).sum(1))]
    for _ in range(POWER_STEPS):
        length = float(np.sqrt((along**2).sum()))
        if length == 0.0:
            break  # all alike
        direction = spread.T @ (along / length)
        direction *= np.sign(direction[np.argmax(np.abs(direction))])  # halves lie the same way
        along = spread @ direction
    order = rows[np.argsort(along, kind="stable")]
    half = len(order) // 2
    return np.concatenate([_divided(words, order[:half]), _divided(words, order[half:])])
