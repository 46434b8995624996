"""`lightrec experiment`: a table of the paper, measured again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lightrec.cli.options import Verbose
from lightrec.cli.terminal import set_up_log, show
from lightrec.errors import ArgumentError


def experiment(
    name: Annotated[
        Literal["main_path", "choices", "timings"],
        typer.Argument(metavar="NAME", help="main_path, choices or timings"),
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
        bool, typer.Option("--stale", help="Measure again what an older source measured.")
    ] = False,
    data_root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the data sets.", show_default="LIGHTREC_DATA"),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Measure an experiment and write its result file.

    The data sets lie in one folder, each in a folder of its name with
    interactions.parquet. Finished cells are kept: an interrupted experiment
    goes on where it stopped.

    main_path: popularity, the float teacher, the quantisers and LightRec
    trained from each of them, on citeulike-t and gowalla.

    timings: how long its parts take; for an idle machine.

    choices: every variant that was tried for the presets, on validation
    pairs of split 0 only.

    Examples:
      lightrec experiment main_path
      lightrec experiment main_path --data gowalla --splits 0 -v
    """
    if verbose:
        set_up_log(verbose=True)
    seeds = None if splits is None else _seeds(splits)
    if name == "timings":
        if seeds is not None or data or stale:
            raise ArgumentError("timings are always the same ones, measured anew: no other option")
        from lightrec.experiments import timings

        file = timings.run(root=data_root)
    elif name == "choices":
        if seeds is not None:
            raise ArgumentError("choices are made on split 0 only; leave --splits out")
        from lightrec.experiments import choices

        file = choices.run(data or ("citeulike-t",), root=data_root, stale=stale, progress=True)
    else:
        from lightrec.experiments import main_path

        file = main_path.run(data, seeds, root=data_root, stale=stale, progress=True)
    show(f"written: {file}")


def _seeds(text: str) -> tuple[int, ...]:
    """Numbers of splits from text such as `0,1,2`."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise ArgumentError(f"--splits {text}: give numbers with commas between, such as 0,1,2")
    return tuple(dict.fromkeys(int(part) for part in parts))
