"""Stored vectors in half precision and in eight bits: exact where they can be, never further off
than their step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lightrec.baselines.scalar_quantization import as_float16, as_int8
from lightrec.errors import ArgumentError

LARGEST_FLOAT16 = 65_504.0


def vectors(num_items: int = 50, width: int = 6, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    lengths = np.exp(random.normal(scale=3.0, size=(num_items, 1)))
    return (lengths * random.normal(size=(num_items, width))).astype(np.float32)


def matrices(largest: float) -> st.SearchStrategy[np.ndarray]:
    numbers = st.floats(-largest, largest, width=32)
    return arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 5)), elements=numbers)


@given(
    arrays(np.float16, (3, 4), elements=st.floats(width=16, allow_nan=False, allow_infinity=False))
)
def test_float16_is_exact_for_what_it_can_represent(items: np.ndarray) -> None:
    stored = as_float16(items.astype(np.float32))
    assert stored.vectors.dtype == np.float32
    assert np.array_equal(stored.vectors, items.astype(np.float64))


@given(matrices(LARGEST_FLOAT16))
def test_float16_keeps_eleven_bits(items: np.ndarray) -> None:
    off = np.abs(as_float16(items).vectors.astype(np.float64) - items)
    assert (off <= np.maximum(np.abs(items) * 2.0**-11, 2.0**-25)).all()


def test_float16_takes_two_bytes_a_number() -> None:
    assert as_float16(vectors(width=6)).bytes_per_item == 12


@pytest.mark.parametrize("value", [65_505.0, -70_000.0, 1e30])
def test_float16_refuses_what_is_beyond_its_range_and_names_the_row(value: float) -> None:
    items = vectors()
    items[[4, 7], 2] = value
    with pytest.raises(ArgumentError, match=r"row 4 .*beyond the range of float16.*int8"):
        as_float16(items)


@given(matrices(2.0**120))
def test_int8_is_off_by_half_a_step_at_most(items: np.ndarray) -> None:
    stored = as_int8(items)
    assert stored.vectors.dtype == np.float32
    step = np.maximum(np.abs(items).max(axis=1, keepdims=True) / 127.0, np.finfo(np.float32).tiny)
    off = np.abs(stored.vectors.astype(np.float64) - items)
    assert (off <= 0.5001 * step.astype(np.float64)).all()


def test_int8_reads_back_at_most_255_values_of_one_step() -> None:
    items = vectors(num_items=20, width=400)
    for item, read in zip(items, as_int8(items).vectors, strict=True):
        steps = read / (np.abs(item).max() / 127.0)
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
        assert np.abs(np.rint(steps)).max() == 127


def test_int8_is_exact_for_whole_steps() -> None:
    items = np.array([[127, -127, 3, 0], [0.25 * 127, 0.25, -0.5, 5.0], [0, 0, 0, 0]], np.float32)
    assert np.array_equal(as_int8(items).vectors, items)


def test_int8_scales_every_item_by_itself() -> None:
    items = vectors()
    alone = np.concatenate([as_int8(item[None]).vectors for item in items])
    assert np.array_equal(as_int8(items).vectors, alone)


def test_int8_takes_a_byte_a_number_and_a_float_an_item() -> None:
    assert as_int8(vectors(width=6)).bytes_per_item == 10


@pytest.mark.parametrize("store", [as_float16, as_int8])
def test_takes_no_items_and_leaves_its_input_alone(store) -> None:
    assert store(np.zeros((0, 3), np.float32)).vectors.shape == (0, 3)
    items = vectors()
    before = items.copy()
    store(items).vectors[:] = 0.0
    assert np.array_equal(items, before)


@pytest.mark.parametrize("store", [as_float16, as_int8])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_refuses_values_that_are_not_finite_and_names_the_row(store, value: float) -> None:
    items = vectors().astype(np.float64)
    items[[3, 9], 1] = value
    with pytest.raises(ArgumentError, match=r"row 3 .*not finite"):
        store(items)


@pytest.mark.parametrize("store", [as_float16, as_int8])
@pytest.mark.parametrize(
    "items", [np.zeros(3), np.zeros((3, 0)), np.zeros((3, 2), np.complex64), np.array([["a", "b"]])]
)
def test_refuses_what_is_no_matrix_of_numbers(store, items: np.ndarray) -> None:
    with pytest.raises(ArgumentError, match=r"must be \(N, D\) numbers"):
        store(items)
