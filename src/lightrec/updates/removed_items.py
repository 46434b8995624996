"""Items that were removed stay out until somebody puts them back by name.

A log of interactions goes on naming an item long after it was removed. So a model keeps the ids of
what was removed from it, in `config.json` under `config.removed_items`, in the order in which they
went; updates pass over them. A model of an earlier release holds none.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from lightrec.artifact.contents import Model
from lightrec.errors import ArtifactError
from lightrec.interactions.id_map import IdMap
from lightrec.interactions.matching_ids import matching_rows

REMOVED = "removed_items"
MOST_REMOVED = 1_000_000
"""Ids that are kept, some 20 MB; beyond that those removed first are forgotten first."""


def removed_items(model: Model) -> IdMap:
    """The ids of what was removed, in the type of the model's item ids.

    Raises:
        ArtifactError: The config holds something else under that name.
    """
    listed = model.config.get(REMOVED, [])
    kind, dtype = (str, pl.String) if model.item_ids.dtype_name == "str" else (int, pl.Int64)
    if not isinstance(listed, list) or any(type(value) is not kind for value in listed):
        raise _unsound()
    try:
        return IdMap(pl.Series("item_id", listed, dtype=dtype))
    except (ValueError, OverflowError, TypeError, pl.exceptions.PolarsError):  # twice, or too large
        raise _unsound() from None


def with_removed(model: Model, ids: pl.Series) -> tuple[Model, int]:
    """The model with ids put to those that were removed.

    Args:
        model: The model.
        ids: Ids of its type.

    Returns:
        The model, and how many of those removed first it had to forget.
    """
    listed = list(dict.fromkeys([*removed_items(model).series.to_list(), *ids.to_list()]))
    return _keeping(model, listed[-MOST_REMOVED:]), max(len(listed) - MOST_REMOVED, 0)


def without_removed(model: Model, ids: pl.Series) -> Model:
    """The model with ids taken from those that were removed: they may come in again."""
    listed = removed_items(model).series
    return _keeping(model, listed.filter(~listed.is_in(ids.implode())).to_list())


def with_removed_of(new: Model, old: Model) -> tuple[Model, list[str | int]]:
    """A model that takes an old one's place, with what was removed from the old one.

    Args:
        new: The new model.
        old: The old one.

    Returns:
        The model, and the ids removed from the old one that the new one has again.
    """
    gone = removed_items(old)
    back = pl.Series(matching_rows(gone, new.item_ids) >= 0, dtype=pl.Boolean)
    held = pl.Series(matching_rows(gone, removed_items(new)) >= 0, dtype=pl.Boolean)
    kept = gone.series.filter(~back & ~held)
    if new.item_ids.dtype_name == "str":
        kept = kept.cast(pl.String)
    elif kept.dtype == pl.String:  # what is no integer can never come back here
        numbers = kept.cast(pl.Int64, strict=False)
        kept = numbers.filter(numbers.cast(pl.String) == kept)
    return with_removed(new, kept)[0], gone.series.filter(back).to_list()


def _keeping(model: Model, listed: list[str] | list[int]) -> Model:
    config = {name: value for name, value in model.config.items() if name != REMOVED}
    if listed:
        config[REMOVED] = listed
    return replace(model, config=config, digest=None)


def _unsound() -> ArtifactError:
    return ArtifactError(
        f"config.json: {REMOVED} must be a list of different ids of the type of the items' ids; "
        "restore the model from a copy"
    )
