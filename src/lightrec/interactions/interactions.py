"""Who interacted with what: the one form in which data enter training and evaluation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from lightrec.errors import ArgumentError
from lightrec.interactions.cell_values import Timestamps
from lightrec.interactions.columns import ColumnNames
from lightrec.interactions.filters import PairFilter
from lightrec.interactions.history import History, row_starts
from lightrec.interactions.id_index import IdValues
from lightrec.interactions.id_map import IdMap
from lightrec.interactions.random_streams import random_stream
from lightrec.interactions.read_pairs import PairsRead, read_pairs
from lightrec.interactions.read_report import ReadReport
from lightrec.interactions.read_tables import Table, TableSource, open_table
from lightrec.interactions.sparse_matrices import SparseMatrix, read_matrix

_NOT_READ = ReadReport("given arrays", 0, 0)


@dataclass(frozen=True, eq=False)
class Interactions:
    """Distinct user-item pairs over a list of users and a catalogue of items.

    Attributes:
        users: ids of all users in row order.
        items: ids of the whole catalogue in row order, also of items without a pair.
        user_rows: int32 (pairs,); pairs are sorted by user row, then item row, none twice.
        item_rows: int32 (pairs,).
        timestamps: int64 or float64 (pairs,) in the table's own unit (microseconds since 1970 where
            the table held dates), or None.
        report: how the rows of the table became these pairs. A selection keeps the report of the
            whole.

    Raises:
        ArgumentError: the arrays do not describe such pairs.
    """

    users: IdMap
    items: IdMap
    user_rows: npt.NDArray[np.int32]
    item_rows: npt.NDArray[np.int32]
    timestamps: Timestamps | None = None
    report: ReadReport = _NOT_READ

    def __post_init__(self) -> None:
        if self.report is _NOT_READ:
            object.__setattr__(self, "report", ReadReport("given arrays", len(self), len(self)))
        users, items = self.user_rows, self.item_rows
        if users.dtype != np.int32 or items.dtype != np.int32 or users.ndim != 1:
            raise ArgumentError("user_rows and item_rows must be int32 of shape (pairs,)")
        if users.shape != items.shape:
            raise ArgumentError("user_rows and item_rows must be of one length")
        if self.timestamps is not None and self.timestamps.shape != users.shape:
            raise ArgumentError("timestamps must hold one time a pair")
        for rows, size, what in (
            (users, len(self.users), "user_rows"),
            (items, len(self.items), "item_rows"),
        ):
            if len(rows) and (rows.min() < 0 or rows.max() >= size):
                raise ArgumentError(f"{what} must lie in 0..{size - 1}")
        keys = self.pair_keys()
        if not (keys[1:] > keys[:-1]).all():
            raise ArgumentError("pairs must be sorted by user row, then item row, none twice")

    @classmethod
    def from_table(
        cls,
        table: TableSource,
        columns: ColumnNames | None = None,
        *,
        items: TableSource | None = None,
        rating_above: float | None = None,
        min_pairs_per_user: int = 1,
        min_pairs_per_item: int = 1,
        file_format: str | None = None,
    ) -> Interactions:
        """Reads interactions from a file, table or sparse matrix.

        Rows of one pair are merged (the latest stays; without times, the one rated highest), then
        ratings are filtered, then users, then items, each once. `report` counts every row.

        Args:
            table: a path to CSV, TSV, RecBole `.inter`, Parquet, MovieLens or CiteULike `.dat` or
                LightGCN `.txt`, or a table: polars, pandas, Arrow, a dict of columns, anything
                with `__arrow_c_stream__`; or a matrix of scipy.sparse, as in `from_matrix`.
            columns: the table's column names, where they are neither `user_id`, `item_id`,
                `rating`, `timestamp` nor a known alias.
            items: an items table; all its items belong to the catalogue, in its order. Items that
                only the interactions name are appended and counted.
            rating_above: keep pairs rated strictly higher; None keeps all.
            min_pairs_per_user: drop users with fewer pairs.
            min_pairs_per_item: drop items with fewer pairs (an items table keeps them in the
                catalogue).
            file_format: "csv", "tsv", "recbole", "parquet", "movielens", "lightgcn" or
                "citeulike", where the file's name does not tell.

        Raises:
            InputError: the file or a cell cannot be used: where it is and what to do.
            ArgumentError: a minimum is less than 1, or there is no such format.
        """
        if isinstance(table, Interactions):
            raise ArgumentError("these are Interactions already; use them as they are")
        pair_filter = PairFilter(rating_above, min_pairs_per_user, min_pairs_per_item)
        return cls.of(read_pairs(open_table(table, file_format), columns, items, pair_filter))

    @classmethod
    def from_matrix(
        cls,
        matrix: SparseMatrix,
        user_ids: IdValues | None = None,
        item_ids: IdValues | None = None,
        *,
        rating_above: float | None = None,
        min_pairs_per_user: int = 1,
        min_pairs_per_item: int = 1,
    ) -> Interactions:
        """Reads a sparse matrix of users by items.

        Every stored value above 0 is a pair. Values of 0 and below are left out, and counted in
        `report.below_rating`; NaN and infinity are errors. Values stored twice for one place are
        added up first. Every column is an item of the catalogue, in the order of columns; rows
        without a pair are no users.

        Args:
            matrix: a scipy.sparse matrix or array (users, items) of any layout.
            user_ids: one id a row; row numbers by default.
            item_ids: one id a column; column numbers by default.
            rating_above: keep values strictly higher; None keeps all above 0.
            min_pairs_per_user: drop users with fewer pairs.
            min_pairs_per_item: drop the pairs of items with fewer.

        Raises:
            InputError: a value is not finite, the ids do not fit the shape, or no pair is left.
            ArgumentError: this is no sparse matrix, or a minimum is less than 1.
        """
        table = Table.of_rows(read_matrix(matrix, user_ids, item_ids), "the given matrix")
        pair_filter = PairFilter(rating_above, min_pairs_per_user, min_pairs_per_item)
        return cls.of(read_pairs(table, pair_filter=pair_filter))

    @classmethod
    def of(cls, pairs: PairsRead) -> Interactions:
        """The pairs that `read_pairs` read."""
        return cls(
            users=pairs.users,
            items=pairs.items,
            user_rows=pairs.user_rows,
            item_rows=pairs.item_rows,
            timestamps=pairs.timestamps,
            report=pairs.report,
        )

    def __len__(self) -> int:
        return len(self.user_rows)

    def __repr__(self) -> str:
        return f"Interactions({len(self.users)} users, {len(self.items)} items, {len(self)} pairs)"

    def history(self) -> History:
        """The pairs as compressed sparse rows; shares the item rows."""
        return History(row_starts(self.user_rows, len(self.users)), self.item_rows, len(self.items))

    def select(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.integer[Any]]) -> Interactions:
        """Some of the pairs, over the same users and items.

        Args:
            chosen: a bool mask (pairs,), or positions of pairs in any order, none twice.
        """
        chosen = np.asarray(chosen)
        positions = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else np.sort(chosen)
        return replace(
            self,
            user_rows=self.user_rows[positions],
            item_rows=self.item_rows[positions],
            timestamps=None if self.timestamps is None else self.timestamps[positions],
        )

    def shuffled_rows(self, seed: int) -> Interactions:
        """The same ids and pairs with users and items numbered in an order drawn by the seed.

        Rows follow first appearance in many public files, and that follows popularity; experiments
        number them by the seed, so that nothing can profit from the order.
        """
        rng = random_stream(seed, "row order")
        user_order = rng.permutation(len(self.users))  # new row -> old row
        item_order = rng.permutation(len(self.items))
        user_rows = np.argsort(user_order).astype(np.int32)[self.user_rows]
        item_rows = np.argsort(item_order).astype(np.int32)[self.item_rows]
        order = np.lexsort([item_rows, user_rows])
        return replace(
            self,
            users=IdMap(self.users.series.gather(user_order)),
            items=IdMap(self.items.series.gather(item_order)),
            user_rows=user_rows[order],
            item_rows=item_rows[order],
            timestamps=None if self.timestamps is None else self.timestamps[order],
        )

    def to_polars(self) -> pl.DataFrame:
        """The pairs as a table with columns `user_id`, `item_id` and, where known, `timestamp`."""
        columns = {
            "user_id": self.users.series.gather(self.user_rows),
            "item_id": self.items.series.gather(self.item_rows),
        }
        if self.timestamps is not None:
            columns["timestamp"] = pl.Series(self.timestamps)
        return pl.DataFrame(columns)

    def digest(self) -> str:
        """SHA-256 in hex over the ids in row order, the pairs and the timestamps."""
        digest = hashlib.sha256()
        for id_map in (self.users, self.items):
            _add_ids(digest, id_map)
        for array in (self.user_rows, self.item_rows, self.timestamps):
            if array is not None:
                digest.update(array.dtype.str.encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def pair_keys(self) -> npt.NDArray[np.int64]:
        """One number for each pair, int64 (pairs,), ascending; equal for equal pairs of rows."""
        return self.user_rows.astype(np.int64) * len(self.items) + self.item_rows


def _add_ids(digest: hashlib._Hash, id_map: IdMap) -> None:
    digest.update(f"{len(id_map)} {id_map.dtype_name} ".encode())
    if id_map.dtype_name == "int":
        digest.update(np.ascontiguousarray(id_map.series.to_numpy()).data)
        return
    # Lengths first, so that no two lists of texts run together into the same bytes.
    digest.update(id_map.series.str.len_bytes().cast(pl.Int64).to_numpy().data)
    digest.update("".join(id_map.series.to_list()).encode())
