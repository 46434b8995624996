"""The first vector that cannot be used."""

import numpy as np
import pytest

from lightrec.codes import finite_vectors as module
from lightrec.codes.finite_vectors import first_row_not_finite


@pytest.mark.parametrize("fault", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 3, 4, 9])
def test_names_the_first_row(monkeypatch, fault: float, row: int) -> None:
    monkeypatch.setattr(module, "BLOCK", 4)
    vectors = np.ones((10, 2), np.float32)
    assert first_row_not_finite(vectors) is None
    vectors[row, 1] = fault
    vectors[9, 0] = fault
    assert first_row_not_finite(vectors) == row


def test_no_vectors_are_all_finite() -> None:
    assert first_row_not_finite(np.zeros((0, 3), np.float32)) is None
