"""Small models of every user form with every part, from random numbers: what is to be damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from lightrec.artifact import Model, Selection, UserForm, Users
from lightrec.codes.item_codes import ItemCodes
from lightrec.interactions.history import History
from lightrec.interactions.id_map import IdMap

FORMS: tuple[UserForm, ...] = ("identity", "linear", "mlp", "free", "fitted", "table")
TINY = "tiny"  # the model that is damaged in every place
TEACHER_WIDTH = 12


def make_models(folder: Path) -> None:
    """Saves two generations of a model of each form, and the tiny one; always the same bytes."""
    for form in FORMS:
        for generation in (0, 1):
            made_up_model(form, generation).save(folder / form / str(generation))
    made_up_model("identity", 0, tiny=True).save(folder / TINY)


def made_up_model(form: UserForm, generation: int, *, tiny: bool = False) -> Model:
    """A model with every part, from random numbers.

    Args:
        form: Of its users.
        generation: Other numbers and ids, of the same sizes.
        tiny: About 4 KB.
    """
    number = FORMS.index(form)
    rng = np.random.default_rng([number, generation, tiny])
    num_users, num_items, books, words, width = (3, 5, 2, 4, 2) if tiny else (24, 150, 4, 16, 8)
    query_width = TEACHER_WIDTH if form in ("linear", "mlp", "fitted") else width
    whole = [np.float32, np.float16][number % 2]

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    maps: dict[str, dict[str, tuple[int, ...]]] = {
        "linear": {"0.weight": (width, query_width), "0.bias": (width,)},
        "mlp": {
            "0.weight": (9, query_width),
            "0.bias": (9,),
            "2.weight": (width, 9),
            "2.bias": (width,),
        },
        "fitted": {"0.weight": (width, query_width)},
    }
    weights = {name: normal(*shape) for name, shape in maps.get(form, {}).items()}
    values = normal(num_users, books, words) if form == "table" else normal(num_users, width)
    cells = Selection(
        weights={"floors": np.abs(normal(3)) + np.float32(0.1)},
        centres=normal(3, query_width),
        metrics=normal(3, query_width, 2).astype(whole),
    )
    weights_of_encoder = {
        "weight": normal(books, query_width, width),
        "codeword_weight": normal(books, width),
        "of_word": normal(query_width, width),
        "of_state": normal(query_width, query_width),
    }
    trained = Selection("bilinear", "w_subtract_w", weights_of_encoder)
    pairs = num_users * 4
    ids = [f"{form} {generation} {row}" for row in range(max(num_users, num_items))]
    numbers = pl.Series(rng.permutation(num_items) * 7 - 3 + generation)
    texts = pl.Series(ids, dtype=pl.String)
    return Model(
        config={"seed": generation, "metrics": {form: {"recall@100": 0.25 + generation}}},
        item_codes=ItemCodes(
            rng.integers(0, words, (num_items, books), dtype=np.uint8), normal(books, words, width)
        ),
        users=Users(form, values.astype(whole), weights or None),
        user_ids=IdMap(texts.head(num_users), "user"),
        item_ids=IdMap(texts.head(num_items) if number % 3 == 2 else numbers),
        item_columns=pl.DataFrame(
            {
                "popularity": pl.Series(rng.integers(0, 99, num_items), dtype=pl.Int64),
                "title": pl.Series([f"title of {name}" for name in ids[:num_items]]),
            }
        ),
        history=History.from_pairs(
            rng.integers(0, num_users, pairs),
            rng.integers(0, num_items, pairs),
            num_users,
            num_items,
        ),
        selection=cells if form in ("fitted", "table") else trained,
        float_items=normal(num_items, query_width).astype(np.float16 if tiny else whole),
    )
