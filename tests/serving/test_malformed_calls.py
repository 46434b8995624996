"""Calls that nobody should make: a sound answer or a `LightRecError`, whatever is asked."""

from __future__ import annotations

import datetime
import decimal
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightrec import Model, Recommender, compress
from lightrec.compress import CompressConfig
from lightrec.errors import ArgumentError, LightRecError, UnknownIdError
from lightrec.interactions import IdMap, Interactions

ITEMS = list(range(60))  # ids that could be taken for rows, for k, or for True
USERS = [f"u{row}" for row in range(9)]
WIDTH = 6
HALF = "\ud800"

MADE: list[Callable[[], Any]] = [  # anew each time: some can be read only once
    lambda: None,
    *(lambda value=value: value for value in (True, False, np.bool_(True), Ellipsis, slice(3))),
    *(lambda value=value: value for value in (0, 1, -1, 59, 60, 2**31, 2**63, 2**64, 10**30)),
    *(lambda value=value: value for value in (0.0, 1.0, 2.5, float("nan"), float("inf"), 1e308)),
    *(lambda value=value: value for value in ("", "u1", "U1", "7", "nobody", HALF, "x\0y", b"u1")),
    *(lambda value=value: value for value in (3 + 0j, decimal.Decimal(3), datetime.date.min)),
    *(lambda value=value: np.array(value)[()] for value in (np.int8(3), np.float32(3), "u1", 1j)),
    lambda: bytearray(b"u1"),
    lambda: memoryview(b"u1"),
    object,
    lambda: type,
    lambda: len,
    lambda: iter([7]),
    lambda: (name for name in ["u1"]),
    lambda: range(3),
    *(lambda value=value: list(value) for value in ([], [7], [7, 7], [-1], [60], [None], [True])),
    *(lambda value=value: list(value) for value in ([1.0], [2**70], ["u1"], ["u1", 7], [HALF])),
    *(lambda value=value: list(value) for value in ([[7], [8]], [[7], ["x"]], [[[7]]], [[]])),
    *(lambda value=value: [value] * WIDTH for value in (0.5, "a", None, 10**400, 1e400, True)),
    lambda: [[0.5] * WIDTH, [0.5]],
    lambda: (7, 8),
    lambda: {7, 8},
    lambda: frozenset(["u1"]),
    *(lambda value=value: np.array(value) for value in ([], [7], [[7]], [1.0], [np.nan], 7, "u1")),
    *(lambda value=value: np.array(value, object) for value in (["u1", 7], [None], [[7], [8, 9]])),
    lambda: np.array([2**63], np.uint64),
    lambda: np.array([7], np.uint8),
    lambda: np.array([True]),
    lambda: np.array(["2020"], "M8[D]"),
    *(
        lambda shape=shape: np.full(shape, 0.5)
        for shape in (WIDTH, (2, WIDTH), (0, WIDTH), (1, 1, WIDTH), (2, 3), (WIDTH, 0))
    ),
    *(lambda value=value: np.full((2, WIDTH), value) for value in (np.nan, np.inf, -np.inf, 1e30)),
    *(
        lambda kind=kind: np.ones(WIDTH, kind)
        for kind in ("f2", "g", "i8", "u1", "?", "c8", "U1", "O", "M8[s]")
    ),
    lambda: np.ma.masked_array(np.zeros(WIDTH), [True] + [False] * (WIDTH - 1)),
    *(
        lambda value=value: pl.Series(value)
        for value in (["u1"], [7], [7, None], [None], [1.5], [])
    ),
    lambda: pl.Series([[7], [8]]),
    lambda: pl.Series(["u1"], dtype=pl.Categorical),
    lambda: pl.DataFrame({"user": ["u1"], "item": [7]}),
    *(lambda value=value: pd.Series(value) for value in (["u1"], [7], [7, None])),
    lambda: pd.DataFrame(),
    lambda: pd.Categorical(["u1"]),
    *(
        lambda name=name, value=value: {name: value}
        for name, value in (
            *(("year", each) for each in (1991, "1991", None, [], {}, np.nan, 2**70, object)),
            *(
                ("genre", each)
                for each in ("crime", ["crime", 5], b"crime", HALF, datetime.date.min)
            ),
            ("popularity", np.array([[1]])),
            *((each, 1) for each in ("nothing", "", 5, None)),
        )
    ),
    dict,
]

anything = st.sampled_from(MADE).map(lambda make: make())
many = settings(max_examples=100)


