"""What people see: tables and text on standard output, the log on standard error."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_LOG = logging.getLogger("lightrec")
_WIDTH_OF_FILES = 200  # a table that goes to a file or pipe is not squeezed into 80 columns
_HANDLER = "lightrec command line"


def show(text: str = "") -> None:
    """Prints text as it is."""
    sys.stdout.write(_printable(text) + "\n")


def flush_output() -> None:
    """Shows what was printed, before long work; a reader who is gone (`| true`) does not end it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    decimals: Mapping[str, int] | None = None,
) -> None:
    """Prints a table; columns of numbers stand right-aligned, and None is an empty cell.

    Args:
        columns: the names at the top.
        rows: the cells of each row.
        title: the line above the table.
        decimals: of the floats in a column, where it is not four.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    cells = [list(row) for row in rows]
    for place, name in enumerate(columns):
        numeric = all(isinstance(row[place], int | float | None) for row in cells)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    places = [(decimals or {}).get(name, 4) for name in columns]
    for row in cells:
        table.add_row(*(_cell(value, digits) for value, digits in zip(row, places, strict=True)))
    if title:
        show(title.replace("\n", "\\n"))
    _console().print(table)


def show_json(value: Any) -> None:  # noqa: ANN401
    """Prints one JSON value on one line."""
    escape = (sys.stdout.encoding or "ascii").lower() != "utf-8"
    sys.stdout.write(json.dumps(value, ensure_ascii=escape, default=_plain_value) + "\n")


def show_next(*commands: str) -> None:
    """Prints the commands that a reader may want to try now."""
    show()
    show("Try next:")
    for command in commands:
        show(f"  {command}")


def set_up_log(*, verbose: bool) -> None:
    """Shows the log of `lightrec` on standard error: warnings, and with `verbose` everything.

    Called for the program and again for a command that has its own `--verbose`.
    """
    for handler in [one for one in _LOG.handlers if one.get_name() == _HANDLER]:
        _LOG.removeHandler(handler)
    stream = logging.StreamHandler(sys.stderr)
    stream.set_name(_HANDLER)
    stream.setFormatter(_Lines())
    _LOG.addHandler(stream)
    _LOG.setLevel(logging.INFO if verbose else logging.WARNING)


def in_words(path: Path | str) -> str:
    """A path or id as it must be typed in a shell."""
    import shlex

    return shlex.quote(str(path))


class _Lines(logging.Formatter):
    """`lightrec: warning: ...` for warnings, the bare message for news."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.levelno >= logging.WARNING:
            return f"lightrec: {record.levelname.lower()}: {message}"
        return message


def _console() -> Console:
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
    return Console(width=width, markup=False, emoji=False, highlight=False)


def _cell(value: object, decimals: int) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:,.{decimals}f}"
    return _printable(str(value))


def _printable(text: str) -> str:
    """Text from data files cannot steer the terminal: control characters are shown escaped."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else repr(letter)[1:-1]
        for letter in text
    )


def _plain_value(value: Any) -> Any:  # noqa: ANN401
    """JSON for numpy scalars and dates."""
    return value.item() if hasattr(value, "item") else str(value)
