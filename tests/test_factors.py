"""The teacher as everything downstream sees it."""

import numpy as np
import pytest

from lightrec.errors import ArgumentError
from lightrec.factors import Factors

USERS, ITEMS = np.ones((2, 3), np.float32), np.ones((4, 3), np.float32)


def spoiled(matrix: np.ndarray, value: float) -> np.ndarray:
    matrix = matrix.copy()
    matrix[1, 2] = value
    return matrix


def test_tells_its_width() -> None:
    assert Factors(USERS, ITEMS).width == 3
    assert Factors(USERS[:0], ITEMS).width == 3  # nobody is known: queries come as vectors


@pytest.mark.parametrize(
    ("users", "items", "fault"),
    [
        (USERS.astype(np.float64), ITEMS, "users must be a float32 matrix"),
        (USERS, ITEMS[0], "items must be a float32 matrix"),
        (USERS[:, :2], ITEMS, "users are 2 wide and items 3"),
        (USERS, spoiled(ITEMS, np.nan), "items row 1 holds a value that is not finite"),
        (spoiled(USERS, np.inf), ITEMS, "users row 1 holds a value that is not finite"),
    ],
)
def test_refuses_what_gives_no_score(users, items, fault: str) -> None:
    with pytest.raises(ArgumentError, match=fault):
        Factors(users, items)
