"""What an update tells adds up."""

from __future__ import annotations

import pytest

from lightrec.errors import ArgumentError
from lightrec.updates import Update, update


def test_pairs_that_do_not_add_up_are_refused(make_model):
    Update(
        make_model(), pairs_read=5, pairs_added=2, pairs_known=1, pairs_left_out=1, pairs_kept_out=1
    )
    with pytest.raises(ArgumentError, match="5 pairs read, but 4 told of"):
        Update(make_model(), pairs_read=5, pairs_added=3, pairs_known=1)


def test_every_pair_is_told_of_once(make_model, table):
    model = update(make_model(), remove_items="i3").model
    known = [("u0", model.item_ids.ids([int(row)])[0]) for row in model.history.of(0)[:3]]
    new = [("u0", "i117"), ("fresh", "i0"), ("u2", "made")]
    out = [("fresh", "i3"), ("u1", "i3"), ("nobody", "strange")]
    done = update(model, table([*known, *new, *out]))
    told = (done.pairs_known, done.pairs_added, done.pairs_kept_out, done.pairs_left_out)
    assert told == (3, 3, 2, 1)
    assert done.pairs_read == 9
    assert done.counts()["pairs_known"] == 3
    assert done.describe().splitlines() == [
        "items: 0 removed, 1 added; 119 before, 120 now",
        "  1 left out, because no user says anything about them: 'strange'",
        "  1 kept out, because they were removed (to be restored by name): 'i3'",
        "users: 1 added, 2 known ones fitted anew",
        "  1 left out, because nothing is known of them: 'nobody'",
        "pairs: 9 read, 3 new, 3 known before, 1 of items left out, 2 of items kept out",
    ]
