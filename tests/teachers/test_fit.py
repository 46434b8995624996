"""One way to train any teacher: the settings say which, and nothing else changes."""

import numpy as np
import pytest

from lightrec.errors import ConfigError
from lightrec.factors import Factors
from lightrec.interactions import History
from lightrec.settings import Settings, validated
from lightrec.teachers.blend import blend
from lightrec.teachers.bpr import BprConfig, BprFactorization, train_bpr
from lightrec.teachers.fit import BlendConfig, TeacherConfig, fit_teacher
from lightrec.teachers.ials import IalsConfig, train_ials
from lightrec.teachers.sampled_softmax import (
    SampledSoftmax,
    SampledSoftmaxConfig,
    train_sampled_softmax,
)
from lightrec.training.loop import Surroundings

RNG = np.random.default_rng(0)
PAIRS = History.from_pairs(RNG.integers(0, 40, 300), RNG.integers(0, 30, 300), 40, 30)
SOFTMAX = SampledSoftmaxConfig(
    evaluate_start=True,
    width=4,
    epochs=4,
    batch_size=16,
    num_negatives=20,
    evaluate_every=1,
    patience=2,
)
IALS = IalsConfig(width=5, sweeps=4, patience=2)
BPR = BprConfig(width=3, epochs=4, batch_size=64, evaluate_every=1, patience=2, learning_rate=0.05)
BLEND = BlendConfig(parts=(SOFTMAX, IALS, BPR), weights=(1.0, 0.5, 0.25), width=6)
SEED = 7


def directly(config, epochs: int | None = None) -> Factors:
    """The teacher by the function of its own module."""
    if isinstance(config, IalsConfig):
        return train_ials(PAIRS, config, seed=SEED, stop_after=epochs)[0]
    if isinstance(config, SampledSoftmaxConfig):
        model = SampledSoftmax(PAIRS, config, SEED)
        train_sampled_softmax(model, PAIRS, seed=SEED, stop_after=epochs)
    else:
        model = BprFactorization(PAIRS.num_users, PAIRS.num_items, config, SEED)
        train_bpr(model, PAIRS, seed=SEED, stop_after=epochs)
    return model.factors()


def same(first: Factors, second: Factors) -> bool:
    return all(
        getattr(first, side).tobytes() == getattr(second, side).tobytes()
        for side in ("users", "items")
    )


def scripted(values: list[float]):
    """A judge that finds what the script says, and keeps what it was shown."""
    shown: list[Factors] = []

    def judge(factors: Factors) -> dict[str, float]:
        shown.append(factors)
        value = values[min(len(shown), len(values)) - 1]
        return {"recall@100": 0.75 * value, "ndcg": 0.25 * value}

    return judge, shown


@pytest.mark.parametrize("config", [SOFTMAX, IALS, BPR], ids=lambda config: config.kind)
@pytest.mark.parametrize("epochs", [None, 2])
def test_the_kind_says_who_trains(config, epochs: int | None) -> None:
    fitted = fit_teacher(PAIRS, config, seed=SEED, epochs=None if epochs is None else (epochs,))
    assert fitted.config is config
    assert fitted.epochs == (epochs or 4,)
    assert fitted.metrics == {}
    assert fitted.factors.width == config.width
    assert same(fitted.factors, directly(config, epochs))


@pytest.mark.parametrize("config", [SOFTMAX, BPR], ids=lambda config: config.kind)
def test_a_judge_chooses_the_epochs_the_untrained_start_among_them(config) -> None:
    judge, shown = scripted([0.1, 0.2, 0.5, 0.4, 0.3])
    fitted = fit_teacher(PAIRS, config, seed=SEED, judge=judge)
    assert fitted.epochs == (2,)
    assert fitted.value == pytest.approx(0.5)
    assert same(fitted.factors, directly(config, 2))
    assert same(fitted.factors, shown[2])


def test_a_judge_chooses_the_sweeps() -> None:
    judge, shown = scripted([0.2, 0.5, 0.4, 0.3, 0.5])  # the last time, of what is returned
    fitted = fit_teacher(PAIRS, IALS, seed=SEED, judge=judge)
    assert fitted.epochs == (2,)
    assert fitted.value == pytest.approx(0.5)
    assert same(fitted.factors, directly(IALS, 2))
    assert shown[-1] is fitted.factors


def test_a_blend_is_its_parts_blended() -> None:
    fitted = fit_teacher(PAIRS, BLEND, seed=SEED)
    expected = blend([directly(part) for part in BLEND.parts], BLEND.weights, 6)
    assert same(fitted.factors, expected)
    assert fitted.factors.width == 6
    assert (fitted.config, fitted.epochs, fitted.metrics) == (BLEND, (4, 4, 4), {})


def test_every_part_of_a_blend_has_epochs_of_its_own() -> None:
    fitted = fit_teacher(PAIRS, BLEND, seed=SEED, epochs=(3, 1, 2))
    parts = [directly(part, n) for part, n in zip(BLEND.parts, (3, 1, 2), strict=True)]
    assert same(fitted.factors, blend(parts, BLEND.weights, 6))
    assert fitted.epochs == (3, 1, 2)


def test_parts_are_stopped_one_by_one_and_the_blend_is_judged() -> None:
    script = [0.1, 0.4, 0.3, 0.2]  # sampled softmax: epoch 1
    script += [0.2, 0.3, 0.5, 0.1, 0.5]  # iALS: sweep 3, and what it returns
    script += [0.9, 0.2, 0.1]  # BPR: its untrained start
    judge, shown = scripted([*script, 0.7])
    fitted = fit_teacher(PAIRS, BLEND, seed=SEED, judge=judge)
    assert fitted.epochs == (1, 3, 0)
    assert fitted.value == pytest.approx(0.7)
    assert shown[-1] is fitted.factors
    again = fit_teacher(PAIRS, BLEND, seed=SEED, epochs=fitted.epochs)
    assert same(again.factors, fitted.factors)


def test_a_checkpoint_of_one_part_is_not_taken_for_anothers(tmp_path) -> None:
    other = SOFTMAX.model_copy(update={"temperature": 0.3})
    config = BlendConfig(parts=(SOFTMAX, other), weights=(1.0, 0.5), width=6)
    surroundings = Surroundings(checkpoint=tmp_path / "checkpoint")
    fitted = fit_teacher(PAIRS, config, seed=SEED, surroundings=surroundings)
    assert same(fitted.factors, fit_teacher(PAIRS, config, seed=SEED).factors)


class Chosen(Settings):
    """As a run's configuration holds a teacher."""

    teacher: TeacherConfig


@pytest.mark.parametrize("config", [SOFTMAX, IALS, BPR, BLEND], ids=lambda config: config.kind)
def test_settings_are_told_apart_by_their_kind(config) -> None:
    read = validated(Chosen, {"teacher": config.model_dump(mode="json")}, "run.toml")
    assert read.teacher == config
    assert type(read.teacher) is type(config)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"kind": "als"}, "teacher: .*'als'"),
        ({"width": 8}, "teacher: .*kind"),
        ({"kind": "bpr", "sweeps": 3}, "teacher.bpr.sweeps"),
        ({"kind": "blend", "parts": [], "weights": [1.0]}, "teacher.blend.parts"),
        ({"kind": "blend", "parts": [{"kind": "blend"}], "weights": [1.0]}, "parts.0"),
    ],
)
def test_refuses_settings_of_no_kind(settings: dict, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        validated(Chosen, {"teacher": settings}, "run.toml")
