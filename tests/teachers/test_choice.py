"""The choice among teachers: what it tries, in which order, within which budget, and what wins."""

import json
import logging
import signal
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lightrec.errors import CheckpointError, ConfigError, DivergedError, InterruptedRunError
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import PopularityScorer
from lightrec.factors import Factors
from lightrec.interactions import History, Interactions, Split, validation_split
from lightrec.interactions.synthetic import synthetic_catalogue
from lightrec.settings import validated
from lightrec.teachers import choice, probes, tried
from lightrec.teachers.bpr import BprConfig
from lightrec.teachers.choice import (
    BLEND_WEIGHTS,
    LEAST_GAIN,
    AutoConfig,
    choose_teacher,
)
from lightrec.teachers.fit import BlendConfig, FittedTeacher, SingleConfig
from lightrec.teachers.ials import IalsConfig
from lightrec.teachers.judge import teacher_judge
from lightrec.teachers.probes import (
    IALS_PENALTIES,
    PROBE_EPOCHS,
    PROBE_NEGATIVES,
    PROBE_WIDTH,
    WALKED,
)
from lightrec.teachers.sampled_softmax import SampledSoftmax, SampledSoftmaxConfig
from lightrec.teachers.work import estimated_minutes, validation_minutes
from lightrec.training.loop import Surroundings
from lightrec.training.run_log import RunLog

RNG = np.random.default_rng(0)
PAIRS = History.from_pairs(RNG.integers(0, 50, 600), RNG.integers(0, 40, 600), 50, 40)
PLENTY = AutoConfig(widths=(16, 32), budget_minutes=1e9)
SEED = 11
KINDS = {"sampled_softmax": SampledSoftmaxConfig, "ials": IalsConfig}


def metrics_of(value: float) -> dict[str, float]:
    return {"recall@100": 0.75 * value, "ndcg": 0.25 * value}


class Script:
    """Stands in for training, blending and judging, and keeps what was asked of it.

    Attributes:
        value: What a single teacher is worth, from its settings.
        blend_value: What a blend is worth, from its parts and weights.
        trained: Settings in the order of training.
        mixed: Parts, weights and width of every blend, in order.
    """

    def __init__(
        self,
        value: Callable,
        blend_value: Callable = lambda parts, weights: -1.0,
        pairs: History = PAIRS,
    ) -> None:
        self.value, self.blend_value, self.pairs = value, blend_value, pairs
        self.trained: list[SingleConfig] = []
        self.mixed: list[tuple] = []
        self.surroundings: list[Surroundings] = []
        self._made: list[tuple[Factors, SingleConfig]] = []

    def fit_teacher(self, pairs, config, *, seed, judge, surroundings) -> FittedTeacher:
        assert (pairs, seed) == (self.pairs, SEED)
        assert callable(judge)
        factors = Factors(np.zeros((50, 1), np.float32), np.zeros((40, 1), np.float32))
        self._made.append((factors, config))
        self.trained.append(config)
        self.surroundings.append(surroundings)
        return FittedTeacher(factors, config, (len(self.trained),), metrics_of(self.value(config)))

    def blend(self, parts, weights, width) -> Factors:
        configs = tuple(
            next(config for made, config in self._made if made is part) for part in parts
        )
        self.mixed.append((configs, tuple(weights), width))
        return Factors(parts[0].users.copy(), parts[0].items.copy())

    def judge(self, factors: Factors) -> dict[str, float]:
        assert not any(factors is made for made, _ in self._made)  # these were judged in training
        return metrics_of(self.blend_value(*self.mixed[-1][:2]))


@pytest.fixture
def choose(monkeypatch) -> Callable:
    """Runs a choice by a script; returns what was chosen."""

    def run(script: Script, config: AutoConfig = PLENTY, **surroundings) -> FittedTeacher:
        monkeypatch.setattr(choice, "fit_teacher", script.fit_teacher)
        monkeypatch.setattr(choice, "blend", script.blend)
        return choose_teacher(
            script.pairs, config, script.judge, seed=SEED, surroundings=Surroundings(**surroundings)
        )

    return run


def liking(temperature: float = 0.1, share: float = 0.5, penalty: int = 0) -> Callable:
    """Values that fall with every step away from these settings, and grow with the width.

    Sampled softmax beats iALS of the same width.
    """

    def value(config: SingleConfig) -> float:
        if isinstance(config, IalsConfig):
            place = IALS_PENALTIES.index((config.l2, config.frequency_power))
            return 0.3 + 1e-3 * config.width - 0.01 * abs(place - penalty)
        far = steps_between("temperature", config.temperature, temperature)
        off = steps_between("history_share", config.history_share, share)
        return 0.4 + 1e-3 * config.width - 0.01 * far - 0.001 * off

    return value


