"""A model brought up to date: what changes, what must not, and what is told."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from importlib import import_module

import numpy as np
import polars as pl
import pytest

import lightrec
from lightrec.errors import ArgumentError, InputError, UnknownIdError
from lightrec.serving import Recommender
from lightrec.updates import update
from lightrec.updates.update import UPDATES_KEPT

FORMS = [
    ("identity", False),
    ("identity", True),
    ("fitted", False),
    ("fitted", True),
    ("table", False),
    ("table", True),
    ("linear", False),
]


def top(model, user, k=20, **options):
    return Recommender(model).recommend(users=user, k=k, **options).item_ids.to_list()


def taste(item: str) -> int:
    return int(item[1:]) % 2


@pytest.fixture(scope="module")
def new_pairs():
    """Two new items, one of either taste; a new user of each taste; a known user's new item."""
    pairs = [(f"u{user}", "new0") for user in range(0, 24, 2)]
    pairs += [(f"u{user}", "new1") for user in range(1, 24, 2)]
    pairs += [("even", f"i{item}") for item in range(0, 20, 2)]
    pairs += [("odd", f"i{item}") for item in range(1, 20, 2)]
    return [*pairs, ("u79", "i1")]


@pytest.mark.parametrize(("form", "floats"), FORMS)
def test_new_users_and_new_items_go_where_they_belong(make_model, table, new_pairs, form, floats):
    model = make_model(form, float_items=floats)
    done = update(model, table(new_pairs))
    made = done.model
    assert made.num_items == model.num_items + 2
    assert made.num_users == model.num_users + 2
    for user, parity in (("even", 0), ("odd", 1)):
        liked = [item for item in top(made, user) if item.startswith("i")]
        assert np.mean([taste(item) == parity for item in liked]) > 0.9
    ranks = {
        (user, item): top(made, user, made.num_items, exclude_seen=False).index(item)
        for user in ("u40", "u41")
        for item in ("new0", "new1")
    }
    assert ranks["u40", "new0"] < ranks["u40", "new1"]
    assert ranks["u41", "new1"] < ranks["u41", "new0"]
    assert (made.float_items is None) != floats


@pytest.mark.parametrize(("form", "floats"), FORMS)
def test_what_nobody_touched_does_not_change_by_a_bit(make_model, table, new_pairs, form, floats):
    model = make_model(form, float_items=floats)
    made = update(model, table(new_pairs)).model
    kept = len(model.item_ids)
    assert np.array_equal(made.item_codes.codes[:kept], model.item_codes.codes)
    assert np.array_equal(made.item_codes.codebooks, model.item_codes.codebooks)
    touched = {user for user, _ in new_pairs}
    rows = [row for row in range(model.num_users) if f"u{row}" not in touched]
    assert len(rows) == 55
    assert np.array_equal(made.users.values[rows], model.users.values[rows])
    again = set(range(model.num_users)) - set(rows)
    for row in again:
        assert not np.array_equal(made.users.values[row], model.users.values[row])


def test_pairs_are_counted_and_popularity_follows(make_model, table, new_pairs):
    model = make_model()
    known = ("u0", model.item_ids.ids([int(model.history.of(0)[0])])[0])
    done = update(model, table([*new_pairs, known]))
    assert done.pairs_read == len(new_pairs) + 1
    assert done.pairs_added == len(new_pairs)
    assert (done.pairs_known, done.pairs_left_out, done.pairs_kept_out) == (1, 0, 0)
    assert (done.users_added, done.users_refitted) == (2, 25)
    assert (done.items_added, done.items_removed, done.items_left_out) == (2, 0, ())
    made = done.model
    assert len(made.history) == len(model.history) + len(new_pairs)
    assert made.item_columns["popularity"].to_list() == made.history.item_degrees().tolist()
    assert made.item_columns["popularity"][-2:].to_list() == [12, 12]
    assert made.config["updates"][0]["pairs_added"] == len(new_pairs)
    assert model.config.get("updates") is None


