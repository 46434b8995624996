"""The rule for the users' form, on users whose rankings can be read off."""

from __future__ import annotations

import numpy as np
import pytest

from lightrec.codes.coded_users import CodedUsers
from lightrec.codes.item_codes import ItemCodes
from lightrec.evaluation.preferred_form import preferred_last
from lightrec.interactions.history import History

ITEMS = 4
CODES = ItemCodes(np.arange(ITEMS, dtype=np.uint8)[:, None], np.eye(ITEMS, dtype=np.float32)[None])
"""Every item has its own codeword, so that a user's table of one book is the user's scores."""


def history(*items: int) -> History:
    """One user's pairs."""
    return History.from_pairs(np.zeros(len(items), int), np.array(items, int), 1, ITEMS)


def vector(*scores: float) -> CodedUsers:
    """A user of four numbers, 16 bytes."""
    return CodedUsers("identity", CODES, np.array([scores], np.float32))


def table(*scores: float) -> CodedUsers:
    """The same scores in a table, 8 bytes."""
    return CodedUsers("table", CODES, np.array([[scores]], np.float16))


def wide(*scores: float) -> CodedUsers:
    """The same scores in a table of floats, 16 bytes."""
    return CodedUsers("fitted", CODES, np.array([[scores]], np.float32))


def test_without_tolerance_the_best_is_last() -> None:
    """Item 2 is sought: it comes first in one form and second in the other."""
    first, second = vector(0, 1, 2, 0), table(0, 3, 2, 0)
    for forms in ((first, second), (second, first)):
        chosen = preferred_last(forms, history(), history(2), 0.0)
        assert chosen[-1] is first
        assert chosen[:-1] == (second,)


def test_the_fewest_bytes_within_the_tolerance_are_last() -> None:
    """Found second: Recall 1 and NDCG 1 / log2(3), together 18.45 % below 1 + 1."""
    best, smaller = vector(0, 1, 2, 0), table(0, 3, 2, 0)
    assert preferred_last((best, smaller), history(), history(2), 0.184)[-1] is best
    assert preferred_last((best, smaller), history(), history(2), 0.185)[-1] is smaller


def test_of_equal_bytes_and_values_the_first_is_last() -> None:
    """`identity` is asked first: nothing is fitted where nothing is won."""
    one, two = vector(0, 1, 2, 0), wide(0, 1, 2, 0)
    assert one.bytes_per_user == two.bytes_per_user
    assert preferred_last((one, two), history(), history(2), 0.01)[-1] is one
    assert preferred_last((two, one), history(), history(2), 0.01)[-1] is two


def test_of_equal_bytes_the_better_is_last() -> None:
    """Both come within the tolerance; item 2 is found first in one and second in the other."""
    worse, better = vector(0, 3, 2, 0), wide(0, 1, 2, 0)
    assert worse.bytes_per_user == better.bytes_per_user
    for forms in ((worse, better), (better, worse)):
        assert preferred_last(forms, history(), history(2), 0.5)[-1] is better
    smaller = table(0, 3, 2, 0)  # fewer bytes still win
    assert preferred_last((worse, better, smaller), history(), history(2), 0.5)[-1] is smaller


def test_what_users_have_seen_is_not_ranked() -> None:
    """Item 1 was trained on: without it, both rank the sought item first."""
    other, smaller = vector(0, 1, 2, 0), table(0, 3, 2, 0)
    assert preferred_last((other, smaller), history(1), history(2), 0.0)[-1] is smaller


def test_no_form_is_lost_and_the_others_keep_their_order() -> None:
    forms = vector(0, 1, 2, 0), table(3, 3, 2, 3), wide(0, 3, 2, 0), table(0, 1, 2, 0)
    chosen = preferred_last(forms, history(), history(2), 0.0)
    assert chosen == (*forms[:3], forms[3])
    chosen = preferred_last(forms[::-1], history(), history(2), 0.0)
    assert chosen == (forms[2], forms[1], forms[0], forms[3])


@pytest.mark.parametrize("tolerance", [0.0, 0.01])
def test_a_single_form_is_shipped(tolerance: float) -> None:
    form = vector(0, 1, 2, 0)
    assert preferred_last((form,), history(), history(2), tolerance) == (form,)
