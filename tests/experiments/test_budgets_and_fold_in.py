"""Quality against bytes, new users, and how the preset was chosen: each in short."""

import itertools

import numpy as np
import polars as pl
import pytest
import torch

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_fit_task import FitTask, UserFitConfig
from lightrec.durable_files import read_json
from lightrec.experiments import (
    best,
    best_choices,
    budgets,
    fold_in,
    fold_in_choices,
    live_users,
    refitted_codes,
    runner,
    teacher_cache,
    teacher_choices,
    training_study,
    updates,
)
from lightrec.experiments.best_tables import (
    best_choices_table,
    budgets_table,
    fold_in_choices_table,
    fold_in_table,
    live_users_table,
    refitted_codes_table,
    teacher_choices_table,
    updates_table,
)
from lightrec.experiments.figures import draw_budgets
from lightrec.experiments.parts import test_part as part_of_split  # pytest would collect it
from lightrec.experiments.parts import validation_part
from lightrec.experiments.study_tables import training_study_table
from lightrec.factors import Factors
from lightrec.interactions import synthetic_catalogue
from lightrec.run_config import RunConfig, load_config
from lightrec.settings import merged, validated
from lightrec.teachers.ials import IalsConfig

SMALL = {
    "teacher": {"kind": "ials", "width": 8, "sweeps": 3},
    "codes": {"num_codebooks": 2, "num_codewords": 16, "rounds": 1},
    "ranking": {"cells": 4, "rounds": 1},
    "users": {"fit": {"rounds": 2}, "alternations": 1},
}
SIZES = (2, 3)
TEACHERS = {kind: (made, dict(every)) for kind, (made, every) in teacher_choices.VARIANTS.items()}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    made = synthetic_catalogue(150, 200, seed=1)
    (root / "citeulike-t").mkdir()
    pairs = made.interactions.select(user="user_id", item="item_id")
    pairs.write_parquet(root / "citeulike-t" / "interactions.parquet")
    items: pl.DataFrame = made.items.select(item="item_id")
    items.write_parquet(root / "citeulike-t" / "items.parquet")
    return root


