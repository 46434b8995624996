"""Training again from an earlier model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lightrec.artifact.contents import Model
from lightrec.errors import ArgumentError
from lightrec.interactions import Interactions
from lightrec.interactions.synthetic import SyntheticData, synthetic_catalogue
from lightrec.run_config import load_config
from lightrec.train import train
from lightrec.updates import difference

torch.set_num_threads(1)
CONFIG = load_config(
    "default",
    teacher={"kind": "ials", "width": 8, "sweeps": 4},
    codes={"num_codebooks": 2, "num_codewords": 16, "rounds": 1, "beam": 4},
    users={"form": "identity"},
)


@pytest.fixture(scope="module")
def data() -> SyntheticData:
    return synthetic_catalogue(num_users=150, num_items=200, seed=3)


@pytest.fixture(scope="module")
def whole(data) -> Interactions:
    return Interactions.from_table(data.interactions)


@pytest.fixture(scope="module")
def earlier(data) -> Model:
    """A model of all but the last tenth of the pairs, and of all but three items."""
    table = data.interactions
    gone = table["item_id"].unique(maintain_order=True)[-3:]
    table = table.filter(~table["item_id"].is_in(gone.implode()))
    return train(table[: int(0.9 * len(table))], config=CONFIG, refit=False)


def trained(whole: Interactions, earlier: Model, stability: float) -> Model:
    return train(whole, config=CONFIG, warm_start=earlier, stability=stability, refit=False)


def test_the_more_stable_the_fewer_codes_change(whole, earlier):
    changed = [
        difference(earlier, trained(whole, earlier, share)).codes_changed
        for share in (0.0, 0.3, 0.7, 1.0)
    ]
    assert changed == sorted(changed, reverse=True)
    assert changed[0] > changed[-1] == 0


def test_new_items_are_encoded_and_codebooks_fit_the_new_vectors(whole, earlier):
    made = trained(whole, earlier, 1.0)
    found = difference(earlier, made)
    assert made.num_items == len(whole.items)
    assert found.items_added == len(whole.items) - earlier.num_items >= 3
    assert found.codebooks_changed
    rows = {row.model: row.metrics["recall@100"] for row in _comparison(made).rows}
    assert rows["lightrec"] > 0.9 * rows["teacher"]
    assert rows["lightrec"] > rows["popularity"]


def test_choices_are_repeated(whole, earlier):
    config = CONFIG.model_copy(update={"teacher": load_config("default").teacher})
    config = config.model_copy(update={"users": config.users.model_copy(update={"form": "auto"})})
    made = train(whole, config=config, warm_start=earlier, refit=False)
    assert made.config["teacher"] == earlier.config["teacher"]
    assert made.config["teacher_epochs"] == earlier.config["teacher_epochs"]
    assert made.users.form == "identity"


def test_what_a_warm_start_refuses(whole, earlier):
    with pytest.raises(ArgumentError, match=r"0\.\.1"):
        trained(whole, earlier, 1.5)
    larger = CONFIG.model_copy(
        update={"codes": CONFIG.codes.model_copy(update={"num_codewords": 32})}
    )
    with pytest.raises(ArgumentError, match="2 codebooks of 16"):
        train(whole, config=larger, warm_start=earlier)
    with pytest.raises(ArgumentError, match="by gradient"):
        student = load_config("trained", codes=CONFIG.codes.model_dump())
        train(whole, config=student, warm_start=earlier)
    with pytest.raises(ArgumentError, match="by gradient"):
        trained(whole, replace(earlier, config=earlier.config | {"student_epochs": 0}), 0.3)
    without = replace(earlier, config={})
    with pytest.raises(ArgumentError, match="does not tell which teacher"):
        trained(whole, without, 0.3)
    others = Interactions.from_table(
        {
            "user_id": np.repeat(np.arange(40), 4),
            "item_id": (np.arange(160) % 37 + 10_000),
        }
    )
    with pytest.raises(ArgumentError, match="none of the items"):
        train(others, config=CONFIG, warm_start=earlier)


def _comparison(model: Model):
    from lightrec.evaluation.comparison import Comparison

    return Comparison.from_json(model.config["comparison"])