def some(usual: dict[str, Any], *optional: str) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments of a call: the needed ones often as they should be, others left out or anything."""
    needed = {name: st.one_of(st.just(value), anything) for name, value in usual.items()}
    return st.fixed_dictionaries(needed, optional=dict.fromkeys(optional, anything))


queries = st.one_of(
    some({"users": "u1"}),
    some({"histories": [7, 8]}),
    some({"vectors": np.ones(WIDTH)}),
    some({"users": "u1"}, "histories", "vectors"),
)
filters = some({}, "allow", "deny", "where")
wishes = some({}, "k", "exclude_seen", "post_ranking")


def outcome(call: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """What a call returns; None where it is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, about the values
        try:
            return call(**arguments)
        except LightRecError as error:
            assert str(error)
            return None


def check_answers(answers: Any) -> None:
    """Nothing invented, repeated, out of order or not finite."""
    for answer in answers or ():
        assert len(set(answer.items)) == len(answer.items)
        assert set(answer.items) <= set(ITEMS)
        assert {type(item) for item in answer.items} <= {int}
        assert np.isfinite(answer.scores).all()
        assert (np.diff(answer.scores) <= 0).all()


@pytest.fixture(scope="module", params=["identity", "table", "mlp"])
def recommender(request, make_model):
    return Recommender(make_model(request.param, user_ids=USERS, item_ids=ITEMS))


@many
@given(queries, filters, wishes)
def test_recommend(recommender, query, chosen, wished):
    vectors = query.get("vectors")
    if isinstance(vectors, np.ndarray) and vectors.ndim:
        query["vectors"] = vectors[..., : recommender.model.query_width]
    check_answers(outcome(recommender.recommend, query | chosen | wished))


@many
@given(filters, wishes, some({}, "users_per_block"))
def test_recommend_all(recommender, chosen, wished, size):
    blocks = outcome(recommender.recommend_all, chosen | wished | size)
    try:
        for block in blocks or ():
            check_answers(block)
    except LightRecError:
        pass  # what depends on the model is found with the first block


@many
@given(queries, some({"items": [7]}))
def test_score(recommender, query, items):
    scores = outcome(recommender.score, query | items)
    assert scores is None or (scores.ndim == 2 and np.isfinite(scores).all())


@many
@given(some({"item_id": 7, "k": 3}), filters)
def test_similar_items(recommender, item, chosen):
    answers = outcome(recommender.similar_items, item | chosen)
    check_answers(answers)
    assert answers is None or item["item_id"] not in answers.items


@many
@given(some({"item_id": 7}), some({}, "user", "history", "vector"))
def test_explain(recommender, item, query):
    found = outcome(recommender.explain, item | query)
    assert found is None or np.isfinite(found.score)


@many
@given(some({"items": [7], "available": False}))
def test_set_available(recommender, arguments):
    changed = Recommender(recommender.model)
    if outcome(lambda **call: changed.set_available(**call) or True, arguments):
        answers = changed.recommend("u1", k=60, exclude_seen=False)
        check_answers(answers)
        listed = answers.items
        assert 7 in listed or not arguments["available"]


@many
@given(anything)
def test_load(value):
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # a number could be an open file's
    assert outcome(Model.load, {"path": value}) is None


@many
@given(
    some({"items": np.arange(20.0).reshape(5, 4)}, "users", "item_bias", "item_ids", "user_ids"),
    some({}, "interactions", "test", "keep_float_items"),
)
def test_compress(vectors, rest):
    tiny = {"num_codebooks": 1, "num_codewords": 2, "kmeans_iterations": 1, "rounds": 0}
    config = CompressConfig.model_validate({"codes": tiny})
    model = outcome(compress, {**vectors, **rest, "config": config})
    if model is not None:
        scores = Recommender(model).score(
            vectors=np.ones(model.query_width), items=model.item_ids.series
        )
        assert np.isfinite(scores).all()


@many
@given(
    some(
        {"table": {"user": ["a", "b"], "item": ["x", "y"], "rating": [1, 2]}},
        *("columns", "items", "rating_above", "min_pairs_per_user", "min_pairs_per_item"),
    )
)
def test_from_table(arguments):
    pairs = outcome(Interactions.from_table, arguments)
    assert pairs is None or pairs.report.rows_in >= pairs.report.rows_used == len(pairs)


@many
@given(some({"user": ["a"], "item": ["x"]}, "rating", "timestamp"))
def test_from_a_dict_of_anything(columns):
    outcome(Interactions.from_table, {"table": columns})


