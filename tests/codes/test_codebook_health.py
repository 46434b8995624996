"""Signs of collapsed codebooks."""

import numpy as np
import pytest

from lightrec.codes.item_codes import CodebookHealth, ItemCodes


def test_even_usage_has_full_perplexity() -> None:
    health = CodebookHealth.of(np.arange(8, dtype=np.uint8)[:, None], 8)
    assert health.used == (8,)
    assert health.perplexity == pytest.approx((8.0,))
    assert health.collisions == 0


def test_a_collapsed_codebook_shows() -> None:
    codes = np.zeros((6, 2), np.uint8)
    codes[:, 1] = [0, 1, 2, 3, 4, 4]
    health = CodebookHealth.of(codes, 256)
    assert health.used == (1, 5)
    assert health.perplexity[0] == pytest.approx(1.0)
    entropy = -(4 * np.log(1 / 6) / 6 + np.log(2 / 6) * 2 / 6)
    assert health.perplexity[1] == pytest.approx(np.exp(entropy))
    assert health.collisions == 2  # both items of the pair, not the pair


def test_collisions_are_of_whole_codes() -> None:
    # Read as one number, (1, 0) and (0, 1) must stay apart.
    codes = np.array([[1, 0], [0, 1], [1, 1], [1, 0], [1, 0]], np.uint8)
    assert CodebookHealth.of(codes, 2).collisions == 3


def test_a_view_with_gaps_counts_like_a_copy() -> None:
    wide = np.random.default_rng(0).integers(0, 3, (40, 6), dtype=np.uint8)
    assert CodebookHealth.of(wide[:, ::2], 3) == CodebookHealth.of(wide[:, ::2].copy(), 3)


def test_describes_itself_in_one_line() -> None:
    codes = ItemCodes(np.zeros((3, 2), np.uint8), np.ones((2, 4, 1), np.float32))
    expected = "codewords used 1/1, perplexity 1/1, 3 items share a code"
    assert codes.health.describe() == expected
