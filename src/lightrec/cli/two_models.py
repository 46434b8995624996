"""Two models measured on the same pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightrec.cli.aligned_pairs import AlignedPairs
from lightrec.cli.evaluate import measure, refuse_trained_on
from lightrec.errors import ArgumentError, InputError

if TYPE_CHECKING:
    import numpy as np

    from lightrec.artifact import Model
    from lightrec.interactions import Interactions


_NO_HISTORY = (
    "the {} model was saved without its training pairs, which measuring leaves out of the ranking; "
    "save models with their history"
)
_NONE_KNOWN = "{}: no pair's user and item are known to both models"


@dataclass(frozen=True)
class Measured:
    """Ranking quality of an old and a new model.

    Attributes:
        pairs: Pairs whose user and item both models know.
        users: Their users.
        old: Means over the users, by the names of `evaluation.metrics`.
        new: Likewise.
    """

    pairs: int
    users: int
    old: Mapping[str, float]
    new: Mapping[str, float]


def measured_alike(old: Model, new: Model, pairs: Interactions, source: str) -> Measured:
    """Measures both on the pairs that both can rank.

    Args:
        old: A model.
        new: Another.
        pairs: Pairs that neither was trained on.
        source: The file of the pairs, for errors.

    Raises:
        InputError: No pair is known to both, or one was trained on them.
        ArgumentError: A model was saved without its training pairs.
    """
    for name, model in (("old", old), ("new", new)):
        if model.history is None:
            raise ArgumentError(_NO_HISTORY.format(name))
    shared = _known(old, pairs) & _known(new, pairs)
    if not shared.any():
        raise InputError(_NONE_KNOWN.format(source))
    common = pairs.select(shared)
    means = []
    for model in (old, new):
        assert model.history is not None
        sought = AlignedPairs.of(common, model).known
        means.append(measure(model, model.history, sought, source)["lightrec"])
    users = len(set(common.user_rows.tolist()))
    return Measured(int(shared.sum()), users, means[0], means[1])


def check_can_be_measured(
    old: Model, trained: Interactions, pairs: Interactions, source: str
) -> None:
    """Refuses, before a long training, pairs that the outcome could not be compared on.

    Args:
        old: The model to compare with.
        trained: What the other model will be trained on.
        pairs: What both are to be measured on.
        source: The file of the pairs, for errors.

    Raises:
        InputError: No pair's user and item will be known to both, or one of them is trained on one.
        ArgumentError: The old model was saved without its training pairs.
    """
    import numpy as np

    from lightrec.interactions.matching_ids import matching_rows

    if old.history is None:
        raise ArgumentError(_NO_HISTORY.format("old"))
    users = matching_rows(pairs.users, trained.users)[pairs.user_rows]
    items = matching_rows(pairs.items, trained.items)[pairs.item_rows]
    known = (users >= 0) & (items >= 0) & _known(old, pairs)
    if not known.any():
        raise InputError(_NONE_KNOWN.format(source))
    shared = np.isin(users[known] * len(trained.items) + items[known], trained.pair_keys())
    if shared.any():
        row = int(np.flatnonzero(known)[shared.argmax()])
        user = pairs.users.ids(pairs.user_rows[row : row + 1])[0]
        item = pairs.items.ids(pairs.item_rows[row : row + 1])[0]
        raise InputError(
            f"{source}: {int(shared.sum()):,} of its pairs are among those to train on, such as "
            f"user {user!r}, item {item!r}; give pairs that the models do not see (lightrec split "
            "makes such a table)"
        )
    refuse_trained_on(old, old.history, AlignedPairs.of(pairs, old).known, source)


def _known(model: Model, pairs: Interactions) -> np.ndarray:
    from lightrec.interactions.matching_ids import matching_rows

    users = matching_rows(pairs.users, model.user_ids)[pairs.user_rows]
    items = matching_rows(pairs.items, model.item_ids)[pairs.item_rows]
    return (users >= 0) & (items >= 0)