@many
@given(anything)
def test_ids(values):
    id_map = outcome(IdMap.from_values, {"values": values})
    assert id_map is None or {type(each) for each in id_map.series.to_list()} <= {str, int}
    known = IdMap.from_values(ITEMS)
    rows = outcome(known.find, {"ids": values})
    assert rows is None or ((rows >= -1) & (rows < 60)).all()


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"users": "u1", "k": 0}, ArgumentError, "k must be at least 1, not 0"),
        ({"users": "u1", "k": -1}, ArgumentError, "k must be at least 1, not -1"),
        ({"users": "u1", "k": 2.0}, ArgumentError, "k must be a whole number, not 2.0"),
        ({"users": "u1", "k": "5"}, ArgumentError, "k must be a whole number, not '5'"),
        ({"users": "u1", "k": np.nan}, ArgumentError, "k must be a whole number, not nan"),
        ({"users": -1}, UnknownIdError, "unknown user id: -1"),
        ({"users": 0}, UnknownIdError, "the model's ids are text, such as 'u0'"),
        ({"users": True}, UnknownIdError, "unknown user id: True"),
        ({"users": [["u1"]]}, UnknownIdError, "unknown user id: ['u1']"),
        ({"users": np.array([["u1"]])}, ArgumentError, "users must be one list of ids"),
        ({"users": b"u1"}, ArgumentError, "users must be an id or a list of ids"),
        ({"histories": [-1]}, UnknownIdError, "unknown item id: -1"),
        ({"histories": [True]}, UnknownIdError, "unknown item id: True"),
        ({"histories": [1.0]}, ArgumentError, "histor"),
        ({"histories": "7"}, ArgumentError, "histories must be a list of item ids"),
        ({"histories": [7, [8]]}, ArgumentError, "histories must not mix"),
        ({"vectors": [0.5] * 5}, ArgumentError, "query vectors are 6 wide, not (5,)"),
        ({"vectors": [np.nan] * 6}, ArgumentError, "vectors: row 0 (of width 6) holds NaN"),
        ({"vectors": [1e16] * 6}, ArgumentError, "a value beyond 1e+15"),
        ({"vectors": ["a"] * 6}, ArgumentError, "vectors must be numbers of width 6"),
        ({"vectors": [True] * 6}, ArgumentError, "vectors must be numbers of width 6"),
        ({"users": "u1", "allow": [60]}, UnknownIdError, "unknown item id: 60"),
        ({"users": "u1", "deny": None, "allow": 5.0}, ArgumentError, "allow must be an id"),
        ({"users": "u1", "where": "crime"}, ArgumentError, "where must map column names"),
        ({"users": "u1", "where": []}, ArgumentError, "where must map column names"),
        ({"users": "u1", "where": {"nothing": 1}}, ArgumentError, "no column 'nothing'"),
        ({"users": "u1", "where": {"year": "x"}}, ArgumentError, "column 'year' holds Int64"),
        ({"users": "u1", "exclude_seen": "no"}, ArgumentError, "exclude_seen must be True or"),
        ({"users": "u1", "post_ranking": -1}, ArgumentError, "post_ranking must be at least 0"),
        ({}, ArgumentError, "give exactly one of users, histories and vectors"),
        ({"users": "u1", "vectors": [0.5] * 6}, ArgumentError, "give exactly one of"),
    ],
)
def test_the_error_names_the_argument(make_model, arguments, error, said):
    recommender = Recommender(make_model(user_ids=USERS, item_ids=ITEMS))
    with pytest.raises(error) as refusal:
        recommender.recommend(**arguments)
    assert said in str(refusal.value)


def test_an_empty_choice_of_items_is_no_error(make_model):
    recommender = Recommender(make_model(user_ids=USERS, item_ids=ITEMS))
    for none in ({"allow": []}, {"deny": ITEMS}, {"where": {"year": []}}):
        answer = recommender.recommend("u1", **none)
        assert (answer.items, answer.scores.tolist()) == ([], [])
    assert len(recommender.recommend([], k=3)) == 0
    assert recommender.score("u1", items=[]).shape == (1, 0)
    assert len(recommender.recommend("u1", k=2**62, exclude_seen=False).items) == 60


def test_a_wrong_signature_is_pythons_own_error(make_model):
    recommender = Recommender(make_model())
    for call in (lambda: recommender.recommend("u1", 5), lambda: recommender.score("u1", top=3)):
        with pytest.raises(TypeError):
            call()
