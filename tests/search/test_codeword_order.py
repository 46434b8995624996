"""Numbers of codewords whose neighbours are alike."""

import numpy as np
import pytest

from lightrec.search.codeword_order import neighbourly_labels


@pytest.mark.parametrize("num_codewords", [1, 2, 3, 100, 256])
def test_numbers_are_a_permutation_and_codewords_have_the_first_ones(num_codewords: int) -> None:
    words = np.random.default_rng(0).normal(size=(4, num_codewords, 6)).astype(np.float32)
    labels = neighbourly_labels(words)
    assert labels.dtype == np.uint8
    for row in labels:
        assert sorted(row) == list(range(256))
        assert sorted(row[:num_codewords]) == list(range(num_codewords))


def test_codewords_on_a_line_are_numbered_along_it() -> None:
    place = np.random.default_rng(1).permutation(256)
    line = np.array([1.0, -2.0, 0.5])
    labels = neighbourly_labels((place[:, None] * line)[None]).astype(int)[0]
    assert (np.diff(labels[np.argsort(place)]) == 1).all() or (
        np.diff(labels[np.argsort(-place)]) == 1
    ).all()


def test_groups_of_neighbours_are_tighter_than_groups_by_chance() -> None:
    words = np.random.default_rng(2).normal(size=(1, 256, 8))

    def spread(labels: np.ndarray) -> float:
        groups = words[0, np.argsort(labels)].reshape(64, 4, 8)
        return float(((groups - groups.mean(1, keepdims=True)) ** 2).sum())

    assert spread(neighbourly_labels(words)[0]) < 0.6 * spread(np.arange(256))


def test_equal_codewords_are_numbered_too() -> None:
    labels = neighbourly_labels(np.ones((2, 256, 4), np.float32))
    assert all(sorted(row) == list(range(256)) for row in labels)