def steps_between(setting: str, one: float, other: float) -> int:
    return abs(WALKED[setting].index(one) - WALKED[setting].index(other))


def probes_of(script: Script) -> list[SampledSoftmaxConfig]:
    """The narrow runs with the default popularity and weights of users, which are walked last."""
    narrow = [config for config in softmax(script.trained) if config.width == PROBE_WIDTH]
    return [
        config for config in narrow if (config.popularity_power, config.degree_power) == (0.1, 0.25)
    ]


def softmax(trained: list[SingleConfig]) -> list[SampledSoftmaxConfig]:
    return [config for config in trained if isinstance(config, SampledSoftmaxConfig)]


@pytest.mark.parametrize(
    ("best", "tried"),
    [
        (0.3, [0.1, 0.15, 0.2, 0.3]),  # the end of the list
        (0.2, [0.1, 0.15, 0.2, 0.3]),  # .3 was worse
        (0.15, [0.1, 0.15, 0.2]),
        (0.1, [0.1, 0.15, 0.07]),
        (0.07, [0.1, 0.15, 0.07, 0.05]),
        (0.05, [0.1, 0.15, 0.07, 0.05]),
    ],
)
def test_temperature_walks_up_or_down_while_that_helps(choose, best, tried) -> None:
    script = Script(liking(temperature=best))
    choose(script)
    probes = probes_of(script)
    assert {config.epochs for config in probes} == {PROBE_EPOCHS}
    assert [config.temperature for config in probes if config.history_share == 0.5] == tried
    later = [config for config in probes if config.history_share != 0.5]
    assert later  # the share is walked with the temperature that was found
    assert {config.temperature for config in later} == {best}


@pytest.mark.parametrize(
    ("best", "tried"),
    [
        (0.85, [0.5, 0.7, 0.85]),
        (0.7, [0.5, 0.7, 0.85]),
        (0.5, [0.5, 0.7, 0.3]),
        (0.3, [0.5, 0.7, 0.3, 0.1]),
        (0.1, [0.5, 0.7, 0.3, 0.1]),
    ],
)
def test_the_share_of_history_walks_alike(choose, best: float, tried: list[float]) -> None:
    script = Script(liking(temperature=0.15, share=best))
    choose(script)
    probes = probes_of(script)
    shares = [config.history_share for config in probes if config.temperature == 0.15]
    assert shares == tried


def test_popularity_walks_after_them(choose) -> None:
    script = Script(lambda config: -abs(getattr(config, "popularity_power", 9.0) - 0.2))
    choose(script)
    powers = [config.popularity_power for config in softmax(script.trained)]
    assert powers == [0.1] * 5 + [0.15, 0.2] + [0.2, 0.2] + [0.2, 0.2]


def test_the_weights_of_users_walk_last(choose) -> None:
    script = Script(lambda config: -getattr(config, "degree_power", 9.0))
    choose(script)
    powers = [config.degree_power for config in softmax(script.trained)]
    assert powers == [0.25] * 7 + [0.5, 0.0] + [0.0, 0.0]


def test_probes_meet_few_negatives_and_finalists_all(choose) -> None:
    script = Script(liking())
    choose(script)
    numbers = {(config.width, config.num_negatives) for config in softmax(script.trained)}
    many = SampledSoftmaxConfig().num_negatives
    assert numbers == {(PROBE_WIDTH, PROBE_NEGATIVES), (16, many), (32, many)}


def test_as_good_is_no_reason_to_move(choose) -> None:
    script = Script(lambda config: 0.5)
    chosen = choose(script)
    tried = [
        tuple(getattr(config, setting) for setting in WALKED) for config in softmax(script.trained)
    ]
    start = (0.1, 0.5, 0.1, 0.25)
    assert tried == [
        start,
        *[(0.15, *start[1:]), (0.07, *start[1:])],
        *[(0.1, share, 0.1, 0.25) for share in (0.7, 0.3)],
        *[(0.1, 0.5, power, 0.25) for power in (0.15, 0.05)],
        *[(0.1, 0.5, 0.1, power) for power in (0.5, 0.0)],
        *[start, start],  # the finalists
    ]
    assert chosen.config == SampledSoftmaxConfig(width=32)  # the first