def test_the_same_pairs_again_change_nothing(make_model, table, new_pairs):
    once = update(make_model(), table(new_pairs)).model
    twice = update(once, table(new_pairs))
    assert twice.pairs_added == twice.users_refitted == twice.items_added == 0
    assert np.array_equal(twice.model.users.values, once.users.values)
    assert twice.pairs_known == len(new_pairs)
    assert len(twice.model.config["updates"]) == 2


def test_a_model_remembers_its_last_updates_and_counts_all(make_model, monkeypatch):
    monkeypatch.setattr(import_module("lightrec.updates.update"), "UPDATES_KEPT", 3)
    model = make_model()
    for item in range(5):
        model = update(model, remove_items=f"i{item}").model
    told = model.config["updates"]
    assert (len(told), model.config["updates_made"]) == (3, 5)
    assert all(each["items_removed"] == 1 for each in told)
    config = {name: value for name, value in model.config.items() if name != "updates_made"}
    earlier = replace(model, config=config)  # of a release that did not count
    assert update(earlier, remove_items="i9").model.config["updates_made"] == 4


def test_a_hundred_updates_are_remembered():
    assert UPDATES_KEPT == 100


@pytest.mark.parametrize(("form", "floats"), FORMS)
def test_an_emptied_catalogue_fills_again(make_model, table, new_pairs, form, floats, tmp_path):
    from tests.updates.conftest import vectors

    model = make_model(form, float_items=floats)
    emptied = update(model, remove_items=model.item_ids.series).model
    emptied.save(tmp_path / "model")
    emptied = lightrec.Model.load(tmp_path / "model")
    assert (emptied.num_items, len(emptied.history)) == (0, 0)
    asked = [("even", "x0"), ("odd", "x1"), ("u0", "new0"), ("u1", "new1"), ("odd", "new1")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_pairs = update(emptied, table(asked))
        by_vectors = update(
            emptied, table(asked), item_ids=["x0", "x1"], item_vectors=vectors()[1][:2]
        )
    told = by_pairs.items_added + len(by_pairs.items_left_out)
    assert told == 4
    if form == "identity":  # whose users are vectors still
        assert by_pairs.items_left_out == ("x0", "x1")  # whom only strangers touched
        assert (by_pairs.users_left_out, by_pairs.users_added) == (("even",), 1)
        lengths = np.linalg.norm(by_pairs.model.item_codes.decode(), axis=1)
        usual = np.linalg.norm(model.item_codes.decode(), axis=1)
        assert usual.min() < lengths.min() <= lengths.max() < usual.max()
    made = by_vectors.model
    assert top(made, "u40", 10)[0] == "x0" if form == "identity" else top(made, "u40", 10)
    assert set(made.item_ids.series) >= {"x0", "x1"}


@pytest.mark.parametrize("form", ["identity", "table", "fitted"])
def test_an_updated_user_is_the_user_that_a_query_by_history_is(make_model, table, form):
    model = make_model(form)
    liked = [f"i{item}" for item in range(0, 30, 3)]
    made = update(model, table([("somebody", item) for item in liked])).model
    stored = Recommender(made).recommend(users="somebody", k=model.num_items)
    asked = Recommender(model).recommend(histories=liked, k=model.num_items)
    scores = dict(zip(stored.item_ids.to_list(), stored.item_scores, strict=True))
    assert len(scores) == model.num_items - len(liked)
    # float16 tables are rounded where they are stored, so near neighbours may change places
    np.testing.assert_allclose(
        [scores[item] for item in asked.item_ids.to_list()], asked.item_scores, rtol=5e-3, atol=1e-3
    )
    if form == "identity":
        assert stored.item_ids.to_list() == asked.item_ids.to_list()


@pytest.mark.parametrize(("form", "floats"), [("identity", False), ("table", True), ("linear", 0)])
def test_an_item_with_the_vector_of_another_gets_about_its_scores(make_model, form, floats):
    from tests.updates.conftest import vectors

    model, (_, items) = make_model(form, float_items=bool(floats)), vectors()
    chosen = np.array([3, 8, 50, 99])
    done = update(model, item_ids=[f"x{row}" for row in chosen], item_vectors=items[chosen])
    rec = Recommender(done.model)
    users = model.user_ids.series
    twins = rec.score(users=users, items=[f"x{row}" for row in chosen])
    originals = rec.score(users=users, items=[f"i{row}" for row in chosen])
    spread = rec.score(users=users, items=model.item_ids.series).std()
    assert np.abs(twins - originals).mean() < 0.25 * spread
    assert done.items_added == 4
    codes = done.model.item_codes.codes
    sharing = [f"x{row}" for row, code in zip(chosen, codes[120:], strict=True)
               if (codes == code).all(axis=1).sum() > 1]  # fmt: skip
    assert done.items_sharing_a_code == len(sharing)
    assert list(done.ids_sharing_a_code) == sharing[:5]


def test_twins_are_named_a_few_of_them(make_model):
    from tests.updates.conftest import vectors

    model, (_, items) = make_model(), vectors()
    ids = [f"twin{row}" for row in range(7)]
    done = update(model, item_ids=ids, item_vectors=np.repeat(items[:1], 7, axis=0))
    assert done.items_sharing_a_code == 7
    assert done.ids_sharing_a_code == tuple(ids[:5])
    assert "7 of those added share their code with another item: 'twin0', " in done.describe()
    assert "'twin4' and 2 more" in done.describe()
    assert update(model, remove_items="i3").ids_sharing_a_code == ()


def test_removed_items_are_gone_everywhere(make_model, tmp_path):
    model = make_model(float_items=True)
    gone = ["i3", "i5", "i119"]
    done = update(model, remove_items=gone)
    made = done.model
    assert done.items_removed == 3
    assert made.num_items == 117
    for user in ("u0", "u1"):
        before = [item for item in top(model, user, 200) if item not in gone]
        assert top(made, user, 200) == before
    seen_before = {model.item_ids.ids([row])[0] for row in model.history.of(1).tolist()}
    seen_now = {made.item_ids.ids([row])[0] for row in made.history.of(1).tolist()}
    assert seen_now == seen_before - set(gone)
    made.save(tmp_path / "model")
    loaded = lightrec.Model.load(tmp_path / "model")
    assert top(loaded, "u0") == top(made, "u0")


@pytest.fixture(scope="module")
def titled(make_model):
    """A model with a column of text, one of numbers and one of lists."""
    model = make_model()
    columns = {
        "title": [f"title {row}" for row in range(120)],
        "year": [2000 + row for row in range(120)],
        "genres": [["a", "b"] for _ in range(120)],
    }
    return replace(
        model, item_columns=model.item_columns.hstack(pl.DataFrame(columns).get_columns())
    )


def test_item_columns_come_with_new_items(titled, table, new_pairs):
    items = {"item_id": ["new1"], "title": ["a new one"], "unused": [1]}
    made = update(titled, table(new_pairs), items=items).model
    assert made.item_columns["title"][-2:].to_list() == [None, "a new one"]
    assert made.item_columns.columns == ["popularity", "title", "year", "genres"]
    found = Recommender(made).recommend(users="u40", k=5, where={"title": "a new one"})
    assert found.item_ids.to_list() == ["new1"]
    with pytest.raises(InputError, match="title"):
        update(titled, table(new_pairs), items={"item_id": ["new1"], "title": [["a", "b"]]})


def test_an_items_table_changes_the_columns_of_known_items(titled):
    items = {
        "item_id": ["i3", "i5", "i7", "i9"],
        "title": ["another", None, "title 7", None],
        "genres": [["a", "b"], None, None, ["b"]],
        "year": [2003, 1999, None, None],
    }
    done = update(titled, items=items)
    rows = titled.item_ids.rows(["i3", "i5", "i7", "i9"])
    made = done.model.item_columns[rows]
    assert made["title"].to_list() == ["another", "title 5", "title 7", "title 9"]
    assert made["year"].to_list() == [2003, 1999, 2007, 2009]
    assert made["genres"].to_list() == [["a", "b"], ["a", "b"], ["a", "b"], ["b"]]
    assert done.items_described == 3  # i7 is as it was
    assert "3 known ones have other columns now" in done.describe()
    others = np.setdiff1d(np.arange(120), rows)
    assert done.model.item_columns[others].equals(titled.item_columns[others])
    for year in ("soon", 1999.5):  # never 1999
        with pytest.raises(InputError, match=rf"'year': .* \(item 'i3' has {year!r}\)"):
            update(titled, items={"item_id": ["i3"], "year": [year]})
    made = update(titled, items={"item_id": ["i3"], "year": [1999.0]}).model
    assert made.item_columns["year"][int(rows[0])] == 1999


def test_text_that_looks_like_a_number_stays_as_written(titled, tmp_path):
    (tmp_path / "items.csv").write_text("item_id,title\ni3,9.90\n")
    done = update(titled, items=tmp_path / "items.csv")
    row = int(titled.item_ids.rows(["i3"])[0])
    assert done.model.item_columns["title"][row] == "9.90"


def test_what_an_items_table_tells_in_vain_is_said(titled):
    items = {
        "item_id": ["i3", "who", "what"],
        "title": ["another"] * 3,
        "price": [1.0] * 3,
        "popularity": [9] * 3,
    }
    done = update(titled, items=items)
    columns, rows = done.notes
    assert columns.endswith("left out: price, popularity")
    assert rows.startswith("2 rows of the items table were left out")
    assert done.model.item_columns["popularity"].equals(titled.item_columns["popularity"])


def test_items_that_no_user_tells_about_are_left_out_and_named(make_model, table):
    model = make_model()
    silent = replace(model.users, values=np.zeros_like(model.users.values))
    model = replace(model, users=silent)
    done = update(model, table([("u0", "strange"), ("u1", "strange")]))
    assert done.items_left_out == ("strange",)
    assert (done.items_added, done.pairs_left_out, done.pairs_added) == (0, 2, 0)
    assert done.model.num_items == model.num_items


@pytest.mark.parametrize(("form", "floats"), FORMS)
def test_users_of_whom_nothing_is_known_are_not_added(make_model, table, form, floats):
    model = make_model(form, float_items=floats)
    pairs = [("nobody", "strange"), ("somebody", "i0"), ("no one", "strange"), ("other", "i1")]
    done = update(model, table(pairs))  # who says what `strange` is knows nothing else
    assert done.items_left_out == ("strange",)
    assert done.users_left_out == ("nobody", "no one")
    assert (done.users_added, done.pairs_added, done.pairs_left_out) == (2, 2, 2)
    made = done.model
    assert made.user_ids.series[-2:].to_list() == ["somebody", "other"]
    assert made.users.values[-2:].any()
    assert made.history.of(80).tolist() == [0]
    assert made.history.of(81).tolist() == [1]
    assert "2 left out, because nothing is known of them: 'nobody', 'no one'" in done.describe()
    assert top(made, "somebody", 3) == top(
        update(model, table([("somebody", "i0")])).model, "somebody", 3
    )


@pytest.fixture
def bare(make_model, tmp_path):
    """A model that was saved without its training pairs."""
    make_model().save(tmp_path / "model", with_history=False)
    return lightrec.Model.load(tmp_path / "model")


def test_without_history_trained_users_are_kept_and_it_is_said(bare, table):
    pairs = table([("u0", "i1"), ("u2", "i3"), ("fresh", "i1"), ("fresh", "i3")])
    done = update(bare, pairs)
    assert np.array_equal(done.model.users.values[:80], bare.users.values)
    assert (done.users_added, done.users_refitted, done.users_kept) == (1, 0, 2)
    assert "without its training pairs" in done.notes[0]
    assert "2 known users keep what training gave them" in done.notes[1]
    assert "--refit-known" in done.notes[1]
    before, after = (each.item_columns["popularity"] for each in (bare, done.model))
    assert (after - before).sum() == done.pairs_added == 4


def test_without_history_users_are_fitted_to_the_pairs_given_where_that_is_asked(bare, table):
    pairs = table([("u0", f"i{item}") for item in range(1, 20, 2)])
    done = update(bare, pairs, refit_known=True)
    assert (done.users_refitted, done.users_kept) == (1, 0)
    assert "1 known users were fitted to the pairs given alone, as asked" in done.notes[1]
    assert np.mean([taste(item) for item in top(done.model, "u0")]) > 0.9  # an even user turned odd
    before, after = (each.item_columns["popularity"] for each in (bare, done.model))
    assert (after - before).sum() == 10


def test_without_history_a_new_item_does_not_push_the_other_pairs_out(bare, table):
    odd = [("u0", f"i{item}") for item in range(1, 20, 2)]
    touched = [(f"u{user}", "new0") for user in range(0, 24, 2)]
    done = update(bare, table([*odd, *touched]), refit_known=True)
    assert done.pairs_added == len(odd) + len(touched)
    assert np.mean([taste(item) for item in top(done.model, "u0") if item != "new0"]) > 0.7


def test_integer_ids_stay_integers(make_model, table):
    model = make_model(ids="integers")
    done = update(model, table([("7", "1000"), ("9", "1000"), ("500", "3")]))
    assert done.model.item_ids.series[-1] == 1000
    assert done.model.user_ids.series[-1] == 500
    with pytest.raises(InputError, match="'new'"):
        update(model, table([("7", "new")]))
    with pytest.raises(InputError, match="'0500'"):
        update(model, table([("0500", "3")]))


def test_wrong_arguments_are_refused(make_model, table):
    model, width = make_model(), 6
    with pytest.raises(ArgumentError, match="together"):
        update(model, item_ids=["a"])
    with pytest.raises(ArgumentError, match=r"\(1, 6\)"):
        update(model, item_ids=["a"], item_vectors=np.zeros((1, 5)))
    with pytest.raises(ArgumentError, match="'i3' already"):
        update(model, item_ids=["i3"], item_vectors=np.zeros((1, width)))
    with pytest.raises(ArgumentError, match="NaN"):
        update(model, item_ids=["a"], item_vectors=np.full((1, width), np.nan))
    with pytest.raises(InputError, match="more than once"):
        update(model, item_ids=["a", "a"], item_vectors=np.zeros((2, width)))
    with pytest.raises(UnknownIdError):
        update(model, remove_items=["nothing like it"])


def test_everything_comes_back_from_disk(make_model, table, new_pairs, tmp_path):
    made = update(make_model("table", float_items=True), table(new_pairs)).model
    made.save(tmp_path / "model")
    loaded = lightrec.Model.load(tmp_path / "model")
    assert np.array_equal(loaded.item_codes.codes, made.item_codes.codes)
    assert np.array_equal(loaded.users.values, made.users.values)
    assert loaded.float_items.dtype == np.float16
    assert np.array_equal(loaded.selection.cells.factors, made.selection.cells.factors)
    again = update(loaded, table([("even", "i0"), ("even", "i118")]))
    assert again.pairs_added == 1


def test_what_became_of_the_rows_of_a_table_is_in_the_log(make_model, table, caplog):
    rows = {"user_id": ["u0", "u0", "u1"], "item_id": ["i1", "i1", "i2"], "quantity": [1, 2, 3]}
    with caplog.at_level(logging.INFO, logger="lightrec"):
        done = update(make_model(), rows)
    assert done.pairs_read == 2
    news = [each.getMessage() for each in caplog.records if each.levelno == logging.INFO]
    assert any("3 rows read, 2 pairs used\n  1 rows merged" in message for message in news)
    (warning,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "'quantity' is not used" in warning.getMessage()
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="lightrec"):
        update(make_model(), table([("u0", "i1")]))  # its report is the caller's
    assert not [each for each in caplog.records if "rows read" in each.getMessage()]
