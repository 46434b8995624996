"""How long one query takes on this machine: table look-ups against float vectors in numpy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lightrec.search.scan import make_scan

if TYPE_CHECKING:
    from lightrec.artifact import Model

_WARM_UP = 20


def query_times(model: Model, *, k: int = 100, num_queries: int = 200) -> dict[str, float]:
    """Median microseconds of one top-k query, by the names of the comparison's rows.

    `teacher` multiplies the user's vector with all item vectors and selects with numpy; the items
    are the decoded ones, as only shapes matter for time. `lightrec` builds the user's score table
    and scans the codes; `rvq` are codes of the same shape, timed by themselves. They take turns,
    so that all meet the same disturbances. numpy uses as many threads as it likes, the scan one.

    Args:
        model: with users that have vectors.
        k: items wanted.
        num_queries: users asked for, one at a time; repeated where there are fewer.
    """
    item_codes, users = model.item_codes, model.users.values.astype(np.float32)
    items, scan = item_codes.decode(), make_scan(item_codes)
    k = min(k, model.num_items)

    def by_floats(user: np.ndarray) -> object:
        scores = items @ user
        best = np.argpartition(scores, len(scores) - k)[len(scores) - k :]
        return best[np.argsort(-scores[best])]

    def by_codes(user: np.ndarray) -> object:
        return scan.top_k(item_codes.score_tables(user[np.newaxis])[0], k)

    searches: dict[str, Callable[[np.ndarray], object]] = {
        "teacher": by_floats,
        "rvq": by_codes,
        "lightrec": by_codes,
    }
    taken: dict[str, list[float]] = {name: [] for name in searches}
    for number in range(-_WARM_UP, num_queries):
        user = users[number % len(users)]
        for name, search in searches.items():
            start = time.perf_counter()
            search(user)
            if number >= 0:
                taken[name].append(1e6 * (time.perf_counter() - start))
    return {name: float(np.median(times)) for name, times in taken.items()}
