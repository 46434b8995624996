"""Vectors that a team already has, as 4-byte items."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import polars as pl
import pytest

import lightrec
from lightrec.artifact.contents import Model
from lightrec.codes.additive_quantization import (
    additive_quantization,
    popularity_weights,
    relative_error,
)
from lightrec.codes.coded_users import FORMS, users_in_form
from lightrec.codes.item_metric import ItemMetric
from lightrec.codes.ranking_quantization import quantize_in_ranking_metric
from lightrec.compress import CompressConfig, compress
from lightrec.errors import ArgumentError, InputError
from lightrec.evaluation.comparison import Comparison
from lightrec.evaluation.measured_pairs import measured_on_test
from lightrec.evaluation.preferred_form import preferred_last
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer
from lightrec.factors import Factors
from lightrec.interactions import History, IdMap, Interactions
from lightrec.serving.recommender import Recommender
from lightrec.settings import validated
from lightrec.vectors_to_compress import prepare

USERS, ITEMS, WIDTH = 60, 150, 6


SIZES = {"num_codebooks": 2, "num_codewords": 16, "rounds": 2, "beam": 4}


def config(**changes) -> CompressConfig:
    """Settings of the codes changed."""
    return validated(CompressConfig, {"codes": SIZES | changes}, "test")


def with_users(form: str, **changes) -> CompressConfig:
    """A form of users asked for, with a metric of the ranking for a small catalogue."""
    ranking = {"cells": 4, "perplexity": 10.0}
    tables = {"codes": SIZES, "ranking": ranking, "users": {"form": form, **changes}}
    return validated(CompressConfig, tables, "test")


@pytest.fixture(scope="module")
def items() -> np.ndarray:
    spread = np.geomspace(2.0, 0.3, WIDTH)
    return (np.random.default_rng(0).normal(size=(ITEMS, WIDTH)) * spread).astype(np.float32)


@pytest.fixture(scope="module")
def users() -> np.ndarray:
    spread = np.geomspace(0.3, 2.0, WIDTH)
    return (np.random.default_rng(1).normal(size=(USERS, WIDTH)) * spread).astype(np.float32)


@pytest.fixture(scope="module")
def pairs() -> pl.DataFrame:
    """Every user's five pairs; low item numbers are popular."""
    rng = np.random.default_rng(2)
    picks = [rng.choice(ITEMS, 5, replace=False, p=popularity()) for _ in range(USERS)]
    return pl.DataFrame(
        {"user_id": np.repeat(np.arange(USERS), 5), "item_id": np.concatenate(picks)}
    )


@pytest.fixture(scope="module")
def liked(items, users) -> pl.DataFrame:
    """Every user's best five items by the float vectors, to be found again."""
    best = np.argsort(-(users @ items.T), axis=1)[:, :5]
    return pl.DataFrame({"user_id": np.repeat(np.arange(USERS), 5), "item_id": best.ravel()})


def popularity() -> np.ndarray:
    weights = 1.0 / np.arange(1, ITEMS + 1)
    return weights / weights.sum()


def overlap_of(model: Model) -> float:
    return model.config["overlap"]["share"]


def test_the_public_function_is_this_one() -> None:
    assert lightrec.compress is compress


def test_items_alone_answer_queries_by_vector(items, tmp_path) -> None:
    model = compress(items, config=config())
    assert (model.num_items, model.num_users) == (ITEMS, 0)
    assert model.item_ids.series.to_list() == list(range(ITEMS))
    assert model.history is None
    assert "comparison" not in model.config
    assert model.config["overlap"]["by"] == "items"
    model.save(tmp_path / "model")
    (answer,) = Recommender.load(tmp_path / "model").recommend(vectors=items[:1], k=3)
    expected = np.argsort(-(items[0] @ model.item_codes.decode().T), kind="stable")[:3]
    assert answer.items == expected.tolist()


