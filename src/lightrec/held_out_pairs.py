"""Validation pairs, set aside before anything is trained."""

from __future__ import annotations

from lightrec.errors import InputError
from lightrec.interactions import Interactions, Split, time_split, validation_split
from lightrec.run_config import RunConfig


def hold_out(pairs: Interactions, config: RunConfig) -> Split:
    """Sets validation pairs aside: the latest where there are timestamps, else a uniform share.

    Only users with an earlier pair can be judged; the latest pairs of all others are left out of
    the validation, which the split's notes tell. Where that would leave less than half of them,
    `auto` takes a uniform share instead.

    Raises:
        InputError: No pair can be held out.
    """
    share, by = config.validation.share, config.validation.by
    held = None
    if by == "time" or (by == "auto" and pairs.timestamps is not None):
        latest = time_split(pairs, share)
        held = _of_known_users(latest.train, latest.test)
        if by == "auto" and 2 * len(held.test) < len(latest.test):
            held = None
    held = held or validation_split(pairs, config.seed, share)
    if not len(held.test):
        raise InputError(
            f"no validation pair can be held out of {len(pairs):,}: no user has an earlier pair "
            "too; give more interactions, or set validation.by or validation.share"
        )
    return held


def _of_known_users(earlier: Interactions, latest: Interactions) -> Split:
    known = earlier.history().user_degrees()[latest.user_rows] > 0
    if known.all():
        return Split(earlier, latest)
    note = f"{int((~known).sum()):,} more, of users without an earlier pair, are not judged"
    return Split(earlier, latest.select(known), (note,))
