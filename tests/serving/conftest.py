"""A small model in every user form."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from lightrec.artifact.contents import Model, UserForm, Users
from lightrec.codes.item_codes import ItemCodes
from lightrec.interactions.history import History
from lightrec.interactions.id_map import IdMap

NUM_USERS, NUM_ITEMS, WIDTH, QUERY_WIDTH = 9, 60, 6, 4
GENRES = ("crime", "poetry", "travel")


def _user_values(form: str, rng: np.random.Generator) -> np.ndarray:
    if form == "table":
        return rng.normal(size=(NUM_USERS, 3, 16)).astype(np.float32)
    return rng.normal(size=(NUM_USERS, WIDTH)).astype(np.float32)


def _map_weights(form: str, mapped: bool, rng: np.random.Generator) -> dict[str, Any] | None:
    if form == "fitted" and mapped:
        return {"0.weight": rng.normal(size=(WIDTH, QUERY_WIDTH)).astype(np.float32)}
    widths = {"linear": (QUERY_WIDTH, WIDTH), "mlp": (QUERY_WIDTH, 5, WIDTH)}.get(form)
    if widths is None:
        return None
    weights = {}
    for layer, (wide, narrow) in enumerate(itertools.pairwise(widths)):
        weights[f"{layer}.weight"] = rng.normal(size=(narrow, wide)).astype(np.float32)
        weights[f"{layer}.bias"] = rng.normal(size=narrow).astype(np.float32)
    return weights


def _make_model(
    form: UserForm = "identity",
    *,
    seed: int = 0,
    user_ids: list[Any] | None = None,
    item_ids: list[Any] | None = None,
    dtype: Any = np.float32,
    with_history: bool = True,
    with_float_items: bool = True,
    mapped: bool = False,
    config: dict[str, Any] | None = None,
    item_columns: dict[str, Any] | None = None,
) -> Model:
    rng = np.random.default_rng(seed)
    weights = _map_weights(form, mapped, rng)
    query_width = WIDTH if weights is None else QUERY_WIDTH
    pairs = rng.integers((NUM_USERS, NUM_ITEMS), size=(70, 2))
    columns = {
        "popularity": pl.Series(rng.integers(0, 40, NUM_ITEMS), dtype=pl.Int64),
        "genre": pl.Series([GENRES[row % 3] for row in range(NUM_ITEMS)]),
        "year": pl.Series([None if row % 7 == 0 else 1990 + row % 5 for row in range(NUM_ITEMS)]),
    }
    return Model(
        config=config or {},
        item_codes=ItemCodes(
            rng.integers(0, 16, (NUM_ITEMS, 3), dtype=np.uint8),
            rng.normal(size=(3, 16, WIDTH)).astype(np.float32),
        ),
        users=Users(form, _user_values(form, rng).astype(dtype), weights),
        user_ids=IdMap.from_values(user_ids or [f"u{row}" for row in range(NUM_USERS)], "user"),
        item_ids=IdMap.from_values(item_ids or [f"i{row}" for row in range(NUM_ITEMS)], "item"),
        item_columns=pl.DataFrame({**columns, **(item_columns or {})}),
        history=History.from_pairs(pairs[:, 0], pairs[:, 1], NUM_USERS, NUM_ITEMS)
        if with_history
        else None,
        float_items=rng.normal(size=(NUM_ITEMS, query_width)).astype(np.float32)
        if with_float_items
        else None,
    )


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Model]:
    """Builds a model of 9 users and 60 items; every part of it can be asked for."""
    return _make_model
