"""Whether a model answers as its own contents say.

Loading has checked every byte against the manifest and every size and range; this checks what the
parts say of one another, and that the fast search finds what the slow one does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lightrec.artifact.contents import Model
from lightrec.errors import ArtifactError
from lightrec.progress import track
from lightrec.search.reference_scan import ReferenceScan
from lightrec.serving.recommender import Recommender
from lightrec.updates.difference import spread_rows

_K = 100


@dataclass(frozen=True)
class SelfCheck:
    """What was checked and found sound.

    Attributes:
        users_compared: Users whose lists by the fast search equal those by the reference.
        items_compared: Items whose decoded vectors asked for such lists, where there are no users.
        k: Length of those lists.
        pairs_counted: Training pairs that the items' popularity was counted again from; None where
            the model holds none.
    """

    users_compared: int
    items_compared: int
    k: int
    pairs_counted: int | None


def self_check(model: Model, *, users: int = 100, progress: bool = False) -> SelfCheck:
    """Checks a loaded model against itself.

    Args:
        model: The model.
        users: Most users whose lists are compared, evenly spaced; items of a model without users.
        progress: Shows a progress bar when standard error is a terminal.

    Raises:
        ArtifactError: Naming what does not agree.
    """
    if model.history is not None:
        counted = model.history.item_degrees()
        told = model.item_columns["popularity"].to_numpy()
        wrong = np.flatnonzero(counted != told)
        if len(wrong):
            raise ArtifactError(
                f"item {model.item_ids.ids(wrong[:1])[0]!r}: the popularity is {told[wrong[0]]}, "
                f"but {counted[wrong[0]]} users have it in the history; "
                f"{len(wrong):,} items differ; train again"
            )
    of_users = model.num_users > 0
    rows = spread_rows(model.num_users if of_users else model.num_items, users)
    k = min(_K, max(model.num_items, 1))
    fast = Recommender(model)
    slow_scan = ReferenceScan(model.item_codes.codes, model.item_codes.num_codewords)
    slow = Recommender(model, scan=slow_scan)
    for row in track(rows.tolist(), "comparing lists", total=len(rows), enabled=progress):
        query: dict[str, Any] = (
            {"users": model.user_ids.ids([row])}
            if of_users
            else {"vectors": model.item_codes.decode(np.array([row]))}
        )
        found, wanted = (each.recommend(**query, k=k) for each in (fast, slow))
        same = found.item_ids.equals(wanted.item_ids) and np.array_equal(
            found.item_scores, wanted.item_scores
        )
        if not same:
            ids = model.user_ids if of_users else model.item_ids
            who = f"{'user' if of_users else 'item'} {ids.ids([row])[0]!r}"
            raise ArtifactError(
                f"{who}: the fast search answers otherwise than the reference; please report this "
                "with the model and what lightrec inspect shows"
            )
    users_compared, items_compared = (len(rows), 0) if of_users else (0, len(rows))
    pairs_counted = None if model.history is None else len(model.history)
    return SelfCheck(users_compared, items_compared, k, pairs_counted)
