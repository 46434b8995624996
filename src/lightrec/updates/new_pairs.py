"""Users and items as new interactions tell of them.

Users first, from the items that the model knows; then new items, from all their users, who are then
fitted once more. Users of whom nothing is known in the end are not kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from lightrec.artifact.contents import FloatArray, Model
from lightrec.codes.half_precision import half_precision
from lightrec.interactions.history import History
from lightrec.interactions.id_map import IdMap
from lightrec.interactions.interactions import Interactions
from lightrec.interactions.matching_ids import matching_rows
from lightrec.progress import track
from lightrec.serving.encoding import QueryEncoder
from lightrec.serving.queries import HistoryQueries
from lightrec.updates.catalogue import with_items
from lightrec.updates.new_items import ItemEncoder
from lightrec.updates.removed_items import removed_items
from lightrec.updates.report import Update
from lightrec.updates.typed_ids import typed

_USERS_AT_ONCE = 1_024


@dataclass
class _Pairs:
    """Pairs of a table in the rows of a model that grows with them.

    Attributes:
        user_rows: (pairs,) int64; new users stand behind those of the model.
        item_rows: (pairs,) int64; -1 for an item that the model does not have.
    """

    user_rows: np.ndarray
    item_rows: np.ndarray

    @property
    def there(self) -> np.ndarray:
        """(pairs,) bool, whether the model has the item."""
        return self.item_rows >= 0

    def of_items_there(self) -> tuple[np.ndarray, np.ndarray]:
        """User rows and item rows of those pairs."""
        return self.user_rows[self.there], self.item_rows[self.there]


def with_pairs(
    done: Update, pairs: Interactions, *, refit_known: bool = False, progress: bool = False
) -> Update:
    """The model with pairs added, their users fitted and their items encoded.

    Args:
        done: What was done before.
        pairs: New pairs, or all of them.
        refit_known: Of a model without training pairs: fits known users to the pairs given alone.
        progress: Shows a progress bar when standard error is a terminal.

    Raises:
        InputError: An id is not of the model's type.
        ArgumentError: The model cannot encode new items.
    """
    start = done.model
    passed_over = matching_rows(pairs.items, removed_items(start)) >= 0
    passed_over &= matching_rows(pairs.items, start.item_ids) < 0
    kept_out = passed_over[pairs.item_rows]
    named_out = np.unique(pairs.item_rows[kept_out])
    done = replace(
        done,
        items_kept_out=tuple(pairs.items.ids(named_out)),
        pairs_kept_out=int(kept_out.sum()),
        pairs_read=int(kept_out.sum()),
    )
    table = pairs.select(~kept_out)
    model, rows, strangers = _with_strangers(start, table)
    pairs_known = _num_known(start.history, *rows.of_items_there())
    refitting = _Refitting(start.num_users, refit_known, progress)
    model, added = refitting.of(model, rows)
    model, left_out, items_added = _with_new_items(model, table, rows)
    if items_added:
        model, more = refitting.of(model, rows)
        # A model without pairs knows no earlier ones, and is told all of them again.
        added = more if start.history is None else added + more
    named = np.isin(start.num_users + np.arange(len(strangers)), rows.user_rows[rows.there])
    model = _without_users(model, start.num_users + np.flatnonzero(~named))
    users_kept = refitting.num_kept(model, rows)
    return replace(
        done,
        model=counted(model, None if start.history is not None else rows.item_rows),
        items_added=done.items_added + items_added,
        items_left_out=left_out,
        users_added=int(named.sum()),
        users_refitted=refitting.num_known,
        users_kept=users_kept,
        users_left_out=tuple(pairs.users.ids(strangers[~named])),
        pairs_read=len(pairs),
        pairs_added=added,
        pairs_known=pairs_known,
        pairs_left_out=int((~rows.there).sum()),
        notes=(*done.notes, *_notes(start, refitting.num_known, users_kept)),
    )


def counted(model: Model, item_rows: np.ndarray | None = None) -> Model:
    """The model with popularity as its pairs say; without pairs, with rows of items counted in."""
    if model.history is not None:
        counts = model.history.item_degrees()
    elif item_rows is not None:
        more = np.bincount(item_rows[item_rows >= 0], minlength=model.num_items)
        counts = model.item_columns["popularity"].to_numpy() + more
    else:
        return model
    column = pl.Series("popularity", counts, dtype=pl.Int64)
    return replace(model, item_columns=model.item_columns.with_columns(column))


def _with_strangers(model: Model, pairs: Interactions) -> tuple[Model, _Pairs, np.ndarray]:
    """The model with all users of a table, the pairs in its rows, and the new users' table rows."""
    user_rows = matching_rows(pairs.users, model.user_ids)
    strangers = np.flatnonzero(user_rows < 0)
    user_rows[strangers] = model.num_users + np.arange(len(strangers))
    item_rows = matching_rows(pairs.items, model.item_ids)
    grown = _with_users(model, typed(pairs.users.series.gather(strangers), model.user_ids, "user"))
    return grown, _Pairs(user_rows[pairs.user_rows], item_rows[pairs.item_rows]), strangers


