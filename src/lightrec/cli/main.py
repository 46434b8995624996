"""The program `lightrec`: its commands, and what happens when one of them fails.

Commands import polars, torch and the rest only when they run, so that `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TextIO

import typer

from lightrec._version import __version__
from lightrec.cli.bench import bench
from lightrec.cli.compress import compress
from lightrec.cli.data import data
from lightrec.cli.demo import demo
from lightrec.cli.diff import diff
from lightrec.cli.evaluate import evaluate
from lightrec.cli.experiment import experiment
from lightrec.cli.explain import explain
from lightrec.cli.inspect import inspect
from lightrec.cli.options import Verbose
from lightrec.cli.recommend import recommend
from lightrec.cli.report import report
from lightrec.cli.score import score
from lightrec.cli.similar import similar
from lightrec.cli.split import split
from lightrec.cli.terminal import set_up_log
from lightrec.cli.train import train
from lightrec.cli.update import update
from lightrec.cli.verify import verify
from lightrec.errors import LightRecError, MissingExtraError

TRACEBACK = "LIGHTREC_TRACEBACK"
INTERRUPTED = 130
UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})

_COMMANDS: tuple[Callable[..., None], ...] = (
    demo,
    split,
    train,
    compress,
    evaluate,
    recommend,
    score,
    similar,
    explain,
    update,
    diff,
    verify,
    inspect,
    bench,
    experiment,
    report,
)
_PACKAGES_OF_EXTRAS = {"torch": ("training", "train"), "matplotlib": ("plots", "report")}
_UsageError: Any = typer.BadParameter.__base__  # click's, wherever this typer keeps it

app = typer.Typer(
    name="lightrec",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in _COMMANDS:
    app.command()(_command)
app.add_typer(data)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lightrec {__version__}")
        raise typer.Exit


@app.callback()
def _lightrec(
    verbose: Verbose = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Recommendations from 4-byte items: train, compress, search.

    New here? `lightrec demo` shows everything in a minute, offline.
    Then: `lightrec train INTERACTIONS --out MODEL` and
    `lightrec recommend MODEL --user ID`.
    """
    set_up_log(verbose=verbose)


def run(arguments: Sequence[str] | None = None) -> None:
    """Runs the program and ends the process with its exit code.

    Args:
        arguments: the words after `lightrec`; those of the process when None.

    Raises:
        SystemExit: always, with one of the codes that `docs/errors.md` lists.
    """
    if sys.stdout is None:  # closed before we began, as by `>&-`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    if isinstance(sys.stdout, io.TextIOWrapper):  # titles may not fit a terminal's encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = app(arguments, prog_name="lightrec", standalone_mode=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # typer makes the second of the first
        _settle(sys.stdout)  # the reader, such as `head`, has seen enough
        sys.exit(0)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", INTERRUPTED)
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Python 3.11 wraps some, in an import
            _fail("interrupted", INTERRUPTED)
        if os.environ.get(TRACEBACK) == "1":
            raise
        _fail(*_explained(error))
    if code == INTERRUPTED:  # what some releases of typer make of a KeyboardInterrupt
        _fail("interrupted", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _explained(error: Exception) -> tuple[str, int]:
    """The message for an error, and the exit code."""
    if isinstance(error, LightRecError):
        return str(error), error.exit_code
    if isinstance(error, _UsageError):
        context = error.ctx
        path = context.command_path if context is not None else "lightrec"
        if not error.format_message():  # no argument at all: the help has been shown
            return "name a command", error.exit_code
        message = " ".join(error.format_message().split())  # choices are listed line by line
        return f"{message.rstrip('.')}; see {path} --help", error.exit_code
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if package in _PACKAGES_OF_EXTRAS:
            missing = MissingExtraError(*_PACKAGES_OF_EXTRAS[package])
            return str(missing), missing.exit_code
    if isinstance(error, OSError) and error.strerror:
        # Files are written through `durable_files`, whose errors name them.
        place = error.filename or ("standard output" if error.errno in _NO_ROOM else "")
        return f"{place}{place and ': '}{error.strerror}", LightRecError.exit_code
    if isinstance(error, MemoryError):
        return "not enough memory; use a smaller input or a machine with more", 1
    kind = type(error).__name__
    return (
        f"{kind}: {error} (unexpected; please report it with what {TRACEBACK}=1 shows)",
        UNEXPECTED,
    )


def _fail(message: str, code: int) -> None:
    _settle(sys.stdout)
    with contextlib.suppress(OSError):  # nobody can be told, but the exit code tells
        typer.echo(f"lightrec: error: {message}", err=True)
    _settle(sys.stderr)
    sys.exit(code)


def _settle(stream: TextIO | None) -> None:
    """Writes what a stream still holds, or drops it where it takes no more.

    Otherwise Python would complain at its end, and leave with an exit code of its own.
    """
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
