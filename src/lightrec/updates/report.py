"""What an update did, and what it could not do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lightrec.artifact.contents import Model
from lightrec.errors import ArgumentError

SHOWN_IDS = 5


@dataclass(frozen=True)
class Update:
    """A model up to date, and what was done.

    Nothing that was given is dropped without being counted here: `pairs_read == pairs_added +
    pairs_known + pairs_left_out + pairs_kept_out`.

    Attributes:
        model: The new model; the one given is as it was.
        items_removed: Items taken out.
        items_added: Items put in.
        items_described: Known items whose columns the items table changed.
        items_left_out: Ids of the interactions' items that nobody touched whom the model knows,
            or now gets to know: there is nothing to encode them by.
        items_kept_out: Ids of the interactions' items that were removed earlier, or just now, and
            that `restore_items` does not name.
        items_restored: Removed items that may come in again.
        items_sharing_a_code: Of those added, items whose code another item has too: no user can
            tell the two apart but by post-ranking.
        ids_sharing_a_code: The first few of them.
        users_added: New users.
        users_refitted: Known users with new interactions, fitted anew.
        users_kept: Known users with new interactions who keep what training gave them, because the
            model was saved without the pairs that they were trained on.
        users_left_out: Ids of new users all of whose items were left out or kept out: nothing is
            known of them.
        pairs_read: Pairs of the interactions.
        pairs_added: Those that the model did not know; all, where it was saved without its pairs.
        pairs_known: Those that it knew.
        pairs_left_out: Those of items left out.
        pairs_kept_out: Those of items kept out.
        notes: Further remarks, one sentence each.

    Raises:
        ArgumentError: The pairs do not add up.
    """

    model: Model
    items_removed: int = 0
    items_added: int = 0
    items_described: int = 0
    items_left_out: tuple[str | int, ...] = ()
    items_kept_out: tuple[str | int, ...] = ()
    items_restored: int = 0
    items_sharing_a_code: int = 0
    ids_sharing_a_code: tuple[str | int, ...] = ()
    users_added: int = 0
    users_refitted: int = 0
    users_kept: int = 0
    users_left_out: tuple[str | int, ...] = ()
    pairs_read: int = 0
    pairs_added: int = 0
    pairs_known: int = 0
    pairs_left_out: int = 0
    pairs_kept_out: int = 0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        told = self.pairs_added + self.pairs_known + self.pairs_left_out + self.pairs_kept_out
        if self.pairs_read != told:
            raise ArgumentError(
                f"{self.pairs_read} pairs read, but {told} told of: {self.pairs_added} added, "
                f"{self.pairs_known} known, {self.pairs_left_out} left out, "
                f"{self.pairs_kept_out} kept out"
            )

    def counts(self) -> dict[str, int]:
        """The numbers by name, ids counted."""
        return {
            "items_removed": self.items_removed,
            "items_added": self.items_added,
            "items_described": self.items_described,
            "items_left_out": len(self.items_left_out),
            "items_kept_out": len(self.items_kept_out),
            "items_restored": self.items_restored,
            "items_sharing_a_code": self.items_sharing_a_code,
            "users_added": self.users_added,
            "users_refitted": self.users_refitted,
            "users_kept": self.users_kept,
            "users_left_out": len(self.users_left_out),
            "pairs_read": self.pairs_read,
            "pairs_added": self.pairs_added,
            "pairs_known": self.pairs_known,
            "pairs_left_out": self.pairs_left_out,
            "pairs_kept_out": self.pairs_kept_out,
        }

    def describe(self) -> str:
        """The report as a few lines of text; what did not happen is left out."""
        now = self.model.num_items
        lines = [
            f"items: {self.items_removed:,} removed, {self.items_added:,} added; "
            f"{now - self.items_added + self.items_removed:,} before, {now:,} now"
        ]
        if self.items_restored:
            lines.append(f"  {self.items_restored:,} removed ones may come in again")
        if self.items_described:
            lines.append(f"  {self.items_described:,} known ones have other columns now")
        if self.items_sharing_a_code:
            lines.append(
                f"  {self.items_sharing_a_code:,} of those added share their code with another "
                f"item: {shown(self.ids_sharing_a_code, self.items_sharing_a_code)}"
            )
        if self.items_left_out:
            lines.append(
                f"  {len(self.items_left_out):,} left out, because no user says anything about "
                f"them: {shown(self.items_left_out)}"
            )
        if self.items_kept_out:
            lines.append(
                f"  {len(self.items_kept_out):,} kept out, because they were removed (to be "
                f"restored by name): {shown(self.items_kept_out)}"
            )
        if self.pairs_read:
            lines += self._of_pairs()
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def _of_pairs(self) -> list[str]:
        lines = [
            f"users: {self.users_added:,} added, {self.users_refitted:,} known ones fitted anew"
        ]
        if self.users_left_out:
            lines.append(
                f"  {len(self.users_left_out):,} left out, because nothing is known of them: "
                f"{shown(self.users_left_out)}"
            )
        kept_out = f", {self.pairs_kept_out:,} of items kept out" if self.pairs_kept_out else ""
        lines.append(
            f"pairs: {self.pairs_read:,} read, {self.pairs_added:,} new, {self.pairs_known:,} "
            f"known before, {self.pairs_left_out:,} of items left out{kept_out}"
        )
        return lines


def shown(ids: Sequence[str | int], count: int | None = None) -> str:
    """The first few ids, and how many more there are.

    Args:
        ids: At least the first few.
        count: How many there are in all; as many as ids when None.
    """
    more = (len(ids) if count is None else count) - SHOWN_IDS
    return _listed(ids[:SHOWN_IDS]) + (f" and {more:,} more" if more > 0 else "")


def _listed(ids: Iterable[str | int]) -> str:
    return ", ".join(map(repr, ids))
