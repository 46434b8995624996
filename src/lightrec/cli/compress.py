"""`lightrec compress`: vectors from anywhere in, model folder out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lightrec.cli.comparison_table import show_bytes, show_choice, show_comparison
from lightrec.cli.items_table import read_items_table, show_columns_left_out
from lightrec.cli.options import (
    BytesPerItem,
    CodewordWidth,
    FormatOfFile,
    FormOfUsers,
    ItemColumn,
    KeepFloatItems,
    ModelOut,
    RatingAbove,
    RatingColumn,
    TimestampColumn,
    UserColumn,
    Verbose,
    changed_settings,
    column_names,
)
from lightrec.cli.terminal import in_words, set_up_log, show, show_next
from lightrec.errors import ArgumentError

if TYPE_CHECKING:
    from lightrec.artifact import Model
    from lightrec.interactions import Interactions
    from lightrec.read_vectors import VectorsAndIds


def compress(
    items: Annotated[Path, typer.Option(metavar="FILE", help="Item vectors.")],
    out: ModelOut,
    users: Annotated[
        Path | None, typer.Option(metavar="FILE", help="User vectors of the same width.")
    ] = None,
    item_ids: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Item ids in row order.", show_default="row numbers"),
    ] = None,
    user_ids: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="User ids in row order.", show_default="row numbers"),
    ] = None,
    item_bias: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Numbers added to all scores of an item: one more dimension."
        ),
    ] = None,
    tensor: Annotated[
        str | None, typer.Option(metavar="NAME", help="Array of a safetensors file.")
    ] = None,
    interactions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Pairs that the vectors were trained on: popular items count more, and what "
            "users have seen can be left out.",
        ),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Pairs that they were not trained on, to measure on."),
    ] = None,
    item_table: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Table of the catalogue: item_id, title, category ..."),
    ] = None,
    file_format: FormatOfFile = None,
    num_bytes: BytesPerItem = None,
    user_form: FormOfUsers = None,
    codeword_width: CodewordWidth = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML file with settings.")
    ] = None,
    keep_float_items: KeepFloatItems = False,
    user_column: UserColumn = None,
    item_column: ItemColumn = None,
    rating_column: RatingColumn = None,
    timestamp_column: TimestampColumn = None,
    rating_above: RatingAbove = None,
    verbose: Verbose = False,
) -> None:
    """Compress vectors that you already have to a few bytes an item; no training.

    Vectors: .npy of shape (rows, width); .safetensors with such an array; or
    .parquet with an id column and one column of lists, or one number column a
    dimension. float16, float32 and float64 are read.
    Ids: .txt with one id a line; the first column of .csv or .parquet; .npy.
    The columns of --item-table travel in the model: answers show titles and
    categories, and --where filters by any column.

    Users stay as they are unless --user-form says otherwise. More of their
    ranking survives where they are fitted to the codes (fitted) or get score
    tables of their own (table, 2 KB a user at 4 bytes an item). `auto` makes all
    three and keeps the smallest that is about as good as any (of equally small
    ones the better) on the --test pairs of half of the users; the other half's
    are measured. Query vectors from a live user tower can be asked of any of
    them; a map learned from fitted users (linear) brings them to codewords of
    fewer numbers: smaller codebooks and faster score tables.

    Printed: how much of the float top 100 the codes keep and, where there are
    pairs, ranking quality before and after. Without --test it is measured on a
    tenth of --interactions, with users fitted to the rest of them.

    Examples:
      lightrec compress --items items.npy --users users.npy --out model
      lightrec compress --items items.npy --users users.npy --bytes 8 --out model
      lightrec compress --items items.parquet --test likes.csv --users u.npy
        --user-ids u.txt --user-form auto --out model
      lightrec compress --items items.npy --item-ids ids.txt
        --item-table songs.csv --out model
    """
    from lightrec.artifact.save import check_target
    from lightrec.compress import CompressConfig
    from lightrec.compress import compress as compress_vectors
    from lightrec.evaluation.comparison import Comparison
    from lightrec.interactions import Interactions
    from lightrec.read_vectors import read_ids
    from lightrec.settings import merged, read_toml, validated

    if verbose:
        set_up_log(verbose=True)
    check_target(out)
    chosen = {} if config is None else read_toml(config)
    changes = changed_settings(num_bytes, user_form, codeword_width, file=config)
    settings = validated(CompressConfig, merged(chosen, changes), str(config or "the options"))
    if codeword_width is not None and settings.users.form in ("identity", "table"):
        raise ArgumentError("--codeword-width goes with --user-form linear, mlp, fitted or auto")
    columns = column_names(user_column, item_column, rating_column, timestamp_column)

    def pairs(path: Path | None) -> Interactions | None:
        if path is None:
            return None
        read = Interactions.from_table(
            path, columns, rating_above=rating_above, file_format=file_format
        )
        show(read.report.describe())
        return read

    items_table = None if item_table is None else read_items_table(item_table, item_column)
    item_vectors = _vectors(items, "item", tensor)
    user_vectors = None if users is None else _vectors(users, "user", tensor)
    user_map = None if user_vectors is None else user_vectors.ids
    if user_ids is not None:
        user_map = read_ids(user_ids, "user")
    show_columns_left_out(items_table)
    model = compress_vectors(
        item_vectors.values,
        None if user_vectors is None else user_vectors.values,
        item_bias=None
        if item_bias is None
        else _vectors(item_bias, "item", tensor, one=True).values.ravel(),
        item_ids=item_vectors.ids if item_ids is None else read_ids(item_ids, "item"),
        user_ids=user_map,
        interactions=pairs(interactions),
        test=pairs(test),
        item_table=items_table,
        config=settings,
        keep_float_items=keep_float_items,
        progress=True,
    )
    model.save(out)
    show(f"{model.num_items:,} items and {model.num_users:,} users")
    for note in model.config["notes"]:
        show(f"  {note}")
    overlap = model.config["overlap"]
    show(
        f"recall of the float top {overlap['at']} by the codes' top {overlap['at']}: "
        f"{overlap['share']:.4f} (mean over {overlap['queries']:,} {overlap['by']} as queries, "
        "their vectors as they are)"
    )
    show(f"bytes per item, codebooks counted: {model.bytes_per_item.all_in:,.1f}")
    if model.num_users:
        show(f"bytes per user (`{model.users.form}`): {model.bytes_per_user.all_in:,.0f}")
    show_bytes(model, told=model.config["notes"])
    if "comparison" in model.config:
        comparison = Comparison.from_json(model.config["comparison"])
        show()
        show_comparison(comparison)
        show_choice(comparison, settings.users.tolerance)
    show()
    show(f"The model is in {out}.")
    _show_next(model, in_words(out))


def _vectors(path: Path, what: str, tensor: str | None, *, one: bool = False) -> VectorsAndIds:
    """Vectors from a file, telling which of its columns they are."""
    from lightrec.read_vectors import read_vectors

    named = tensor if path.suffix.lower() == ".safetensors" else None
    read = read_vectors(path, what, tensor=named, one=one)
    for note in read.notes:
        show(note)
    return read


def _show_next(model: Model, place: str) -> None:
    """Prints what can be asked of the model now."""
    if model.num_users:
        user = in_words(model.user_ids.ids([0])[0])
        show_next(f"lightrec recommend {place} --user {user}", f"lightrec inspect {place}")
    else:
        item = in_words(model.item_ids.ids([0])[0])
        show_next(f"lightrec similar {place} --item {item}", f"lightrec inspect {place}")
