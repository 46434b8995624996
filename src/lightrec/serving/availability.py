"""Which items may be returned at present, by their ids, over all models that answer.

A recommender's model may be replaced while answers of the old one are still being made, and an
item may be missing from one model and come back with the next. So what is hidden is known to all of
them: to each model that still answers as a mask of its rows, and for items that the newest one
lacks as ids.
"""

from __future__ import annotations

from threading import Lock
from weakref import WeakSet

import numpy as np
import polars as pl

from lightrec.interactions.id_map import IdMap
from lightrec.interactions.matching_ids import matching_rows
from lightrec.search.row_mask import RowMask
from lightrec.serving.arguments import IdList, known_rows


class Shelf:
    """The items of one model, and which of them may be returned.

    Args:
        item_ids: The model's items.
    """

    def __init__(self, item_ids: IdMap) -> None:
        self.item_ids = item_ids
        self.available: RowMask | None = None
        """What may be returned; None for every item, until one is hidden."""

    def hidden(self) -> pl.Series:
        """Ids of the items that may not be returned."""
        if self.available is None:
            return self.item_ids.series.clear()
        return self.item_ids.series.gather(np.flatnonzero(~self.available.to_bool()))

    def set(self, rows: np.ndarray, available: bool) -> None:
        """Marks items; one caller at a time."""
        if self.available is None:
            if available or not len(rows):
                return
            self.available = RowMask(np.ones(len(self.item_ids), np.bool_))
        self.available.set(rows, available)


class Availability:
    """What is hidden, for the model that answers and for those whose answers are still being made.

    Args:
        shelf: Of the model that answers.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._changing = Lock()
        self._newest = shelf
        self._shelves: WeakSet[Shelf] = WeakSet([shelf])
        self._hidden_elsewhere: set[str] = set()  # an integer and its spelling are one id here

    def set(self, items: IdList, available: bool) -> None:
        """Hides items, or shows them again.

        Args:
            items: Ids that the newest model has, or that were hidden when a model had them.
            available: Whether they may be returned.

        Raises:
            UnknownIdError: An item is neither.
        """
        with self._changing:
            known = self._newest.item_ids
            rows = known.find(items)
            lacking = [str(value) for value, row in zip(items, rows, strict=True) if row < 0]
            if not self._hidden_elsewhere.issuperset(lacking):
                known_rows(known, items, "item")  # names those that are unknown
            rows = rows[rows >= 0]
            self._newest.set(rows, available)
            if available:
                self._hidden_elsewhere.difference_update(lacking)
            earlier = [shelf for shelf in self._shelves if shelf is not self._newest]
            if earlier:
                named = {*known.series.gather(rows).cast(pl.String).to_list(), *lacking}
                for shelf in earlier:
                    shelf.set(_rows_of(named, shelf.item_ids)[1], available)

    def move_to(self, shelf: Shelf) -> None:
        """Makes a model the newest; what is hidden stays so, by the ids."""
        with self._changing:
            named = self._hidden_elsewhere.union(self._newest.hidden().cast(pl.String).to_list())
            self._hidden_elsewhere, rows = _rows_of(named, shelf.item_ids)
            shelf.set(rows, False)
            self._shelves.add(shelf)
            self._newest = shelf


def _rows_of(named: set[str], item_ids: IdMap) -> tuple[set[str], np.ndarray]:
    """Of ids as text those that a model lacks, and the rows of the others."""
    asked = pl.Series(list(named), dtype=pl.String)
    rows = matching_rows(IdMap(asked), item_ids)
    lacking = asked.filter(pl.Series(rows < 0, dtype=pl.Boolean))
    return set(lacking.to_list()), rows[rows >= 0]
