"""`lightrec update`: a model brought up to date, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lightrec.cli.options import (
    ItemColumn,
    Json,
    ModelPath,
    RatingAbove,
    RatingColumn,
    TimestampColumn,
    UserColumn,
    column_names,
)
from lightrec.cli.queries import read_ids_given
from lightrec.cli.terminal import in_words, show, show_json, show_next
from lightrec.errors import ArgumentError

if TYPE_CHECKING:
    from lightrec.artifact import Model
    from lightrec.interactions import Interactions
    from lightrec.updates import Update

_SHOWN_IDS = 5


def update(
    model: ModelPath,
    interactions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="New interactions, or all of them, as for train."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL", help="Folder for the new model.", show_default="in place of the old"
        ),
    ] = None,
    items: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Item columns of new items.")
    ] = None,
    item_vectors: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Vectors of new items: .npy, .safetensors, .parquet."),
    ] = None,
    item_ids: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Their ids, one a line, in order.")
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option(metavar="ID|FILE", help="Take out items: an id, or a file of ids."),
    ] = None,
    user_column: UserColumn = None,
    item_column: ItemColumn = None,
    rating_column: RatingColumn = None,
    timestamp_column: TimestampColumn = None,
    rating_above: RatingAbove = None,
    as_json: Json = False,
) -> None:
    """Bring a model up to date without training: new users, new items, items that go.

    Codebooks, and codes of the items that stay, are as they were. Users with
    new interactions are fitted to all that is known of them, also users that
    the model did not know. Items that only the interactions name are encoded
    from the users who touched them; items with --item-vectors from these.

    Measure now and then whether a new training is worth it: lightrec diff.

    Examples:
      lightrec update model --interactions today.csv
      lightrec update model --interactions today.csv --items songs.csv --out model.new
      lightrec update model --remove withdrawn.txt --out model.new
      lightrec update model --item-vectors new.npy --item-ids new.txt
    """
    from lightrec.artifact import load_model
    from lightrec.artifact.save import check_target
    from lightrec.interactions import Interactions
    from lightrec.updates import update as update_model

    if interactions is None and item_vectors is None and not remove:
        raise ArgumentError("nothing to do: give --interactions, --item-vectors or --remove")
    target = out or model
    check_target(target)
    loaded = load_model(model)
    pairs = None
    if interactions is not None:
        columns = column_names(user_column, item_column, rating_column, timestamp_column)
        pairs = Interactions.from_table(interactions, columns, rating_above=rating_above)
        if not as_json:
            show(pairs.report.describe())
    done = update_model(
        loaded,
        pairs,
        items=items,
        remove_items=read_ids_given(remove, loaded.item_ids, or_files=True) if remove else None,
        progress=True,
        **_vectors(item_vectors, item_ids),
    )
    done.model.save(target, with_history=done.model.history is not None)
    if as_json:
        left_out = [str(value) for value in done.items_left_out]
        show_json({**done.counts(), "items_left_out": left_out, "notes": done.notes})
        return
    _show(done, loaded, pairs)
    show(f"The model is in {target}.")
    if out is not None:
        show_next(f"lightrec diff {in_words(model)} {in_words(out)}")


def _vectors(item_vectors: Path | None, item_ids: Path | None) -> dict[str, Any]:
    if item_vectors is None:
        if item_ids is not None:
            raise ArgumentError("--item-ids belongs to --item-vectors; give both")
        return {}
    from lightrec.read_vectors import read_ids, read_vectors

    read = read_vectors(item_vectors, "item")
    ids = read.ids if item_ids is None else read_ids(item_ids, "item")
    if ids is None:
        raise ArgumentError("--item-vectors needs --item-ids: which items the vectors belong to")
    return {"item_vectors": read.values, "item_ids": ids.series}


def _show(done: Update, old: Model, pairs: Interactions | None) -> None:
    """What was done, and what could not be."""
    new = done.model
    show(
        f"items: {done.items_removed:,} removed, {done.items_added:,} added; "
        f"{old.num_items:,} before, {new.num_items:,} now"
    )
    if done.items_sharing_a_code:
        show(f"  {done.items_sharing_a_code:,} of those added share their code with another item")
    if done.items_left_out:
        shown = ", ".join(repr(value) for value in done.items_left_out[:_SHOWN_IDS])
        more = len(done.items_left_out) - _SHOWN_IDS
        show(
            f"  {len(done.items_left_out):,} left out, because no user says anything about them: "
            f"{shown}{f' and {more:,} more' if more > 0 else ''}"
        )
    if pairs is None:
        return
    show(f"users: {done.users_added:,} added, {done.users_refitted:,} known ones fitted anew")
    known = done.pairs_read - done.pairs_added - done.pairs_left_out
    show(
        f"pairs: {done.pairs_read:,} read, {done.pairs_added:,} new, {known:,} known before, "
        f"{done.pairs_left_out:,} of items left out"
    )
    for note in done.notes:
        show(f"  {note}")
