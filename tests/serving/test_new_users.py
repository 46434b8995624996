"""New users of the forms `fitted` and `table`, held against the fit of the model's own users."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lightrec.artifact.contents import Model, Users
from lightrec.codes.additive_quantization import (
    AdditiveQuantizationConfig,
    additive_quantization,
)
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_fit import fit_tables, fit_vectors
from lightrec.codes.user_fit_task import Effort, UserFitConfig
from lightrec.errors import ArgumentError, ConfigError
from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.serving import Recommender
from lightrec.serving.fold_in import CATALOGUE_WEIGHT, RIDGE
from lightrec.serving.item_vectors import FloatItems
from lightrec.serving.new_users import NewUserFit, fit_settings

NUM_ITEMS, WIDTH, OWN_WIDTH = 300, 6, 9
SETTINGS = {"candidates": 20, "false_positives": 15, "catalogue_sample": 40, "rounds": 4}
QUICK = UserFitConfig(**SETTINGS)


def make_codes(width: int = WIDTH) -> ItemCodes:
    rng = np.random.default_rng(0)
    return ItemCodes(
        rng.integers(0, 16, (NUM_ITEMS, 3), dtype=np.uint8),
        rng.normal(size=(3, 16, width)).astype(np.float32),
    )


def make_items(dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(NUM_ITEMS, WIDTH)).astype(dtype)


def make_histories(sizes: tuple[int, ...] = (5, 1, 0, 40, 12)) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [np.unique(rng.integers(0, NUM_ITEMS, size)).astype(np.int32) for size in sizes]


def make_users(count: int = 5) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(count, WIDTH)).astype(np.float32)


def as_history(histories: list[np.ndarray], num_items: int = NUM_ITEMS) -> History:
    user_rows = np.repeat(np.arange(len(histories)), [len(rows) for rows in histories])
    return History.from_pairs(user_rows, np.concatenate(histories), len(histories), num_items)


def folded_in(items: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The closed form of one history, from its formula."""
    items = items.astype(np.float64)
    gram, liked = items.T @ items, items[rows]
    prior = CATALOGUE_WEIGHT / len(items) * gram
    prior += RIDGE * np.trace(gram) / len(items) * np.eye(items.shape[1])
    vector: np.ndarray = np.linalg.solve(prior + liked.T @ liked, liked.sum(axis=0))
    return vector.astype(np.float32)


