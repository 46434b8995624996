"""Which items may be returned: `allow`, `deny`, `where`, and what a user has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lightrec.artifact.contents import Model
from lightrec.search.filters import BatchFilter, Filter
from lightrec.search.row_mask import RowMask
from lightrec.serving.arguments import id_list, known_rows
from lightrec.serving.item_conditions import matching_rows

MOST_LISTED = 1 / 256
"""Share of the items up to which a list is searched as a list; a longer one as a mask."""


def _no_rows() -> np.ndarray:
    return np.empty(0, np.int32)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The items that all queries of a request may return.

    Attributes:
        allow: (n,) int32 item rows, ascending without repetition; None for all.
        deny: int32 item rows likewise; empty where `allow` is given, which they are then taken out
            of.
        mask: Nothing is returned that it does not permit; None for no such thing.
    """

    allow: np.ndarray | None = None
    deny: np.ndarray = field(default_factory=_no_rows)
    mask: RowMask | None = None

    def among(self, available: RowMask | None) -> Candidates:
        """Those of them that a mask permits as well; None permits all."""
        if available is None:
            return self
        mask = available if self.mask is None else self.mask.both(available)
        return replace(self, mask=mask)

    def without(self, seen: np.ndarray) -> Filter:
        """The filter of one query that must not return `seen` rows, int32, ascending."""
        return Filter(exclude=self._excluded(seen), allow=self.allow, mask=self.mask)

    def without_each(self, seen: Sequence[np.ndarray]) -> BatchFilter:
        """The filter of many queries, each of which has rows of its own that it must not return."""
        lists = [self._excluded(rows) for rows in seen]
        return BatchFilter(
            exclude_indptr=np.cumsum([0, *map(len, lists)], dtype=np.int64),
            exclude_rows=np.concatenate([_no_rows(), *lists]),
            allow=self.allow,
            mask=self.mask,
        )

    def _excluded(self, seen: np.ndarray) -> np.ndarray:
        if not len(self.deny):
            return seen
        return np.union1d(seen, self.deny) if len(seen) else self.deny


def read_candidates(
    model: Model,
    allow: object,
    deny: object,
    where: Mapping[str, Any] | None,
) -> Candidates:
    """Reads the filters of a request; see `Recommender.recommend`.

    Args:
        model: Knows the items.
        allow: Item ids, or None.
        deny: Item ids, or None.
        where: Conditions on the item columns, or None.

    Raises:
        UnknownIdError: `allow` or `deny` holds an unknown item.
        ArgumentError: A filter is malformed, or `where` names an unknown column.
    """
    denied = _no_rows() if deny is None else _rows(model, deny, "deny")
    allowed = None if allow is None else _rows(model, allow, "allow")
    mask = None
    if where is not None and not (isinstance(where, Mapping) and not where):
        matching = matching_rows(model.item_columns, where)
        if allowed is None and len(matching) > MOST_LISTED * model.num_items:
            mask = RowMask.of_rows(model.num_items, matching)
        else:
            allowed = matching if allowed is None else np.intersect1d(allowed, matching)
    if allowed is None:
        return Candidates(deny=denied, mask=mask)
    return Candidates(allow=np.setdiff1d(allowed, denied, assume_unique=True), mask=mask)


def _rows(model: Model, ids: object, argument: str) -> np.ndarray:
    return np.unique(known_rows(model.item_ids, id_list(ids, argument), "item")).astype(np.int32)
