"""One contract for every way to make codes: the paper's, this project's, and its baselines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from lightrec import Recommender
from lightrec.artifact.contents import Model
from lightrec.baselines.opq import optimized_product_quantization
from lightrec.codes.coded_users import CodedUsers
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.trained_selection import TrainedSelection
from lightrec.errors import ArgumentError
from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.interactions.id_map import IdMap
from lightrec.outcome import assembled
from lightrec.run.stages import (
    FittedStudent,
    fit_student,
    quantize,
    quantize_by_ranking,
    student_start,
)
from lightrec.run_config import load_config
from lightrec.search.post_ranking import inner_products
from lightrec.updates.new_items import ItemEncoder

USERS, ITEMS, WIDTH, BOOKS, WORDS = 30, 90, 8, 4, 16
SIZES = {"num_codebooks": BOOKS, "num_codewords": WORDS, "rounds": 2}


def factors() -> Factors:
    rng = np.random.default_rng(0)
    return Factors(*(rng.normal(size=(n, WIDTH)).astype(np.float32) for n in (USERS, ITEMS)))


def pairs() -> History:
    rng = np.random.default_rng(1)
    picks = [rng.permutation(ITEMS)[:7] for _ in range(USERS)]
    return History.from_pairs(np.repeat(np.arange(USERS), 7), np.concatenate(picks), USERS, ITEMS)


def quantized(start: str) -> FittedStudent:
    config = load_config("default", codes=SIZES, ranking={"cells": 4})
    if start == "metric":
        ranked = quantize_by_ranking(pairs(), factors(), config)
        return FittedStudent(ranked.item_codes, factors().users, 0, chosen_by=ranked.metric)
    return FittedStudent(quantize(pairs(), factors(), config, start), factors().users, 0)


def opq() -> FittedStudent:
    codes = optimized_product_quantization(factors().items, BOOKS, WORDS, seed=0, iterations=2)
    return FittedStudent(codes, factors().users, 0)


def trained(preset: str, **student: object) -> FittedStudent:
    config = load_config(preset, codes=SIZES, student={"epochs": 2, "pool_size": None, **student})
    start = student_start(pairs(), factors(), config)
    return fit_student(pairs(), factors(), start, config, epochs=2)


MODELS = {
    "RVQ": lambda: quantized("rvq"),
    "AQ": lambda: quantized("aq"),
    "the ranking's metric": lambda: quantized("metric"),
    "OPQ": opq,
    "KDE": lambda: trained("kde"),
    "KDE with distillation": lambda: trained("kde", embedding_distillation=0.3),
    "LightRec, the paper's": lambda: trained("paper"),
    "LightRec, trained": lambda: trained("trained"),
    "LightRec, linear users": lambda: trained("trained", user_form="linear"),
    "LightRec, an MLP of users": lambda: trained("trained", user_form="mlp"),
}


@pytest.fixture(scope="module", params=MODELS)
def made(request) -> tuple[FittedStudent, str]:
    if request.param == "OPQ":
        pytest.importorskip("faiss")
    learned = "LightRec" in request.param or "KDE" in request.param
    form = "free" if learned else "identity"
    form = {"LightRec, linear users": "linear", "LightRec, an MLP of users": "mlp"}.get(
        request.param, form
    )
    return MODELS[request.param](), form


@pytest.fixture(scope="module")
def model(made) -> Model:
    student, form = made
    return assembled(
        CodedUsers(form, student.item_codes, student.users, student.map_weights),
        factors(),
        student.chosen_by,
        {},
        user_ids=IdMap.from_values([f"u{row}" for row in range(USERS)], "user"),
        item_ids=IdMap.from_values([f"i{row}" for row in range(ITEMS)], "item"),
        item_columns=pl.DataFrame({"popularity": pairs().item_degrees().astype(np.int64)}),
        history=pairs(),
        keep_float_items=False,
    )


def brute_force(model: Model, user: int) -> np.ndarray:
    return inner_products(model.item_codes.decode(), model.users.values[user].astype(np.float32))


def test_codes_are_bytes_below_the_number_of_codewords(made) -> None:
    codes = made[0].item_codes
    assert codes.codes.shape == (ITEMS, BOOKS) and codes.codes.dtype == np.uint8
    assert codes.codes.max() < WORDS
    assert codes.codebooks.shape == (BOOKS, WORDS, WIDTH)
    assert np.isfinite(codes.codebooks).all()
    assert len(np.unique(codes.codes, axis=0)) > 5


def test_a_vector_of_the_catalogue_is_encoded_as_its_item_was(made, model: Model) -> None:
    student, form = made
    if form == "mlp" and not isinstance(student.chosen_by, TrainedSelection):
        with pytest.raises(ArgumentError, match="several layers"):
            ItemEncoder(model).of_vectors(factors().items)
        return
    found = ItemEncoder(model).of_vectors(factors().items).codes
    assert found.shape == (ITEMS, BOOKS) and found.dtype == np.uint8
    if isinstance(student.chosen_by, TrainedSelection):
        assert np.array_equal(found, student.item_codes.codes)
    elif student.map_weights is None:  # a search may find others, of no larger error
        books, users = student.item_codes.codebooks, factors().users
        errors = [
            np.abs(users @ (ItemCodes(codes, books).decode() - factors().items).T).mean()
            for codes in (found, student.item_codes.codes)
        ]
        assert errors[0] < 1.1 * errors[1]


def test_a_score_table_says_what_decoded_vectors_do(made) -> None:
    codes, users = made[0].item_codes, made[0].users
    scores = codes.scores(codes.score_tables(users))
    np.testing.assert_allclose(scores, users @ codes.decode().T, rtol=1e-4, atol=1e-4)


def test_making_it_again_makes_the_same(request, made) -> None:
    name = next(name for name in MODELS if f"[{name}]" in request.node.name)
    again = MODELS[name]()
    assert np.array_equal(again.item_codes.codes, made[0].item_codes.codes)
    assert np.array_equal(again.item_codes.codebooks, made[0].item_codes.codebooks)
    assert np.array_equal(again.users, made[0].users)


def test_a_folder_holds_all_of_it(model: Model, tmp_path) -> None:
    model.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    assert np.array_equal(loaded.item_codes.codes, model.item_codes.codes)
    assert np.array_equal(loaded.item_codes.codebooks, model.item_codes.codebooks)
    assert np.array_equal(loaded.users.values, model.users.values)
    assert loaded.users.form == model.users.form
    before = Recommender(model).recommend(users="u3", k=12)
    after = Recommender(loaded).recommend(users="u3", k=12)
    assert after.item_ids.to_list() == before.item_ids.to_list()


def test_recommendations_are_those_of_brute_force(model: Model) -> None:
    rec = Recommender(model)
    for user in (0, 7, 29):
        scores = brute_force(model, user)
        seen = model.history.of(user)
        found = rec.recommend(users=f"u{user}", k=20)
        rows = [int(item[1:]) for item in found.item_ids]
        assert not np.isin(rows, seen).any()
        np.testing.assert_allclose(found.item_scores, scores[rows], rtol=1e-4, atol=1e-4)
        rest = np.setdiff1d(np.arange(ITEMS), np.union1d(rows, seen))
        assert scores[rest].max() <= scores[rows].min() + 1e-4


def test_filters_leave_the_best_of_what_is_allowed(model: Model) -> None:
    rec, allowed = Recommender(model), list(range(0, ITEMS, 3))
    found = rec.recommend(
        users="u5", k=ITEMS, exclude_seen=False, allow=[f"i{row}" for row in allowed], deny="i0"
    )
    rows = [int(item[1:]) for item in found.item_ids]
    assert sorted(rows) == allowed[1:]
    assert (np.diff(brute_force(model, 5)[rows]) <= 1e-4).all()


def test_users_of_a_map_are_what_the_map_makes_of_the_teachers(made, model: Model) -> None:
    if made[0].map_weights is None:
        pytest.skip("these users have no map")
    plain = replace(model, history=None)
    known = Recommender(plain).recommend(users="u2", k=10)
    asked = Recommender(plain).recommend(vectors=factors().users[2], k=10)
    assert asked.item_ids.to_list() == known.item_ids.to_list()
    np.testing.assert_allclose(asked.item_scores, known.item_scores, rtol=1e-4, atol=1e-4)