@pytest.fixture(params=["one block", "many blocks"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many blocks":  # of two users
        monkeypatch.setattr("lightrec.serving.new_users.BLOCK_BYTES", 2 * 4 * NUM_ITEMS)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.usefixtures("_blocks")
def test_tables_are_those_of_training(dtype: Any) -> None:
    users, items, codes, histories = make_users(), make_items(dtype), make_codes(), make_histories()
    fit = NewUserFit(FloatItems(items), codes, QUICK, seed=7)
    expected = fit_tables(
        *(Factors(users, items.astype(np.float32)), codes, as_history(histories), QUICK),
        effort=Effort(7),
    )
    tables = fit.tables(users, histories)
    assert tables.dtype == np.float32
    np.testing.assert_allclose(tables, expected, rtol=1e-3, atol=1e-3)
    assert not np.allclose(codes.score_tables(users), expected, rtol=1e-1, atol=1e-1)


@pytest.mark.usefixtures("_blocks")
def test_vectors_are_those_of_training() -> None:
    users, items, histories = make_users(), make_items(), make_histories()
    own = make_codes(OWN_WIDTH)
    start = np.random.default_rng(4).normal(size=(5, OWN_WIDTH)).astype(np.float32)
    fit = NewUserFit(FloatItems(items), own, QUICK, seed=7)
    seen = as_history(histories)
    expected = fit_vectors(Factors(users, items), own, seen, QUICK, start=start, effort=Effort(7))
    np.testing.assert_allclose(fit.vectors(users, histories, start), expected, rtol=1e-3, atol=1e-3)
    assert not np.allclose(start, expected, rtol=1e-1, atol=1e-1)
    same_space = make_codes()
    np.testing.assert_allclose(
        NewUserFit(FloatItems(items), same_space, QUICK, seed=7).vectors(users, histories),
        fit_vectors(Factors(users, items), same_space, seen, QUICK, effort=Effort(7)),
        rtol=1e-3,
        atol=1e-3,
    )


@pytest.mark.parametrize("kind", ["tables", "vectors"])
def test_one_user_or_many_is_the_same_to_the_last_bit(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    users, histories = make_users(21), make_histories((3, 9, 0, 27, 5, 1, 80) * 3)
    fit = NewUserFit(FloatItems(make_items()), make_codes(), QUICK, threads=2)
    together = getattr(fit, kind)(users, histories)
    alone = NewUserFit(FloatItems(make_items()), make_codes(), QUICK, threads=1)
    monkeypatch.setattr("lightrec.serving.item_vectors._KEPT_BYTES", 0)
    for user, history, expected in zip(users, histories, together, strict=True):
        (one,) = getattr(alone, kind)(user[np.newaxis], [history])
        assert one.tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", ["tables", "vectors"])
def test_the_users_given_are_not_changed(kind: str) -> None:
    users = make_users()
    fit = NewUserFit(FloatItems(make_items()), make_codes(), QUICK)
    getattr(fit, kind)(users, make_histories())
    np.testing.assert_array_equal(users, make_users())


def test_items_of_the_history_are_not_fitted_to() -> None:
    """Other teacher vectors for the seen items alone change nothing."""
    users, items, histories = make_users(1), make_items(), make_histories((40,))
    others = items.copy()
    others[histories[0]] = 50.0
    tables, same, different = (
        NewUserFit(FloatItems(vectors), make_codes(), QUICK).tables(users, seen)
        for vectors, seen in (
            (items, histories),
            (others, histories),
            (others, [histories[0][:20]]),
        )
    )
    np.testing.assert_allclose(tables, same, rtol=1e-6)
    assert np.abs(tables - different).max() > 0.1


@pytest.mark.parametrize("kind", ["tables", "vectors"])
def test_the_numpy_path_gives_the_same_answers(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    users, histories = make_users(), make_histories()
    answers = []
    for _ in range(2):
        fit = NewUserFit(FloatItems(make_items()), make_codes(), QUICK)
        answers.append(getattr(fit, kind)(users, histories))
        monkeypatch.setattr("lightrec.codes.user_fit_task.KERNELS", None)
    np.testing.assert_allclose(*answers, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["tables", "vectors"])
def test_the_length_of_the_users_does_not_change_the_fit(kind: str) -> None:
    """Folded-in vectors keep the closed form's length, which the fit only carries through."""
    users, histories = make_users(), make_histories()
    fit = NewUserFit(FloatItems(make_items()), make_codes(), QUICK)
    small, large = getattr(fit, kind)(users, histories), getattr(fit, kind)(1024 * users, histories)
    np.testing.assert_allclose(1024 * small, large, rtol=1e-3, atol=1e-3 * np.abs(large).max())


@pytest.mark.parametrize("kind", ["tables", "vectors"])
def test_teacher_scores_that_are_too_large_are_refused(kind: str) -> None:
    fit = NewUserFit(FloatItems(make_items() * np.float32(1e15)), make_codes(), QUICK)
    with pytest.raises(ArgumentError, match="teacher_scores hold values"):
        getattr(fit, kind)(make_users() * np.float32(1e15), make_histories())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_fit_that_is_not_finite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lightrec.codes.user_fit_task.KERNELS", None
    )  # the kernel stops before that
    codes = make_codes()
    huge = ItemCodes(codes.codes, codes.codebooks * np.float32(1e15))
    fit = NewUserFit(FloatItems(make_items()), huge, QUICK)
    with pytest.raises(ArgumentError, match="cannot be fitted to the codes in finite numbers"):
        fit.vectors(make_users() * np.float32(1e12), make_histories())


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"settings": None},
        {"settings": [1]},
        {"settings": {"seed": "x", "codes": {}}},
        {"settings": {"seed": -1, "users": None}},
        {"settings": {"seed": True, "users": {"form": "table"}}},
    ],
)
def test_without_settings_the_defaults_are_used(config: dict[str, Any]) -> None:
    assert fit_settings(config) == (UserFitConfig(), 0)