def test_everything_at_once_is_saved_and_recommends_nothing_seen(
    items, users, pairs, tmp_path
) -> None:
    model = compress(
        items,
        users,
        item_ids=[f"item {n}" for n in range(ITEMS)],
        user_ids=np.arange(USERS) * 10,
        interactions=pairs.select(
            user_id=pl.col("user_id") * 10, item_id="item " + pl.col("item_id").cast(pl.String)
        ),
        config=config(),
        keep_float_items=True,
    )
    model.save(tmp_path / "model")
    loaded = Model.load(tmp_path / "model")
    assert loaded.float_items.dtype == np.float16
    answer = Recommender(loaded).recommend([250], k=20)[0]
    seen = pairs.filter(pl.col("user_id") == 25)["item_id"].to_list()
    assert len(answer.items) == 20
    assert not set(answer.items) & {f"item {n}" for n in seen}
    degrees = np.bincount(pairs["item_id"].to_numpy(), minlength=ITEMS)
    assert loaded.item_columns["popularity"].to_list() == degrees.tolist()


def test_the_overlap_is_that_of_the_top_lists(items, users) -> None:
    model = compress(items, users, config=config())
    exact = np.argsort(-(users @ items.T), axis=1)[:, :100]
    coded = np.argsort(-(users @ model.item_codes.decode().T), axis=1)[:, :100]
    shares = [len(set(a) & set(b)) / 100 for a, b in zip(exact, coded, strict=True)]
    assert overlap_of(model) == pytest.approx(np.mean(shares), abs=0.01)  # ties aside
    told = model.config["overlap"]
    assert (told["at"], told["queries"], told["by"]) == (100, USERS, "users")


def test_the_overlap_rises_with_the_number_of_codebooks(items, users) -> None:
    overlaps = [
        overlap_of(compress(items, users, config=config(num_codebooks=number)))
        for number in (1, 2, 4)
    ]
    assert 0 < overlaps[0] < overlaps[1] < overlaps[2] <= 1


def test_users_say_which_errors_matter(items, users) -> None:
    with_users = compress(items, users, config=config()).item_codes
    alone = compress(items, config=config()).item_codes

    def score_error(codes) -> float:
        return float(((users @ (items - codes.decode()).T) ** 2).mean())

    assert score_error(with_users) < 0.9 * score_error(alone)
    assert relative_error(items, alone) < relative_error(items, with_users)


def test_where_there_are_users_codes_go_on_in_the_metric_of_the_ranking(
    items, users, pairs
) -> None:
    settings = with_users("identity")
    model = compress(items, users, interactions=pairs, config=settings)
    degrees = np.bincount(pairs["item_id"].to_numpy(), minlength=ITEMS)
    start = additive_quantization(
        items,
        settings.codes,
        weights=popularity_weights(degrees, settings.codes.popularity_power),
        metric=ItemMetric.user_gram(users, settings.metric.identity),
        rng=np.random.default_rng(settings.seed),
    )
    expected = quantize_in_ranking_metric(
        items,
        users,
        settings,
        seen=model.history,
        degrees=degrees,
        rng=np.random.default_rng(settings.seed),
    ).item_codes
    assert np.array_equal(model.item_codes.codes, expected.codes)
    assert np.array_equal(model.item_codes.codebooks, expected.codebooks)
    assert not np.array_equal(model.item_codes.codes, start.codes)


def test_other_settings_of_users_leave_their_form_alone(items, users) -> None:
    settings = validated(CompressConfig, {"codes": SIZES, "users": {"alternations": 1}}, "test")
    assert settings.users.alternations == 1
    assert compress(items, users, config=settings).users.form == "identity"


def test_without_rounds_the_euclidean_metric_is_of_the_vectors_alone(items, users) -> None:
    euclidean = {"codes": SIZES, "metric": {"kind": "euclidean"}, "ranking": {"rounds": 0}}
    settings = validated(CompressConfig, euclidean, "test")
    plain = additive_quantization(items, settings.codes, rng=np.random.default_rng(0))
    for model in (compress(items, users, config=settings), compress(items, config=config())):
        assert np.array_equal(model.item_codes.codes, plain.codes)


def test_the_tops_of_lists_survive_better_for_the_metric_of_the_ranking(items, users) -> None:
    def kept(rounds: int) -> float:
        """Share of the float top 20 in the codes' top 20."""
        ranking = {"cells": 4, "perplexity": 10.0, "popularity_power": 0.0, "rounds": rounds}
        settings = validated(CompressConfig, {"codes": SIZES, "ranking": ranking}, "test")
        decoded = compress(items, users, config=settings).item_codes.decode()
        exact, coded = (
            np.argsort(-(users @ vectors.T), axis=1)[:, :20] for vectors in (items, decoded)
        )
        return np.mean([len(set(a) & set(b)) / 20 for a, b in zip(exact, coded, strict=True)])

    assert kept(rounds=3) > 1.02 * kept(rounds=0)


