"""Pairs as a call was given them: a table is read, and the log tells what became of its rows."""

from __future__ import annotations

import logging
from dataclasses import replace

from lightrec.interactions.columns import ColumnNames
from lightrec.interactions.interactions import Interactions
from lightrec.interactions.read_report import ReadReport
from lightrec.interactions.read_tables import TableSource

logger = logging.getLogger("lightrec")

_UNUSED = " not used: every row counts"
"""What `read_pairs` notes of every column of ratings, weights or counts that it leaves unused."""


def given_pairs(
    pairs: Interactions | TableSource,
    columns: ColumnNames | None = None,
    *,
    items: TableSource | None = None,
) -> Interactions:
    """Pairs from a table, or as they are.

    Whoever gives a table never sees the report on it, so the log has it: ratings, weights and
    counts that are not used as a warning, the rest as news. `Interactions` carry theirs.

    Args:
        pairs: `Interactions`, or a table of them.
        columns: The table's column names where they are not recognised.
        items: Items table, as for `Interactions.from_table`.

    Raises:
        InputError: The table cannot be used.
    """
    if isinstance(pairs, Interactions):
        return pairs
    read = Interactions.from_table(pairs, columns, items=items)
    _tell(read.report)
    return read


def _tell(report: ReadReport) -> None:
    unused = tuple(note for note in report.notes if _UNUSED in note)
    rest = tuple(note for note in report.notes if note not in unused)
    logger.info("%s", replace(report, notes=rest).describe())
    for note in unused:
        logger.warning("%s: %s", report.source, note)