@pytest.mark.parametrize("penalty", range(len(IALS_PENALTIES)))
def test_finalists_are_the_best_of_either_kind_at_every_width(choose, penalty: int) -> None:
    script = Script(liking(temperature=0.2, share=0.3, penalty=penalty))
    chosen = choose(script)
    alternating = [config for config in script.trained if isinstance(config, IalsConfig)]
    assert [(config.width, config.l2, config.frequency_power) for config in alternating] == [
        *[(PROBE_WIDTH, *each) for each in IALS_PENALTIES],
        *[(width, *IALS_PENALTIES[penalty]) for width in (32, 16)],
    ]
    best = {"temperature": 0.2, "history_share": 0.3}  # and all else by default: full length
    full = [SampledSoftmaxConfig(width=width, **best) for width in (32, 16)]
    assert script.trained[-4:] == [full[0], alternating[-2], full[1], alternating[-1]]
    assert chosen.config == full[0]
    assert chosen.epochs == (len(script.trained) - 3,)
    assert chosen.value == pytest.approx(script.value(full[0]))


def test_the_better_kind_wins(choose) -> None:
    favourable = liking()
    script = Script(lambda config: favourable(config) + isinstance(config, IalsConfig))
    assert choose(script).config == IalsConfig(width=32)


@pytest.mark.parametrize("widths", [(16, 32), (PROBE_WIDTH,), (16, PROBE_WIDTH)])
def test_nothing_is_trained_twice(choose, widths: tuple[int, ...]) -> None:
    script = Script(liking(temperature=0.07, share=0.7, penalty=2))
    choose(script, AutoConfig(widths=widths, budget_minutes=1e9))
    keys = [config.model_dump_json() for config in script.trained]
    assert len(set(keys)) == len(keys)


def events_of(file: Path) -> list[dict]:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_stays_within_the_budget_and_says_what_was_not_tried(choose, tmp_path) -> None:
    """From the least budget on that has room for one probe and the narrow finalist."""
    everything = Script(liking())
    choose(everything)
    work = sum(estimated_minutes(PAIRS, config) for config in everything.trained)
    narrow = estimated_minutes(PAIRS, SampledSoftmaxConfig(width=16))
    least = narrow + estimated_minutes(PAIRS, everything.trained[0])
    outcomes = set()
    for place, share in enumerate((0.0, 0.1, 0.3, 0.6, 0.9, 0.999, 1.001)):
        script, file = Script(liking()), tmp_path / f"{place}.jsonl"
        budget = least + share * (work - least) + 1e-9
        choose(script, AutoConfig(widths=(16, 32), budget_minutes=budget), log=RunLog(file))
        left, trained = budget, iter(script.trained)
        for event in events_of(file):
            if event["event"] == "blended":
                continue
            kind = KINDS[event["teacher"]["kind"]]
            minutes = estimated_minutes(PAIRS, kind(**event["teacher"]))
            assert event["estimated_minutes"] == round(minutes, 2)
            if event["event"] == "tried":
                assert event["teacher"] == next(trained).model_dump()
                left -= minutes
                assert left >= 0
            else:
                assert event["event"] == "not tried"
                assert minutes > left - narrow
                assert event["minutes_left"] in (round(left, 2), round(left - narrow, 2))
        assert next(trained, None) is None
        full = [config for config in softmax(script.trained) if config.width != PROBE_WIDTH]
        assert full
        outcomes.add(len(script.trained))
    assert len(outcomes) > 4
    assert max(outcomes) == len(everything.trained)


LARGE = History(np.arange(20_001), np.arange(20_000, dtype=np.int32), 20_000)
"""Many users with a pair each, which cost sampled softmax much and iALS little."""


def test_probes_leave_the_work_of_a_finalist(choose) -> None:
    """The order of the probes is kept, and the widest finalist that fits is the first."""
    everything = Script(liking())
    choose(everything)
    first = everything.trained[0]
    full = SampledSoftmaxConfig(width=16)
    for count in (1, 2, 5):
        minutes = count * estimated_minutes(PAIRS, first) + estimated_minutes(PAIRS, full)
        script = Script(liking())
        chosen = choose(script, AutoConfig(widths=(16, 32), budget_minutes=minutes + 1e-9))
        assert script.trained == [*everything.trained[:count], full]
        assert chosen.config == full


