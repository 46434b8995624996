"""From any table of interactions to ids, pairs and a report of what became of every row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from lightrec.errors import ArgumentError, InputError
from lightrec.interactions.cell_values import Timestamps, ids_of, ratings_of, timestamps_of
from lightrec.interactions.columns import (
    ITEM,
    RATING,
    TIMESTAMP,
    USER,
    ColumnNames,
    listing,
    weight_columns,
)
from lightrec.interactions.filters import PairFilter, in_groups_of_at_least, merge_duplicates
from lightrec.interactions.id_map import IdMap
from lightrec.interactions.read_items import read_catalogue
from lightrec.interactions.read_report import ReadReport
from lightrec.interactions.read_tables import TableSource, open_table


@dataclass(frozen=True, eq=False)
class PairsRead:
    """Pairs sorted by user and item row, and the row of the table that each came from.

    Attributes:
        users: ids in order of first appearance.
        items: ids in the items table's order, then others in order of first appearance.
        user_rows: int32 (pairs,).
        item_rows: int32 (pairs,).
        timestamps: int64 or float64 (pairs,), or None.
        source_rows: rows of the table, int64 (pairs,).
        report: what became of every row.
    """

    users: IdMap
    items: IdMap
    user_rows: npt.NDArray[np.int32]
    item_rows: npt.NDArray[np.int32]
    timestamps: Timestamps | None
    source_rows: npt.NDArray[np.int64]
    report: ReadReport


def read_pairs(
    source: TableSource,
    columns: ColumnNames | None = None,
    items: TableSource | None = None,
    pair_filter: PairFilter | None = None,
) -> PairsRead:
    """Reads a table of interactions; arguments and errors as in `Interactions.from_table`."""
    table = open_table(source)
    pair_filter = pair_filter or PairFilter()
    columns = ColumnNames() if columns is None else columns
    if not isinstance(columns, ColumnNames):
        raise ArgumentError(f"columns must be ColumnNames(user_id=...), not {columns!r}")
    names = columns.resolve(table.names, table.label)
    frame = table.read(list(names.values()))
    ratings = ratings_of(frame, names[RATING], table) if RATING in names else None
    times = timestamps_of(frame, names[TIMESTAMP], table) if TIMESTAMP in names else None
    if pair_filter.rating_above is not None and ratings is None:
        raise InputError(
            f"{table.label} has no rating column for rating_above={pair_filter.rating_above:g}; "
            f"{listing(table.names)}; name it with --rating-column NAME or "
            "ColumnNames(rating=NAME), or do not filter"
        )
    items = table.catalogue if items is None else items
    catalogue = None if items is None else read_catalogue(items, columns)[ITEM]
    item_column, catalogue, notes = _of_one_type(ids_of(frame, names[ITEM], table), catalogue)
    notes = [*table.notes, *notes]
    if ratings is not None and pair_filter.rating_above is None:
        notes.append(
            f"ratings are not used: every row counts as liked, whatever its {names[RATING]!r} (see "
            "rating_above)"
        )
    notes += [
        f"column {name!r} is not used: every row counts once (--rating-column and --rating-above "
        "keep the rows above a value)"
        for name in weight_columns(table.names)
        if name not in names.values()
    ]

    users, user_rows = _numbered(ids_of(frame, names[USER], table))
    items_seen, item_rows = _numbered(item_column, catalogue)
    distinct = merge_duplicates(user_rows, item_rows, times, ratings)
    rated = distinct
    if ratings is not None and pair_filter.rating_above is not None:
        rated = distinct[ratings[distinct] > pair_filter.rating_above]
    by_user = rated[in_groups_of_at_least(user_rows[rated], pair_filter.min_pairs_per_user)]
    kept = by_user[in_groups_of_at_least(item_rows[by_user], pair_filter.min_pairs_per_item)]
    if not len(kept):
        raise InputError(
            f"{table.label}: none of {frame.height:,} rows passes the filters; relax them"
        )

    listed = 0 if catalogue is None else len(catalogue)
    used_users, kept_user_rows = _renumbered(users, user_rows[kept], always_used=0)
    used_items, kept_item_rows = _renumbered(items_seen, item_rows[kept], always_used=listed)
    report = ReadReport(
        source=table.label,
        rows_in=frame.height + table.left_out,
        rows_used=len(kept),
        below_rating=len(distinct) - len(rated) + table.left_out,
        merged_duplicates=frame.height - len(distinct),
        below_user_minimum=len(rated) - len(by_user),
        below_item_minimum=len(by_user) - len(kept),
        users_dropped=len(users) - len(used_users),
        items_dropped=len(items_seen) - len(used_items),
        items_without_pairs=len(used_items) - int(np.count_nonzero(np.bincount(kept_item_rows))),
        items_added=len(used_items) - listed if catalogue is not None else 0,
        columns=names,
        notes=tuple(notes),
    )
    return PairsRead(
        users=used_users,
        items=used_items,
        user_rows=kept_user_rows,
        item_rows=kept_item_rows,
        timestamps=None if times is None else times[kept],
        source_rows=kept,
        report=report,
    )


def _of_one_type(
    ids: pl.Series, catalogue: pl.Series | None
) -> tuple[pl.Series, pl.Series | None, list[str]]:
    """Item ids of both tables in one type: text wins, as an integer has one canonical spelling."""
    if catalogue is None or catalogue.dtype == ids.dtype:
        return ids, catalogue, []
    which = "the items table" if ids.dtype == pl.String else "the interactions"
    note = f"integer item ids of {which} are read as text, as those of the other table are"
    return ids.cast(pl.String), catalogue.cast(pl.String), [note]


def _numbered(
    ids: pl.Series, catalogue: pl.Series | None = None
) -> tuple[IdMap, npt.NDArray[np.int64]]:
    """Numbers ids by the catalogue's order, then by first appearance; rows int64 (n,)."""
    distinct = ids.unique(maintain_order=True)
    if catalogue is not None:
        distinct = pl.concat(
            [catalogue.alias(ids.name), distinct.filter(IdMap(catalogue).find(distinct) < 0)]
        )
    # A hash join: IdMap.find sorts its ids first, for which many repeated ones are too many.
    numbers = pl.DataFrame({"id": distinct, "row": np.arange(len(distinct), dtype=np.int64)})
    rows = ids.alias("id").to_frame().join(numbers, on="id", how="left", maintain_order="left")
    return IdMap(distinct), rows["row"].to_numpy()


def _renumbered(
    id_map: IdMap, rows: npt.NDArray[np.int64], always_used: int
) -> tuple[IdMap, npt.NDArray[np.int32]]:
    """Leaves out ids without a pair, except the first `always_used`; the order stays."""
    used = np.zeros(len(id_map), dtype=np.bool_)
    used[:always_used] = True
    used[rows] = True
    if used.all():
        return id_map, rows.astype(np.int32)
    new_rows = np.cumsum(used) - 1
    return IdMap(id_map.series.filter(pl.Series(used))), new_rows[rows].astype(np.int32)
