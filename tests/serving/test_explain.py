"""Scores taken apart."""

from __future__ import annotations

import numpy as np
import pytest

from lightrec.errors import ArgumentError, UnknownIdError
from lightrec.serving import Recommender
from lightrec.serving.fold_in import FoldIn
from lightrec.serving.item_vectors import FloatItems

FORMS = ["identity", "linear", "mlp", "free", "fitted", "table"]


@pytest.mark.parametrize("form", FORMS)
def test_codebooks_add_up_to_the_score(make_model, form):
    model = make_model(form)
    rec, user = Recommender(model), model.user_ids.series[2]
    told = rec.explain("i7", user=user)
    (score,) = rec.score(users=user, items=["i7"])[0]
    assert told.item_id == "i7"
    assert told.score == pytest.approx(score, rel=1e-5)
    assert told.codebooks["score"].sum() == pytest.approx(score, rel=1e-5)
    assert told.codebooks["codeword"].to_list() == model.item_codes.codes[7].tolist()
    mean = rec.score(users=user, items=model.item_ids.series).mean()
    assert told.codebooks["above_mean"].sum() == pytest.approx(score - mean, rel=1e-4, abs=1e-4)


def test_a_history_adds_up_to_the_fold_in(make_model):
    model = make_model("identity")
    history = ["i1", "i5", "i30", "i44"]
    told = Recommender(model).explain("i9", history=history)
    items = FloatItems(model.float_items)
    fold_in = FoldIn(items)
    rows = np.array([1, 5, 30, 44])
    (vector,) = fold_in.vectors([rows])
    parts = fold_in.contributions(rows, 9)
    assert parts.sum() == pytest.approx(float(vector @ model.float_items[9]), rel=1e-4)
    shown = dict(told.history.iter_rows())
    order = [f"i{row}" for row in rows[np.argsort(-parts)]]
    assert told.history["item_id"].to_list() == order
    if told.score > 0 and parts.sum() > 0:
        parts = parts * told.score / parts.sum()
    np.testing.assert_allclose([shown[f"i{row}"] for row in rows], parts, rtol=1e-5)


def test_what_is_like_the_item_raises_it_most(make_model):
    """The item itself, in the history, says most for itself."""
    model = make_model("identity")
    told = Recommender(model).explain("i9", history=["i1", "i9", "i30"])
    assert told.history["item_id"][0] == "i9"


@pytest.mark.parametrize("form", FORMS)
def test_where_nothing_is_known_the_score_is_the_popularity(make_model, form):
    model = make_model(form)
    rec = Recommender(model)
    told = rec.explain("i9", history=[])
    assert told.fallback == "popularity"
    assert told.score == rec.score(histories=[[]], items=["i9"])[0, 0]
    assert told.score == model.item_columns["popularity"][9]
    assert rec.explain("i9", user="u1").fallback is None


def test_a_vector_has_no_history(make_model):
    model = make_model("identity")
    told = Recommender(model).explain("i9", vector=np.ones(model.query_width))
    assert told.history is None
    without = make_model("identity", with_history=False)
    assert Recommender(without).explain("i9", user="u1").history is None


def test_wrong_questions_are_refused(make_model):
    rec = Recommender(make_model())
    with pytest.raises(UnknownIdError):
        rec.explain("nothing like it", user="u1")
    with pytest.raises(UnknownIdError):
        rec.explain("i1", user="nobody")
    with pytest.raises(ArgumentError, match="exactly one"):
        rec.explain("i1")
    with pytest.raises(ArgumentError, match="one user"):
        rec.explain("i1", user=["u1", "u2"])
