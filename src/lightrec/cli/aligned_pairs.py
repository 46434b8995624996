"""A table of pairs in the rows of a model: what it knows, and a count of what it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightrec.errors import InputError
from lightrec.interactions.history import History
from lightrec.interactions.matching_ids import matching_rows
from lightrec.interactions.shared_pairs import shared_pair_keys

if TYPE_CHECKING:
    from lightrec.artifact import Model
    from lightrec.interactions.id_map import IdMap
    from lightrec.interactions.interactions import Interactions


@dataclass(frozen=True, eq=False)
class AlignedPairs:
    """Pairs that a model can rank, and what it cannot.

    Attributes:
        known: the pairs of users and items that the model knows, in its rows.
        pairs: number of pairs in the table.
        unknown_users: users of the table that the model does not know.
        unknown_items: likewise items.
        unknown_user_pairs: pairs of unknown users.
        unknown_item_pairs: pairs of known users with unknown items.
    """

    known: History
    pairs: int
    unknown_users: int
    unknown_items: int
    unknown_user_pairs: int
    unknown_item_pairs: int

    @classmethod
    def of(cls, interactions: Interactions, model: Model) -> AlignedPairs:
        """Finds the model's row of every user and item.

        Raises:
            InputError: the model knows no pair at all.
        """
        user_of = matching_rows(interactions.users, model.user_ids)
        item_of = matching_rows(interactions.items, model.item_ids)
        user_rows, item_rows = user_of[interactions.user_rows], item_of[interactions.item_rows]
        known = (user_rows >= 0) & (item_rows >= 0)
        if not known.any():
            raise InputError(
                f"{interactions.report.source}: the model knows none of its {len(known):,} pairs; "
                f"its first user id is {interactions.users.ids([0])[0]!r}, the model's is "
                f"{_first(model.user_ids)}; its first item id is "
                f"{interactions.items.ids([0])[0]!r}, the model's is {_first(model.item_ids)}"
            )
        return cls(
            known=History.from_pairs(
                user_rows[known], item_rows[known], model.num_users, model.num_items
            ),
            pairs=len(known),
            unknown_users=int((user_of < 0).sum()),
            unknown_items=int((item_of < 0).sum()),
            unknown_user_pairs=int((user_rows < 0).sum()),
            unknown_item_pairs=int(((user_rows >= 0) & (item_rows < 0)).sum()),
        )

    def describe_unknown(self) -> list[str]:
        """What was left out, one line each; empty when nothing was."""
        counts = (
            (self.unknown_user_pairs, self.unknown_users, "users"),
            (self.unknown_item_pairs, self.unknown_items, "items"),
        )
        return [
            f"{pairs:,} of {self.pairs:,} pairs cannot be ranked: the model does not know "
            f"{ids:,} of the {what}"
            for pairs, ids, what in counts
            if pairs
        ]


def shared_pairs(first: History, second: History, model: Model, at_most: int) -> list[str]:
    """The first pairs that stand in both, as readable ids."""
    shared = shared_pair_keys(first, second)
    few = shared[:at_most]
    users = model.user_ids.ids(few // first.num_items)
    items = model.item_ids.ids(few % first.num_items)
    shown = [f"({user!r}, {item!r})" for user, item in zip(users, items, strict=True)]
    return shown if len(shared) <= at_most else [*shown, f"and {len(shared) - at_most:,} more"]


def _first(ids: IdMap) -> str:
    return repr(ids.ids([0])[0]) if len(ids) else "none"
