"""`lightrec train`: interactions in, model folder out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from lightrec.cli.comparison_table import show_bytes, show_choice, show_comparison
from lightrec.cli.items_table import read_items_table, show_columns_left_out
from lightrec.cli.options import (
    BytesPerItem,
    FormatOfFile,
    FormOfUsers,
    InteractionsPath,
    ItemColumn,
    KeepFloatItems,
    MinUserPairs,
    ModelOut,
    RatingAbove,
    RatingColumn,
    TimestampColumn,
    UserColumn,
    Verbose,
    changed_settings,
    column_names,
)
from lightrec.cli.terminal import flush_output, in_words, set_up_log, show, show_next
from lightrec.errors import ArgumentError, InputError


def train(
    interactions: InteractionsPath,
    out: ModelOut,
    preset: Annotated[
        str, typer.Option(metavar="default|trained|paper|kde", help="Settings to start from.")
    ] = "default",
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML file that changes settings.")
    ] = None,
    items: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Table of the catalogue: item_id, title, category ..."),
    ] = None,
    num_bytes: BytesPerItem = None,
    user_form: FormOfUsers = None,
    keep_float_items: KeepFloatItems = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Of everything that is drawn.")] = None,
    refit: Annotated[
        bool,
        typer.Option(
            "--refit/--no-refit",
            help="Train the shipped model on all pairs, or keep the one that validation saw.",
        ),
    ] = True,
    history: Annotated[
        bool,
        typer.Option(
            "--history/--no-history",
            help="Keep the training pairs in the model, to leave out what users have seen.",
        ),
    ] = True,
    user_column: UserColumn = None,
    item_column: ItemColumn = None,
    rating_column: RatingColumn = None,
    timestamp_column: TimestampColumn = None,
    rating_above: RatingAbove = None,
    min_user_pairs: MinUserPairs = 1,
    file_format: FormatOfFile = None,
    warm_start: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Repeat the choices of an earlier model, and keep its items' codes where they "
            "still fit.",
        ),
    ] = None,
    stability: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="With --warm-start: how much smaller an item's error must get before its code "
            "changes; 1 keeps all codes.",
            show_default="0.3",
        ),
    ] = None,
    publish_if_better: Annotated[
        Path | None,
        typer.Option(
            metavar="TEST",
            help="Replace the model in MODEL only if the new one is at least as good on these "
            "pairs, which neither was trained on.",
        ),
    ] = None,
    run_folder: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="For metrics.jsonl and checkpoints.", show_default="MODEL.run"
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            metavar="DEVICE",
            help="Where gradients are computed: cpu, cuda, or auto for cuda where there is one. "
            "Only the CPU repeats a run to the bit.",
        ),
    ] = "auto",
    verbose: Verbose = False,
) -> None:
    """Train a model from a table of interactions.

    INTERACTIONS has one row an interaction; ratings and times are optional, and
    every row counts alike unless --rating-above says which do:

      user_id,item_id,rating,timestamp
      anna,0345339681,5,1136073600

    A tenth of the pairs (the latest, where there are times) is held out. On
    them the float teacher is chosen, and popularity, float vectors, residual
    k-means, additive quantisation and LightRec are measured side by side, with
    users in three forms: the teacher's vectors (identity), vectors fitted to
    the codes (fitted) and score tables of their own (table). The smallest that
    is about as good as any is kept (of equally small ones the better), unless
    --user-form says which. Then the model is trained on all pairs.

    Presets: `default` chooses the teacher itself and needs no gradient for the
    codes; `trained` learns them by gradient from a BPR teacher; `paper` does
    so as the paper does; `kde` is an older method that the paper compares with.

    With --publish-if-better TEST a model that is already in MODEL stays there
    (exit code 8) unless the new one is at least as good: Recall@100 + NDCG on
    the pairs of TEST that both know. It stays too (exit code 4) if another
    command changed it during the training. The new model is then in
    MODEL.run/model (RUN-FOLDER/model).

    --config changes settings of the preset, in TOML:

      teacher.budget_minutes = 5
      users.tolerance = 0.02

    Examples:
      lightrec train ratings.csv --out model
      lightrec train ratings.csv --rating-above 3 --items films.csv --out model
      lightrec train plays.parquet --out model --user-form identity --seed 7
    """
    from lightrec.artifact import load_model, read_manifest
    from lightrec.artifact.manifest import MANIFEST
    from lightrec.artifact.save import check_target
    from lightrec.cli.two_models import check_can_be_measured
    from lightrec.evaluation.comparison import Comparison
    from lightrec.interactions import Interactions
    from lightrec.run.folder import clear_checkpoints
    from lightrec.run_config import load_config
    from lightrec.train import train as train_model
    from lightrec.training.device import device_of

    if verbose:
        set_up_log(verbose=True)
    device = device_of(device)
    logging.getLogger("lightrec.teachers.choice").setLevel(logging.INFO)  # how long it will take
    check_target(out)
    before = None
    if publish_if_better is not None and (out / MANIFEST).exists():
        before = read_manifest(out).digest
    changes: dict[str, Any] = changed_settings(num_bytes, user_form, file=config)
    changes |= {} if seed is None else {"seed": seed}
    changes |= {"keep_float_items": True} if keep_float_items else {}
    settings = load_config(preset, config, **changes)
    catalogue = None if items is None else read_items_table(items, item_column)
    pairs = Interactions.from_table(
        interactions,
        column_names(user_column, item_column, rating_column, timestamp_column),
        items=catalogue,
        rating_above=rating_above,
        min_pairs_per_user=min_user_pairs,
        file_format=file_format,
    )
    show(pairs.report.describe())
    if catalogue is not None and pairs.report.items_without_pairs == len(catalogue):
        raise InputError(
            f"none of the {len(catalogue):,} items of {items} occurs in {interactions}: "
            "check that both hold the same kind of item ids"
        )
    show(f"  {len(pairs.users):,} users, {len(pairs.items):,} items")
    show_columns_left_out(catalogue)
    test = None
    if publish_if_better is not None:  # read now, so that a mistake is told before the long work
        columns = column_names(user_column, item_column, rating_column, timestamp_column)
        test = Interactions.from_table(
            publish_if_better, columns, rating_above=rating_above, file_format=file_format
        )
        show(test.report.describe())
        if (out / MANIFEST).exists():
            check_can_be_measured(load_model(out), pairs, test, str(publish_if_better))
    flush_output()  # before the bars on standard error
    folder = run_folder or out.with_name(out.name + ".run")
    model = train_model(
        pairs,
        config=settings,
        items=catalogue,
        refit=refit,
        **_earlier(warm_start, stability),
        run_folder=folder,
        device=device,
        progress=True,
    )
    if test is not None and (out / MANIFEST).exists():
        from lightrec.cli.publish import publish

        publish(
            model,
            out,
            test,
            str(publish_if_better),
            folder,
            with_history=history,
            expected=before,
        )
    else:
        model.save(out, with_history=history)
        clear_checkpoints(folder)
    show()
    comparison = Comparison.from_json(model.config["comparison"])
    show_comparison(comparison)
    show_bytes(model)
    show_choice(comparison, settings.users.tolerance)
    if model.config["student_epochs"] == 0:
        show("No epoch of training was better on these pairs than its start, which is kept.")
    show()
    shipped = "all pairs" if refit else "the pairs that were not held out (--no-refit)"
    show(f"The model, trained on {shipped}, is in {out}; its log is in {folder}.")
    place, user, item = in_words(out), model.user_ids.ids([0])[0], model.item_ids.ids([0])[0]
    show_next(
        f"lightrec recommend {place} --user {in_words(user)}",
        f"lightrec similar {place} --item {in_words(item)}",
        f"lightrec inspect {place}",
    )


def _earlier(warm_start: Path | None, stability: float | None) -> dict[str, Any]:
    """The arguments of a warm start."""
    if warm_start is None:
        if stability is not None:
            raise ArgumentError("--stability belongs to --warm-start MODEL; give both")
        return {}
    from lightrec.artifact import load_model

    earlier = {} if stability is None else {"stability": stability}
    return {"warm_start": load_model(warm_start), **earlier}