def test_settings_of_the_run_are_used() -> None:
    config = {"settings": {"seed": 5, "users": {"form": "auto", "fit": {"rounds": 3}}}}
    assert fit_settings(config) == (UserFitConfig(rounds=3), 5)


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        ({"rounds": 0}, "users.fit: rounds"),
        ({"ridge": "much"}, "users.fit: ridge"),
        ({"round": 3}, "users.fit: round"),
        ([3], "users.fit must be a table"),
        (None, "users.fit must be a table"),
        ({"rounds": 10**9}, "sampled items are more than"),
        ({"rounds": 10**5, "catalogue_sample": 10**5}, "sampled items are more than"),
        ({"rounds": 10**9, "catalogue_sample": 0}, "sampled items are more than"),
    ],
)
def test_settings_that_cannot_be_used_are_named(
    make_model: Callable[..., Model], fit: Any, message: str
) -> None:
    model = make_model("table", config={"settings": {"users": {"fit": fit}}})
    recommender = Recommender(model)
    assert len(recommender.recommend("u1").items) == 10  # known users do not need them
    with pytest.raises(ConfigError, match=message):
        recommender.recommend(histories=["i1"])


def test_very_many_candidates_are_all_items(make_model: Callable[..., Model]) -> None:
    fit = {"candidates": 2**40, "false_positives": 2**40, "rounds": 2}
    answers = [
        Recommender(make_model("table", config={"settings": {"users": {"fit": settings}}}))
        .recommend(histories=["i1"])
        .scores
        for settings in (fit, {**fit, "candidates": 60, "false_positives": 60})
    ]
    np.testing.assert_array_equal(*answers)


HISTORIES = [["i1", "i2"], ["i3"], ["i30", "i4", "i59"]]
ROWS = [np.array([1, 2]), np.array([3]), np.array([4, 30, 59])]


def scores_of_histories(model: Model) -> np.ndarray:
    return Recommender(model).score(histories=HISTORIES, items=model.item_ids.ids(range(60)))