@pytest.fixture(scope="module")
def in_every_form(items, users, pairs) -> dict[str, Model]:
    return {
        form: compress(items, users, interactions=pairs, config=with_users(form)) for form in FORMS
    }


def test_users_are_kept_as_they_are_unless_a_form_is_asked_for(items, users, pairs) -> None:
    model = compress(items, users, interactions=pairs, config=config())
    assert model.users.form == "identity"
    assert np.array_equal(model.users.values, users)
    assert [row["variant"] for row in model.config["comparison"]["rows"]] == ["", "", "identity"]


def test_users_are_brought_into_the_form_asked_for(in_every_form, items, users, tmp_path) -> None:
    identity, fitted, table = (in_every_form[form] for form in FORMS)
    assert [in_every_form[form].users.form for form in FORMS] == list(FORMS)
    assert fitted.users.values.shape == users.shape
    assert fitted.users.map_weights["0.weight"].shape == (WIDTH, WIDTH)
    assert (table.users.values.shape, table.users.values.dtype) == ((USERS, 2, 16), np.float16)
    codes, seen = identity.item_codes, identity.history
    for model in (fitted, table):
        assert np.array_equal(model.item_codes.codes, codes.codes)
        expected = users_in_form(model.users.form, Factors(users, items), codes, seen)
        assert np.array_equal(model.users.values, expected.values)
        assert np.array_equal(model.item_codes.codebooks, expected.item_codes.codebooks)
        model.save(tmp_path / model.users.form)
        (answer,) = Recommender.load(tmp_path / model.users.form).recommend([7], k=5)
        scores = CodeScorer(model.item_codes, model.users.values).scores(
            np.array([7]), slice(0, ITEMS)
        )
        scores[0, seen.of(7)] = -np.inf
        assert set(answer.items) == set(np.argsort(-scores[0])[:5].tolist())


def test_the_table_tells_the_bytes_of_a_user(in_every_form) -> None:
    for form, expected in (("identity", 4.0 * WIDTH), ("fitted", 4.0 * WIDTH), ("table", 64.0)):
        table = Comparison.from_json(in_every_form[form].config["comparison"])
        assert table.row("lightrec").bytes_per_user == expected
        assert table.row("rvq").bytes_per_user == 4.0 * WIDTH


def test_auto_ships_the_form_that_half_of_the_users_prefer_and_measures_the_others(
    items, users, liked
) -> None:
    rows = liked["user_id"].to_numpy(), liked["item_id"].to_numpy()
    test = History.from_pairs(*rows, USERS, ITEMS)
    measured = measured_on_test(None, test, 0, choosing=True)
    for tolerance in (0.0, 0.01, 1.0):
        model = compress(items, users, test=liked, config=with_users("auto", tolerance=tolerance))
        table = Comparison.from_json(model.config["comparison"])
        assert table.title == measured.title
        assert [row.model for row in table.rows] == ["teacher", "rvq", *["lightrec"] * 3]
        codes = compress(items, users, config=with_users("identity")).item_codes
        forms = {
            form: users_in_form(form, Factors(users, items), codes, None, with_users("auto").users)
            for form in FORMS
        }
        expected = preferred_last(
            tuple(forms.values()), measured.exclude, measured.choosing, tolerance
        )
        assert [row.variant for row in table.rows[2:]] == [each.form for each in expected]
        assert model.users.form == expected[-1].form
        assert model.config["settings"]["users"]["form"] == "auto"
        for row in table.rows[2:]:
            scorer = CodeScorer(forms[row.variant].item_codes, forms[row.variant].values)
            means = evaluate_ranking(scorer, measured.exclude, measured.sought).means
            assert row.metrics == pytest.approx(means)


