"""`lightrec report`: recorded results into the documents."""

from __future__ import annotations

from typing import Annotated

import typer

from lightrec.cli.terminal import show
from lightrec.errors import LightRecError


def report(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail where a table is not current.")
    ] = False,
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw the figures too (needs matplotlib).")
    ] = False,
) -> None:
    """Render recorded results into README.md and docs/.

    Works in a checkout of the project: every table between
    `<!-- table: NAME -->` and `<!-- end table -->` is rendered anew from the
    files of experiments/results and benchmarks/results, the settings and the
    sources. --figures draws those of docs/figures too.

    Examples:
      lightrec report --figures
      lightrec report --check
    """
    from lightrec.experiments.report import draw, render

    done = render(check=check)
    changed = ", ".join(document.name for document in done.changed)
    if check and changed:
        raise LightRecError(f"not current: {changed}; run lightrec report")
    if figures and not check:
        show(f"drawn: {', '.join(file.name for file in draw())}")
    show(f"{len(done.rendered)} documents hold tables; changed: {changed or 'none'}")
