"""The pairs on which given vectors are measured once they are compressed, and who is fitted anew.

Test pairs are found again among all items but those of the interactions. Where a form of users is
chosen too, some users' test pairs choose it and the others' measure it.

Without test pairs some of the interactions are sought. Fitted users and score tables were made
without looking at the interactions, which no ranking will show, so that they would be measured on
the very pairs that they know least about. Therefore a share of the pairs is held out, and the
users are fitted anew with the others, for the table alone: the model ships users who were fitted
with all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightrec.evaluation.judging import JUDGED_USERS
from lightrec.interactions.history import History
from lightrec.interactions.random_streams import random_stream

HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class MeasuredPairs:
    """What to rank, and for whom.

    Attributes:
        title: What the pairs are.
        exclude: Pairs that are not ranked, of the users in `user_rows` by all items.
        sought: Pairs to find, likewise; empty where there is none.
        user_rows: The users who are measured; None for all.
        fitted_anew: Whether their users are to be fitted with `exclude` alone.
        choosing: Test pairs on which the form of users is chosen; None where it is not.
    """

    title: str
    exclude: History
    sought: History
    user_rows: np.ndarray | None = None
    fitted_anew: bool = False
    choosing: History | None = None


def measured_on_test(
    history: History | None, test: History, seed: int, *, choosing: bool
) -> MeasuredPairs:
    """Test pairs; where a form is chosen, by some users and measured on the others.

    Args:
        history: The interactions, M users by N items; None where there are none.
        test: The test pairs, likewise.
        seed: Of the draw of who chooses.
        choosing: Whether a form of users is to be chosen.
    """
    exclude = history or _of_users(test, np.zeros(0, np.int64))
    title = f"{len(test):,} test pairs"
    if not choosing:
        return MeasuredPairs(title, exclude, test)
    users = np.flatnonzero(test.user_degrees())
    if len(users) < 2:
        title += ", on which the form of users was chosen too"
        return MeasuredPairs(title, exclude, test, choosing=test)
    drawn = random_stream(seed, "users who choose the form").permutation(users)
    most = min(len(users) // 2, JUDGED_USERS)
    chosen_by, measured = _of_users(test, drawn[:most]), _of_users(test, drawn[most:])
    title = (
        f"{len(measured):,} test pairs of {len(users) - most:,} users; the form of users was "
        f"chosen on those of {most:,} others"
    )
    return MeasuredPairs(title, exclude, measured, choosing=chosen_by)


def measured_on_interactions(history: History, seed: int) -> MeasuredPairs:
    """A uniform share of the interactions, never a user's only one, of a bounded number of users.

    Args:
        history: The interactions.
        seed: Of the users, where they are many, and of the pairs.
    """
    rng = random_stream(seed, "interactions to measure on")
    rows = None
    if history.num_users > JUDGED_USERS:
        several = np.flatnonzero(history.user_degrees() > 1)
        rows = np.sort(rng.permutation(several)[:JUDGED_USERS])
        history = _rows_of(history, rows)
    held_out = _held_out(history, rng)
    users, items = history.user_rows(), history.item_rows
    exclude, sought = (
        History.from_pairs(users[part], items[part], history.num_users, history.num_items)
        for part in (~held_out, held_out)
    )
    title = (
        f"{len(sought):,} of the given interactions, with which no user was fitted (the vectors "
        "were trained on them: fit, not prediction)"
    )
    return MeasuredPairs(title, exclude, sought, rows, fitted_anew=True)


def _held_out(history: History, rng: np.random.Generator) -> np.ndarray:
    """Which pairs are held out, (pairs,) bool."""
    order = rng.random(len(history))
    by_user = np.lexsort((order, history.user_rows()))
    last_of_user = by_user[history.indptr[1:][history.user_degrees() > 0] - 1]
    order[last_of_user] = np.inf
    wanted = min(round(HELD_OUT_SHARE * len(history)), len(history) - len(last_of_user))
    held_out = np.zeros(len(history), dtype=np.bool_)
    held_out[np.argsort(order, kind="stable")[: max(wanted, 0)]] = True
    return held_out


def _of_users(pairs: History, user_rows: np.ndarray) -> History:
    """The pairs of some users, among as many users as before."""
    users = pairs.user_rows()
    kept = np.isin(users, user_rows)
    return History.from_pairs(users[kept], pairs.item_rows[kept], pairs.num_users, pairs.num_items)


def _rows_of(pairs: History, user_rows: np.ndarray) -> History:
    """The pairs of some users, who become rows 0, 1, ... in this order (which ascends)."""
    users = pairs.user_rows()
    kept = np.isin(users, user_rows)
    places = np.searchsorted(user_rows, users[kept])
    return History.from_pairs(places, pairs.item_rows[kept], len(user_rows), pairs.num_items)
