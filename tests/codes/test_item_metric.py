"""How an item's quantisation error is measured."""

import numpy as np
import pytest

from lightrec.codes.item_metric import ItemMetric, MetricConfig
from lightrec.errors import ArgumentError

RNG = np.random.default_rng(0)
USERS = (RNG.normal(size=(40, 4)) * [3, 1, 1, 0.2]).astype(np.float32)
DIFFERENCE = RNG.normal(size=(9, 4)).astype(np.float32)


def test_euclidean_is_the_squared_distance() -> None:
    errors = ItemMetric.euclidean(4).errors(DIFFERENCE)
    np.testing.assert_allclose(errors, (DIFFERENCE**2).sum(axis=1), rtol=1e-6)


def test_user_gram_is_the_mean_squared_error_of_all_users_scores() -> None:
    gram = ItemMetric.user_gram(USERS, identity=1e-12)
    by_hand = [np.mean([float(user @ row) ** 2 for user in USERS]) for row in DIFFERENCE]
    errors = gram.errors(DIFFERENCE)
    np.testing.assert_allclose(errors / errors[0], np.array(by_hand) / by_hand[0], rtol=1e-5)


def test_user_gram_does_not_depend_on_the_users_scale() -> None:
    first, second = (ItemMetric.user_gram(USERS * scale) for scale in (1.0, 100.0))
    np.testing.assert_allclose(first.matrices, second.matrices, rtol=1e-5, atol=1e-7)
    assert np.trace(first.matrices[0]) == pytest.approx(4.0, rel=1e-5)


def test_the_identitys_share_keeps_every_direction_costly() -> None:
    flat = USERS.copy()
    flat[:, 3] = 0.0  # a direction that no user looks into
    error = ItemMetric.user_gram(flat, 0.05).errors(np.eye(4, dtype=np.float32))
    assert error[3] == pytest.approx(0.05)
    whole = ItemMetric.user_gram(flat, 1.0)
    np.testing.assert_allclose(whole.matrices[0], np.eye(4), atol=1e-7)


def test_users_of_zeros_give_a_usable_metric() -> None:
    metric = ItemMetric.user_gram(np.zeros((3, 4), np.float32), 0.05)
    assert np.linalg.eigvalsh(metric.matrices[0]).min() > 0


def test_cells_measure_their_own_items() -> None:
    matrices = np.stack([np.eye(4), 4 * np.eye(4), 9 * np.eye(4)]).astype(np.float32)
    cells = np.array([2, 0, 1, 1, 0, 2, 2, 0, 0], np.int32)
    errors = ItemMetric(cells, matrices).errors(DIFFERENCE)
    factor = np.array([1, 4, 9])[cells]
    np.testing.assert_allclose(errors, factor * (DIFFERENCE**2).sum(axis=1), rtol=1e-6)


def test_groups_hold_every_item_once_and_skip_empty_cells() -> None:
    matrices = np.stack([np.eye(2)] * 4).astype(np.float32)
    cells = np.array([3, 0, 3, 1], np.int32)
    groups = list(ItemMetric(cells, matrices).groups(4))
    assert len(groups) == 3
    rows = np.concatenate([np.arange(4)[rows] for rows, _ in groups])
    assert sorted(rows.tolist()) == [0, 1, 2, 3]


def test_the_metric_of_some_items_measures_them_alike() -> None:
    matrices = np.stack([np.eye(4), 4 * np.eye(4)]).astype(np.float32)
    rows = np.array([7, 2, 3])
    cells = np.array([1, 0, 1, 1, 0, 1, 1, 0, 0], np.int32)
    for metric in (ItemMetric(cells, matrices), ItemMetric.euclidean(4)):
        some = metric.of_items(rows).errors(DIFFERENCE[rows])
        np.testing.assert_allclose(some, metric.errors(DIFFERENCE)[rows], rtol=1e-6)


def test_the_mean_counts_every_items_matrix_by_its_weight() -> None:
    matrices = np.stack([np.eye(2), np.diag([3.0, 5.0])]).astype(np.float32)
    metric = ItemMetric(np.array([0, 1, 1], np.int32), matrices)
    by_hand = (2 * np.eye(2) + 2 * np.diag([3.0, 5.0])) / 4
    np.testing.assert_allclose(metric.mean(np.array([2.0, 1.5, 0.5])), by_hand)
    assert np.array_equal(ItemMetric.euclidean(2).mean(np.ones(3)), np.eye(2))


def test_refuses_cells_of_another_catalogue() -> None:
    metric = ItemMetric(np.zeros(5, np.int32), np.eye(4, dtype=np.float32)[None])
    for num_items in (3, 9):
        with pytest.raises(ArgumentError):
            metric.errors(np.ones((num_items, 4), np.float32))


@pytest.mark.parametrize(
    ("cells", "shape", "fault"),
    [
        (None, (4, 4), r"\(K, D, D\)"),
        (None, (1, 4, 3), r"\(K, D, D\)"),
        (None, (2, 4, 4), "need the items' cells"),
        (np.array([0, 2]), (2, 4, 4), "go beyond 2"),
        (np.array([-1, 0]), (2, 4, 4), "go beyond 2"),
    ],
)
def test_refuses_matrices_that_do_not_fit(cells, shape, fault: str) -> None:
    with pytest.raises(ArgumentError, match=fault):
        ItemMetric(cells, np.zeros(shape, np.float32))


def test_configuration_falls_back_to_euclid_without_users() -> None:
    identity = np.eye(4, dtype=np.float32)[None]
    gram = MetricConfig(kind="user_gram", identity=0.1)
    for users in (None, USERS[:0]):
        assert np.array_equal(ItemMetric.configured(gram, users, 4).matrices, identity)
    euclidean = ItemMetric.configured(MetricConfig(kind="euclidean"), USERS, 4)
    assert np.array_equal(euclidean.matrices, identity)
    expected = ItemMetric.user_gram(USERS, 0.1).matrices
    assert np.array_equal(ItemMetric.configured(gram, USERS, 4).matrices, expected)
