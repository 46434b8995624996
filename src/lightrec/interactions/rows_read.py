"""Rows from a source that is no table with column names, before they are wrapped as one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl


@dataclass(frozen=True, eq=False)
class RowsRead:
    """What a reader made of its source.

    Attributes:
        frame: the rows, under the canonical column names.
        lines: the line of the file that each row came from, from 1; integers (rows,). None where
            there are no lines.
        notes: what was recognised, and what else a reader should know; one sentence each.
        left_out: entries of the source that are no pairs by the reader's rule; the notes say which.
        catalogue: the whole catalogue, where the source names it: a table with column `item_id`.
    """

    frame: pl.DataFrame
    lines: npt.NDArray[np.integer] | None = None
    notes: tuple[str, ...] = ()
    left_out: int = 0
    catalogue: pl.DataFrame | None = None
