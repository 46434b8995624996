"""A new model in the place of an old one, if it is at least as good."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lightrec.cli.terminal import show
from lightrec.cli.two_models import measured_alike
from lightrec.errors import LightRecError, NotPublishedError

if TYPE_CHECKING:
    from lightrec.artifact import Model
    from lightrec.interactions import Interactions


def publish(
    new: Model,
    out: Path,
    test: Interactions,
    source: str,
    otherwise: Path,
    *,
    with_history: bool,
) -> None:
    """Saves a model to a folder that holds one, unless that one ranks better.

    Args:
        new: The new model.
        out: Folder of the old one.
        test: Pairs that neither was trained on.
        source: Their file, for errors.
        otherwise: Folder for the new model where the old one stays.
        with_history: Whether to keep the training pairs.

    Raises:
        NotPublishedError: The old model is better; it stays as it is.
        LightRecError: The two cannot be compared; the old model stays and the new one is kept.
    """
    from lightrec.artifact import load_model
    from lightrec.evaluation.judging import value_of

    try:
        measured = measured_alike(load_model(out), new, test, source)
    except LightRecError:
        new.save(otherwise, with_history=with_history)  # the training is not lost with it
        show(f"The new model could not be compared; it is in {otherwise}.")
        raise
    old_value, new_value = value_of(dict(measured.old)), value_of(dict(measured.new))
    told = (
        f"Recall@100 + NDCG on {measured.pairs:,} pairs of {measured.users:,} users: "
        f"{old_value:.4f} before, {new_value:.4f} now"
    )
    if new_value < old_value:
        new.save(otherwise, with_history=with_history)
        raise NotPublishedError(f"{out} was not replaced: {told}; the new model is in {otherwise}")
    new.save(out, with_history=with_history)
    show(f"{out} is replaced: {told}")
