"""A user's own table cut into a training and a test table, cell for cell as it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions.columns import ColumnNames
from lightrec.interactions.filters import PairFilter
from lightrec.interactions.interactions import Interactions
from lightrec.interactions.read_pairs import read_pairs
from lightrec.interactions.read_tables import TableSource, open_table
from lightrec.interactions.splits import Split, leave_last_out, paper_split, time_split

SplitKind = Literal["time", "last", "paper"]


@dataclass(frozen=True, eq=False)
class SplitTables:
    """Two tables with the columns and cells of the one they come from.

    Attributes:
        train: rows to train on, in their original order; one row a pair.
        test: rows to test on, likewise.
        split: the same pairs as `Interactions`; `split.train.report` counts every row left out.
    """

    train: pl.DataFrame
    test: pl.DataFrame
    split: Split


def split_table(
    source: TableSource,
    by: SplitKind = "time",
    *,
    columns: ColumnNames | None = None,
    pair_filter: PairFilter | None = None,
    seed: int = 0,
    test_share: float = 0.2,
    last_n: int = 1,
) -> SplitTables:
    """Splits a table of interactions and keeps all its columns.

    Args:
        source: a path or table, as in `Interactions.from_table`.
        by: "time" cuts at one moment, "last" takes each user's latest pairs, "paper" draws from
            each user's pairs.
        columns: the table's column names where they are not recognised.
        pair_filter: which rows count; by default all.
        seed: of the paper's split.
        test_share: of the splits by time and as in the paper.
        last_n: pairs per user of the split "last".

    Raises:
        InputError: the table cannot be used, has no timestamps and needs them, or a part would be
            empty.
        ArgumentError: an option is out of range.
    """
    table = open_table(source)
    pairs = read_pairs(table, columns, pair_filter=pair_filter)
    interactions = Interactions.of(pairs)
    if by == "time":
        split = time_split(interactions, test_share)
    elif by == "last":
        split = leave_last_out(interactions, last_n)
    elif by == "paper":
        split = paper_split(interactions, seed, 1 - test_share)
    else:
        raise ArgumentError(f"a split is by 'time', 'last' or 'paper', not {by!r}")
    for part, name in ((split.train, "train on"), (split.test, "test on")):
        if not len(part):
            raise InputError(
                f"{table.label}: no pair would be left to {name}; users have too few pairs for "
                "this split, take another (--by) or another share"
            )
    tested = np.isin(interactions.pair_keys(), split.test.pair_keys(), assume_unique=True)
    frame = table.read()
    return SplitTables(
        train=_rows(frame, pairs.source_rows[~tested]),
        test=_rows(frame, pairs.source_rows[tested]),
        split=split,
    )


def _rows(frame: pl.DataFrame, rows: npt.NDArray[np.int64]) -> pl.DataFrame:
    return frame[np.sort(rows)]