def _with_new_items(
    model: Model, pairs: Interactions, rows: _Pairs
) -> tuple[Model, tuple[str | int, ...], int]:
    """The model with the items that only the pairs name, which `rows` then knows.

    Returns:
        The model, the ids of items of which nobody says anything, and how many were added.
    """
    new = np.unique(pairs.item_rows[~rows.there])
    if not len(new):
        return model, (), 0
    groups = _users_of(new, pairs.item_rows[~rows.there], rows.user_rows[~rows.there])
    made = ItemEncoder(model).of_users(groups)
    found = np.flatnonzero(made.found)
    ids = typed(pairs.items.series.gather(new[found]), model.item_ids, "item")
    floats = None if made.float_vectors is None else made.float_vectors[found]
    kept = replace(made, codes=made.codes[found], float_vectors=floats, found=made.found[found])
    places = np.full(len(pairs.items), -1, np.int64)
    places[new[found]] = model.num_items + np.arange(len(found))
    rows.item_rows = np.where(rows.there, rows.item_rows, places[pairs.item_rows])
    left_out = tuple(pairs.items.ids(new[~made.found]))
    return with_items(model, ids, kept), left_out, len(found)


class _Refitting:
    """Fits users to all pairs that they have, and keeps count of who was fitted.

    Args:
        known_before: Users that the model had before.
        refit_known: Whether those of a model without training pairs are fitted to new pairs alone.
        progress: Shows a progress bar when standard error is a terminal.
    """

    def __init__(self, known_before: int, refit_known: bool, progress: bool) -> None:
        self._known_before, self._refit_known = known_before, refit_known
        self._progress = progress
        self._fitted = np.empty(0, np.int64)

    @property
    def num_known(self) -> int:
        """Users that the model had before and that were fitted anew."""
        return int((self._fitted < self._known_before).sum())

    def num_kept(self, model: Model, pairs: _Pairs) -> int:
        """Users that the model had before, who have pairs and were not fitted to them."""
        if model.history is not None or self._refit_known:
            return 0
        users = np.unique(pairs.user_rows[pairs.there])
        return int((users < self._known_before).sum())

    def of(self, model: Model, pairs: _Pairs) -> tuple[Model, int]:
        """The model with pairs added and their users fitted to all pairs that they now have.

        Returns:
            The model, and how many pairs were new.
        """
        known = model.history
        user_rows, item_rows = pairs.of_items_there()
        old_users = np.empty(0, np.int32) if known is None else known.user_rows()
        old_items = np.empty(0, np.int32) if known is None else known.item_rows
        history = History.from_pairs(
            np.concatenate([old_users, user_rows]),
            np.concatenate([old_items, item_rows]),
            model.num_users,
            model.num_items,
        )
        if known is not None:
            touched = np.flatnonzero(history.user_degrees() > known.user_degrees())
            model = replace(model, history=history)
        else:
            touched = np.unique(user_rows)
            if not self._refit_known:
                touched = touched[touched >= self._known_before]
        self._fitted = np.union1d(self._fitted, touched)
        return self._fit(model, touched, history), len(history) - len(old_items)

    def _fit(self, model: Model, touched: np.ndarray, history: History) -> Model:
        values = model.users.values.copy()
        encoder = QueryEncoder(model)
        starts = range(0, len(touched), _USERS_AT_ONCE)
        for start in track(starts, "fitting users", total=len(starts), enabled=self._progress):
            rows = touched[start : start + _USERS_AT_ONCE]
            liked = HistoryQueries([history.of(int(row)) for row in rows])
            values = _placed(values, rows, encoder.user_values(liked))
        return replace(model, users=replace(model.users, values=values))


