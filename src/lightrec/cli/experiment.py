"""`lightrec experiment`: a table of the paper, measured again."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lightrec.cli.options import Verbose
from lightrec.cli.terminal import set_up_log, show
from lightrec.errors import ArgumentError


def experiment(
    name: Annotated[
        Literal[
            "main_path",
            "best",
            "budgets",
            "fold_in",
            "fold_in_choices",
            "live_users",
            "refitted_codes",
            "updates",
            "choices",
            "best_choices",
            "teacher_choices",
            "training_study",
            "timings",
        ],
        typer.Argument(metavar="NAME", help="One of those below."),
    ],
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Public data set; may be repeated.",
            show_default="the recorded ones",
        ),
    ] = None,
    splits: Annotated[
        str | None,
        typer.Option(
            metavar="N,N...", help="Seeds of the splits.", show_default="the recorded ones"
        ),
    ] = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="Measure again what is older than its sources.")
    ] = False,
    data_root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the data sets.", show_default="LIGHTREC_DATA"),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Measure an experiment and write its result file.

    Works in a checkout of the project, whose experiments/results it adds to.
    The data sets lie in one folder, each in a folder of its name with
    interactions.parquet. Finished cells are kept: an interrupted experiment
    goes on where it stopped.

    main_path: popularity, the float teacher, the quantisers and LightRec
    trained from each of them, on citeulike-t and gowalla.

    best: the preset `default`: the teacher that it chooses, and four bytes an
    item made from it, with users in three forms.

    budgets, fold_in: the same with two to sixteen bytes an item; the same for
    users whom training never saw. Split 0 only.

    live_users: the same for vectors of users whom nobody has fitted, as they
    are and through maps. Validation pairs of split 0 only.

    refitted_codes: codes fitted to users in turn. Validation pairs only.

    updates: a model brought up to date, and trained again from its own codes,
    beside one trained anew. Split 0 only.

    choices, best_choices, teacher_choices, fold_in_choices: every variant that
    was tried for the presets `trained` and `default`, for the teachers and for
    new users, on validation pairs of split 0 only.

    training_study: what each part of training through the codes adds, from
    random codebooks and from the best codes. Split 0 only.

    timings: how long training, compression and their parts take; for an idle
    machine.

    Examples:
      lightrec experiment main_path
      lightrec experiment best --data gowalla --splits 0 -v
    """
    from lightrec.experiments.provenance import project_root

    if not (project_root() / "native").is_dir():
        raise ArgumentError("experiments work in a checkout of the project: there is none here")
    if verbose:
        set_up_log(verbose=True)
    options: dict[str, Any] = {"root": data_root}
    if name == "timings":
        if stale:
            raise ArgumentError("timings are always measured anew: leave --stale out")
    else:
        options["stale"] = stale
    options |= {"data": data, "progress": True}
    if splits is not None:
        if name not in ("main_path", "best"):
            raise ArgumentError(f"{name} is measured on split 0 only; leave --splits out")
        options["splits"] = _seeds(splits)
    file = import_module(f"lightrec.experiments.{name}").run(**options)
    show(f"written: {file}")


def _seeds(text: str) -> tuple[int, ...]:
    """Numbers of splits from text such as `0,1,2`."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise ArgumentError(f"--splits {text}: give numbers with commas between, such as 0,1,2")
    return tuple(dict.fromkeys(int(part) for part in parts))
