"""What changes for users when one model takes the place of another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from lightrec.artifact.contents import Model
from lightrec.errors import ArgumentError
from lightrec.interactions.matching_ids import matching_rows
from lightrec.progress import track
from lightrec.serving.recommender import Recommender

USERS_COMPARED = 1_000
_USERS_AT_ONCE = 256


@dataclass(frozen=True)
class Difference:
    """An old and a new model side by side.

    Attributes:
        items_removed: Items that only the old one has.
        items_added: Items that only the new one has.
        users_removed: Likewise users.
        users_added: Likewise users.
        codes_changed: Items of both whose codes differ; None where the models' codes are of
            different shape.
        codebooks_changed: Whether any codeword differs.
        users_compared: Users of both, evenly spaced, whose lists were compared.
        k: Length of those lists.
        overlap: Mean share of a user's old list that is in the new one too, 0 to 1; None where no
            user is in both.
        same_first: Share of those users whose first item is the same.
        unchanged_lists: Share whose whole list is, in the same order.
    """

    items_removed: int
    items_added: int
    users_removed: int
    users_added: int
    codes_changed: int | None
    codebooks_changed: bool
    users_compared: int
    k: int
    overlap: float | None
    same_first: float | None
    unchanged_lists: float | None


def difference(
    old: Model, new: Model, *, k: int = 10, users: int = USERS_COMPARED, progress: bool = False
) -> Difference:
    """Compares two models: their catalogues, codes, and the lists that users would get.

    Ids are matched though one model holds text and the other integers: an integer and its one
    canonical spelling are the same id.

    Args:
        old: The model in use.
        new: The one to take its place.
        k: Length of the lists.
        users: Most users to compare lists of.
        progress: Shows a progress bar when standard error is a terminal.

    Raises:
        ArgumentError: `k` or `users` is less than 1.
    """
    if min(k, users) < 1:
        raise ArgumentError(f"k = {k} and users = {users} must be at least 1")
    new_items = matching_rows(old.item_ids, new.item_ids)
    new_users = matching_rows(old.user_ids, new.user_ids)
    both = np.flatnonzero(new_users >= 0)
    compared = both[spread_rows(len(both), users)]
    lists = _Lists(old, new, new_users, k)
    steps = range(0, len(compared), _USERS_AT_ONCE)
    shares = [
        lists.compared(compared[start : start + _USERS_AT_ONCE])
        for start in track(steps, "comparing lists", total=len(steps), enabled=progress)
    ]
    means = np.concatenate(shares).mean(axis=0).tolist() if shares else [None] * 3
    return Difference(
        items_removed=int((new_items < 0).sum()),
        items_added=new.num_items - int((new_items >= 0).sum()),
        users_removed=int((new_users < 0).sum()),
        users_added=new.num_users - len(both),
        codes_changed=_codes_changed(old, new, new_items),
        codebooks_changed=not np.array_equal(old.item_codes.codebooks, new.item_codes.codebooks),
        users_compared=len(compared),
        k=k,
        overlap=means[0],
        same_first=means[1],
        unchanged_lists=means[2],
    )


def spread_rows(num_rows: int, most: int) -> np.ndarray:
    """Rows of so many, evenly spread over all of them, int64."""
    chosen = min(num_rows, most)
    return np.arange(chosen) * num_rows // max(chosen, 1)


def _codes_changed(old: Model, new: Model, new_items: np.ndarray) -> int | None:
    kept = np.flatnonzero(new_items >= 0)
    before, after = old.item_codes.codes[kept], new.item_codes.codes[new_items[kept]]
    if before.shape != after.shape:
        return None
    return int((before != after).any(axis=1).sum())


class _Lists:
    """The lists of both models."""

    def __init__(self, old: Model, new: Model, new_users: np.ndarray, k: int) -> None:
        self._old, self._new = Recommender(old), Recommender(new)
        self._new_users, self._k = new_users, k

    def compared(self, rows: np.ndarray) -> np.ndarray:
        """(n, 3): share of the old list that is in the new one, same first, all the same."""
        old = self._texts(self._old, rows)
        new = self._texts(self._new, self._new_users[rows])
        return np.array(
            [
                (
                    len(set(before) & set(after)) / len(before) if before else 1.0,
                    before[:1] == after[:1],
                    before == after,
                )
                for before, after in zip(old, new, strict=True)
            ]
        )

    def _texts(self, recommender: Recommender, rows: np.ndarray) -> list[list[str]]:
        ids = recommender.model.user_ids.series.gather(rows)
        found = recommender.recommend(users=ids, k=self._k)
        texts = found.item_ids.cast(pl.String).to_list()
        ends = np.cumsum(found.counts)
        return [texts[end - count : end] for end, count in zip(ends, found.counts, strict=True)]