def test_no_other_finalist_takes_what_is_set_aside(choose) -> None:
    """iALS of 32 numbers would fit, and would leave nothing to sampled softmax of 16."""
    everything = Script(liking())
    choose(everything)
    probes = [config for config in everything.trained if config.width == PROBE_WIDTH]
    full = [SampledSoftmaxConfig(width=16), IalsConfig(width=16)]
    work = [sum(estimated_minutes(PAIRS, each) for each in some) for some in (probes, full)]
    wide = estimated_minutes(PAIRS, IalsConfig(width=32))
    assert wide < work[1] < estimated_minutes(PAIRS, SampledSoftmaxConfig(width=32))
    script = Script(liking())
    chosen = choose(script, AutoConfig(widths=(16, 32), budget_minutes=sum(work) + 1e-9))
    assert script.trained == [*probes, *full]
    assert chosen.config == full[0]


def test_a_dear_candidate_does_not_keep_a_cheap_one_out(choose) -> None:
    """For so few pairs sampled softmax costs less than iALS, which is therefore skipped."""
    full = [SampledSoftmaxConfig(width=width) for width in (32, 16)]
    script = Script(liking())
    choose(script)
    probes = [config for config in softmax(script.trained) if config not in full]
    budget = 1.01 * sum(estimated_minutes(PAIRS, config) for config in [*probes, *full])
    again = Script(liking())
    chosen = choose(again, AutoConfig(widths=(16, 32), budget_minutes=budget))
    assert again.trained == [*probes, *full]
    assert chosen.config == full[0]


