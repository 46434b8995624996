"""Validation pairs, set aside before anything is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lightrec.errors import InputError
from lightrec.interactions import Interactions, Split, time_split, validation_split
from lightrec.run_config import RunConfig


def hold_out(pairs: Interactions, config: RunConfig) -> Split:
    """Sets validation pairs aside: the latest where there are timestamps, else a uniform share.

    Only users with an earlier pair can be judged; the latest pairs of all others are left out of
    the validation, which the split's notes tell. Where less than half of the share would be left
    (most of the latest users are new, or many pairs have the same time), `auto` takes a uniform
    share instead, and says so in the notes.

    Raises:
        InputError: No pair can be held out.
    """
    share, by = config.validation.share, config.validation.by
    timed = by == "time" or (by == "auto" and pairs.timestamps is not None)
    held = _latest(pairs, share) if timed else validation_split(pairs, config.seed, share)
    if timed and by == "auto" and 2 * len(held.test) < round(share * len(pairs)):
        note = (
            f"among the latest {share:.0%} only {len(held.test):,} pairs can be judged, too few to "
            "choose by: a uniform share is held out instead"
        )
        held = validation_split(pairs, config.seed, share)
        held = replace(held, notes=(*held.notes, note))
    if not len(held.test):
        raise InputError(
            f"no validation pair can be held out of {len(pairs):,}: no pair is late enough, or no "
            "user has another; give more interactions, or set validation.by or validation.share"
        )
    return held


def _latest(pairs: Interactions, share: float) -> Split:
    """The latest pairs of users with an earlier one; none where too many have the same time."""
    try:
        latest = time_split(pairs, share)
    except InputError:
        if pairs.timestamps is None:
            raise
        nothing = np.zeros(len(pairs), np.bool_)
        return Split(pairs, pairs.select(nothing))
    return _of_known_users(latest.train, latest.test)


def _of_known_users(earlier: Interactions, latest: Interactions) -> Split:
    known = earlier.history().user_degrees()[latest.user_rows] > 0
    if known.all():
        return Split(earlier, latest)
    note = f"{int((~known).sum()):,} more, of users without an earlier pair, are not judged"
    return Split(earlier, latest.select(known), (note,))
