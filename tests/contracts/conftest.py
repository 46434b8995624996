"""Every kind of coded model, and every scan that can search it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from lightrec.artifact.contents import Model, UserForm, Users
from lightrec.codes.additive_quantization import (
    AdditiveQuantizationConfig,
    additive_quantization,
)
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.residual_kmeans import residual_kmeans
from lightrec.interactions.history import History
from lightrec.interactions.id_map import IdMap
from lightrec.native import KERNELS
from lightrec.search.reference_scan import ReferenceScan
from lightrec.search.scan import PortableScan, Scan, make_scan
from lightrec.serving import Recommender

NUM_USERS = 21


def _random_codes(num_items: int, num_codebooks: int, num_codewords: int, width: int) -> ItemCodes:
    rng = np.random.default_rng(0)
    return ItemCodes(
        rng.integers(0, num_codewords, (num_items, num_codebooks), dtype=np.uint8),
        rng.normal(size=(num_codebooks, num_codewords, width)).astype(np.float32),
    )


def _residual() -> ItemCodes:
    items = np.random.default_rng(1).normal(size=(500, 8)).astype(np.float32)
    return residual_kmeans(items, 3, 16, iterations=3, rng=np.random.default_rng(2))


def _additive() -> ItemCodes:
    items = np.random.default_rng(1).normal(size=(400, 8)).astype(np.float32)
    config = AdditiveQuantizationConfig(num_codebooks=3, num_codewords=16, rounds=1)
    return additive_quantization(items, config, rng=np.random.default_rng(2))


def _product() -> ItemCodes:
    """Product quantisation: a codebook for each subspace, zero elsewhere."""
    codes = _random_codes(300, 4, 32, 12)
    books = codes.codebooks.copy()
    for book in range(4):
        outside = np.arange(12) // 3 != book
        books[book][:, outside] = 0
    return ItemCodes(codes.codes, books)


def _binary() -> ItemCodes:
    """Binary codes such as DCMF's: a byte stands for eight signs; scores tie all the time."""
    signs = 2.0 * ((np.arange(256)[:, np.newaxis] >> np.arange(8)) & 1) - 1
    books = np.zeros((2, 256, 16), np.float32)
    books[0][:, :8], books[1][:, 8:] = signs, signs
    rng = np.random.default_rng(3)
    return ItemCodes(rng.integers(0, 256, (450, 2), dtype=np.uint8), books)


def _few_codes() -> ItemCodes:
    """Hundreds of items on six codes."""
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 256, (6, 4), dtype=np.uint8)[rng.integers(0, 6, 400)]
    return ItemCodes(codes, _random_codes(1, 4, 256, 8).codebooks)


CODED_MODELS: dict[str, tuple[UserForm, type[np.floating[Any]], Callable[[], ItemCodes]]] = {
    "four bytes, identity users": ("identity", np.float32, lambda: _random_codes(600, 4, 256, 32)),
    "four bytes, half-precision users": (
        "identity",
        np.float16,
        lambda: _random_codes(600, 4, 256, 8),
    ),
    "eight half-bytes, free users": ("free", np.float32, lambda: _random_codes(350, 8, 16, 8)),
    "one byte, fitted users": ("fitted", np.float16, lambda: _random_codes(350, 1, 256, 4)),
    "four bytes, fitted users beyond a map": (
        "fitted",
        np.float32,
        lambda: _random_codes(450, 4, 256, 11),
    ),
    "odd sizes, linear users": ("linear", np.float32, lambda: _random_codes(333, 5, 7, 9)),
    "odd sizes, mlp users": ("mlp", np.float32, lambda: _random_codes(333, 3, 3, 5)),
    "score tables": ("table", np.float32, lambda: _random_codes(600, 4, 256, 8)),
    "half-precision score tables": ("table", np.float16, lambda: _random_codes(400, 3, 16, 8)),
    "residual k-means": ("identity", np.float32, _residual),
    "additive quantisation": ("free", np.float32, _additive),
    "product quantisation": ("identity", np.float32, _product),
    "binary codes": ("identity", np.float32, _binary),
    "few codes, many ties": ("identity", np.float32, _few_codes),
    "one item": ("identity", np.float32, lambda: _random_codes(1, 4, 256, 8)),
    "one codeword": ("table", np.float32, lambda: _random_codes(50, 2, 1, 3)),
}
SCANS: dict[str, Callable[[ItemCodes], Scan]] = {
    "reference": lambda codes: ReferenceScan(codes.codes, codes.num_codewords),
    "portable": lambda codes: PortableScan(codes.codes, codes.num_codewords),
    "chosen": make_scan,
}


def _map_weights(
    form: str, width: int, mapped: bool, rng: np.random.Generator
) -> dict[str, np.ndarray] | None:
    if form == "linear" or (form == "fitted" and mapped):
        return {"0.weight": rng.normal(size=(width, 6)).astype(np.float32)}
    if form == "mlp":
        return {
            "0.weight": rng.normal(size=(4, 6)).astype(np.float32),
            "0.bias": rng.normal(size=4).astype(np.float32),
            "1.weight": rng.normal(size=(width, 4)).astype(np.float32),
        }
    return None


@cache
def _coded_model(name: str) -> Model:
    form, dtype, make_codes = CODED_MODELS[name]
    codes = make_codes()
    num_items, width = codes.num_items, codes.width
    rng = np.random.default_rng(len(name))
    # Whole numbers, so that many sums are exact and different items tie.
    shape = (NUM_USERS, *codes.codebooks.shape[:2]) if form == "table" else (NUM_USERS, width)
    weights = _map_weights(form, width, name.endswith("beyond a map"), rng)
    pairs = rng.integers((NUM_USERS - 1, num_items), size=(200, 2))  # the last user has none
    text_ids = len(name) % 2 == 0
    return Model(
        config={"name": name},
        item_codes=codes,
        users=Users(form, rng.integers(-3, 4, shape).astype(dtype), weights),
        user_ids=IdMap.from_values([f"user {row}" for row in range(NUM_USERS)], "user"),
        item_ids=IdMap.from_values(
            [f"item {row}" if text_ids else 5 - 3 * row for row in range(num_items)], "item"
        ),
        item_columns=pl.DataFrame(
            {
                "popularity": pl.Series(rng.integers(0, 9, num_items), dtype=pl.Int64),
                "shelf": pl.Series([None if row % 5 == 0 else row % 4 for row in range(num_items)]),
            },
            schema_overrides={"shelf": pl.Int64},
        ),
        history=History.from_pairs(pairs[:, 0], pairs[:, 1], NUM_USERS, num_items),
        float_items=rng.normal(size=(num_items, width if weights is None else 6)).astype(
            np.float32
        ),
    )


@cache
def _recommender(name: str, scan: str) -> Recommender:
    model = _coded_model(name)
    return Recommender(model, scan=SCANS[scan](model.item_codes))


@pytest.fixture(params=CODED_MODELS)
def model(request: pytest.FixtureRequest) -> Model:
    """One of the coded models."""
    return _coded_model(request.param)


@pytest.fixture(params=SCANS)
def recommender(request: pytest.FixtureRequest, model: Model) -> Recommender:
    """The model, searched by one of the scans."""
    if request.param == "portable" and KERNELS is None:
        pytest.skip("the compiled kernels are not installed")
    return _recommender(model.config["name"], request.param)
