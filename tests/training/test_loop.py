"""Length, speed, early stopping and divergence."""

import json
import math

import pytest
import torch
from torch import nn

from lightrec.errors import ConfigError, DivergedError
from lightrec.settings import validated
from lightrec.teachers.bpr import BprFactorization
from lightrec.training.loop import LoopConfig, Objective, Surroundings, Validation, fit
from lightrec.training.negative_sampling import Batch
from lightrec.training.run_log import RunLog


class Sliding(Objective):
    """One number that a constant gradient moves: Adam then moves it by the learning rate."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.seen: list[float] = []
        self.epochs_started: list[int] = []

    def start_epoch(self, epoch: int) -> None:
        self.epochs_started.append(epoch)

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        self.seen.append(self.place.item())
        return {"loss": 1.0 * self.place, "half": 0.5 * self.place}


def scripted(values: list[float]) -> Validation:
    """A validation that gives these values, one after the other."""
    remaining = iter(values)
    return Validation(lambda: {"quality": next(remaining)}, lambda metrics: metrics["quality"])


def moves(objective: Sliding) -> list[float]:
    return [a - b for a, b in zip(objective.seen, objective.seen[1:], strict=False)]


def test_a_constant_schedule_keeps_the_learning_rate(batches) -> None:
    objective = Sliding()
    result = fit(objective, batches, LoopConfig(epochs=3, learning_rate=0.01), name="toy")
    assert (result.epochs, result.metrics, result.curve) == (3, {}, [])
    assert objective.epochs_started == [0, 1, 2]
    assert len(objective.seen) == 3 * batches.steps_per_epoch
    assert moves(objective) == pytest.approx([0.01] * 11, rel=1e-5)


def test_a_cosine_schedule_falls_to_one_percent(batches) -> None:
    objective = Sliding()
    config = LoopConfig(epochs=10, learning_rate=0.01, schedule="cosine")
    fit(objective, batches, config, name="toy")
    expected = [0.01 * max(0.5 * (1 + math.cos(math.pi * step / 40)), 0.01) for step in range(39)]
    assert moves(objective) == pytest.approx(expected, rel=1e-4)


def test_a_geometric_schedule_falls_to_a_fifth(batches) -> None:
    objective = Sliding()
    config = LoopConfig(epochs=10, learning_rate=0.01, schedule="geometric")
    fit(objective, batches, config, name="toy")
    expected = [0.01 * 5 ** -(step / 40) for step in range(39)]
    assert moves(objective) == pytest.approx(expected, rel=1e-4)
    assert moves(objective)[-1] == pytest.approx(0.01 / 5, rel=0.1)


def test_stopping_early_leaves_the_geometric_schedule_as_it_is(batches) -> None:
    config = LoopConfig(epochs=10, learning_rate=0.01, schedule="geometric")
    whole, short = Sliding(), Sliding()
    fit(whole, batches, config, name="toy")
    fit(short, batches, config, name="toy", stop_after=4)
    assert short.seen == whole.seen[: 4 * batches.steps_per_epoch]


class Descending(Sliding):
    """Says itself what moves it: plain gradient descent."""

    asked: float | None = None

    def optimiser(self, learning_rate: float) -> torch.optim.Optimizer:
        self.asked = learning_rate
        return torch.optim.SGD([self.place], lr=learning_rate)


def test_an_objective_says_what_moves_it(batches) -> None:
    objective = Descending()
    config = LoopConfig(epochs=3, learning_rate=0.01, schedule="geometric")
    fit(objective, batches, config, name="toy")
    assert objective.asked == 0.01
    expected = [0.01 * 0.2 ** (step / 12) for step in range(11)]  # the gradient is 1
    assert moves(objective) == pytest.approx(expected, rel=1e-9)


def test_unless_it_says_otherwise_adam_moves_what_asks_for_a_gradient() -> None:
    objective = Sliding()
    objective.fixed = nn.Parameter(torch.ones(2), requires_grad=False)
    optimiser = objective.optimiser(0.25)
    assert type(optimiser) is torch.optim.Adam
    (group,) = optimiser.param_groups
    assert group["lr"] == 0.25
    assert group["params"] == [objective.place]


def test_stopping_after_some_epochs_is_the_prefix_of_the_longer_run(
    batches, config, history, sha
) -> None:
    at_epoch: dict[int, str] = {}

    class Watched(BprFactorization):
        def start_epoch(self, epoch: int) -> None:
            at_epoch[epoch] = sha(self)

    sizes = history.num_users, history.num_items
    fit(Watched(*sizes, config, seed=3), batches, config, name="long")
    for epochs in (0, 1, 2):
        short = BprFactorization(*sizes, config, seed=3)
        result = fit(short, batches, config, name="short", stop_after=epochs)
        assert result.epochs == epochs
        assert sha(short) == at_epoch[epochs]


def test_stop_after_never_exceeds_the_configured_epochs(batches) -> None:
    objective = Sliding()
    result = fit(objective, batches, LoopConfig(epochs=2), name="toy", stop_after=9)
    assert result.epochs == 2
    assert objective.epochs_started == [0, 1]


def test_without_epochs_nothing_moves(batches, model, sha) -> None:
    before = sha(model)
    assert fit(model, batches, LoopConfig(epochs=0), name="toy").epochs == 0
    result = fit(model, batches, LoopConfig(epochs=0), name="toy", validation=scripted([0.5]))
    assert (result.epochs, result.metrics) == (0, {"quality": 0.5})
    assert sha(model) == before


@pytest.mark.parametrize(
    ("values", "best", "validations"),
    [
        ([0.1, 0.2, 0.3, 0.2, 0.1, 0.9], 2, 5),  # two without a better value: the .9 is not seen
        ([0.5, 0.4, 0.3, 0.9], 0, 3),  # the untrained start takes part
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 5, 6),  # better to the end
        ([0.3, 0.3, 0.3, 0.9], 0, 3),  # as good is no better
        ([0.1, 0.3, 0.2, 0.4, 0.3, 0.5], 5, 6),  # one bad value is no reason to stop
    ],
)
def test_early_stopping_returns_the_best_epochs_parameters(
    batches, values: list[float], best: int, validations: int
) -> None:
    objective = Sliding()
    config = LoopConfig(epochs=5, learning_rate=0.01, patience=2)
    result = fit(objective, batches, config, name="toy", validation=scripted(values))
    assert result.epochs == best
    assert result.metrics == {"quality": values[best]}
    assert result.curve == [(epoch, {"quality": values[epoch]}) for epoch in range(validations)]
    assert objective.place.item() == pytest.approx(-0.01 * 4 * best, abs=1e-6)


def test_validates_every_so_many_epochs_and_at_the_end(batches) -> None:
    config = LoopConfig(epochs=5, evaluate_every=2)
    result = fit(Sliding(), batches, config, name="toy", validation=scripted([1, 2, 3, 4]))
    assert [epoch for epoch, _ in result.curve] == [0, 2, 4, 5]
    short = fit(
        Sliding(), batches, config, name="toy", validation=scripted([1, 2, 3, 4]), stop_after=3
    )
    assert [epoch for epoch, _ in short.curve] == [0, 2, 3]


def test_the_default_judgement_is_recall_plus_ndcg() -> None:
    judge = Validation(dict)
    assert judge.value({"recall@100": 0.25, "ndcg": 0.5, "recall@20": 9.0}) == 0.75


def test_trains_in_training_mode_and_measures_in_evaluation_mode(batches) -> None:
    modes = []

    class Watched(Sliding):
        def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
            modes.append(("train", self.training))
            return super().forward(batch)

    objective = Watched()

    def measure() -> dict[str, float]:
        modes.append(("measure", objective.training))
        return {"quality": 1.0}

    fit(
        objective,
        batches,
        LoopConfig(epochs=2),
        name="toy",
        validation=Validation(measure, lambda metrics: metrics["quality"]),
    )
    assert set(modes) == {("train", True), ("measure", False)}


class Failing(Sliding):
    """Gives a loss that is not finite at one step."""

    def __init__(self, at: int, value: float) -> None:
        super().__init__()
        self.at, self.value = at, value

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        losses = super().forward(batch)
        if len(self.seen) == self.at:
            losses["loss"] = losses["loss"] * self.value
        return losses


def content(folder) -> dict[str, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(
    batches, tmp_path, value: float
) -> None:
    folder = tmp_path / "run"
    surroundings = Surroundings(checkpoint=folder, checkpoint_seconds=0)
    reference = tmp_path / "reference"
    with pytest.raises(DivergedError):
        fit(
            Failing(6, value),
            batches,
            LoopConfig(epochs=3),
            name="toy",
            surroundings=Surroundings(checkpoint=reference, checkpoint_seconds=0),
        )
    objective = Failing(6, value)
    with pytest.raises(
        DivergedError, match=r"toy: .*not finite in epoch 2.*learning_rate"
    ) as found:
        fit(objective, batches, LoopConfig(epochs=3), name="toy", surroundings=surroundings)
    assert str(folder) in str(found.value)
    states = [json.loads((slot / "state.json").read_bytes()) for slot in folder.iterdir()]
    state = max(states, key=lambda state: state["number"])
    assert (state["progress"]["epoch"], state["progress"]["step"]) == (1, 1)  # after 5 of 6 steps
    assert content(folder) == content(reference)
    healthy = Sliding()
    fit(healthy, batches, LoopConfig(epochs=3), name="toy", surroundings=surroundings)
    assert math.isfinite(healthy.place.item())
    assert len(healthy.seen) == 12 - 5


def test_a_damaged_newest_checkpoint_costs_the_steps_since_the_one_before(
    batches, tmp_path, caplog
) -> None:
    folder = tmp_path / "run"
    surroundings = Surroundings(checkpoint=folder, checkpoint_seconds=0)
    with pytest.raises(DivergedError):
        fit(
            Failing(6, math.nan),
            batches,
            LoopConfig(epochs=3),
            name="toy",
            surroundings=surroundings,
        )
    slots = sorted(folder.iterdir(), key=lambda slot: (slot / "state.json").stat().st_mtime_ns)
    (slots[-1] / "tensors.safetensors").write_bytes(b"")
    whole, again = Sliding(), Sliding()
    fit(whole, batches, LoopConfig(epochs=3), name="toy")
    fit(again, batches, LoopConfig(epochs=3), name="toy", surroundings=surroundings)
    assert len(again.seen) == 12 - 4  # 5 steps were done, 4 of them before the checkpoint at hand
    assert again.place.item() == whole.place.item()
    assert "toy: goes on from the other of its last two checkpoints" in caplog.text


def test_diverging_exits_with_a_code_of_its_own(batches) -> None:
    with pytest.raises(DivergedError) as found:
        fit(Failing(1, math.nan), batches, LoopConfig(epochs=1), name="toy")
    assert found.value.exit_code == 6
    assert "checkpoint" not in str(found.value)


def test_a_checkpoint_never_holds_parameters_that_are_not_finite(batches, tmp_path) -> None:
    """A finite loss may have a gradient that is not, as the square root has at zero."""

    class Rooted(Sliding):
        def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
            losses = super().forward(batch)
            if len(self.seen) == 6:
                losses["loss"] = (0.0 * self.place).sqrt()
            return losses

    folder = tmp_path / "run"
    surroundings = Surroundings(checkpoint=folder, checkpoint_seconds=0)
    with pytest.raises(DivergedError):
        fit(Rooted(), batches, LoopConfig(epochs=3), name="toy", surroundings=surroundings)
    healthy = Sliding()
    fit(healthy, batches, LoopConfig(epochs=3), name="toy", surroundings=surroundings)
    assert math.isfinite(healthy.place.item())


def test_a_run_never_ends_with_parameters_that_are_not_finite(batches) -> None:
    class RootedAtLast(Sliding):
        def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
            losses = super().forward(batch)
            if len(self.seen) == batches.steps_per_epoch:
                losses["loss"] = (0.0 * self.place).sqrt()
            return losses

    with pytest.raises(DivergedError):
        fit(RootedAtLast(), batches, LoopConfig(epochs=1), name="toy")


def test_the_log_tells_epochs_and_validations(batches, tmp_path) -> None:
    file = tmp_path / "metrics.jsonl"
    fit(
        Sliding(),
        batches,
        LoopConfig(epochs=2, learning_rate=0.01),
        name="toy",
        validation=scripted([1.0, 2.0, 3.0]),
        surroundings=Surroundings(log=RunLog(file)),
    )
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(event["event"], event["epoch"]) for event in events] == [
        ("validation", 0),
        ("epoch", 1),
        ("validation", 1),
        ("epoch", 2),
        ("validation", 2),
    ]
    assert {event["of"] for event in events} == {"toy"}
    first = events[1]
    assert first["loss"] == pytest.approx(-0.015)  # mean of 0, -.01, -.02, -.03
    assert first["half"] == pytest.approx(-0.0075)
    assert events[-1]["quality"] == 3.0


def test_an_objective_must_say_its_losses(batches) -> None:
    with pytest.raises(NotImplementedError):
        Objective()(batches.batch(0, 0))


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": -1},
        {"batch_size": 0},
        {"learning_rate": 0},
        {"schedule": "linear"},
        {"patience": 0},
        {"evaluate_every": 0},
        {"epoch": 3},
    ],
)
def test_refuses_settings_out_of_range(settings: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        validated(LoopConfig, settings, "run.toml")


def test_a_start_that_is_not_to_be_judged_is_neither_measured_nor_kept(batches) -> None:
    config = LoopConfig(epochs=3, learning_rate=0.01, evaluate_start=False)
    result = fit(Sliding(), batches, config, name="toy", validation=scripted([0.1, 0.3, 0.2]))
    assert result.epochs == 2
    assert [epoch for epoch, _ in result.curve] == [1, 2, 3]


def test_a_start_is_judged_where_nothing_else_is(batches) -> None:
    config = LoopConfig(epochs=0, evaluate_start=False)
    result = fit(Sliding(), batches, config, name="toy", validation=scripted([0.1]))
    assert (result.epochs, result.metrics) == (0, {"quality": 0.1})
