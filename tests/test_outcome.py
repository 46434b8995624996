"""The table and the model that every run ends with."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from lightrec._version import __version__
from lightrec.codes.coded_users import CodedUsers
from lightrec.codes.item_codes import ItemCodes
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer
from lightrec.factors import Factors
from lightrec.interactions import History, IdMap
from lightrec.outcome import Compared, assembled, measured_alike

USERS, ITEMS, WIDTH = 5, 9, 4


@pytest.fixture
def factors() -> Factors:
    rng = np.random.default_rng(0)
    return Factors(*(rng.normal(size=(n, WIDTH)).astype(np.float32) for n in (USERS, ITEMS)))


@pytest.fixture
def users(factors) -> CodedUsers:
    rng = np.random.default_rng(1)
    codes = ItemCodes(
        rng.integers(0, 3, (ITEMS, 2), dtype=np.uint8),
        rng.normal(size=(2, 3, WIDTH)).astype(np.float32),
    )
    tables = codes.score_tables(factors.users).astype(np.float16)
    return CodedUsers("table", codes, tables)


def test_every_model_is_measured_on_the_same_pairs_with_its_sizes(factors, users) -> None:
    exclude = History.from_pairs(np.arange(USERS), np.arange(USERS), USERS, ITEMS)
    sought = History.from_pairs(np.arange(USERS), np.arange(USERS) + 3, USERS, ITEMS)
    codes = users.item_codes
    models = [
        Compared.teacher(factors),
        Compared.quantiser("aq", codes, factors),
        Compared.lightrec(users),
    ]
    table = measured_alike("some pairs", models, exclude, sought)
    assert table.title == "some pairs"
    all_in = codes.bytes_per_item_all_in
    assert [
        (row.model, row.variant, row.bytes_per_item, row.bytes_per_user) for row in table.rows
    ] == [
        ("teacher", "", 4.0 * WIDTH, 4.0 * WIDTH),
        ("aq", "", all_in, 4.0 * WIDTH),
        ("lightrec", "table", all_in, 2.0 * 2 * 3),
    ]
    expected = evaluate_ranking(CodeScorer(codes, users.values), exclude, sought).means
    assert table.row("lightrec").metrics == expected


@pytest.mark.parametrize("kept", [False, True])
def test_a_model_holds_what_was_shipped(factors, users, kept: bool) -> None:
    model = assembled(
        users,
        factors,
        None,
        {"settings": {"seed": 1}},
        user_ids=IdMap(pl.Series(np.arange(USERS)), "user"),
        item_ids=IdMap(pl.Series(np.arange(ITEMS))),
        item_columns=pl.DataFrame({"popularity": np.zeros(ITEMS, np.int64)}),
        history=None,
        keep_float_items=kept,
    )
    assert model.config == {"lightrec": __version__, "settings": {"seed": 1}}
    assert model.item_codes is users.item_codes
    assert (model.users.form, model.users.values is users.values) == ("table", True)
    assert model.selection is None
    assert (model.float_items is not None) == kept