def _notes(before: Model, refitted: int, kept: int) -> list[str]:
    if before.history is not None:
        return []
    notes = [
        "the model was saved without its training pairs, so all pairs count as new, also in the "
        "items' popularity"
    ]
    if kept:
        notes.append(
            f"{kept:,} known users keep what training gave them, which their new pairs alone would "
            "make worse; refit_known (--refit-known) fits them to the pairs given, if those are "
            "all that they have"
        )
    if refitted:
        notes.append(
            f"{refitted:,} known users were fitted to the pairs given alone, as asked; what "
            "training gave them is gone"
        )
    return notes


def _num_known(history: History | None, user_rows: np.ndarray, item_rows: np.ndarray) -> int:
    """How many pairs, none twice, a history holds."""
    if history is None:
        return 0
    width = max(history.num_items, 1)
    held = history.user_rows().astype(np.int64) * width + history.item_rows
    return int(np.isin(user_rows * width + item_rows, held, assume_unique=True).sum())


def _placed(values: FloatArray, rows: np.ndarray, fitted: np.ndarray) -> FloatArray:
    """Puts users' values into their rows; all become float32 where float16 cannot hold them."""
    if values.dtype == np.float16 and half_precision(fitted).dtype != np.float16:
        values = values.astype(np.float32)
    values[rows] = fitted
    return values


def _with_users(model: Model, ids: pl.Series) -> Model:
    """The model with users put behind its own, who like nothing yet."""
    if not len(ids):
        return model
    values, known = model.users.values, model.history
    grown = np.concatenate([values, np.zeros((len(ids), *values.shape[1:]), values.dtype)])
    if known is not None:
        ends = np.full(len(ids), known.indptr[-1], np.int64)
        known = History(np.concatenate([known.indptr, ends]), known.item_rows, known.num_items)
    series = pl.concat([model.user_ids.series, ids.alias(model.user_ids.series.name)])
    users = replace(model.users, values=grown)
    return replace(model, users=users, user_ids=IdMap(series, "user"), history=known)


def _without_users(model: Model, rows: np.ndarray) -> Model:
    """The model without users who have no pair."""
    if not len(rows):
        return model
    kept = np.delete(np.arange(model.num_users), rows)
    known = model.history
    if known is not None:
        ends = np.concatenate([known.indptr[:1], known.indptr[1:][kept]])
        known = History(ends, known.item_rows, known.num_items)
    users = replace(model.users, values=model.users.values[kept])
    ids = IdMap(model.user_ids.series.gather(kept), "user")
    return replace(model, users=users, user_ids=ids, history=known)


def _users_of(items: np.ndarray, item_rows: np.ndarray, user_rows: np.ndarray) -> list[np.ndarray]:
    """For each item the rows of the users who touched it."""
    order = np.argsort(item_rows, kind="stable")
    bounds = np.searchsorted(item_rows[order], items)
    return np.split(user_rows[order], bounds[1:])