@pytest.mark.parametrize("settings", [{}, SETTINGS])
def test_a_model_of_tables_fits_new_users_to_the_teachers_items(
    make_model: Callable[..., Model], settings: dict[str, Any]
) -> None:
    model = make_model("table", config={"settings": {"seed": 3, "users": {"fit": settings}}})
    items = model.float_items
    assert items is not None
    users = np.stack([folded_in(items, rows) for rows in ROWS])
    config = UserFitConfig(**settings)
    tables = fit_tables(
        Factors(users, items), model.item_codes, as_history(ROWS, 60), config, effort=Effort(3)
    )
    expected = model.item_codes.scores(tables)
    np.testing.assert_allclose(scores_of_histories(model), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("mapped", [False, True])
def test_a_model_of_fitted_users_fits_new_ones_from_their_mapped_vectors(
    make_model: Callable[..., Model], mapped: bool
) -> None:
    model = make_model("fitted", mapped=mapped)
    items = model.float_items
    assert items is not None
    users = np.stack([folded_in(items, rows) for rows in ROWS])
    start = users @ model.users.map_weights["0.weight"].T if model.users.map_weights else users
    rounds = UserFitConfig().rounds_of_vectors
    assert rounds < UserFitConfig().rounds  # stored vectors go through fewer rounds than tables
    vectors = fit_vectors(
        *(Factors(users, items), model.item_codes, as_history(ROWS, 60)),
        start=start,
        rounds=rounds,
    )
    expected = vectors @ model.item_codes.decode().T
    np.testing.assert_allclose(scores_of_histories(model), expected, rtol=1e-3, atol=1e-3)


def test_identity_users_are_folded_in_against_float_items(
    make_model: Callable[..., Model],
) -> None:
    model = make_model()
    assert model.float_items is not None
    norm = np.median(np.linalg.norm(model.users.values, axis=1))
    users = np.stack([folded_in(model.float_items, rows) for rows in ROWS])
    users *= norm / np.linalg.norm(users, axis=1, keepdims=True)
    expected = users @ model.item_codes.decode().T
    np.testing.assert_allclose(scores_of_histories(model), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", ["identity", "fitted", "table"])
def test_without_float_items_new_users_meet_the_decoded_ones(
    make_model: Callable[..., Model], form: str
) -> None:
    model = make_model(form, mapped=True, with_float_items=False)
    decoded = model.item_codes.decode()
    users = np.stack([folded_in(decoded, rows) for rows in ROWS])
    if form != "table":
        norm = np.median(np.linalg.norm(model.users.values, axis=1))
        users *= norm / np.linalg.norm(users, axis=1, keepdims=True)
    np.testing.assert_allclose(scores_of_histories(model), users @ decoded.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", ["free", "linear", "mlp"])
def test_users_trained_beside_the_codes_meet_decoded_items_whether_there_are_float_ones(
    make_model: Callable[..., Model], form: str
) -> None:
    model = make_model(form)
    without = dataclasses.replace(model, float_items=None)
    assert scores_of_histories(model).tobytes() == scores_of_histories(without).tobytes()


@pytest.mark.parametrize("form", ["fitted", "table"])
def test_a_history_with_nothing_to_go_by_falls_back_to_popularity(
    make_model: Callable[..., Model], form: str
) -> None:
    model = make_model(form, mapped=True)
    answer = Recommender(model).recommend(histories=[["i1"], []], k=60)
    assert answer.fallbacks == (None, "popularity")
    popularity = model.item_columns["popularity"].to_numpy()
    assert answer[1].items == [f"i{row}" for row in np.argsort(-popularity, kind="stable")]


@pytest.mark.parametrize("form", ["fitted", "table"])
def test_a_fitted_new_user_ranks_more_like_the_teacher_than_decoded_items_allow(
    make_model: Callable[..., Model], form: str
) -> None:
    rng = np.random.default_rng(5)
    items = rng.normal(size=(600, 12)).astype(np.float32)
    codes = additive_quantization(
        items, AdditiveQuantizationConfig(num_codebooks=2, num_codewords=16, rounds=2), rng=rng
    )
    histories = [np.unique(rng.integers(0, 600, 8)) for _ in range(40)]
    values = np.zeros((1, 2, 16) if form == "table" else (1, 12), np.float32)
    small = make_model()
    model = dataclasses.replace(
        small,
        item_codes=codes,
        users=Users("table" if form == "table" else "fitted", values),
        item_ids=type(small.item_ids).from_values(np.arange(600), "item"),
        item_columns=small.item_columns[np.arange(600) % 60],
        history=None,
    )
    teacher = np.stack([folded_in(items, rows) for rows in histories]) @ items.T

    def unseen_only(scores: np.ndarray) -> np.ndarray:
        for own, rows in zip(scores, histories, strict=True):
            own[rows] = -np.inf
        return scores

    overlap = {}
    for name, float_items in (("decoded", None), ("float", items)):
        recommender = Recommender(dataclasses.replace(model, float_items=float_items))
        answers = recommender.score(
            histories=[rows.tolist() for rows in histories], items=np.arange(600)
        )
        found = [
            set(np.argsort(-own)[:20].tolist()) & set(np.argsort(-wanted)[:20].tolist())
            for own, wanted in zip(*map(unseen_only, (answers, teacher)), strict=True)
        ]
        overlap[name] = np.mean([len(both) / 20 for both in found])
    assert overlap["float"] > 1.3 * overlap["decoded"], overlap
