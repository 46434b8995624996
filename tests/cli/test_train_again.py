"""Training night after night: `train --publish-if-better` and `--warm-start`, by the command."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from lightrec import updates
from lightrec.artifact import load_model

GRADIENTS = (
    "[teacher]\nkind = 'bpr'\nwidth = 8\nepochs = 2\n[student]\nepochs = 1\n"
    "[codes]\nnum_codebooks = 2\nnum_codewords = 16\nkmeans_iterations = 2\nrounds = 1\n"
)
"""Settings of a moment whose stages keep checkpoints."""


def pairs_of(seed: int, *, like: bool = True) -> set[tuple[str, str]]:
    """Twelve items a user, of the user's taste or of the other one."""
    rng = np.random.default_rng(seed)
    pairs = set()
    for user in range(30):
        liked = np.arange((user + (not like)) % 2, 80, 2)
        pairs |= {(f"u{user}", f"i{item:03}") for item in rng.choice(liked, 12, replace=False)}
    return pairs


@pytest.fixture
def table(write):
    """Writes pairs as a table."""

    def make(name, pairs):
        return write(name, "user_id,item_id\n" + "".join(f"{u},{i}\n" for u, i in sorted(pairs)))

    return make


@pytest.fixture
def nights(table):
    """Pairs of taste, pairs against it, and later pairs of taste that are in neither."""
    good, bad = pairs_of(1), pairs_of(2, like=False)
    sought = pairs_of(3) - good
    return table("good.csv", good), table("bad.csv", bad), table("test.csv", sought)


def test_the_better_model_is_published_and_the_worse_is_not(cli, nights, quick_config, tmp_path):
    good, bad, test = nights
    out, run = tmp_path / "m", tmp_path / "m.run"
    words = ("--out", out, "--config", quick_config, "--publish-if-better", test)
    outcome = cli("train", bad, *words)
    assert outcome.code == 0, outcome.err
    assert "is replaced" not in outcome.out  # there was nothing to replace
    outcome = cli("train", good, *words)
    assert outcome.code == 0, outcome.err
    assert f"{out} is replaced: Recall@100 + NDCG on " in outcome.out
    pairs = len(test.read_text().splitlines()) - 1
    assert f"{test}: {pairs} rows read, {pairs} pairs used" in outcome.out
    assert outcome.out.count("rows read") == 2  # those to train on, and those to measure on
    published = load_model(out).digest
    outcome = cli("train", bad, *words)
    assert outcome.code == 8
    assert outcome.err.startswith(f"lightrec: error: {out} was not replaced: Recall@100 + NDCG")
    assert str(run / "model") in outcome.err
    assert load_model(out).digest == published
    assert load_model(run / "model").user_ids.find(["u0"]).tolist() == [0]


def test_a_night_that_ends_without_a_new_model_does_not_stop_the_next(cli, nights, write, tmp_path):
    good, bad, test = nights
    config = write("gradients.toml", GRADIENTS)
    out = tmp_path / "m"
    words = ("--out", out, "--config", config, "--preset", "trained", "--publish-if-better")
    assert cli("train", good, *words, test).code == 0
    for table in (bad, good):  # other data each night: no checkpoint of the last one is in the way
        assert cli("train", table, *words, test).code in (0, 8)
        assert not (tmp_path / "m.run" / "checkpoints").exists()


def test_a_table_that_nothing_can_be_measured_on_is_refused_before_the_training(
    cli, refused, nights, quick_config, table, tmp_path, monkeypatch
):
    good, bad, test = nights
    out = tmp_path / "m"
    words = ("--out", out, "--config", quick_config, "--publish-if-better")
    assert cli("train", good, *words, test).code == 0
    module = import_module("lightrec.train")
    monkeypatch.setattr(module, "train", lambda *_, **__: pytest.fail("trained"))
    assert "are among those to train on" in refused(3, "train", bad, *words, bad)
    assert "the model was trained on pairs" in refused(3, "train", bad, *words, good)
    strangers = table("strangers.csv", {("nobody", "i001")})
    assert "known to both models" in refused(3, "train", bad, *words, strangers)


def test_an_update_during_the_training_is_not_lost(
    cli, nights, quick_config, tmp_path, monkeypatch
):
    good, _, test = nights
    out = tmp_path / "m"
    words = ("train", good, "--out", out, "--config", quick_config, "--publish-if-better", test)
    assert cli(*words).code == 0
    module = import_module("lightrec.train")
    train = module.train

    def slow(*given, **options):
        updates.update(load_model(out), remove_items=["i003"]).model.save(out)
        return train(*given, **options)

    monkeypatch.setattr(module, "train", slow)
    outcome = cli(*words)
    assert outcome.code == 4
    assert "changed while the new model was trained" in outcome.err
    assert load_model(out).num_items == 79
    aside = tmp_path / "m.run" / "model"
    assert load_model(aside).num_items == 80
    assert cli("update", aside, "--remove", "i003", "--out", out).code == 0  # the remedy
    assert load_model(out).num_items == 79


def test_a_warm_start_keeps_codes_and_choices(cli, refused, nights, table, quick_config, tmp_path):
    good, _, test = nights
    words = ("train", "--config", quick_config, "--no-refit")
    assert cli(*words, good, "--out", tmp_path / "m", "--user-form", "table").code == 0
    grown = table("grown.csv", pairs_of(1) | {(f"u{user}", "new") for user in range(0, 30, 3)})
    warm = ("--warm-start", tmp_path / "m", "--stability", "1")
    outcome = cli(*words, grown, "--out", tmp_path / "warm", *warm)
    assert outcome.code == 0, outcome.err
    old, new = load_model(tmp_path / "m"), load_model(tmp_path / "warm")
    assert new.users.form == "table"  # the earlier choice
    assert new.num_items == old.num_items + 1
    kept = new.item_ids.rows(old.item_ids.series)
    assert np.array_equal(new.item_codes.codes[kept], old.item_codes.codes)
    assert cli("evaluate", tmp_path / "warm", test).code == 0
    message = refused(2, *words, grown, "--out", tmp_path / "warm", "--stability", "1")
    assert "--stability belongs to --warm-start" in message


def test_a_warm_start_may_take_the_place_of_its_own_model(cli, nights, quick_config, tmp_path):
    good, _, test = nights
    out = tmp_path / "m"
    words = ("train", good, "--out", out, "--config", quick_config)
    assert cli(*words).code == 0
    outcome = cli(*words, "--warm-start", out, "--publish-if-better", test)
    assert outcome.code in (0, 8), outcome.err
    assert load_model(out).num_items == 80
