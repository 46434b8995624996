"""`lightrec update`: a model brought up to date, without training."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lightrec.cli.options import (
    FormatOfFile,
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
    from lightrec.updates import Update


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
        Path | None,
        typer.Option(metavar="FILE", help="Columns of new items, and changed ones of known items."),
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
    restore_item: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID|FILE",
            help="Let items that were removed come in again: an id, or a file of ids.",
        ),
    ] = None,
    refit_known: Annotated[
        bool,
        typer.Option(
            "--refit-known",
            help="In a model without training pairs: fit known users to these interactions alone.",
        ),
    ] = False,
    user_column: UserColumn = None,
    item_column: ItemColumn = None,
    rating_column: RatingColumn = None,
    timestamp_column: TimestampColumn = None,
    rating_above: RatingAbove = None,
    file_format: FormatOfFile = None,
    as_json: Json = False,
) -> None:
    """Bring a model up to date without training: new users, new items, items that go.

    Codebooks, and codes of the items that stay, are as they were. Users with
    new interactions are fitted to all that is known of them, also users that
    the model did not know. Items that only the interactions name are encoded
    from the users who touched them; items with --item-vectors from these.
    Items that were removed stay out, unless --restore-item names them.

    A model that another command changed meanwhile is not overwritten (exit
    code 4): run the command again.

    Measure now and then whether a new training is worth it: lightrec diff.

    Examples:
      lightrec update model --interactions today.csv
      lightrec update model --interactions today.csv --items songs.csv --out model.new
      lightrec update model --remove withdrawn.txt --out model.new
      lightrec update model --item-vectors new.npy --item-ids new.txt
    """
    from lightrec.artifact import check_target, load_model, save_model
    from lightrec.cli.items_table import read_items_table
    from lightrec.interactions import Interactions
    from lightrec.updates import update as update_model
    from lightrec.updates.catalogue import text_columns

    given = (interactions, items, item_vectors, remove, restore_item)
    if not any(given):
        raise ArgumentError(
            "nothing to do: give --interactions, --items, --item-vectors, --remove or "
            "--restore-item"
        )
    target = out or model
    check_target(target)
    loaded = load_model(model)
    pairs = None
    if interactions is not None:
        columns = column_names(user_column, item_column, rating_column, timestamp_column)
        pairs = Interactions.from_table(
            interactions, columns, rating_above=rating_above, file_format=file_format
        )
        if not as_json:
            show(pairs.report.describe())
    described = None
    if items is not None:
        described = read_items_table(items, item_column, text_columns(loaded))
    done = update_model(
        loaded,
        pairs,
        items=described,
        remove_items=read_ids_given(remove, loaded.item_ids, or_files=True) if remove else None,
        restore_items=_restored(restore_item, loaded) if restore_item else None,
        refit_known=refit_known,
        progress=True,
        **_vectors(item_vectors, item_ids),
    )
    in_place = os.path.realpath(target) == os.path.realpath(model)
    save_model(
        done.model,
        target,
        with_history=done.model.history is not None,
        expected=loaded.digest if in_place else None,
    )
    if as_json:
        reports = {} if pairs is None else {"interactions": asdict(pairs.report)}
        show_json({**_told(done), "reports": reports})
        return
    show(done.describe())
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


def _restored(texts: list[str], model: Model) -> list[Any]:
    """Ids of removed items, or of such as this command removes."""
    import polars as pl

    from lightrec.interactions import IdMap
    from lightrec.updates.removed_items import removed_items

    gone, there = removed_items(model).series, model.item_ids.series
    known = IdMap(pl.concat([gone, there.filter(~there.is_in(gone.implode())).alias(gone.name)]))
    return read_ids_given(texts, known, or_files=True)


def _told(done: Update) -> dict[str, Any]:
    """The report as JSON values: counts, and ids beside them."""
    listed = ("items_left_out", "items_kept_out", "ids_sharing_a_code", "users_left_out")
    ids = {name: [str(value) for value in getattr(done, name)] for name in listed}
    return {**done.counts(), **ids, "notes": done.notes}
