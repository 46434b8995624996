"""A teacher is trained once, and comes back from the cache as it was."""

import json

import numpy as np
import pytest

from lightrec.errors import InputError
from lightrec.experiments import teacher_cache
from lightrec.experiments.teacher_cache import cached_teacher, description_of, fitted_teacher
from lightrec.factors import Factors
from lightrec.teachers.bpr import BprConfig
from lightrec.teachers.fit import BlendConfig, FittedTeacher
from lightrec.teachers.ials import IalsConfig
from lightrec.teachers.sampled_softmax import SampledSoftmaxConfig

PARTS = (SampledSoftmaxConfig(temperature=0.3), IalsConfig(width=8))
CONFIGS = [*PARTS, BprConfig(l2=0.1), BlendConfig(parts=PARTS, weights=(1.0, 0.5), width=16)]


@pytest.fixture(autouse=True)
def checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(teacher_cache, "project_root", lambda: tmp_path)


def made(config) -> FittedTeacher:
    rng = np.random.default_rng(0)
    users, items = (rng.normal(size=(n, 3)).astype(np.float32) for n in (5, 7))
    epochs = (4, 2) if config.kind == "blend" else (4,)
    return FittedTeacher(Factors(users, items), config, epochs, {"recall@100": 0.25, "ndcg": 0.1})


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_a_teacher_comes_back_with_everything_that_made_it(config) -> None:
    fitted = made(config)
    cached_teacher("a" * 64, lambda: fitted)
    found = cached_teacher("a" * 64, lambda: pytest.fail("trained again")).fitted
    assert np.array_equal(found.factors.users, fitted.factors.users)
    assert np.array_equal(found.factors.items, fitted.factors.items)
    assert (found.config, found.epochs, found.metrics) == (config, fitted.epochs, fitted.metrics)
    assert found.value == pytest.approx(0.35)


def test_the_cost_is_that_of_the_training_and_not_of_the_reading() -> None:
    first = cached_teacher("a" * 64, lambda: made(CONFIGS[0]))
    again = cached_teacher("a" * 64, lambda: pytest.fail("trained again"))
    assert (again.seconds, again.cpu_seconds) == (first.seconds, first.cpu_seconds)


def test_another_key_is_another_teacher() -> None:
    cached_teacher("a" * 64, lambda: made(CONFIGS[0]))
    assert cached_teacher("b" * 64, lambda: made(CONFIGS[1])).fitted.config == CONFIGS[1]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_a_description_is_enough_to_train_it_again(config) -> None:
    """JSON values alone, which a cell keeps without the vectors."""
    fitted = made(config)
    told = json.loads(json.dumps(description_of(fitted)))
    again = fitted_teacher(fitted.factors, told)
    assert (again.config, again.epochs, again.metrics) == (config, fitted.epochs, fitted.metrics)


def test_settings_that_have_gained_a_key_are_not_filled_up_with_its_default() -> None:
    config = IalsConfig(width=2).model_dump(mode="json")
    factors = Factors(np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32))
    told = {"config": config, "epochs": [1], "metrics": {}}
    assert fitted_teacher(factors, told).config == IalsConfig(width=2)
    del config["l2"]
    with pytest.raises(InputError, match="--stale"):
        fitted_teacher(factors, told)
