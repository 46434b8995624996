"""The stage that makes the teacher: chosen, as told, or again what was chosen before."""

import numpy as np
import pytest

from lightrec.errors import ConfigError
from lightrec.factors import Factors
from lightrec.interactions import History
from lightrec.teachers import make_teacher as stage
from lightrec.teachers.choice import AutoConfig
from lightrec.teachers.fit import BlendConfig, FittedTeacher, fit_teacher
from lightrec.teachers.ials import IalsConfig
from lightrec.teachers.judge import teacher_judge
from lightrec.teachers.make_teacher import make_teacher
from lightrec.teachers.sampled_softmax import SampledSoftmaxConfig
from lightrec.training.loop import Surroundings

RNG = np.random.default_rng(1)
KEYS = RNG.permutation(40 * 30)[:400]
PAIRS = History.from_pairs(KEYS[:320] // 30, KEYS[:320] % 30, 40, 30)
HELD_OUT = History.from_pairs(KEYS[320:] // 30, KEYS[320:] % 30, 40, 30)
ALL = History.from_pairs(KEYS // 30, KEYS % 30, 40, 30)
SOFTMAX = SampledSoftmaxConfig(
    width=4, epochs=6, batch_size=16, num_negatives=20, evaluate_every=1, patience=2
)
IALS = IalsConfig(width=5, sweeps=6, patience=2)


def same(first: FittedTeacher, second: FittedTeacher) -> bool:
    return all(
        getattr(first.factors, side).tobytes() == getattr(second.factors, side).tobytes()
        for side in ("users", "items")
    )


@pytest.mark.parametrize("config", [SOFTMAX, IALS], ids=lambda config: config.kind)
def test_a_named_teacher_is_trained_as_told(config) -> None:
    made = make_teacher(PAIRS, config, seed=3)
    assert same(made, fit_teacher(PAIRS, config, seed=3))
    assert (made.epochs, made.metrics) == ((6,), {})


@pytest.mark.parametrize("config", [SOFTMAX, IALS], ids=lambda config: config.kind)
def test_held_out_pairs_choose_the_epochs_of_a_named_teacher(config) -> None:
    made = make_teacher(PAIRS, config, seed=3, held_out=HELD_OUT)
    judge = teacher_judge(PAIRS, HELD_OUT)
    assert made.metrics == judge(made.factors)
    (epochs,) = made.epochs
    for other in range(1, min(epochs + config.patience, 6) + 1):  # all that were looked at
        metrics = judge(fit_teacher(PAIRS, config, seed=3, epochs=(other,)).factors)
        assert metrics["recall@100"] + metrics["ndcg"] <= made.value
    assert same(made, fit_teacher(PAIRS, config, seed=3, epochs=made.epochs))


@pytest.mark.parametrize("told", [AutoConfig(), IALS], ids=lambda config: config.kind)
@pytest.mark.parametrize("held_out", [None, HELD_OUT])
def test_what_was_chosen_is_trained_again_whatever_else_is_said(told, held_out) -> None:
    blend = BlendConfig(parts=(SOFTMAX, IALS), weights=(1.0, 0.5), width=6)
    nothing = Factors(np.zeros((40, 6), np.float32), np.zeros((30, 6), np.float32))
    for config, epochs in ((SOFTMAX, (2,)), (IALS, (3,)), (blend, (4, 2))):
        chosen = FittedTeacher(nothing, config, epochs, {"recall@100": 0.5, "ndcg": 0.5})
        made = make_teacher(ALL, told, seed=3, held_out=held_out, repeat=chosen)
        assert (made.config, made.epochs, made.metrics) == (config, epochs, {})
        assert same(made, fit_teacher(ALL, config, seed=3, epochs=epochs))


def test_a_choice_is_made_on_the_held_out_pairs(monkeypatch) -> None:
    calls = []

    def choose_teacher(pairs, config, judge, *, seed, surroundings) -> FittedTeacher:
        fitted = fit_teacher(pairs, IALS, seed=seed, judge=judge)
        calls.append((pairs, config, seed, surroundings, fitted))
        return fitted

    monkeypatch.setattr(stage, "choose_teacher", choose_teacher)
    config, surroundings = AutoConfig(widths=(4,)), Surroundings()
    made = make_teacher(PAIRS, config, seed=3, held_out=HELD_OUT, surroundings=surroundings)
    assert len(calls) == 1
    assert calls[0][:4] == (PAIRS, config, 3, surroundings)
    assert made is calls[0][4]
    assert made.metrics == teacher_judge(PAIRS, HELD_OUT)(made.factors)


def test_nothing_can_be_chosen_without_held_out_pairs() -> None:
    with pytest.raises(ConfigError, match=r"teacher\.kind = 'auto' .* name a teacher"):
        make_teacher(PAIRS, AutoConfig(), seed=0)