def test_without_any_budget_there_is_still_a_teacher(choose, tmp_path, caplog) -> None:
    """One probe, and what won trained in full: a probe is no teacher."""
    script = Script(liking())
    log = RunLog(tmp_path / "log")
    chosen = choose(script, AutoConfig(widths=(16, 32), budget_minutes=1e-12), log=log)
    full = SampledSoftmaxConfig(width=16)
    assert [config.width for config in script.trained] == [PROBE_WIDTH, 16]
    assert chosen.config == script.trained[-1] == full
    kinds = [event["event"] for event in events_of(tmp_path / "log")]
    assert kinds[0] == kinds[-1] == "tried"
    assert set(kinds[1:-1]) == {"not tried"}
    (warned,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "after 1 candidates, sampled softmax of 16 numbers is trained all" in warned.message


def test_half_of_a_small_budget_goes_to_probes_and_enough_is_told(choose, caplog) -> None:
    everything = Script(liking(temperature=0.15))
    choose(everything)
    probe, full = (SampledSoftmaxConfig(width=w) for w in (PROBE_WIDTH, 1024))
    minutes = estimated_minutes(PAIRS, everything.trained[0])
    assert estimated_minutes(PAIRS, full) > 12 * minutes
    config = AutoConfig(widths=(1024,), budget_minutes=10.5 * minutes)
    script = Script(liking(temperature=0.15))
    chosen = choose(script, config)
    assert len(softmax(script.trained)) == 5 + 1
    assert script.trained[:5] == everything.trained[:5]
    assert chosen.config == full.model_copy(update={"temperature": 0.15})
    (warned,) = [record for record in caplog.records if record.levelname == "WARNING"]
    enough = int(warned.message.partition("; with ")[2].split()[0])
    assert enough >= 1
    caplog.clear()
    again = Script(liking(temperature=0.15))
    choose(again, config.model_copy(update={"budget_minutes": float(enough)}))
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    assert again.trained[: len(everything.trained) - 4] == everything.trained[:-4]
    assert probe not in again.trained


def test_a_finalist_within_the_budget_that_beats_the_probes_is_enough(choose, caplog) -> None:
    """There is room for iALS alone; the better probe of the two decides whether that will do."""
    favourable = liking()
    softmax_minutes = estimated_minutes(LARGE, SampledSoftmaxConfig(width=16))
    assert softmax_minutes > 100 * estimated_minutes(LARGE, IalsConfig(width=16))
    for gain, kind in ((1.0, "ials"), (0.0, "sampled_softmax")):

        def value(config: SingleConfig, gain: float = gain) -> float:
            return favourable(config) + gain * isinstance(config, IalsConfig)

        caplog.clear()
        script = Script(value, pairs=LARGE)
        chosen = choose(script, AutoConfig(widths=(16,), budget_minutes=0.9 * softmax_minutes))
        assert chosen.config.kind == kind
        assert chosen.config.width == 16
        assert ("trained all the same" in caplog.text) == (kind == "sampled_softmax")


def test_vectors_of_probes_are_not_kept(choose) -> None:
    script = Script(liking())
    alive: list[weakref.ref] = []
    most: list[int] = []
    train = script.fit_teacher

    def fit_teacher(pairs, config, **how) -> FittedTeacher:
        fitted = train(pairs, config, **how)
        script._made.pop()  # which keeps them for the sake of the script
        alive.append(weakref.ref(fitted.factors))
        most.append(sum(each() is not None for each in alive))
        return fitted

    script.fit_teacher = fit_teacher
    script.blend = lambda parts, weights, width: parts[0]
    script.judge = lambda factors: metrics_of(-1.0)
    choose(script)
    assert len(most) > 10
    assert most == [1] * (len(most) - 4) + [1, 2, 3, 4]  # finalists may still be blended


def test_what_lies_ahead_and_what_came_of_it_is_told(choose, caplog) -> None:
    caplog.set_level(logging.INFO, logger="lightrec.teachers.choice")
    script = Script(liking())
    choose(script)
    ahead, found = [record.message for record in caplog.records if record.name == choice.__name__]
    assert ahead.startswith("Choosing the teacher among at most 20 candidates: at most ")
    assert "at most 0.1 minutes of training on two cores (teacher.budget_minutes = 1e+09)" in ahead
    assert found == (
        "The teacher: sampled softmax of 32 numbers, "
        f"{len(script.trained) - 3} epochs, chosen on held-out pairs after "
        f"{len(script.trained)} candidates."
    )
    caplog.clear()
    choose(Script(liking()), AutoConfig(widths=(16,), budget_minutes=1e-12))
    assert "; the budget had no room for others" in caplog.records[-1].message


@pytest.mark.parametrize("favourite", [(0.3, 0.85), (0.05, 0.1), (0.1, 0.5), (0.15, 0.7)])
@pytest.mark.parametrize("budget", [1e9, 2e-3, 1e-5])
def test_no_choice_takes_more_than_is_told(choose, favourite, budget: float) -> None:
    script = Script(liking(*favourite))
    config = AutoConfig(widths=(16, 32), budget_minutes=budget)
    choose(script, config)
    nobody = threading.Event()
    told = choice._Choice(PAIRS, config, script.judge, SEED, Surroundings(), nobody).plan
    training, validation = told.most_minutes()
    assert sum(estimated_minutes(PAIRS, each) for each in script.trained) <= training * (1 + 1e-9)
    assert sum(validation_minutes(PAIRS, each) for each in script.trained) <= validation * 1.001


def test_the_log_tells_what_every_candidate_took_and_was_worth(choose, tmp_path) -> None:
    script = Script(liking(), lambda parts, weights: 0.25)
    choose(script, log=RunLog(tmp_path / "log"))
    events = events_of(tmp_path / "log")
    tried = [event for event in events if event["event"] == "tried"]
    for epochs, (event, config) in enumerate(zip(tried, script.trained, strict=True), start=1):
        assert event["teacher"] == config.model_dump()
        assert event["epochs"] == epochs
        assert event["recall@100"] + event["ndcg"] == pytest.approx(script.value(config))
    blended = [event for event in events if event["event"] == "blended"]
    assert len(blended) == len(script.mixed)
    for event, (parts, weights, width) in zip(blended, script.mixed, strict=True):
        assert event["teacher"]["parts"] == [config.model_dump() for config in parts]
        assert (tuple(event["teacher"]["weights"]), event["teacher"]["width"]) == (weights, width)
        assert event["recall@100"] + event["ndcg"] == pytest.approx(0.25)


FINALISTS = [  # of `liking()`, best first
    SampledSoftmaxConfig(width=32),
    SampledSoftmaxConfig(width=16),
    IalsConfig(width=32),
    IalsConfig(width=16),
]
BEST = 0.4 + 0.032


def gaining(**gains: float) -> Callable:
    """What a blend is worth beyond the best finalist, by its weights joined by commas."""

    def value(parts, weights: tuple[float, ...]) -> float:
        assert parts[0] == FINALISTS[0]
        return BEST + gains.get(",".join(f"{weight:g}" for weight in weights), -1.0)

    return value


def test_a_blend_must_be_worth_another_model(choose) -> None:
    script = Script(liking(), gaining(**{"1,0.25": 0.99 * LEAST_GAIN}))
    chosen = choose(script)
    assert chosen.config == FINALISTS[0]
    first = BLEND_WEIGHTS[0]
    assert script.mixed == [((FINALISTS[0], o), (1.0, first), 32) for o in FINALISTS[1:]]


def test_weights_rise_while_that_helps(choose) -> None:
    gains = {"1,0.25": 2 * LEAST_GAIN, "1,0.5": 4 * LEAST_GAIN, "1,1": 4.9 * LEAST_GAIN}
    script = Script(liking(), gaining(**gains))
    chosen = choose(script)
    parts = (FINALISTS[0], FINALISTS[1])
    assert chosen.config == BlendConfig(parts=parts, weights=(1.0, 0.5), width=32)
    assert chosen.value == pytest.approx(BEST + 4 * LEAST_GAIN)
    singles = [script.trained.index(config) + 1 for config in parts]
    assert chosen.epochs == tuple(singles)
    assert [weights for _, weights, _ in script.mixed] == [
        *[(1.0, 0.25), (1.0, 0.5), (1.0, 1.0)],
        *[(1.0, 0.5, 0.25)] * 2,  # the others, on top of what was found
    ]


def test_others_are_added_to_what_was_found_and_the_useless_left_out(choose) -> None:
    def value(parts, weights) -> float:
        """The second finalist adds nothing, the third and the fourth do."""
        worth = {FINALISTS[1]: -1.0, FINALISTS[2]: 0.02, FINALISTS[3]: 0.01}
        return BEST + sum(w * worth[p] for p, w in zip(parts[1:], weights[1:], strict=True))

    script = Script(liking(), value)
    chosen = choose(script)
    parts = (FINALISTS[0], FINALISTS[2], FINALISTS[3])
    assert chosen.config == BlendConfig(parts=parts, weights=(1.0, 1.0, 1.0), width=32)
    assert chosen.value == pytest.approx(BEST + 0.03)
    assert chosen.epochs == tuple(script.trained.index(config) + 1 for config in parts)


def test_a_blend_is_as_wide_as_the_widest(choose) -> None:
    script = Script(liking(), lambda parts, weights: 9.0)
    chosen = choose(script, AutoConfig(widths=(8, 24), budget_minutes=1e9))
    assert isinstance(chosen.config, BlendConfig)
    assert {width for _, _, width in script.mixed} == {24} == {chosen.config.width}


def test_nothing_depends_on_anything_but_the_values(choose, tmp_path) -> None:
    made = []
    for name in ("first", "second"):
        script = Script(liking(0.2, 0.3, 1), lambda parts, weights: 0.5 + len(parts) / 10)
        config = AutoConfig(widths=(16, 32), budget_minutes=0.01)
        chosen = choose(script, config, log=RunLog(tmp_path / name))
        made.append((chosen.config, chosen.epochs, chosen.metrics, events_of(tmp_path / name)))
    assert made[0] == made[1]


def test_finalists_keep_checkpoints_of_their_own_and_nobody_a_log(choose, tmp_path) -> None:
    """The log tells what each candidate came to."""
    script = Script(liking())
    log = RunLog(tmp_path / "log")
    choose(script, checkpoint=tmp_path / "checkpoint", log=log, progress=True)
    kept = [each.checkpoint for each in script.surroundings if each.checkpoint]
    assert len(set(kept)) == len(kept) == 4
    assert kept == [each.checkpoint for each in script.surroundings[-4:]]
    assert all(each.log is not log and each.progress for each in script.surroundings)


def more(pairs: int, users: int = 50) -> History:
    rng = np.random.default_rng(0)
    keys = rng.permutation(users * 4_000)[:pairs]
    return History.from_pairs(keys // 4_000, keys % 4_000, users, 4_000)


@pytest.mark.parametrize(
    ("config", "epochs"),
    [
        (SampledSoftmaxConfig(width=16, batch_size=8, num_negatives=64), "epochs"),
        (IalsConfig(width=16), "sweeps"),
        (BprConfig(width=16, batch_size=32), "epochs"),
    ],
)
def test_estimated_work_grows_with_width_epochs_and_pairs(config, epochs: str) -> None:
    work = estimated_minutes(PAIRS, config)
    assert work > 0
    wider = config.model_copy(update={"width": 32})
    assert estimated_minutes(PAIRS, wider) > 1.2 * work
    longer = config.model_copy(update={epochs: 3 * getattr(config, epochs)})
    assert estimated_minutes(PAIRS, longer) == pytest.approx(3 * work)
    few, many = more(2_000), more(20_000)
    assert estimated_minutes(many, config) > 1.2 * estimated_minutes(few, config)


def test_estimated_work_of_softmax_counts_users_with_a_pair_and_items_met() -> None:
    config = SampledSoftmaxConfig(width=16, batch_size=8, num_negatives=64)
    some, padded = more(2_000), more(2_000)
    padded = History(np.append(padded.indptr, [len(padded)] * 500), padded.item_rows, 4_000)
    assert estimated_minutes(padded, config) == estimated_minutes(some, config)
    dearer = config.model_copy(update={"num_negatives": 640})
    assert estimated_minutes(some, dearer) > 2 * estimated_minutes(some, config)
    # No batch meets more than the whole catalogue.
    whole, beyond = (config.model_copy(update={"num_negatives": n}) for n in (4_000, 400_000))
    assert estimated_minutes(some, beyond) == estimated_minutes(some, whole)


@pytest.fixture
def quick(monkeypatch) -> AutoConfig:
    """A choice among few small candidates."""
    monkeypatch.setattr(probes, "PROBE_WIDTH", 8)
    monkeypatch.setattr(probes, "PROBE_EPOCHS", 2)
    monkeypatch.setattr(probes, "IALS_PENALTIES", ((0.2, 0.5),))
    return AutoConfig(widths=(8, 12))


@pytest.fixture(scope="module")
def split() -> Split:
    data = synthetic_catalogue(150, 100, seed=0, pairs_per_user=15)
    return validation_split(Interactions.from_table(data.interactions), 0)


@pytest.fixture
def really_choose(split, quick) -> Callable:
    """Runs a choice among small teachers that are trained and judged in earnest."""
    pairs, held_out = split.train.history(), split.test.history()
    judge = teacher_judge(pairs, held_out)

    def run(**surroundings) -> FittedTeacher:
        return choose_teacher(
            pairs, quick, judge, seed=1, surroundings=Surroundings(**surroundings)
        )

    return run


def test_a_real_choice_is_worth_what_was_tried_and_beats_popularity(
    really_choose, split, tmp_path
) -> None:
    pairs, held_out = split.train.history(), split.test.history()
    made = [really_choose(log=RunLog(tmp_path / name)) for name in ("first", "second")]
    chosen = made[0]
    assert chosen.metrics == teacher_judge(pairs, held_out)(chosen.factors)
    events = events_of(tmp_path / "first")
    assert {event["event"] for event in events} == {"tried", "blended"}
    finals = [e for e in events if e["event"] == "tried"][-4:]
    assert chosen.value >= max(event["recall@100"] + event["ndcg"] for event in finals)
    popular = evaluate_ranking(PopularityScorer(pairs.item_degrees()), pairs, held_out).means
    assert chosen.metrics["ndcg"] > 1.4 * popular["ndcg"]
    assert made[1].config == chosen.config
    assert made[1].factors.items.tobytes() == chosen.factors.items.tobytes()
    assert events_of(tmp_path / "second") == events


class Cut(Exception):
    """The power goes."""


@pytest.mark.parametrize("candidates", [1, 4, 12, 14])
def test_a_choice_that_was_cut_goes_on_with_the_next_candidate(
    really_choose, tmp_path, monkeypatch, candidates: int
) -> None:
    whole = really_choose(log=RunLog(tmp_path / "whole"))
    trained: list[SingleConfig] = []
    fit_teacher = choice.fit_teacher

    def counting(pairs, config, **how) -> FittedTeacher:
        if len(trained) == candidates:
            raise Cut
        trained.append(config)
        return fit_teacher(pairs, config, **how)

    monkeypatch.setattr(choice, "fit_teacher", counting)
    with pytest.raises(Cut):
        really_choose(checkpoint=tmp_path / "kept")
    before, candidates = len(trained), -1
    again = really_choose(checkpoint=tmp_path / "kept", log=RunLog(tmp_path / "again"))
    assert (again.config, again.epochs, again.metrics) == (
        whole.config,
        whole.epochs,
        whole.metrics,
    )
    assert again.factors.users.tobytes() == whole.factors.users.tobytes()
    assert again.factors.items.tobytes() == whole.factors.items.tobytes()
    first, second = (events_of(tmp_path / name) for name in ("whole", "again"))
    assert [event["event"] for event in second[:before]] == ["recalled"] * before
    assert [event | {"event": ""} for event in second] == [e | {"event": ""} for e in first]
    assert len(trained) == sum(event["event"] == "tried" for event in first)  # each once


@pytest.mark.parametrize("step", [1, 5, 30])
def test_a_finalist_that_was_cut_goes_on_in_the_middle(
    really_choose, tmp_path, monkeypatch, step: int
) -> None:
    forward, made = SampledSoftmax.forward, []

    def counting(self, batch):
        if self.config.width == 12:
            made.append(batch)
            if len(made) == step:
                raise Cut
        return forward(self, batch)

    monkeypatch.setattr(tried, "SECONDS_AT_STAKE", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(SampledSoftmax, "forward", counting)
        with pytest.raises(Cut):
            really_choose(checkpoint=tmp_path / "kept")
        again = really_choose(checkpoint=tmp_path / "kept")
        steps = len(made) - 1
        step = -1
        whole = really_choose()
    assert again.factors.items.tobytes() == whole.factors.items.tobytes()
    assert len(made) - 1 == 2 * steps  # none was made twice
    assert not list((tmp_path / "kept").glob("*/training"))


def test_an_interrupted_choice_says_whether_it_goes_on(choose, tmp_path) -> None:
    script = Script(liking())

    def fit_teacher(pairs, config, **how) -> FittedTeacher:
        raise InterruptedRunError("sampled-softmax teacher: interrupted")

    script.fit_teacher = fit_teacher
    with pytest.raises(InterruptedRunError, match=r"candidate 1 of at most .*, it starts over$"):
        choose(script)
    with pytest.raises(InterruptedRunError, match=r"candidate 1 of at most .*, it goes on$"):
        choose(script, checkpoint=tmp_path)


def test_what_was_tried_on_other_data_is_refused_with_one_folder_to_delete(
    really_choose, tmp_path
) -> None:
    really_choose(checkpoint=tmp_path, fingerprint={"data": "a"})
    with pytest.raises(CheckpointError, match="data") as refused:
        really_choose(checkpoint=tmp_path, fingerprint={"data": "b"})
    assert str(refused.value).endswith(f"delete {tmp_path} to start again")


def test_what_diverged_is_not_tried_again(really_choose, tmp_path, monkeypatch) -> None:
    train, diverged = choice.fit_teacher, []

    def fit_teacher(pairs, config, **how) -> FittedTeacher:
        if getattr(config, "temperature", 0.1) != 0.1:
            diverged.append(config)
            raise DivergedError("the loss is not finite")
        return train(pairs, config, **how)

    monkeypatch.setattr(choice, "fit_teacher", fit_teacher)
    logs = [tmp_path / name for name in ("first", "second")]
    first, second = (really_choose(checkpoint=tmp_path / "kept", log=RunLog(log)) for log in logs)
    assert first.config == second.config
    assert len(diverged) == 2  # one step up, one step down
    told = [
        [event["teacher"] for event in events_of(log) if event["event"] == "diverged"]
        for log in logs
    ]
    assert told[0] == told[1] == [config.model_dump() for config in diverged]


def test_a_wish_to_stop_is_heard_between_two_candidates(choose, tmp_path) -> None:
    script = Script(liking())
    train = script.fit_teacher

    def fit_teacher(pairs, config, **how) -> FittedTeacher:
        if len(script.trained) == 2:
            signal.raise_signal(signal.SIGINT)
        return train(pairs, config, **how)

    script.fit_teacher = fit_teacher
    with pytest.raises(InterruptedRunError, match="candidate 3 of"):
        choose(script, checkpoint=tmp_path)
    assert len(script.trained) == 3
    script.fit_teacher = train
    choose(script, checkpoint=tmp_path)
    assert len({config.model_dump_json() for config in script.trained}) == len(script.trained)


@pytest.mark.parametrize(
    "settings", [{"widths": []}, {"budget_minutes": 0}, {"width": 64}, {"kind": "ials"}]
)
def test_refuses_settings_out_of_range(settings: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        validated(AutoConfig, settings, "run.toml")


@pytest.mark.parametrize("widths", [(), (0,), (64, 64), (128, 64)])
def test_widths_that_are_none_or_do_not_ascend_are_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="widths"):
        validated(AutoConfig, {"widths": widths}, "run.toml")


def test_a_candidate_that_diverges_is_left_out(choose, tmp_path, monkeypatch) -> None:
    script = Script(liking(temperature=0.05))
    train = script.fit_teacher

    def fit_teacher(pairs, config, **how) -> FittedTeacher:
        if getattr(config, "temperature", 1.0) < 0.1:
            raise DivergedError("the loss is not finite")
        return train(pairs, config, **how)

    script.fit_teacher = fit_teacher
    chosen = choose(script, log=RunLog(tmp_path / "log"))
    assert chosen.config == SampledSoftmaxConfig(width=32)
    diverged = [event for event in events_of(tmp_path / "log") if event["event"] == "diverged"]
    assert [event["teacher"]["temperature"] for event in diverged] == [0.07]


def test_data_on_which_the_defaults_diverge_are_at_fault(choose) -> None:
    script = Script(liking())

    def fit_teacher(pairs, config, **how) -> FittedTeacher:
        raise DivergedError("the loss is not finite")

    script.fit_teacher = fit_teacher
    with pytest.raises(DivergedError):
        choose(script)
