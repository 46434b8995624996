"""Codebooks for users against dense decompositions."""

from __future__ import annotations

import numpy as np
import pytest

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_codebooks import (
    codebooks_for_users,
    level_codebooks,
    vectors_for_tables,
)
from lightrec.errors import ArgumentError

F = np.float32


def random_codes(rng, items=50, books=3, words=6, width=4) -> ItemCodes:
    codes = rng.integers(0, words - 1, (items, books), dtype=np.uint8)  # the last word is unused
    return ItemCodes(codes, rng.normal(size=(books, words, width)).astype(F))


def counts_of(codes: ItemCodes) -> np.ndarray:
    counts = np.zeros(codes.codebooks.shape[:2])
    for row in codes.codes.tolist():
        for book, word in enumerate(row):
            counts[book, word] += 1
    return counts


def centred(tables, counts):
    means = (tables * counts).sum(axis=2) / counts.sum(axis=1)
    return tables - means[:, :, None]


def weighted_distance(one, other, counts):
    """What the codebooks are to minimise, between two sets of tables."""
    return (counts * (centred(one, counts) - centred(other, counts)) ** 2).sum()


def test_the_codebooks_are_the_leading_singular_vectors():
    rng = np.random.default_rng(0)
    codes = random_codes(rng)
    tables = rng.normal(size=(40, 3, 6)).astype(F)
    counts = counts_of(codes)
    rows = (centred(tables, counts) * np.sqrt(counts)).reshape(40, -1)
    singular = np.linalg.svd(rows)[1]
    for width in (1, 5, 18, 30):
        own = ItemCodes(codes.codes, codebooks_for_users(tables, codes, width))
        assert own.codebooks.shape == (3, 6, width)
        assert own.codebooks.dtype == F
        made = own.score_tables(vectors_for_tables(tables, own))
        lost = weighted_distance(made, tables, counts)
        assert lost == pytest.approx((singular[width:] ** 2).sum(), rel=1e-3, abs=1e-6)
        assert (own.codebooks[:, -1] == 0.0).all()  # no item uses it
        norms = (counts * (own.codebooks**2).sum(axis=2)).sum() / 50
        assert norms == pytest.approx(1.0, rel=1e-4)


def test_items_rank_the_same_by_tables_that_vectors_can_make():
    rng = np.random.default_rng(1)
    codes = random_codes(rng)
    users = rng.normal(size=(30, 4)).astype(F)
    tables = codes.score_tables(users)
    own = ItemCodes(codes.codes, codebooks_for_users(tables, codes, 4))
    scores = own.scores(own.score_tables(vectors_for_tables(tables, own)))
    expected = codes.scores(tables)
    expected -= expected.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_levelled_codebooks_rank_alike_and_score_on_the_teachers_level():
    rng = np.random.default_rng(3)
    items, users = (rng.normal(size=(count, 4)).astype(F) for count in (50, 30))
    items += 2
    codes = random_codes(rng, width=4)
    mapped = (users @ rng.normal(size=(4, 4))).astype(F)  # vectors of any basis
    level = level_codebooks(codes, mapped, users, items)
    assert level.codes is codes.codes
    scores, before = (each.scores(each.score_tables(mapped)) for each in (level, codes))
    np.testing.assert_allclose(scores.mean(axis=1), (users @ items.T).mean(axis=1), atol=1e-4)
    constant = (scores - before).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(scores - before, np.tile(constant, 50), atol=1e-4)
    assert np.abs(constant).max() > 1
    assert np.array_equal(level.codebooks[1:], codes.codebooks[1:])


def test_what_does_not_fit_is_refused():
    codes = random_codes(np.random.default_rng(0), books=2, words=4, width=3)
    tables = np.zeros((2, 2, 4), F)
    broken = tables.copy()
    broken[1, 0, 0] = np.nan
    for make in (
        lambda t: codebooks_for_users(t, codes, 3),
        lambda t: vectors_for_tables(t, codes),
    ):
        with pytest.raises(ArgumentError, match=r"tables row 1 .*not finite"):
            make(broken)
        with pytest.raises(ArgumentError, match=r"tables must be \(M, 2, 4\)"):
            make(tables[:, :1])
    with pytest.raises(ArgumentError, match="width"):
        codebooks_for_users(tables, codes, 0)