def test_fitted_users_are_not_measured_on_pairs_that_their_fit_left_out(items, users) -> None:
    """The interactions are what the vectors rank highest, as they would after training."""
    rng = np.random.default_rng(5)
    best = np.argsort(-(users @ items.T), axis=1)[:, :20]
    picks = np.array([rng.permutation(mine)[:10] for mine in best])
    pairs = pl.DataFrame(
        {"user_id": np.repeat(np.arange(USERS), 10), "item_id": picks.ravel().astype(np.int64)}
    )
    recall = {}
    for form in FORMS:
        model = compress(items, users, interactions=pairs, config=with_users(form))
        table = Comparison.from_json(model.config["comparison"])
        recall[form] = table.row("lightrec").metrics["recall@20"]
        assert table.row("teacher").metrics["recall@20"] == 1.0
        shipped = users_in_form(
            form,
            Factors(users, items),
            compress(items, users, interactions=pairs, config=with_users("identity")).item_codes,
            model.history,
        )
        assert np.array_equal(model.users.values, shipped.values)  # with all interactions left out
    assert min(recall["fitted"], recall["table"]) > 0.97 * recall["identity"]


def test_too_few_interactions_to_hold_some_out_are_said(items, users) -> None:
    pairs = pl.DataFrame({"user_id": np.arange(USERS), "item_id": np.arange(USERS)})
    model = compress(items, users, interactions=pairs, config=config())
    assert "comparison" not in model.config
    assert any("too few interactions" in note for note in model.config["notes"])


@pytest.mark.parametrize("form", ["fitted", "table"])
def test_what_fits_users_needs_users(items, form: str, monkeypatch) -> None:
    refuse_to_quantise(monkeypatch)
    with pytest.raises(ArgumentError, match=f"users.form = '{form}'.*give users"):
        compress(items, config=with_users(form))


def test_what_chooses_needs_test_pairs(items, users, pairs, monkeypatch) -> None:
    refuse_to_quantise(monkeypatch)
    for interactions in (None, pairs):
        with pytest.raises(ArgumentError, match=r"'auto' chooses on test pairs.*identity, linear"):
            compress(items, users, interactions=interactions, config=with_users("auto"))


def test_without_users_there_is_nothing_to_choose(items) -> None:
    model = compress(items, config=with_users("auto"))
    assert (model.users.form, model.num_users) == ("identity", 0)


