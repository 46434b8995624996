"""A new model in the place of an old one, if it is at least as good."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lightrec.cli.terminal import in_words, show
from lightrec.cli.two_models import measured_alike
from lightrec.errors import ArtifactError, LightRecError, NotPublishedError

if TYPE_CHECKING:
    from lightrec.artifact import Model
    from lightrec.interactions import Interactions


def publish(
    new: Model,
    out: Path,
    test: Interactions,
    source: str,
    run_folder: Path,
    *,
    with_history: bool,
    expected: str | None = None,
) -> None:
    """Saves a model to a folder that holds one, unless that one ranks better.

    What was removed from the old model stays out of updates of the new one, but for items that the
    new one was trained on. Once the new model is on the disk, wherever that is, the run's
    checkpoints are removed: what is settled must not stop the next run, which has other data.

    Args:
        new: The new model.
        out: Folder of the old one.
        test: Pairs that neither was trained on.
        source: Their file, for errors.
        run_folder: Of the training; its `model` takes the new model where the old one stays.
        with_history: Whether to keep the training pairs.
        expected: Digest of the old model as it was when the training began; None where it does not
            matter.

    Raises:
        NotPublishedError: The old model is better; it stays as it is.
        ArtifactError: The model in `out` changed while the new one was trained or compared; it
            stays as it is and the new one is kept.
        LightRecError: The two cannot be compared; the old model stays and the new one is kept.
    """
    from lightrec.artifact import load_model, save_model
    from lightrec.run.folder import clear_checkpoints
    from lightrec.updates.removed_items import with_removed_of
    from lightrec.updates.report import shown

    aside = run_folder / "model"
    try:
        old = load_model(out)
        new, returned = with_removed_of(new, old)
        if returned:
            show(
                f"{len(returned):,} items that were removed from {out} are in the new model, which "
                f"was trained on them: {shown(returned)}"
            )
        if expected not in (None, old.digest):
            raise ArtifactError(
                f"{out} changed while the new model was trained, so it was not replaced; the new "
                f"model is in {aside}: bring it up to date with what came since, lightrec update "
                f"{in_words(aside)} --interactions FILE --out {in_words(out)}"
            )
        told = _compared(old, new, test, source, out, aside)
        save_model(new, out, with_history=with_history, expected=old.digest)
    except LightRecError as error:
        new.save(aside, with_history=with_history)  # the training is not lost with it
        clear_checkpoints(run_folder)
        if not isinstance(error, NotPublishedError):
            show(f"The new model did not take the place of {out}; it is in {aside}.")
        raise
    clear_checkpoints(run_folder)
    show(f"{out} is replaced: {told}")


def _compared(
    old: Model, new: Model, test: Interactions, source: str, out: Path, aside: Path
) -> str:
    """What was measured, where the new model is at least as good."""
    from lightrec.evaluation.judging import value_of

    measured = measured_alike(old, new, test, source)
    old_value, new_value = value_of(dict(measured.old)), value_of(dict(measured.new))
    told = (
        f"Recall@100 + NDCG on {measured.pairs:,} pairs of {measured.users:,} users: "
        f"{old_value:.4f} before, {new_value:.4f} now"
    )
    if new_value < old_value:
        raise NotPublishedError(f"{out} was not replaced: {told}; the new model is in {aside}")
    return told
