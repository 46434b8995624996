"""`lightrec demo`: the whole way on a made-up shop of books, without any data or network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lightrec.cli.comparison_table import show_choice, show_comparison
from lightrec.cli.options import Verbose
from lightrec.cli.terminal import flush_output, in_words, set_up_log, show, show_next
from lightrec.cli.write_tables import write_table

if TYPE_CHECKING:
    from lightrec.artifact import Model

_USERS, _BOOKS, _SEED = 2500, 12000, 0
_SETTINGS: dict[str, Any] = {
    "teacher": {"kind": "ials", "width": 32, "l2": 0.6, "sweeps": 8},
    "codes": {"kmeans_iterations": 10, "rounds": 2},
    "ranking": {"cells": 64, "users": 2000},
}
"""The default preset at the pace of a demonstration: a quick teacher, and less effort."""
_READERS, _TITLES = 3, 4


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for tables and model.")] = Path(
        "demo"
    ),
    verbose: Verbose = False,
) -> None:
    """See everything in about a minute: offline, on a made-up shop of books.

    Makes up a catalogue and its readers, trains on them for real, and shows
    quality, bytes and times of LightRec beside popularity, float vectors and
    plain residual k-means. What it writes is yours to play with.

    Examples:
      lightrec demo
      lightrec demo --out /tmp/books
    """
    from lightrec.artifact.save import check_target
    from lightrec.cli.query_times import query_times
    from lightrec.evaluation.comparison import Comparison
    from lightrec.interactions import Interactions, synthetic_catalogue
    from lightrec.run.folder import clear_checkpoints
    from lightrec.run_config import load_config
    from lightrec.train import train

    if verbose:
        set_up_log(verbose=True)
    folder = out / "model"
    check_target(folder)
    show(f"A made-up shop: {_BOOKS:,} books, {_USERS:,} readers with planted tastes.")
    data = synthetic_catalogue(_USERS, _BOOKS, _SEED)
    reads, books = out / "reads.csv", out / "books.csv"
    write_table(data.interactions, reads)
    write_table(data.items, books)
    pairs = Interactions.from_table(reads, items=books)
    show(pairs.report.describe())
    show("Training a float teacher, then 4-byte items from it ...")
    flush_output()
    settings = load_config("default", **_SETTINGS)
    model = train(
        pairs,
        config=settings,
        items=books,
        run_folder=out / "model.run",
        progress=True,
    )
    model.save(folder)
    clear_checkpoints(out / "model.run")
    comparison = Comparison.from_json(model.config["comparison"])
    show()
    show_comparison(comparison.with_times(query_times(model)))
    show("(µs/query: the best 100 of all books, median of 200 readers, on this machine; teacher:")
    show("float vectors in numpy. bytes/item counts the codebooks, shared by all books.)")
    show_choice(comparison, settings.users.tolerance)
    _show_readers(model)
    place = in_words(folder)
    user = in_words(model.user_ids.ids([0])[0])
    show_next(
        f"lightrec recommend {place} --user {user} --where category=Crime",
        f"lightrec similar {place} --item {in_words(model.item_ids.ids([0])[0])}",
        f"lightrec inspect {place}",
        f"lightrec split {in_words(reads)} --out {in_words(out / 'parts')}",
        "lightrec train YOUR-INTERACTIONS.csv --out YOUR-MODEL",
    )


def _show_readers(model: Model) -> None:
    """Prints what a few readers have read, and what they might read next."""
    from lightrec.serving import Recommender

    if model.history is None:
        return
    titles = model.item_columns["title"]
    read_by = model.history.user_degrees()
    readers = [row for row in range(model.num_users) if read_by[row] >= _TITLES][:_READERS]
    found = Recommender(model).recommend(users=model.user_ids.ids(readers), k=_TITLES)
    for row, answer in zip(readers, found, strict=True):
        read = titles[model.history.of(row)[:_TITLES].tolist()]
        show()
        show(f"Reader {answer.query} has read {read_by[row]} books, such as")
        show(f"  {', '.join(read)}")
        show("and may like")
        show(f"  {', '.join(titles[model.item_ids.rows(answer.items).tolist()])}")
