"""The metric in brief, against the metric itself."""

import numpy as np
import pytest

from lightrec.codes.cell_metrics import CellMetrics
from lightrec.codes.item_metric import ItemMetric


@pytest.fixture
def measured():
    """300 items around five centres, with a matrix each; nothing is in the sixth cell."""
    rng = np.random.default_rng(0)
    centres = 4 * rng.normal(size=(5, 8))
    cells = rng.integers(0, 5, 300).astype(np.int32)
    items = (centres[cells] + 0.2 * rng.normal(size=(300, 8))).astype(np.float32)
    factors = rng.normal(size=(6, 8, 3)) * np.array([3, 2, 1])
    matrices = factors @ factors.transpose(0, 2, 1) + 0.1 * np.eye(8)
    return items, ItemMetric(cells, matrices.astype(np.float32))


def test_of_full_rank_it_is_the_same_metric(measured):
    items, metric = measured
    brief = CellMetrics.of(items, metric, rank=8)
    rng = np.random.default_rng(1)
    off = rng.normal(size=items.shape).astype(np.float32)
    np.testing.assert_allclose(brief.metric_of(items).errors(off), metric.errors(off), rtol=2e-3)


def test_three_directions_are_all_of_these_matrices(measured):
    items, metric = measured
    brief = CellMetrics.of(items, metric, rank=3)
    off = np.random.default_rng(1).normal(size=items.shape).astype(np.float32)
    np.testing.assert_allclose(brief.metric_of(items).errors(off), metric.errors(off), rtol=2e-3)
    assert brief.factors.shape == (5, 8, 3)
    assert brief.factors.dtype == np.float16


def test_what_is_not_kept_counts_as_its_mean(measured):
    items, metric = measured
    brief = CellMetrics.of(items, metric, rank=1)
    made = brief.factors.astype(np.float64) @ brief.factors.astype(np.float64).transpose(0, 2, 1)
    made += brief.floors[:, None, None] * np.eye(8)
    traces = np.trace(made, axis1=1, axis2=2)
    np.testing.assert_allclose(traces, np.trace(metric.matrices[:5], axis1=1, axis2=2), rtol=1e-3)
    assert (brief.floors > 0).all()


def test_items_find_their_cell_by_its_centre(measured):
    items, metric = measured
    brief = CellMetrics.of(items, metric)
    assert len(brief.centres) == 5
    found = brief.metric_of(items[:40])
    expected = np.unique(metric.cells[:40], return_inverse=True)[1]
    assert np.array_equal(found.cells, expected)


def test_one_cell_for_all():
    items = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    brief = CellMetrics.of(items, ItemMetric.euclidean(4), rank=2)
    np.testing.assert_allclose(brief.centres, items.mean(axis=0)[None], rtol=1e-5)
    matrix = brief.metric_of(items[:3]).matrices[0]
    np.testing.assert_allclose(matrix, np.eye(4), atol=1e-3)