@pytest.fixture(scope="module", autouse=True)
def checkout(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("checkout")
    with pytest.MonkeyPatch.context() as patch:
        for module in (
            *(best, best_choices, budgets, fold_in, fold_in_choices),
            *(live_users, refitted_codes, updates),
        ):
            patch.setattr(module, "load_config", lambda preset: load_config(preset, **SMALL))
        patch.setattr(budgets, "BYTES", SIZES)
        patch.setattr(live_users, "FOLDS", 2)
        patch.setattr(fold_in_choices, "IALS", IalsConfig(width=4, sweeps=2))
        few = {name: best_choices.VARIANTS[name] for name in ("default", "users: no alternation")}
        patch.setattr(best_choices, "VARIANTS", few | {"codes: 1 cell": {"ranking": {"cells": 1}}})
        for variants in (teacher_choices.SAMPLED_SOFTMAX, teacher_choices.IALS):
            for name in set(variants) - {"default", "width 32"}:
                patch.delitem(variants, name)
        for module in (runner, teacher_cache):
            patch.setattr(module, "project_root", lambda: folder)
        yield folder


def test_budgets_hold_every_quantiser_at_every_size_and_plain_vectors(data, tmp_path) -> None:
    pytest.importorskip("faiss")
    content = read_json(budgets.run(root=data))
    rows = {(row["model"], row["variant"], row["bytes"]): row for row in content["rows"]}
    coded = {(model, form, size) for model, form in budgets.QUANTIZERS for size in SIZES}
    plain = {("float32", "", 32.0), ("float16", "", 16.0), ("int8", "", 12.0)}
    assert rows.keys() == coded | plain
    for (_, _, size), row in rows.items():
        assert row["bytes_per_item_all_in"] >= size
    assert rows["lightrec", "identity", 3]["num_codebooks"] == 3
    assert rows["float32", "", 32.0]["ndcg"] == pytest.approx(
        rows["float16", "", 16.0]["ndcg"], abs=1e-3
    )
    assert "| lightrec, `table` |" in budgets_table(content)
    pytest.importorskip("matplotlib")
    drawn = [tmp_path / name for name in ("a.svg", "b.svg")]
    for file in drawn:
        draw_budgets(content, file)
    assert drawn[0].read_bytes() == drawn[1].read_bytes()
    fewer = content | {"rows": [row for row in content["rows"] if row["variant"] != "table"]}
    draw_budgets(fewer, drawn[1])
    assert drawn[0].read_bytes() != drawn[1].read_bytes()


def test_held_out_users_are_in_nobody_elses_part(data) -> None:
    part = part_of_split("citeulike-t", 0, data)
    held, others = fold_in.hold_users_out(part, seed=0)
    assert len(held.rows) == round(0.1 * int((part.sought.user_degrees() > 0).sum()))
    assert held.part.pairs.num_users + others.pairs.num_users == part.pairs.num_users
    assert len(held.part.pairs) + len(others.pairs) == len(part.pairs)
    for place, row in enumerate(held.rows.tolist()):
        assert np.array_equal(held.part.pairs.of(place), part.pairs.of(row))
        assert np.array_equal(held.part.sought.of(place), part.sought.of(row))


def test_new_users_are_ranked_beside_the_same_users_trained(data) -> None:
    content = read_json(fold_in.run(["citeulike-t"], root=data))
    rows = {(row["model"], row["variant"]): row for row in content["rows"]}
    trained = {("trained", form) for form in ("float", *fold_in.TRAINED)}
    folded = {("folded_in", variant) for variant in fold_in.FOLDED}
    known = {("known_items", variant) for variant in fold_in.KNOWN_ITEMS}
    assert rows.keys() == trained | folded | known
    assert len({row["users"] for row in content["rows"]}) == 1
    known, new = rows["trained", "float"], rows["folded_in", "float"]
    assert 0.3 * known["recall@100"] < new["recall@100"]
    table = fold_in_table(content)
    only, stored = rows["folded_in", "codes only"], rows["trained", "table"]
    share = 100 * only["recall@100"] / stored["recall@100"]
    assert f"| folded in | codes only | table | {only['recall@100']:.4f} ({share:.1f} %) |" in table
    assert "| folded in | codes only | identity |" in table
    assert f"| trained | table |  | {stored['recall@100']:.4f} |" in table
    fitted = 100 * rows["folded_in", "float items: table"]["recall@100"] / stored["recall@100"]
    verdict = "reached" if fitted >= 95 else "missed"
    assert table.endswith(f"found: citeulike-t {fitted:.1f} %, {verdict}.")


def test_settings_of_fold_in_are_chosen_on_validation_pairs(data) -> None:
    content = read_json(fold_in_choices.run(["citeulike-t"], root=data))
    rows = {(row["model"], row["regime"], row["variant"]): row for row in content["rows"]}
    met = (*fold_in_choices.MET, fold_in_choices.KNOWN)
    every = itertools.product(("chosen", "ials"), met, fold_in_choices.VARIANTS)
    assert rows.keys() == set(every)
    shares = ("default", *(f"history share {share}" for share in (".25", ".5", "1")))
    for regime in met:
        found = {rows["chosen", regime, name]["ndcg_validation"] for name in shares}
        assert len(found) > 1
    assert not any("recall@100" in row for row in content["rows"])
    table = fold_in_choices_table(content)
    assert len(table.splitlines()) == 2 + 2 * len(fold_in_choices.VARIANTS)
    assert table.splitlines()[2].startswith("| citeulike-t | chosen | default | ")


def test_vectors_of_unknown_users_query_as_they_are_and_through_maps(data, checkout) -> None:
    ledger = checkout / "experiments" / "results" / "ledger.jsonl"
    before = ledger.stat().st_size if ledger.exists() else 0
    content = read_json(live_users.run(root=data))
    assert (ledger.stat().st_size if ledger.exists() else 0) == before
    rows = {row["variant"]: row for row in content["rows"]}
    assert rows.keys() == set(live_users.VARIANTS)
    judged = validation_part("citeulike-t", data).sought.user_degrees() > 0
    assert {row["users"] for row in rows.values()} == {int(judged.sum())}
    assert rows["identity"]["ndcg_validation"] < rows["float"]["ndcg_validation"]
    refitted = rows["identity, codebooks refitted"]
    assert refitted["ndcg_validation"] != rows["identity"]["ndcg_validation"]
    table = live_users_table(content)
    assert table.splitlines()[2].startswith("| citeulike-t | float | 8 |")
    assert "| citeulike-t | linear | 8 |" in table


def test_codes_are_fitted_to_users_in_turn(data) -> None:
    content = read_json(refitted_codes.run(root=data))
    rows = {(row["times"], row["variant"]): row for row in content["rows"]}
    assert rows.keys() == {(times, form) for times in (0, 1, 2) for form in ("fitted", "table")}
    assert rows[0, "table"]["items_changed"] == 0 < rows[1, "table"]["items_changed"] <= 1
    table = refitted_codes_table(content)
    assert table.count("| citeulike-t | 2 x |") == 2


def test_refitted_codes_come_closer_to_what_users_want() -> None:
    rng = np.random.default_rng(0)
    users, items = (rng.standard_normal((n, 6)).astype(np.float32) for n in (40, 30))
    codes = ItemCodes(
        rng.integers(0, 8, (30, 3), dtype=np.uint8),
        rng.standard_normal((3, 8, 6)).astype(np.float32),
    )
    config = UserFitConfig(candidates=8, false_positives=8, catalogue_sample=0, catalogue_weight=30)
    tables = codes.score_tables(users)
    task = FitTask.of(Factors(users, items), codes, None, config, user_rows=None, rounds=1)
    found = refitted_codes.refit_codes(task, tables)

    def scores(of: np.ndarray) -> np.ndarray:
        return sum(tables[:, book, of[:, book]] for book in range(3))

    targets = users @ items.T
    weights, intercepts = np.zeros(targets.shape), np.zeros((40, 1))
    for user, (asked, own) in enumerate(zip(targets, scores(codes.codes), strict=True)):
        best = np.argsort(-asked)[:8]
        others = np.setdiff1d(np.argsort(-own)[:8], best)
        weights[user, best] = config.rank_weights(30)[:8]
        weights[user, others] = config.rank_weights(30)[8]
        intercepts[user] = np.average(asked - own, weights=weights[user])

    def costs(of: np.ndarray) -> np.ndarray:
        squares = (scores(of) + intercepts - targets) ** 2
        return (weights * squares).sum(axis=0) + 30 * 40 / 30 * squares.mean(axis=0)

    before, after = costs(codes.codes), costs(found)
    assert (after <= before * (1 + 1e-5)).all()
    assert after.sum() < 0.8 * before.sum()


def test_a_models_life_is_measured_on_the_same_pairs(data) -> None:
    content = read_json(updates.run(root=data))
    rows = {(row["model"], row["variant"]): row for row in content["rows"]}
    warm = [f"stability {share:g}, " for share in updates.STABILITIES]
    everything = [("updated", ""), ("cold", ""), *(("warm", each) for each in warm)]
    expected = {(model, each + "all pairs") for model, each in everything}
    expected |= {(model, each + "later items") for model, each in everything}
    assert rows.keys() == expected | {("earlier", "all pairs")}
    assert rows["earlier", "all pairs"]["items"] < rows["cold", "all pairs"]["items"] == 200
    assert rows["updated", "later items"]["users"] == rows["cold", "later items"]["users"] > 0
    changed = [rows["warm", each + "all pairs"]["codes_changed"] for each in warm]
    assert changed == sorted(changed, reverse=True)
    assert rows["updated", "all pairs"]["codes_changed"] == changed[-1] == 0
    table = updates_table(content)
    assert table.count("| citeulike-t |") == len(everything) + 1
    assert f"| warm, stability 0.3 | {changed[1]} of 200 ({changed[1] / 2:.0f} %) |" in table


def test_choices_are_measured_on_validation_pairs_and_write_no_ledger(data, checkout) -> None:
    before = (checkout / "experiments" / "results" / "ledger.jsonl").stat().st_size
    content = read_json(best_choices.run(root=data))
    assert (checkout / "experiments" / "results" / "ledger.jsonl").stat().st_size == before
    rows = {row["variant"]: row for row in content["rows"]}
    assert "ndcg_validation_fitted" in rows["default"]
    assert "ndcg_validation_fitted" not in rows["codes: 1 cell"]
    same = [
        row["ndcg_validation_table"] for row in (rows["default"], rows["users: no alternation"])
    ]
    assert same[0] == same[1]
    assert "codes: 1 cell" in best_choices_table(content)


def test_the_study_chooses_rates_on_validation_and_measures_on_test(
    data, checkout, monkeypatch
) -> None:
    few = {name: training_study.PAPER[name] for name in ("the paper's", "x")}
    small = {"codes": SMALL["codes"], "teacher": {"epochs": 2, "width": 8}}
    paper = load_config("paper", student={"epochs": 2, "pool_size": None}, **small)
    best = training_study.regimes()[1]
    variants = {name: best.variants[name] for name in ("codes stay", "no step")}
    settings = best.config.model_dump() | SMALL
    settings["student"] |= {"epochs": 1, "num_negatives": 4}
    monkeypatch.setattr(training_study, "LEARNING_RATES", (1e-3, 1e-2))
    monkeypatch.setattr(training_study, "SEEDS", {"citeulike-t": (0, 1)})
    monkeypatch.setattr(
        training_study,
        "regimes",
        lambda: (
            training_study.Regime("paper", paper, few),
            training_study.Regime("best", validated(RunConfig, settings, "here"), variants),
        ),
    )
    ledger = checkout / "experiments" / "results" / "ledger.jsonl"
    before = len(ledger.read_text().splitlines()) if ledger.exists() else 0
    content = read_json(training_study.run(["citeulike-t"], root=data))
    assert [row["seed"] for row in content["rows"]].count(1) == 4
    rows = {(row["regime"], row["variant"]): row for row in content["rows"] if row["seed"] == 0}
    assert rows.keys() == {
        *(("paper", name) for name in few),
        *(("best", name) for name in variants),
    }
    assert len(ledger.read_text().splitlines()) == before + 8
    for row in rows.values():
        assert {"recall@100", "ndcg", "recall@100_validation", "ingredient"} <= row.keys()
        rates = (training_study.ANY_RATE,) if row["variant"] == "no step" else (1e-3, 1e-2)
        assert row["learning_rate"] in rates
    assert rows["best", "no step"]["epochs"] == 0
    assert rows["paper", "x"]["ingredient"] == "recurrence"
    assert rows["paper", "x"]["against"] == "the paper's"
    table = training_study_table(content)
    assert table.count("**citeulike-t**") == 2
    means = {
        name: np.mean([row["ndcg"] for row in content["rows"] if row["variant"] == name])
        for name in few
    }
    change = means["x"] / means["the paper's"] - 1
    assert f"({100 * change:+.1f} %) |" in next(
        line for line in table.splitlines() if line.startswith("| recurrence | x |")
    )


def test_the_climb_over_rates_ends_at_a_peak_and_measures_no_rate_twice() -> None:
    for peak, measured in ((1e-3, 3), (2.5e-4, 5), (8e-3, 5), (32e-3, 6), (1e-3 / 64, 8)):
        seen: list[float] = []

        def validated_at(rate: float, peak: float = peak, seen: list[float] = seen) -> dict:
            seen.append(rate)
            value = -abs(np.log(rate / peak)) + 10
            return {"recall@100": value, "ndcg": value, "learning_rate": rate, "epochs": 4}

        best = training_study.best_of_climb(training_study.LEARNING_RATES, validated_at)
        assert best["learning_rate"] == peak
        assert len(seen) == len(set(seen)) == measured


def test_the_climb_goes_down_while_no_epoch_improves_on_the_start() -> None:
    rates = training_study.LEARNING_RATES
    for longest in (6e-5, 0.0):  # the longest steps of any use
        seen: list[float] = []

        def validated_at(rate: float, longest: float = longest, seen: list[float] = seen) -> dict:
            seen.append(rate)
            gain = rate if rate <= longest else 0.0
            told = {"recall@100": 0.3 + gain, "ndcg": 0.2 + gain, "learning_rate": rate}
            return told | {"epochs": 3 if gain else 0}

        best = training_study.best_of_climb(rates, validated_at)
        useful = [rate for rate in rates if rate <= longest]
        assert best["learning_rate"] == (max(useful) if useful else 1e-3)
        assert best["epochs"] == (3 if useful else 0)
        first = rates.index(1e-3)
        assert seen == list(rates[first::-1])[: first + 1 - max(len(useful) - 2, 0)]


def test_variants_differ_from_what_they_are_held_against_and_can_be_built() -> None:
    for regime in training_study.regimes():
        own = next(iter(regime.variants))
        assert not regime.variants[own].changes
        for name, variant in regime.variants.items():
            assert (variant.against or own) in regime.variants
            changed = merged(regime.config.model_dump(), {"student": dict(variant.changes)})
            validated(RunConfig, changed, name)
            other = regime.variants[variant.against or own].changes
            assert name == own or variant.changes != other


def test_teachers_are_varied_one_setting_at_a_time(data) -> None:
    content = read_json(teacher_choices.run(root=data))
    rows = {(row["model"], row["variant"]): row for row in content["rows"]}
    kinds = ("sampled_softmax", "ials")
    assert rows.keys() == {(kind, name) for kind in kinds for name in ("default", "width 32")}
    for kind in kinds:
        default, narrow = rows[kind, "default"], rows[kind, "width 32"]
        assert default["ndcg_validation"] != narrow["ndcg_validation"]
    table = teacher_choices_table(content)
    assert "| iALS | width 32 |" in table
    assert "| sampled softmax | default |" in table


@pytest.mark.parametrize("kind", ["sampled_softmax", "ials"])
def test_every_variant_of_a_teacher_differs_from_the_default(kind: str) -> None:
    settings, variants = TEACHERS[kind]
    base = {"width": teacher_choices.WIDTH}
    configs = [settings.model_validate(base | changes) for changes in variants.values()]
    assert len({config.model_dump_json() for config in configs}) == len(configs)