def refuse_to_quantise(monkeypatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise AssertionError("quantisation began")

    # The package binds `lightrec.compress` to the function, so the module is found by its name.
    monkeypatch.setattr(sys.modules["lightrec.compress"], "quantize_in_ranking_metric", failing)


def popular_items_error(model: Model, items: np.ndarray) -> float:
    return float(((items - model.item_codes.decode())[:20] ** 2).sum(axis=1).mean())


def test_interactions_say_which_items_matter(items, users, pairs) -> None:
    strong = config(popularity_power=1.0)
    weighted = compress(items, users, interactions=pairs, config=strong)
    plain = compress(items, users, config=strong)
    assert popular_items_error(weighted, items) < 0.9 * popular_items_error(plain, items)


def test_interactions_weigh_items_without_user_vectors_too(items, pairs) -> None:
    """User vectors say which errors matter, interactions which items: neither needs the other."""
    strong = config(popularity_power=1.0)
    weighted = compress(items, interactions=pairs, config=strong)
    plain = compress(items, config=strong)
    degrees = np.bincount(pairs["item_id"].to_numpy(), minlength=ITEMS)
    assert weighted.item_columns["popularity"].to_list() == degrees.tolist()
    assert popular_items_error(weighted, items) < 0.9 * popular_items_error(plain, items)


def test_the_comparison_is_measured_on_the_test_pairs(items, users, pairs) -> None:
    test = pairs.with_columns(item_id=(pl.col("item_id") + 71) % ITEMS)
    test = test.join(pairs, on=["user_id", "item_id"], how="anti")
    model = compress(items, users, interactions=pairs, test=test, config=config())
    table = Comparison.from_json(model.config["comparison"])
    assert table.title == f"{len(test):,} test pairs"
    ids = IdMap.from_values(np.arange(USERS)), IdMap.from_values(np.arange(ITEMS))
    seen, sought = (
        Interactions.from_table(part).to_polars().sort("user_id", "item_id")
        for part in (pairs, test)
    )
    exclude, wanted = (
        Interactions(
            *ids,
            part["user_id"].to_numpy().astype(np.int32),
            part["item_id"].to_numpy().astype(np.int32),
        ).history()
        for part in (seen, sought)
    )
    for name, scorer in (
        ("teacher", FloatScorer(users, items)),
        ("lightrec", CodeScorer(model.item_codes, users)),
    ):
        expected = evaluate_ranking(scorer, exclude, wanted).means
        assert table.row(name).metrics == pytest.approx(expected), name


def test_without_test_pairs_the_comparison_says_that_it_is_a_fit(items, users, pairs) -> None:
    model = compress(items, users, interactions=pairs, config=config())
    assert "fit, not prediction" in model.config["comparison"]["title"]


def test_test_pairs_that_were_trained_on_are_refused(items, users, pairs) -> None:
    with pytest.raises(ArgumentError, match="trained on"):
        compress(items, users, interactions=pairs, test=pairs.head(3), config=config())


def test_a_bias_becomes_a_dimension(items, users) -> None:
    bias = np.linspace(-2, 2, ITEMS)
    ready = prepare(items, users, bias)
    scores = ready.factors.users @ ready.factors.items.T
    np.testing.assert_allclose(scores, users @ items.T + bias, rtol=1e-4, atol=1e-4)
    model = compress(items, users, item_bias=bias, config=config())
    assert model.item_codes.width == WIDTH + 1
    assert any("bias is dimension 7" in note for note in model.config["notes"])
    assert Recommender(model).recommend([3], k=2)[0].items
    without_users = compress(items, item_bias=bias, config=config())
    assert without_users.users.values.shape == (0, WIDTH + 1)


def test_unit_items_make_scores_cosines(items, users) -> None:
    unit = items / np.linalg.norm(items, axis=1, keepdims=True)
    model = compress(unit, users * 7.0, config=config())
    np.testing.assert_allclose(np.linalg.norm(model.users.values, axis=1), 1.0, rtol=1e-5)
    assert any("cosines" in note for note in model.config["notes"])
    zero = users.copy()
    zero[4] = 0.0
    assert np.isfinite(prepare(unit, zero, None).factors.users).all()


@pytest.mark.parametrize("spoiled", [0, ITEMS - 1])
def test_one_item_of_another_length_and_scores_are_products(items, users, spoiled: int) -> None:
    almost = items / np.linalg.norm(items, axis=1, keepdims=True)
    almost[spoiled] *= 1.01
    ready = prepare(almost, users, None)
    assert np.array_equal(ready.factors.users, users)
    assert ready.notes == ()


def test_a_bias_beside_unit_items_is_no_cosine(items, users) -> None:
    unit = items / np.linalg.norm(items, axis=1, keepdims=True)
    ready = prepare(unit, users, np.ones(ITEMS))
    assert np.array_equal(ready.factors.users[:, :WIDTH], users)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int16])
def test_any_number_type_will_do(items, users, dtype) -> None:
    rounded = np.rint(items * 10)
    expected = compress(rounded.astype(np.float32), users, config=config())
    found = compress(rounded.astype(dtype), users, config=config())
    assert np.array_equal(found.item_codes.codes, expected.item_codes.codes)
    assert found.item_codes.codebooks.dtype == np.float32


def test_a_seed_decides_everything_and_inputs_stay_as_they_were(items, users, monkeypatch) -> None:
    # The package binds `lightrec.compress` to the function, so the module is found by its name.
    monkeypatch.setattr(sys.modules["lightrec.compress"], "OVERLAP_QUERIES", 10)
    before = items.copy(), users.copy()
    first, second = (compress(items, users, config=config()) for _ in range(2))
    assert np.array_equal(first.item_codes.codes, second.item_codes.codes)
    assert np.array_equal(first.item_codes.codebooks, second.item_codes.codebooks)
    assert first.config == second.config
    assert first.config["overlap"]["queries"] == 10
    assert np.array_equal(items, before[0])
    assert np.array_equal(users, before[1])


def test_pairs_without_a_vector_are_counted_and_not_dropped_silently(items, users, pairs) -> None:
    stray = pl.DataFrame({"user_id": [0, 999, 1], "item_id": [999, 0, 998]})
    model = compress(items, users, interactions=pl.concat([pairs, stray]), config=config())
    assert "interactions: 3 pairs without a vector were left out" in model.config["notes"]
    assert len(model.history) == len(pairs)


