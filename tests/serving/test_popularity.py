"""The most popular items."""

from __future__ import annotations

import numpy as np

from lightrec.search.filters import EVERYTHING, Filter
from lightrec.serving.popularity import PopularityRanking


def test_the_most_popular_come_first_and_equal_ones_by_row():
    ranking = PopularityRanking(np.array([3, 9, 3, 0]))
    best = ranking.top_k(3, EVERYTHING)
    assert best.rows.tolist() == [1, 0, 2]
    assert best.scores.tolist() == [9, 3, 3]
    assert ranking.top_k(3, Filter(exclude=np.array([1], np.int32))).rows.tolist() == [0, 2, 3]


def test_counts_that_are_one_number_in_float32_are_still_ordered():
    assert np.float32(2**24) == np.float32(2**24 + 1)
    ranking = PopularityRanking(np.array([2**24, 2**24 + 1]))
    assert ranking.top_k(2, EVERYTHING).rows.tolist() == [1, 0]
