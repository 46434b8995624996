"""A model whose items mean something: two tastes, and items of either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lightrec
from lightrec.artifact.contents import Model
from lightrec.codes.additive_quantization import AdditiveQuantizationConfig
from lightrec.codes.ranking_metric import RankingMetricConfig
from lightrec.compress import CompressConfig, CompressUsersConfig
from lightrec.interactions import Interactions

USERS, ITEMS, WIDTH = 80, 120, 6


def vectors(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Users and items of two tastes each, the even rows and the odd."""
    rng = np.random.default_rng(seed)
    tastes = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0][:2]
    users = 2 * tastes[np.arange(USERS) % 2] + 0.3 * rng.normal(size=(USERS, WIDTH))
    items = tastes[np.arange(ITEMS) % 2] + 0.3 * rng.normal(size=(ITEMS, WIDTH))
    return users.astype(np.float32), items.astype(np.float32)


def pairs_of_taste(seed: int = 0) -> list[tuple[str, str]]:
    """Eight items for each user, of the user's taste."""
    rng = np.random.default_rng(seed)
    return [
        (f"u{user}", f"i{item}")
        for user in range(USERS)
        for item in rng.choice(np.arange(user % 2, ITEMS, 2), 8, replace=False)
    ]


@pytest.fixture(scope="session")
def table() -> Callable[[list[tuple[Any, Any]]], Interactions]:
    """Interactions of listed pairs."""

    def make(pairs: list[tuple[Any, Any]]) -> Interactions:
        users, items = zip(*pairs, strict=True)
        return Interactions.from_table({"user_id": list(users), "item_id": list(items)})

    return make


@pytest.fixture(scope="session")
def make_model(table) -> Callable[..., Model]:
    """A model in any form that `compress` makes."""

    def make(form: str = "identity", *, float_items: bool = False, ids: str = "text") -> Model:
        users, items = vectors()
        texts = ids == "text"
        pairs = [
            pair if texts else tuple(int(each[1:]) for each in pair) for pair in pairs_of_taste()
        ]
        config = CompressConfig(
            codes=AdditiveQuantizationConfig(num_codebooks=3, num_codewords=16, rounds=2),
            ranking=RankingMetricConfig(rounds=1, perplexity=8),
            users=CompressUsersConfig(form=form, codeword_width=4),
        )
        return lightrec.compress(
            items,
            users,
            item_ids=[f"i{row}" if texts else row for row in range(ITEMS)],
            user_ids=[f"u{row}" if texts else row for row in range(USERS)],
            interactions=table(pairs),
            config=config,
            keep_float_items=float_items,
        )

    return make
