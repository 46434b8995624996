"""Recommending by user id, history and vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from lightrec.artifact.contents import Model
from lightrec.errors import ArgumentError, UnknownIdError
from lightrec.serving import Recommender
from lightrec.serving.encoding import EncodedQueries
from lightrec.serving.queries import Queries

FORMS = ("identity", "linear", "mlp", "free", "fitted", "table")
NASTY = [
    " ",
    "a\nb",
    "a,b",
    '"',
    "'; DROP TABLE items; --",
    "../../etc/passwd",
    "\x00",
    "é",
    "e\u0301",
    "💿",
    "NaN",
    "None",
    "0",
    "00",
    "-1",
    "x" * 5000,
]


@pytest.fixture(scope="module")
def recommender(make_model: Callable[..., Model]) -> Recommender:
    return Recommender(make_model())


def test_users_get_the_items_with_the_highest_products(make_model: Callable[..., Model]) -> None:
    model = make_model(with_history=False)
    recommender = Recommender(model)
    products = model.users.values.astype(np.float64) @ model.item_codes.decode().T
    answer = recommender.recommend(users=["u3", "u0"], k=60)
    for ranked, row in zip(answer, (3, 0), strict=True):
        assert ranked.query == f"u{row}"
        assert ranked.items == [f"i{item}" for item in np.argsort(-products[row])]
        np.testing.assert_allclose(ranked.scores, -np.sort(-products[row]), rtol=1e-5, atol=1e-5)


def test_one_user_is_one_query(recommender: Recommender) -> None:
    answer = recommender.recommend("u2", k=4)
    assert len(answer) == 1
    assert answer.items == recommender.recommend(users=["u2"], k=4)[0].items
    assert len(answer.scores) == 4


@pytest.mark.parametrize("users", [np.array(["u1", "u2"]), pl.Series(["u1", "u2"]), ("u1", "u2")])
def test_users_may_be_any_column(recommender: Recommender, users: Any) -> None:
    answer = recommender.recommend(users)
    assert answer.queries.to_list() == ["u1", "u2"]


def test_no_users_are_no_queries(recommender: Recommender) -> None:
    answer = recommender.recommend(users=[])
    assert len(answer) == 0
    assert list(answer) == []
    assert answer.to_polars().schema == recommender.recommend("u1").to_polars().schema


def test_seen_items_are_left_out_unless_asked_for(make_model: Callable[..., Model]) -> None:
    model = make_model()
    recommender = Recommender(model)
    assert model.history is not None
    seen = {f"i{row}" for row in model.history.of(1).tolist()}
    assert seen
    assert not seen & set(recommender.recommend("u1", k=60).items)
    assert not seen & set(recommender.recommend("u1", k=60, exclude_seen=True).items)
    assert seen <= set(recommender.recommend("u1", k=60, exclude_seen=False).items)
    no: Any = np.False_
    assert seen <= set(recommender.recommend("u1", k=60, exclude_seen=no).items)


def test_without_history_seen_items_can_only_be_denied(make_model: Callable[..., Model]) -> None:
    recommender = Recommender(make_model(with_history=False))
    assert len(recommender.recommend("u1", k=60).items) == 60
    with pytest.raises(ArgumentError, match="saved without them"):
        recommender.recommend("u1", exclude_seen=True)
    assert "i5" not in recommender.recommend("u1", k=60, deny=["i5"]).items


def test_the_items_of_a_history_are_left_out(recommender: Recommender) -> None:
    history = ["i3", "i1", "i3"]
    assert not {"i1", "i3"} & set(recommender.recommend(histories=history, k=60).items)
    assert len(recommender.recommend(histories=history, k=60).items) == 58
    assert len(recommender.recommend(histories=history, k=60, exclude_seen=False).items) == 60


def test_an_empty_history_gets_the_most_popular_items_and_says_so(
    make_model: Callable[..., Model],
) -> None:
    model = make_model()
    counts = model.item_columns["popularity"].to_numpy()
    expected = np.lexsort((np.arange(60), -counts))
    answer = Recommender(model).recommend(histories=[["i1", "i2"], []], k=7)
    assert [ranked.fallback for ranked in answer] == [None, "popularity"]
    assert answer[1].items == [f"i{row}" for row in expected[:7]]
    assert answer[1].scores.tolist() == counts[expected[:7]].tolist()
    assert answer.to_polars()["fallback"].to_list() == [None] * 7 + ["popularity"] * 7


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_user_of_whom_nothing_is_known_gets_the_most_popular_items_and_it_is_said(
    make_model: Callable[..., Model], form: str, dtype: Any
) -> None:
    model = make_model(form, dtype=dtype)
    values = model.users.values.copy()
    values[2] = 0
    model = replace(model, users=replace(model.users, values=values))
    recommender = Recommender(model)
    counts = model.item_columns["popularity"].to_numpy()
    assert model.history is not None
    unseen = np.setdiff1d(np.arange(60), model.history.of(2))
    expected = unseen[np.argsort(-counts[unseen], kind="stable")]
    answer = recommender.recommend(users=["u1", "u2"], k=7)
    assert answer.fallbacks == (None, "popularity")
    assert answer[1].items == [f"i{row}" for row in expected[:7]]
    assert answer[1].scores.tolist() == counts[expected[:7]].tolist()
    assert answer.to_polars()["fallback"].to_list() == [None] * 7 + ["popularity"] * 7
    scores = recommender.score(["u1", "u2"], items=["i9", "i2"])
    assert scores[1].tolist() == [counts[9], counts[2]]
    (block,) = recommender.recommend_all(k=7)
    assert [ranked.fallback for ranked in block] == [None, None, "popularity", *[None] * 6]
    assert block[2].items == answer[1].items
    by_vector = recommender.recommend(vectors=np.zeros(model.query_width), k=7)
    assert by_vector.fallbacks is None


def test_the_popularity_fallback_honours_filters(recommender: Recommender) -> None:
    answer = recommender.recommend(
        histories=[], k=60, where={"genre": "crime"}, deny=["i0"], allow=["i0", "i1", "i3", "i6"]
    )
    assert answer.fallback == "popularity"
    assert sorted(answer.items) == ["i3", "i6"]


def test_vectors_of_the_teachers_space_meet_codebooks_of_fitted_users_through_the_map(
    make_model: Callable[..., Model],
) -> None:
    model = make_model("fitted", mapped=True)
    assert model.query_width == 4
    vectors = np.random.default_rng(6).normal(size=(5, 4)).astype(np.float32)
    scores = Recommender(model).score(vectors=vectors, items=model.item_ids.ids(range(60)))
    assert model.users.map_weights is not None
    expected = vectors @ model.users.map_weights["0.weight"].T @ model.item_codes.decode().T
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_vectors_are_queries_in_the_space_of_the_teacher(
    make_model: Callable[..., Model], form: str
) -> None:
    model = make_model(form)
    recommender = Recommender(model)
    vector = np.linspace(-1, 1, model.query_width)
    mapped = vector
    weights = model.users.map_weights or {}
    for layer in range(len(weights) // 2):
        mapped = np.tanh(mapped) if layer else mapped
        mapped = weights[f"{layer}.weight"] @ mapped + weights[f"{layer}.bias"]
    products = model.item_codes.decode() @ mapped
    answer = recommender.recommend(vectors=vector, k=60)
    assert answer.items == [f"i{row}" for row in np.argsort(-products)]
    assert answer.queries.to_list() == [0]


@pytest.mark.parametrize("form", FORMS)
def test_users_of_every_form_are_scored_by_what_is_stored(
    make_model: Callable[..., Model], form: str
) -> None:
    model = make_model(form, dtype=np.float16)
    answer = Recommender(model).recommend("u4", k=60, exclude_seen=False)
    stored = model.users.values[4].astype(np.float64)
    codes = model.item_codes.codes
    scores = (
        stored[np.arange(3), codes].sum(axis=1)
        if form == "table"
        else model.item_codes.decode() @ stored
    )
    assert answer.items == [f"i{row}" for row in np.argsort(-scores)]


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros(5), r"\(6,\) or \(queries, 6\).*not \(5,\)"),
        (np.zeros((2, 7)), "6 wide"),
        (np.zeros((2, 2, 6)), "6 wide"),
        (1.0, "6 wide"),
        ([[0, 0, 0, 0, 0, 0], [0, 0, np.nan, 0, 0, 0]], "row 1 .*width 6.*NaN"),
        ([np.inf] * 6, "row 0"),
        ([1e300] * 6, "row 0"),
        ([1e16] * 6, "beyond 1e"),
        ([-1e16] * 6, "beyond 1e"),
        ([-np.inf] * 6, "row 0"),
        (["a"] * 6, "numbers of width 6"),
        ([True] * 6, "numbers of width 6"),
        ([[1.0] * 6, [1.0] * 5], "6 wide"),
    ],
)
def test_vectors_that_cannot_be_used_are_refused(
    recommender: Recommender, vectors: Any, message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        recommender.recommend(vectors=vectors)


def test_a_vector_that_the_map_blows_up_is_refused(make_model: Callable[..., Model]) -> None:
    with pytest.raises(ArgumentError, match="after the model's user map"):
        Recommender(make_model("linear")).recommend(vectors=np.full(4, 9e14))


def test_the_largest_vectors_still_have_finite_scores(recommender: Recommender) -> None:
    scores = recommender.recommend(vectors=np.full(6, 1e15), k=60).scores
    assert np.isfinite(scores).all()


def test_no_vectors_are_no_queries(recommender: Recommender) -> None:
    assert len(recommender.recommend(vectors=np.empty((0, 6)))) == 0


@pytest.mark.parametrize("ids", [{}, {"users": "u1", "vectors": np.zeros(6)}])
def test_exactly_one_kind_of_query_is_given(recommender: Recommender, ids: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match="exactly one of users, histories and vectors"):
        recommender.recommend(**ids)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"users": ["u1", "nobody", "u9"]}, "unknown user id: 'nobody', 'u9'"),
        ({"users": 1}, "unknown user id: 1"),
        ({"users": [None]}, "unknown user id: None"),
        ({"histories": [["i1"], ["u1"]]}, "unknown item id: 'u1'"),
        ({"users": "u1", "allow": ["i1", "i60"]}, "unknown item id: 'i60'"),
        ({"users": "u1", "deny": "i60"}, "unknown item id: 'i60'"),
    ],
)
def test_unknown_ids_are_named(
    recommender: Recommender, request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnknownIdError, match=message):
        recommender.recommend(**request_)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"k": 0}, "k must be at least 1, not 0"),
        ({"k": -3}, "k must be at least 1"),
        ({"k": 2.5}, "k must be a whole number, not 2.5"),
        ({"k": "10"}, "k must be a whole number"),
        ({"post_ranking": -1}, "post_ranking must be at least 0"),
        ({"post_ranking": 9, "k": 10}, "post_ranking must be at least k = 10, not 9"),
        ({"where": "genre"}, "where must map column names"),
        ({"where": {"colour": "red"}}, "no column 'colour'; there are popularity, genre, year"),
        ({"allow": 1.5}, "allow must be an id or a list of ids"),
        ({"deny": b"i1"}, "deny must be an id or a list of ids"),
        ({"deny": np.array([["i1"]])}, "deny must be one list of ids"),
    ],
)
def test_malformed_arguments_are_named(
    recommender: Recommender, request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        recommender.recommend(users="u1", **request_)


@pytest.mark.parametrize("k", [60, 61, 10**9, 2**70])
def test_a_k_beyond_the_catalogue_returns_everything(recommender: Recommender, k: int) -> None:
    answer = recommender.recommend(["u1", "u2"], k=k, exclude_seen=False)
    assert answer.counts.tolist() == [60, 60]


def test_filters_combine(recommender: Recommender) -> None:
    allow = [f"i{row}" for row in range(30)]
    answer = recommender.recommend(
        ["u1", "u2"], k=60, exclude_seen=False, allow=allow, deny="i3", where={"genre": "crime"}
    )
    expected = {f"i{row}" for row in range(0, 30, 3)} - {"i3"}
    assert [set(ranked.items) for ranked in answer] == [expected, expected]


def test_denied_and_seen_items_are_both_left_out(make_model: Callable[..., Model]) -> None:
    model = make_model()
    assert model.history is not None
    seen = {f"i{row}" for row in model.history.of(1).tolist()}
    deny = [f"i{row}" for row in range(20)]
    for users in ("u1", ["u1", "u2"]):
        items = Recommender(model).recommend(users, k=60, deny=deny)[0].items
        assert set(items) == {f"i{row}" for row in range(60)} - seen - set(deny)


def test_allowing_nothing_returns_nothing(recommender: Recommender) -> None:
    answer = recommender.recommend(["u1", "u2"], allow=[])
    assert answer.counts.tolist() == [0, 0]
    assert [ranked.items for ranked in answer] == [[], []]


def test_integer_ids_come_back_as_integers(make_model: Callable[..., Model]) -> None:
    user_ids = [2**62 + row for row in range(9)]
    item_ids = [-(2**63) + 3 * row for row in range(60)]
    recommender = Recommender(make_model(user_ids=user_ids, item_ids=item_ids))
    answer = recommender.recommend(user_ids[4], k=3)
    assert answer.queries.to_list() == [user_ids[4]]
    assert all(type(item) is int and item in item_ids for item in answer.items)
    assert recommender.recommend(np.array(user_ids[4:5]), k=3).items == answer.items
    with pytest.raises(UnknownIdError, match=str(user_ids[4])):
        recommender.recommend(str(user_ids[4]))
    with pytest.raises(UnknownIdError, match="'0'"):
        recommender.recommend(user_ids[4], deny=["0"])


def test_nasty_ids_are_only_ids(make_model: Callable[..., Model]) -> None:
    item_ids = NASTY + [f"i{row}" for row in range(60 - len(NASTY))]
    recommender = Recommender(make_model(item_ids=item_ids, user_ids=NASTY[:9]))
    answer = recommender.recommend(NASTY[:9], k=60, exclude_seen=False)
    assert answer.queries.to_list() == NASTY[:9]
    assert all(sorted(ranked.items) == sorted(item_ids) for ranked in answer)
    for item in NASTY:
        assert recommender.recommend(NASTY[5], allow=item, exclude_seen=False).items == [item]
        assert recommender.similar_items(item, k=1).queries.to_list() == [item]


def test_repeated_users_are_repeated_queries(recommender: Recommender) -> None:
    first, second = recommender.recommend(["u1", "u1"])
    assert first.items == second.items


def test_scores_are_those_of_recommending(recommender: Recommender) -> None:
    answer = recommender.recommend(["u1", "u2"], k=60, exclude_seen=False)
    for query, ranked in enumerate(answer):
        scores = recommender.score(["u1", "u2"], items=ranked.items)
        assert scores.dtype == np.float32
        assert scores.shape == (2, 60)
        assert scores[query].tobytes() == ranked.scores.tobytes()


def test_scores_of_an_empty_history_are_popularities(make_model: Callable[..., Model]) -> None:
    model = make_model()
    scores = Recommender(model).score(histories=[["i4"], []], items=["i9", "i2", "i9"])
    counts = model.item_columns["popularity"]
    assert scores[1].tolist() == [counts[9], counts[2], counts[9]]
    assert scores[0].tolist() != scores[1].tolist()


def test_scores_of_one_item_and_of_none(recommender: Recommender) -> None:
    assert recommender.score("u1", items="i3").shape == (1, 1)
    assert recommender.score("u1", items=[]).shape == (1, 0)
    with pytest.raises(UnknownIdError, match="unknown item id: 'i99'"):
        recommender.score("u1", items=["i1", "i99"])


def test_everybody_gets_what_they_would_get_alone(make_model: Callable[..., Model]) -> None:
    model = make_model()
    recommender = Recommender(model)
    wanted: dict[str, Any] = {"k": 5, "deny": ["i1"], "where": {"genre": ["crime", "poetry"]}}
    blocks = list(recommender.recommend_all(users_per_block=4, **wanted))
    assert [len(block) for block in blocks] == [4, 4, 1]
    for ranked in (ranked for block in blocks for ranked in block):
        alone = recommender.recommend(ranked.query, **wanted)
        assert ranked.items == alone.items
        assert ranked.scores.tobytes() == alone.scores.tobytes()


def test_queries_in_blocks_are_answered_as_together(make_model: Callable[..., Model]) -> None:
    model = make_model()
    recommender = Recommender(model)
    queries: tuple[dict[str, Any], ...] = (
        {"users": ["u7", "u1", "u7", "u2", "u0"]},
        {"histories": [["i1", "i2"], [], ["i7"], ["i8", "i9", "i10"]]},
        {"vectors": np.random.default_rng(3).normal(size=(6, model.query_width))},
    )
    for query in queries:
        together = recommender.recommend(**query, k=7, deny=["i4"])
        blocks = recommender.recommend_all(**query, k=7, deny=["i4"], users_per_block=2)
        tables = [block.to_polars() for block in blocks]
        assert len(tables) == (len(together) + 1) // 2
        assert pl.concat(tables).equals(together.to_polars())
    with pytest.raises(ArgumentError, match="exactly one of users, histories and vectors"):
        recommender.recommend_all("u1", histories=[["i1"]])
    with pytest.raises(UnknownIdError, match="nobody"):
        recommender.recommend_all(["u1", "nobody"], users_per_block=1)


def test_no_query_is_one_block_with_the_columns_of_answers(recommender: Recommender) -> None:
    (block,) = recommender.recommend_all(users=[])
    assert len(block) == 0
    assert block.to_polars().schema == recommender.recommend("u1").to_polars().schema


def test_recommending_for_everybody_checks_its_arguments_at_once(recommender: Recommender) -> None:
    with pytest.raises(ArgumentError, match="k must be"):
        recommender.recommend_all(k=0)
    with pytest.raises(ArgumentError, match="users_per_block must be at least 1"):
        recommender.recommend_all(users_per_block=0)


def test_blocks_do_not_change_answers(
    make_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    recommender = Recommender(make_model())
    histories = [["i1", "i2"], [], ["i7"], ["i8", "i9", "i10"]]
    together = recommender.recommend(histories=histories, k=60)
    scores = recommender.score(histories=histories, items=["i1", "i5"])
    monkeypatch.setattr("lightrec.serving.ranking._MOST_QUERIES", 3)
    apart = recommender.recommend(histories=histories, k=60)
    assert apart.to_polars().equals(together.to_polars())
    assert np.array_equal(recommender.score(histories=histories, items=["i1", "i5"]), scores)


def test_a_block_of_queries_never_exceeds_its_memory(
    make_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model()
    recommender = Recommender(model)
    sizes = []
    encode = recommender._state.ranking.encoder.encode

    def watched(queries: Queries) -> EncodedQueries:
        sizes.append(len(queries))
        return encode(queries)

    monkeypatch.setattr(recommender._state.ranking.encoder, "encode", watched)
    monkeypatch.setattr("lightrec.serving.ranking._BLOCK_BYTES", 2 * (4 * 3 * 16 + 12 * 10))
    recommender.recommend([f"u{row}" for row in range(9)], k=10)
    assert sizes == [2, 2, 2, 2, 1]
