"""What happened to every row that was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lightrec.errors import ArgumentError


@dataclass(frozen=True)
class ReadReport:
    """How the rows of a table became pairs; nothing is dropped without being counted here.

    The counts always add up: `rows_in == rows_used + below_rating + merged_duplicates +
    below_user_minimum + below_item_minimum`.

    Attributes:
        source: the file, or the kind of table.
        rows_in: data rows found.
        rows_used: pairs kept.
        below_rating: rows dropped because their rating was too low.
        merged_duplicates: rows merged into another row of the same user and item.
        below_user_minimum: rows dropped because their user had too few pairs.
        below_item_minimum: rows dropped because their item had too few pairs.
        users_dropped: users without a pair left after the rating and minimum filters.
        items_dropped: likewise items, unless an items table keeps them in the catalogue.
        items_without_pairs: catalogue items from the items table that no pair mentions.
        items_added: items of pairs that the items table lacks, appended to the catalogue.
        columns: the table's column read for each of user_id, item_id, rating, timestamp.
        notes: further remarks, one sentence each.

    Raises:
        ArgumentError: the counts do not add up.
    """

    source: str
    rows_in: int
    rows_used: int
    below_rating: int = 0
    merged_duplicates: int = 0
    below_user_minimum: int = 0
    below_item_minimum: int = 0
    users_dropped: int = 0
    items_dropped: int = 0
    items_without_pairs: int = 0
    items_added: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.rows_in != self.rows_used + self.rows_not_used:
            raise ArgumentError(
                f"{self.source}: {self.rows_in} rows read, but {self.rows_used} used and "
                f"{self.rows_not_used} reported as not used"
            )

    @property
    def rows_not_used(self) -> int:
        """Rows dropped or merged, for whatever reason."""
        return (
            self.below_rating
            + self.merged_duplicates
            + self.below_user_minimum
            + self.below_item_minimum
        )

    def describe(self) -> str:
        """The report as a few lines of text; counts of zero are left out."""
        lines = [f"{self.source}: {self.rows_in:,} rows read, {self.rows_used:,} pairs used"]
        counted = (
            (self.below_rating, "rows dropped: rating too low"),
            (self.merged_duplicates, "rows merged: same user and item again"),
            (self.below_user_minimum, "rows dropped: user with too few pairs"),
            (self.below_item_minimum, "rows dropped: item with too few pairs"),
            (self.users_dropped, "users dropped with them"),
            (self.items_dropped, "items dropped with them"),
            (self.items_without_pairs, "catalogue items without any pair (kept)"),
            (self.items_added, "items that the items table lacks (added)"),
        )
        width = max(len(f"{count:,}") for count, _ in counted)
        lines += [f"  {count:>{width},} {meaning}" for count, meaning in counted if count]
        renamed = [f"{found!r} as {name}" for name, found in self.columns.items() if found != name]
        if renamed:
            lines.append(f"  columns read: {', '.join(renamed)}")
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)
