"""A model brought up to date, its codebooks and the codes of known items as they were.

Items go; items come, with a vector or with interactions; users are fitted anew to all that is known
of them, as any new user is. What stays the same costs nothing: scores of users without new
interactions, for items that were there before, do not change by a bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from lightrec._version import __version__
from lightrec.artifact.contents import FloatArray, Model, Users
from lightrec.artifact.verify import verify
from lightrec.codes.half_precision import half_precision
from lightrec.errors import ArgumentError, InputError
from lightrec.interactions.columns import ITEM
from lightrec.interactions.history import History
from lightrec.interactions.id_map import IdMap
from lightrec.interactions.interactions import Interactions
from lightrec.interactions.read_items import read_items
from lightrec.interactions.read_tables import TableSource
from lightrec.matching_ids import matching_rows
from lightrec.progress import track
from lightrec.serving.arguments import id_list, known_rows
from lightrec.serving.encoding import QueryEncoder
from lightrec.serving.queries import HistoryQueries, check_bounded
from lightrec.updates.catalogue import with_items, without_items
from lightrec.updates.new_items import ItemEncoder

_USERS_AT_ONCE = 1_024


@dataclass(frozen=True)
class Update:
    """A model up to date, and what was done.

    Attributes:
        model: The new model; the one given is as it was.
        items_removed: Items taken out.
        items_added: Items put in.
        items_left_out: Ids of the interactions' items that no known user touched: there is nothing
            to encode them by.
        items_sharing_a_code: Of those added, items whose code another item has too: no user can
            tell the two apart but by post-ranking.
        users_added: New users.
        users_refitted: Known users with new interactions.
        pairs_read: Pairs of the interactions.
        pairs_added: Those that the model did not know.
        pairs_left_out: Those of items left out.
        notes: Further remarks, one sentence each.
    """

    model: Model
    items_removed: int = 0
    items_added: int = 0
    items_left_out: tuple[str | int, ...] = ()
    items_sharing_a_code: int = 0
    users_added: int = 0
    users_refitted: int = 0
    pairs_read: int = 0
    pairs_added: int = 0
    pairs_left_out: int = 0
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """The numbers by name, ids counted."""
        return {
            "items_removed": self.items_removed,
            "items_added": self.items_added,
            "items_left_out": len(self.items_left_out),
            "items_sharing_a_code": self.items_sharing_a_code,
            "users_added": self.users_added,
            "users_refitted": self.users_refitted,
            "pairs_read": self.pairs_read,
            "pairs_added": self.pairs_added,
            "pairs_left_out": self.pairs_left_out,
        }


def update(
    model: Model,
    interactions: Interactions | TableSource | None = None,
    *,
    items: TableSource | None = None,
    item_ids: Sequence[Any] | None = None,
    item_vectors: np.ndarray | None = None,
    remove_items: Iterable[Any] | str | int | None = None,
    progress: bool = False,
) -> Update:
    """Brings a model up to date.

    In this order: items are removed; items with vectors are added; users of the interactions are
    fitted to what they touched, together with what the model knew of them; items that only the
    interactions name are encoded from their users, who are then fitted once more.

    Args:
        model: The model; it is not changed.
        interactions: New pairs, or all of them: pairs that the model knows are not counted twice. A
            model that was saved without its training pairs fits a user to these pairs alone.
        items: Items table for the columns of new items (title, category, ...).
        item_ids: Ids of the items that `item_vectors` belong to; the model must not know them.
        item_vectors: (n, T) vectors of the teacher's space, in the order of `item_ids`.
        remove_items: Ids of items to take out, with all their pairs.
        progress: Shows progress bars when standard error is a terminal.

    Raises:
        InputError: A table cannot be used, or an id is not of the model's type.
        ArgumentError: Vectors and ids do not fit, an id is known already, or the model cannot
            encode new items.
        UnknownIdError: An item to remove is unknown.
    """
    if (item_ids is None) != (item_vectors is None):
        raise ArgumentError("item_ids and item_vectors belong together; give both or neither")
    done = Update(model)
    columns = None if items is None else _columns_of(items, model)
    if remove_items is not None:
        done = _removed(done, remove_items)
    before = done.model.num_items
    if item_ids is not None and item_vectors is not None:
        ids = _new_ids(item_ids, done.model)
        done = _with_vectors(done, ids, item_vectors, columns)
    if interactions is not None:
        if not isinstance(interactions, Interactions):
            interactions = Interactions.from_table(interactions)
        done = _with_pairs(done, interactions, columns, progress)
    done = replace(done, items_sharing_a_code=_sharing(done.model, before))
    told = {**done.counts(), "lightrec": __version__}
    made = done.model
    earlier = made.config.get("updates")
    config = {**made.config, "updates": [*(earlier if isinstance(earlier, list) else []), told]}
    made = replace(made, config=config, digest=None)
    verify(made)
    return replace(done, model=made)


def _removed(done: Update, remove_items: Iterable[Any] | str | int) -> Update:
    model = done.model
    rows = np.unique(known_rows(model.item_ids, id_list(remove_items, "remove_items"), "item"))
    removed = without_items(model, rows)
    return replace(done, model=_counted(removed), items_removed=len(rows))


def _with_vectors(
    done: Update, ids: pl.Series, vectors: np.ndarray, columns: pl.DataFrame | None
) -> Update:
    model = done.model
    vectors = np.asarray(vectors)
    if vectors.shape != (len(ids), model.query_width) or vectors.dtype.kind not in "fiu":
        raise ArgumentError(
            f"item_vectors must be numbers of shape ({len(ids)}, {model.query_width}): one row for "
            f"each id, as wide as the model's query vectors; not {vectors.shape} {vectors.dtype}"
        )
    with np.errstate(over="ignore"):
        vectors = vectors.astype(np.float32)
    check_bounded(vectors, "item_vectors")
    made = ItemEncoder(model).of_vectors(vectors)
    model = with_items(model, ids, made, columns)
    return replace(done, model=model, items_added=done.items_added + len(ids))


def _with_pairs(
    done: Update, pairs: Interactions, columns: pl.DataFrame | None, progress: bool
) -> Update:
    """Users first, from the items that are known; then new items, from all their users."""
    model = done.model
    notes = []
    if model.history is None:
        notes.append(
            "the model was saved without its training pairs: users are fitted to the pairs given "
            "alone"
        )
    item_rows = matching_rows(pairs.items, model.item_ids)[pairs.item_rows]
    known_before = model.num_users
    user_rows = matching_rows(pairs.users, model.user_ids)
    strangers = np.flatnonzero(user_rows < 0)
    user_rows[strangers] = known_before + np.arange(len(strangers))
    model = _with_users(model, _typed(pairs.users.series.gather(strangers), model.user_ids, "user"))
    user_rows = user_rows[pairs.user_rows]
    known = item_rows >= 0
    model, fitted, added = _refitted(model, user_rows[known], item_rows[known], progress)
    left_out: tuple[str | int, ...] = ()
    new = np.unique(pairs.item_rows[~known])
    if len(new):
        groups = _users_of(new, pairs.item_rows[~known], user_rows[~known])
        made = ItemEncoder(model).of_users(groups)
        left_out = tuple(pairs.items.ids(new[~made.found]))
        found = np.flatnonzero(made.found)
        ids = _typed(pairs.items.series.gather(new[found]), model.item_ids, "item")
        floats = None if made.float_vectors is None else made.float_vectors[found]
        kept = replace(made, codes=made.codes[found], float_vectors=floats, found=made.found[found])
        model = with_items(model, ids, kept, columns)
        places = np.full(len(pairs.items), -1, np.int64)
        places[new[found]] = model.num_items - len(found) + np.arange(len(found))
        item_rows = np.where(known, item_rows, places[pairs.item_rows])
        there = item_rows >= 0  # all pairs: a model without history knows no earlier ones
        model, again, more = _refitted(model, user_rows[there], item_rows[there], progress)
        fitted = np.union1d(fitted, again)
        added = more if model.history is None else added + more
        done = replace(done, items_added=done.items_added + len(found))
    return replace(
        done,
        model=_counted(model, None if done.model.history is not None else item_rows),
        items_left_out=left_out,
        users_added=len(strangers),
        users_refitted=int((fitted < known_before).sum()),
        pairs_read=len(pairs),
        pairs_added=added,
        pairs_left_out=int((item_rows < 0).sum()),
        notes=(*done.notes, *notes),
    )


def _refitted(
    model: Model, user_rows: np.ndarray, item_rows: np.ndarray, progress: bool
) -> tuple[Model, np.ndarray, int]:
    """The model with pairs added and their users fitted to all pairs that they now have.

    Returns:
        The model, the rows of the users fitted, and how many pairs were new.
    """
    known = model.history
    old_users = np.empty(0, np.int32) if known is None else known.user_rows()
    old_items = np.empty(0, np.int32) if known is None else known.item_rows
    history = History.from_pairs(
        np.concatenate([old_users, user_rows]),
        np.concatenate([old_items, item_rows]),
        model.num_users,
        model.num_items,
    )
    added = len(history) - len(old_items)
    if known is None:
        touched = np.unique(user_rows)
    else:
        touched = np.flatnonzero(history.user_degrees() > known.user_degrees())
    if known is not None:
        model = replace(model, history=history)
    values = model.users.values.copy()
    encoder = QueryEncoder(model)
    starts = range(0, len(touched), _USERS_AT_ONCE)
    for start in track(starts, "fitting users", total=len(starts), enabled=progress):
        rows = touched[start : start + _USERS_AT_ONCE]
        fitted = encoder.user_values(HistoryQueries([history.of(int(row)) for row in rows]))
        values = _placed(values, rows, fitted)
    return replace(model, users=replace(model.users, values=values)), touched, added


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
    users = Users(model.users.form, grown, model.users.map_weights)
    return replace(model, users=users, user_ids=IdMap(series, "user"), history=known)


def _counted(model: Model, item_rows: np.ndarray | None = None) -> Model:
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


def _users_of(items: np.ndarray, item_rows: np.ndarray, user_rows: np.ndarray) -> list[np.ndarray]:
    """For each item the rows of the users who touched it."""
    order = np.argsort(item_rows, kind="stable")
    bounds = np.searchsorted(item_rows[order], items)
    return np.split(user_rows[order], bounds[1:])


def _sharing(model: Model, first_new: int) -> int:
    """How many items from a row on have a code that another item has too."""
    if first_new >= model.num_items:
        return 0
    return int((model.item_codes.sharing_rows >= first_new).sum())


def _new_ids(item_ids: Sequence[Any], model: Model) -> pl.Series:
    ids = _typed(IdMap.from_values(item_ids, "item").series, model.item_ids, "item")
    known = ids.filter(pl.Series(model.item_ids.find(ids) >= 0))
    if len(known):
        raise ArgumentError(
            f"item_ids: the model has item {known[0]!r} already; remove it first to encode it anew"
        )
    return ids


def _typed(ids: pl.Series, known: IdMap, what: str) -> pl.Series:
    """Ids in the type of the model's ids."""
    if ids.dtype == known.series.dtype:
        return ids
    if known.dtype_name == "str":
        return ids.cast(pl.String)
    numbers = ids.cast(pl.Int64, strict=False)
    for given, number in zip(ids, numbers, strict=True):
        if number is None or str(number) != given:
            raise InputError(f"{what} id {given!r}: the model's {what} ids are integers")
    return numbers


def _columns_of(items: TableSource, model: Model) -> pl.DataFrame:
    table = read_items(items)
    if table[ITEM].dtype == model.item_ids.series.dtype:
        return table
    if model.item_ids.dtype_name == "str":
        return table.with_columns(pl.col(ITEM).cast(pl.String))
    return table.with_columns(_typed(table[ITEM], model.item_ids, "item"))
