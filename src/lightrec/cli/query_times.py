"""How long one query takes on this machine: table look-ups against float vectors in numpy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lightrec.codes.half_precision import half_precision
from lightrec.search.scan import make_scan

if TYPE_CHECKING:
    from lightrec.artifact import Model

_WARM_UP = 20


def query_times(model: Model, *, k: int = 100, num_queries: int = 200) -> dict[str, float]:
    """Median microseconds of one top-k query, by the names of the comparison's rows.

    `teacher` multiplies the user's vector with all item vectors and selects with numpy; `lightrec`
    builds the user's score table and scans the codes; `table` scans them with the score table that
    a user of this form has already; `rvq` are codes of the same shape, timed by themselves. They
    take turns, so that all meet the same disturbances. numpy uses as many threads as it likes, the
    scan one. Only shapes matter for time: items are the decoded ones, and users that the model has
    in the other form are made of them.

    Args:
        model: with users in any form.
        k: items wanted.
        num_queries: users asked for, one at a time; repeated where there are fewer.
    """
    item_codes, users = model.item_codes, model.users.values
    items, scan = item_codes.decode(), make_scan(item_codes)
    k = min(k, model.num_items)
    if users.ndim == 3:
        tables, vectors = users, items[:num_queries]
    else:
        vectors = users[:num_queries]
        tables = half_precision(item_codes.score_tables(vectors.astype(np.float32)))

    def by_floats(number: int) -> object:
        return numpy_top_k(items, vectors[number % len(vectors)].astype(np.float32), k)

    def by_vector(number: int) -> object:
        user = vectors[number % len(vectors)].astype(np.float32)
        return scan.top_k(item_codes.score_tables(user[np.newaxis])[0], k)

    def by_table(number: int) -> object:
        return scan.top_k(tables[number % len(tables)].astype(np.float32), k)

    searches: dict[str, Callable[[int], object]] = {
        "teacher": by_floats,
        "rvq": by_vector,
        "lightrec": by_vector,
        "table": by_table,
    }
    taken: dict[str, list[float]] = {name: [] for name in searches}
    for number in range(-_WARM_UP, num_queries):
        for name, search in searches.items():
            start = time.perf_counter()
            search(number)
            if number >= 0:
                taken[name].append(1e6 * (time.perf_counter() - start))
    return {name: float(np.median(times)) for name, times in taken.items()}


def numpy_top_k(items: np.ndarray, query: np.ndarray, k: int) -> np.ndarray:
    """Brute force: the rows of the k best items by inner product, best first.

    Args:
        items: (N, D) float32.
        query: (D,) float32.
        k: Items wanted, 1 to N.
    """
    scores = items @ query
    best = np.argpartition(scores, len(scores) - k)[len(scores) - k :]
    rows: np.ndarray = best[np.argsort(-scores[best])]
    return rows
