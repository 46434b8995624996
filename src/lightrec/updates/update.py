"""A model brought up to date, its codebooks and the codes of known items as they were.

Items go; items come, with a vector or with interactions; users are fitted anew to all that is known
of them, as any new user is. What stays the same costs nothing: scores of users without new
interactions, for items that were there before, do not change by a bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from lightrec._version import __version__
from lightrec.artifact.contents import Model
from lightrec.artifact.verify import verify
from lightrec.errors import ArgumentError, UnknownIdError
from lightrec.interactions.columns import ITEM
from lightrec.interactions.given_pairs import given_pairs
from lightrec.interactions.id_map import IdMap
from lightrec.interactions.interactions import Interactions
from lightrec.interactions.read_items import read_items
from lightrec.interactions.read_tables import TableSource
from lightrec.serving.arguments import IdList, id_list, known_rows
from lightrec.serving.queries import check_bounded
from lightrec.updates.catalogue import (
    described,
    text_columns,
    told_columns,
    with_items,
    without_items,
)
from lightrec.updates.new_items import ItemEncoder
from lightrec.updates.new_pairs import counted, with_pairs
from lightrec.updates.removed_items import (
    MOST_REMOVED,
    removed_items,
    with_removed,
    without_removed,
)
from lightrec.updates.report import SHOWN_IDS, Update
from lightrec.updates.typed_ids import typed

UPDATES_KEPT = 100
"""Updates whose counts a model's config tells, the last ones; `updates_made` counts all."""


def update(
    model: Model,
    interactions: Interactions | TableSource | None = None,
    *,
    items: TableSource | None = None,
    item_ids: Sequence[Any] | None = None,
    item_vectors: np.ndarray | None = None,
    remove_items: Iterable[Any] | str | int | None = None,
    restore_items: Iterable[Any] | str | int | None = None,
    refit_known: bool = False,
    progress: bool = False,
) -> Update:
    """Brings a model up to date.

    In this order: items are removed; removed ones are given leave to come back; items with vectors
    are added; users of the interactions are fitted to what they touched, together with what the
    model knew of them; items that only the interactions name are encoded from their users, who are
    then fitted once more; item columns are filled in.

    To put the result in the model's place where others may do the same at the same time, name what
    it was made from: `save_model(done.model, path, expected=model.digest)`, or
    `recommender.replace_model(done.model, expected=model)`. Both refuse where another one is there.

    Args:
        model: The model; it is not changed.
        interactions: New pairs, or all of them: pairs that the model knows are not counted twice.
            Items that were removed stay out. What became of the rows of a table is told by the log
            (`lightrec`), and as warnings that ratings, weights and counts are not used.
        items: Items table (title, category, ...): fills the model's columns for new items and
            changes them for known ones; an empty cell changes nothing.
        item_ids: Ids of the items that `item_vectors` belong to; the model must not know them.
        item_vectors: (n, T) vectors of the teacher's space, in the order of `item_ids`.
        remove_items: Ids of items to take out, with all their pairs. The model remembers them
            (`lightrec.updates.removed_items`); one that was removed before is no error.
        restore_items: Ids of removed items that may come in again, by the interactions or vectors
            given here or later.
        refit_known: Of a model that was saved without its training pairs: fits its users to the
            pairs given alone. Give all that they have; by default they keep what training gave
            them. Other models' users are always fitted to all their pairs.
        progress: Shows progress bars when standard error is a terminal.

    Raises:
        InputError: A table cannot be used, or an id is not of the model's type.
        ArgumentError: Vectors and ids do not fit, an id is known already or was removed, or the
            model cannot encode new items.
        UnknownIdError: An item to remove is unknown, or one to restore was not removed.
    """
    if (item_ids is None) != (item_vectors is None):
        raise ArgumentError("item_ids and item_vectors belong together; give both or neither")
    done = Update(model)
    columns = None if items is None else _columns_of(items, model)
    if remove_items is not None:
        done = _removed(done, id_list(remove_items, "remove_items"))
    if restore_items is not None:
        done = _restored(done, id_list(restore_items, "restore_items"))
    before = done.model.num_items
    if item_ids is not None and item_vectors is not None:
        done = _with_vectors(done, _new_ids(item_ids, done.model), item_vectors)
    if interactions is not None:
        pairs = given_pairs(interactions)
        done = with_pairs(done, pairs, refit_known=refit_known, progress=progress)
    if columns is not None:
        done = _described(done, columns, before)
    done = _sharing(done, before)
    made = replace(done.model, config=_config(done), digest=None)
    verify(made)
    return replace(done, model=made)