def test_ids_of_a_csv_file_are_text_and_match_row_numbers(items, users, pairs) -> None:
    text = pairs.select(pl.all().cast(pl.String))
    model = compress(items, users, interactions=text, config=config())
    assert len(model.history) == len(pairs)
    leading_zero = text.with_columns(item_id="0" + pl.col("item_id"))
    with pytest.raises(InputError, match="no pair has both"):
        compress(items, users, interactions=leading_zero, config=config())


def test_pairs_of_other_ids_altogether_are_refused(items, users, pairs) -> None:
    named = pairs.select(pl.all().cast(pl.String) + "-id")
    with pytest.raises(InputError, match="no pair has both a user and an item vector"):
        compress(items, users, interactions=named, config=config())


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"users": np.ones((4, WIDTH + 1))}, "widths must agree"),
        ({"items": np.ones(ITEMS)}, "items must be a matrix"),
        ({"items": np.array([["a", "b"]] * ITEMS)}, "items must be a matrix"),
        ({"items": np.ones((ITEMS, 0))}, "items must be a matrix"),
        ({"items": np.ones((15, WIDTH))}, "15 items"),
        ({"items": np.ones((0, WIDTH))}, "no items"),
        ({"items": np.full((ITEMS, WIDTH), np.nan)}, "items row 0 .* not finite"),
        ({"items": np.full((ITEMS, WIDTH), 1e18)}, "items row 0 .* beyond the 1e.15"),
        ({"users": np.full((4, WIDTH), np.inf)}, "users row 0 .* not finite"),
        ({"item_bias": np.ones(ITEMS - 1)}, "item_bias must be 150 numbers"),
        ({"item_bias": np.full(ITEMS, np.nan)}, "item_bias row 0 holds a value that is not finite"),
        ({"item_bias": np.full(ITEMS, 1e300)}, "item_bias row 0 .* beyond the 1e\\+15"),
        ({"item_bias": np.ones((2, ITEMS // 2))}, "item_bias must be 150 numbers"),
        ({"item_ids": ["a", "b"]}, "2 item ids for 150 item vectors"),
        ({"user_ids": [1, 2, 3]}, "3 user ids for 0 user vectors"),
        ({"item_ids": ["a"] * ITEMS}, "a"),
    ],
)
def test_what_does_not_fit_is_refused_and_named(items, change: dict, fault: str) -> None:
    arguments = {"items": items, "config": config()} | change
    with pytest.raises((ArgumentError, InputError), match=fault), np.errstate(over="ignore"):
        compress(**arguments)


def test_float_items_too_large_for_half_precision_are_refused_or_kept_finite(items) -> None:
    try:
        model = compress(items * 1e5, config=config(), keep_float_items=True)
    except ArgumentError:
        return
    assert np.isfinite(model.float_items).all()


def test_needs_no_torch() -> None:
    program = """
        import sys
        sys.modules["torch"] = None  # importing it fails
        import numpy as np
        from lightrec.compress import CompressConfig, compress
        config = CompressConfig.model_validate(
            {"codes": {"num_codebooks": 2, "num_codewords": 4, "rounds": 1}}
        )
        rng = np.random.default_rng(0)
        model = compress(
            rng.normal(size=(30, 3)),
            rng.normal(size=(5, 3)),
            interactions={"user_id": [0, 1, 2], "item_id": [3, 4, 5]},
            config=config,
        )
        model.save(sys.argv[1])
        print(model.num_items)
    """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), f"{folder}/model"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.stderr == ""
    assert result.stdout == "30\n"


def test_codewords_of_fewer_numbers_are_asked_through_the_map(items, users, tmp_path) -> None:
    model = compress(items, users, config=with_users("linear", codeword_width=3))
    assert model.item_codes.width == 3
    assert (model.users.form, model.users.values.shape) == ("linear", (USERS, 3))
    model.save(tmp_path / "model")
    rec = Recommender.load(tmp_path / "model")
    known = rec.recommend(users=7, k=20)
    asked = rec.recommend(vectors=users[7], k=20)
    assert asked.item_ids.to_list() == known.item_ids.to_list()
    whole = Recommender(compress(items, users, config=with_users("identity")))
    exact = whole.recommend(users=7, k=20)
    assert len(set(exact.item_ids) & set(known.item_ids)) > 10


def test_a_width_beyond_the_users_own_is_theirs(items, users) -> None:
    model = compress(items, users, config=with_users("linear", codeword_width=99))
    assert model.item_codes.width == WIDTH


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [1.0, 0.0])
def test_equal_items_are_finite_and_said_to_share_one_code(form: str, value: float, tmp_path):
    rng = np.random.default_rng(0)
    keys = rng.permutation(40 * 600)[:200]
    pairs = pl.DataFrame({"user_id": keys // 600, "item_id": keys % 600})
    model = compress(
        np.full((600, 4), value),
        rng.normal(size=(40, 4)),
        interactions=pairs,
        config=validated(CompressConfig, {"users": {"form": form}}, "test"),
    )
    assert any(note.startswith("all 600 items share one code") for note in model.config["notes"])
    assert np.isfinite(model.item_codes.codebooks).all()
    assert np.isfinite(model.users.values.astype(np.float32)).all()
    row = Comparison.from_json(model.config["comparison"]).row("lightrec")
    assert np.isfinite(list(row.metrics.values())).all()
    assert row.metrics["recall@100"] == pytest.approx(100 / 595, abs=0.01)  # as by chance
    model.save(tmp_path / "model")
    answer = Recommender.load(tmp_path / "model").recommend([3], k=5)[0]
    assert len(set(answer.items)) == 5
    assert np.isfinite(answer.scores).all()


def test_items_that_share_a_code_are_noted(items) -> None:
    twice = np.concatenate([items, items[:10]])
    (note,) = compress(twice, config=config(num_codebooks=4)).config["notes"]
    shared, rest = note.split(maxsplit=1)
    assert int(shared) >= 20
    assert rest == (
        "items share their code with another, and so its scores"  # no pairs were given
    )
    assert compress(np.ones((300, 4))).config["notes"] == [
        "all 300 items share one code, and so all their scores: nothing puts one above another"
    ]


def test_fewer_items_than_codewords_are_refused_by_the_name_of_the_setting(items) -> None:
    with pytest.raises(ArgumentError, match=r"set codes\.num_codewords to at most 9"):
        compress(items[:9], config=config())


def test_one_codeword_for_several_items_is_refused(items) -> None:
    with pytest.raises(ArgumentError, match=r"num_codewords = 1 gives all 150 items the same"):
        compress(items, config=config(num_codewords=1))
    assert compress(items[:1], config=config(num_codewords=1)).num_items == 1


def test_tensors_that_numpy_cannot_read_are_refused_with_the_remedy(items) -> None:
    torch = pytest.importorskip("torch")
    for tensor in (torch.nn.Parameter(torch.ones(300, 4)), torch.ones(300, 4).bfloat16()):
        with pytest.raises(ArgumentError, match=r"items cannot be read .*detach\(\)\.float\(\)"):
            compress(tensor, config=config())
    with pytest.raises(ArgumentError, match="item_bias"):
        compress(items, item_bias=[[1.0], [1.0, 2.0]], config=config())
    with pytest.raises(ArgumentError, match="not a path"):
        compress("V.npy", config=config())


def test_tensors_ask_as_arrays_do(items) -> None:
    torch = pytest.importorskip("torch")
    made = compress(items, items[:50], config=config())
    rec = Recommender(made)
    vectors = torch.from_numpy(items[:2].copy())
    by_tensor, by_array = rec.recommend(vectors=vectors, k=5), rec.recommend(vectors=items[:2], k=5)
    assert by_tensor.item_ids.to_list() == by_array.item_ids.to_list()
    by_tensor, by_list = rec.recommend(users=torch.tensor([3, 1]), k=5), rec.recommend([3, 1], k=5)
    assert by_tensor.item_ids.to_list() == by_list.item_ids.to_list()
    with pytest.raises(ArgumentError, match=r"vectors cannot be read .*detach\(\)\.float\(\)"):
        rec.recommend(vectors=vectors.requires_grad_(), k=5)


def test_a_model_is_told_in_a_line(items) -> None:
    made = compress(items, items[:50], config=config())
    assert repr(made).startswith(f"<Model: {len(items):,} items, ")
    assert repr(made).endswith("50 users (identity)>")
    assert repr(Recommender(made).recommend([0, 1], k=5)).startswith("<Recommendations: 2 queries")