def _removed(done: Update, ids: IdList) -> Update:
    model, gone = done.model, removed_items(done.model)
    again = (gone.find(ids) >= 0) & (model.item_ids.find(ids) < 0)
    asked = [value for value, before in zip(ids, again, strict=True) if not before]
    rows = np.unique(known_rows(model.item_ids, asked, "item"))
    taken = model.item_ids.series.gather(rows)
    made, forgotten = with_removed(without_items(model, rows), taken)
    notes = []
    if again.any():
        notes.append(f"{int(again.sum()):,} of the items to remove had been removed before")
    if forgotten:
        notes.append(
            f"{forgotten:,} of the items removed first are forgotten, for a model remembers "
            f"{MOST_REMOVED:,}: interactions that name them bring them back"
        )
    return replace(done, model=counted(made), items_removed=len(rows), notes=(*done.notes, *notes))


def _restored(done: Update, ids: IdList) -> Update:
    gone = removed_items(done.model)
    rows = gone.find(ids)
    if (rows < 0).any():
        unknown = [value for value, row in zip(ids, rows, strict=True) if row < 0]
        raise UnknownIdError("removed item", unknown, "only removed items can be restored")
    rows = np.unique(rows)
    made = without_removed(done.model, gone.series.gather(rows))
    return replace(done, model=made, items_restored=len(rows))


def _with_vectors(done: Update, ids: pl.Series, vectors: np.ndarray) -> Update:
    model = done.model
    vectors = np.asarray(vectors)
    if vectors.shape != (len(ids), model.item_width) or vectors.dtype.kind not in "fiu":
        raise ArgumentError(
            f"item_vectors must be numbers of shape ({len(ids)}, {model.item_width}): one row for "
            f"each id, as wide as the teacher's vectors; not {vectors.shape} {vectors.dtype}"
        )
    with np.errstate(over="ignore"):
        vectors = vectors.astype(np.float32)
    check_bounded(vectors, "item_vectors")
    model = with_items(model, ids, ItemEncoder(model).of_vectors(vectors))
    return replace(done, model=model, items_added=done.items_added + len(ids))


def _described(done: Update, columns: pl.DataFrame, first_new: int) -> Update:
    """Fills in the items' columns, and tells which part of the table says nothing."""
    model, notes = done.model, []
    made, rows = described(model, columns)
    told = {ITEM, *told_columns(model, columns)}
    lacking = [name for name in columns.columns if name not in told]
    if lacking:
        notes.append(
            "columns of the items table that are not the model's to take were left out: "
            + ", ".join(lacking)
        )
    strange = int((model.item_ids.find(columns[ITEM]) < 0).sum())
    if strange:
        notes.append(
            f"{strange:,} rows of the items table were left out: the model has no such items"
        )
    known = int((rows < first_new).sum())
    return replace(done, model=made, items_described=known, notes=(*done.notes, *notes))


def _sharing(done: Update, first_new: int) -> Update:
    """Tells which of the items from a row on have a code that another item has too."""
    model = done.model
    if first_new >= model.num_items:
        return done
    rows = model.item_codes.sharing_rows
    rows = rows[rows >= first_new]
    few = tuple(model.item_ids.ids(rows[:SHOWN_IDS]))
    return replace(done, items_sharing_a_code=len(rows), ids_sharing_a_code=few)


def _config(done: Update) -> dict[str, Any]:
    """The model's config with what was done: of the last updates, and the number of all."""
    config = dict(done.model.config)
    earlier = config.get("updates")
    earlier = earlier if isinstance(earlier, list) else []
    made = config.get("updates_made")
    made = made if type(made) is int else len(earlier)
    told = {**done.counts(), "lightrec": __version__}
    return {
        **config,
        "updates_made": made + 1,
        "updates": [*earlier, told][-UPDATES_KEPT:],
    }


def _new_ids(item_ids: Sequence[Any], model: Model) -> pl.Series:
    ids = typed(IdMap.from_values(item_ids, "item").series, model.item_ids, "item")
    known = ids.filter(pl.Series(model.item_ids.find(ids) >= 0))
    if len(known):
        raise ArgumentError(
            f"item_ids: the model has item {known[0]!r} already; remove and restore it in the same "
            "update to encode it anew"
        )
    gone = ids.filter(pl.Series(removed_items(model).find(ids) >= 0))
    if len(gone):
        raise ArgumentError(
            f"item_ids: item {gone[0]!r} was removed from the model; name it in restore_items "
            "(--restore-item) too, to put it back"
        )
    return ids


def _columns_of(items: TableSource, model: Model) -> pl.DataFrame:
    table = read_items(items, as_text=text_columns(model))
    return table.with_columns(typed(table[ITEM], model.item_ids, "item"))
