"""A run that was cut off and taken up again ends with the same bytes."""

import json

import numpy as np
import pytest
import torch

from lightrec.codes.additive_quantization import AdditiveQuantizationConfig, additive_quantization
from lightrec.encoder.student import Student
from lightrec.encoder.student_config import StudentConfig
from lightrec.errors import CheckpointError
from lightrec.factors import Factors
from lightrec.teachers.bpr import BprConfig, BprFactorization
from lightrec.training.loop import FitResult, Objective, Surroundings, Validation, fit
from lightrec.training.negative_sampling import PairBatches

EPOCHS, STEPS = 3, 4


class Cut(Exception):
    """The power goes."""


def cut_after(objective: Objective, steps: int) -> Objective:
    """Makes the objective fail at its (steps + 1)-th batch."""
    calls, forward = [], objective.forward

    def failing(batch):
        if len(calls) == steps:
            raise Cut
        calls.append(batch)
        return forward(batch)

    objective.forward = failing
    return objective


def counting_epochs(objective: Objective) -> Objective:
    """Gives the objective a buffer of its own that says which epoch it is in."""
    start_epoch = objective.start_epoch
    objective.register_buffer("begun", torch.zeros((), dtype=torch.int64))

    def counting(epoch: int) -> None:
        objective.begun.fill_(epoch + 1)
        start_epoch(epoch)

    objective.start_epoch = counting
    return objective


def teacher_of(history) -> Objective:
    config = BprConfig(width=4, learning_rate=0.05)
    return counting_epochs(BprFactorization(history.num_users, history.num_items, config, seed=3))


def teacher_factors(history) -> Factors:
    rng = np.random.default_rng(0)
    return Factors(
        rng.normal(size=(history.num_users, 4)).astype(np.float32),
        rng.normal(size=(history.num_items, 4)).astype(np.float32),
    )


def through_of(history) -> Objective:
    """All of a student that changes from step to step or epoch to epoch beside its parameters."""
    config = StudentConfig(
        start="random",
        selection="straight_through",
        items="trained",
        final_temperature=0.3,
        revive_every=1,
        inner_product_distillation=1.0,
        epochs=EPOCHS,
    )
    sizes = {"num_codebooks": 2, "num_codewords": 16}
    return counting_epochs(Student(teacher_factors(history), None, config, seed=0, **sizes))


def student_of(history) -> Objective:
    rng = np.random.default_rng(0)
    teacher = teacher_factors(history)
    sizes = AdditiveQuantizationConfig(num_codebooks=2, num_codewords=4, rounds=1)
    start = additive_quantization(teacher.items, sizes, rng=rng)
    return counting_epochs(
        Student(teacher, start, StudentConfig(selection="joint", beam=4), seed=0)
    )


MAKERS = {"teacher": teacher_of, "student": student_of, "through": through_of}


def judging(objective: Objective) -> Validation:
    """Best after the first of three epochs, which a resumed run must therefore remember."""

    def measure() -> dict[str, float]:
        total = sum(value.double().sum().item() for value in objective.parameters())
        return {"quality": (0.1, 0.9, 0.3, 0.5)[int(objective.begun)], "total": total}

    return Validation(measure, lambda metrics: metrics["quality"])


def train(objective: Objective, batches, config, checkpoint=None, seconds=0.0) -> FitResult:
    surroundings = Surroundings(
        checkpoint=checkpoint, checkpoint_seconds=seconds, fingerprint={"config": "one"}
    )
    return fit(
        objective,
        batches,
        config,
        name="run",
        validation=judging(objective),
        surroundings=surroundings,
    )


@pytest.fixture
def outcome(sha):
    """Everything that a run leaves, as something to compare."""

    def outcome_of(objective: Objective, result: FitResult) -> tuple[str, int, str]:
        return sha(objective), result.epochs, json.dumps([result.curve, result.metrics])

    return outcome_of


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("steps", [0, 1, STEPS - 1, STEPS, STEPS + 1, 2 * STEPS, 3 * STEPS - 1])
def test_a_cut_at_any_step_changes_no_byte(
    history, batches, config, tmp_path, kind: str, steps: int, outcome
) -> None:
    make = MAKERS[kind]
    whole = make(history)
    expected = outcome(whole, train(whole, batches, config))
    assert expected[1] == 1
    with pytest.raises(Cut):
        train(cut_after(make(history), steps), batches, config, tmp_path / "run")
    again = make(history)
    assert outcome(again, train(again, batches, config, tmp_path / "run")) == expected


def test_a_run_cut_at_every_step_gets_there_all_the_same(
    history, batches, config, tmp_path, outcome
) -> None:
    whole = student_of(history)
    expected = outcome(whole, train(whole, batches, config))
    for _ in range(EPOCHS * STEPS - 1):
        with pytest.raises(Cut):
            train(cut_after(student_of(history), 1), batches, config, tmp_path / "run")
    last = student_of(history)
    assert outcome(last, train(last, batches, config, tmp_path / "run")) == expected


@pytest.mark.parametrize("place", ["validation", "start_epoch"])
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_cut_between_epochs_changes_no_byte(
    history, batches, config, tmp_path, place: str, epoch: int, outcome
) -> None:
    whole = student_of(history)
    expected = outcome(whole, train(whole, batches, config))
    cut = student_of(history)
    if place == "start_epoch":
        start_epoch = cut.start_epoch

        def failing(number: int) -> None:
            if number == epoch:
                raise Cut
            start_epoch(number)

        cut.start_epoch = failing
        with pytest.raises(Cut):
            train(cut, batches, config, tmp_path / "run")
    else:
        honest, measured = judging(cut), []

        def failing_measure() -> dict[str, float]:
            if len(measured) == epoch:
                raise Cut
            measured.append(honest.measure())
            return measured[-1]

        surroundings = Surroundings(
            checkpoint=tmp_path / "run", checkpoint_seconds=0, fingerprint={"config": "one"}
        )
        with pytest.raises(Cut):
            fit(
                cut,
                batches,
                config,
                name="run",
                validation=Validation(failing_measure, honest.value),
                surroundings=surroundings,
            )
    again = student_of(history)
    assert outcome(again, train(again, batches, config, tmp_path / "run")) == expected


def test_a_cut_before_the_first_checkpoint_starts_again(
    history, batches, config, tmp_path, outcome
) -> None:
    whole = teacher_of(history)
    expected = outcome(whole, train(whole, batches, config))
    with pytest.raises(Cut):
        train(cut_after(teacher_of(history), 5), batches, config, tmp_path / "run", seconds=1e9)
    assert not (tmp_path / "run").exists()
    again = teacher_of(history)
    assert outcome(again, train(again, batches, config, tmp_path / "run")) == expected


def test_a_finished_run_is_not_trained_again(history, batches, config, tmp_path, outcome) -> None:
    first = teacher_of(history)
    expected = outcome(first, train(first, batches, config, tmp_path / "run", seconds=1e9))
    again = cut_after(teacher_of(history), 0)  # would fail at its first step
    assert outcome(again, train(again, batches, config, tmp_path / "run")) == expected


def test_a_run_that_ran_out_of_patience_is_not_trained_again(
    history, batches, config, tmp_path, sha
) -> None:
    impatient = config.model_copy(update={"epochs": 9, "patience": 1})

    def falling(objective: Objective) -> Validation:
        values = iter([3.0, 2.0, 1.0])
        return Validation(lambda: {"quality": next(values)}, lambda metrics: metrics["quality"])

    for objective in (teacher_of(history), cut_after(teacher_of(history), 0)):
        result = fit(
            objective,
            batches,
            impatient,
            name="run",
            validation=falling(objective),
            surroundings=Surroundings(checkpoint=tmp_path / "run", checkpoint_seconds=1e9),
        )
        assert (result.epochs, len(result.curve)) == (0, 2)
        assert sha(objective) == sha(teacher_of(history))


def test_without_validation_a_cut_changes_no_byte(history, batches, config, tmp_path, sha) -> None:
    def run(objective: Objective, folder=None) -> None:
        surroundings = Surroundings(checkpoint=folder, checkpoint_seconds=0)
        fit(objective, batches, config, name="run", stop_after=2, surroundings=surroundings)

    whole = teacher_of(history)
    run(whole)
    with pytest.raises(Cut):
        run(cut_after(teacher_of(history), 6), tmp_path / "run")
    again = teacher_of(history)
    run(again, tmp_path / "run")
    assert sha(again) == sha(whole)


def test_the_loss_curve_in_the_log_goes_on_unbroken(history, batches, config, tmp_path) -> None:
    from lightrec.training.run_log import RunLog

    def losses(file) -> dict[int, float]:
        events = [json.loads(line) for line in file.read_text().splitlines()]
        return {event["epoch"]: event["loss"] for event in events if event["event"] == "epoch"}

    def run(objective: Objective, name: str) -> None:
        surroundings = Surroundings(
            log=RunLog(tmp_path / f"{name}.jsonl"),
            checkpoint=tmp_path / name,
            checkpoint_seconds=0,
        )
        fit(objective, batches, config, name="run", surroundings=surroundings)

    run(teacher_of(history), "whole")
    with pytest.raises(Cut):
        run(cut_after(teacher_of(history), 6), "cut")
    run(teacher_of(history), "cut")
    assert losses(tmp_path / "cut.jsonl") == losses(tmp_path / "whole.jsonl")
    events = [json.loads(line) for line in (tmp_path / "cut.jsonl").read_text().splitlines()]
    resumed = [event for event in events if event["event"] == "resumed"]
    assert [(event["epoch"], event["step"]) for event in resumed] == [(1, 2)]


def test_another_runs_checkpoint_is_refused_before_anything_changes(
    history, batches, config, tmp_path, sha
) -> None:
    with pytest.raises(Cut):
        train(cut_after(teacher_of(history), 5), batches, config, tmp_path / "run")
    other = teacher_of(history)
    before = sha(other)
    surroundings = Surroundings(checkpoint=tmp_path / "run", fingerprint={"config": "two"})
    with pytest.raises(CheckpointError, match="different: config"):
        fit(other, batches, config, name="run", surroundings=surroundings)
    assert sha(other) == before


def test_a_checkpoint_of_other_shapes_is_an_error_of_its_own(
    history, batches, config, tmp_path
) -> None:
    """As when a fingerprint misses something: no traceback out of torch."""
    with pytest.raises(Cut):
        train(cut_after(teacher_of(history), 5), batches, config, tmp_path / "run")
    wider = BprFactorization(history.num_users, history.num_items, BprConfig(width=5), seed=3)
    with pytest.raises(CheckpointError):
        train(wider, batches, config, tmp_path / "run")


def test_training_does_not_ask_the_global_generator(history, batches, config, sha) -> None:
    digests = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        objective = student_of(history)
        train(objective, batches, config)
        digests.add(sha(objective))
    assert len(digests) == 1


def test_pairs_in_another_batch_size_are_another_run(history, config, sha) -> None:
    """The steps of a checkpoint mean nothing for batches of another size."""
    digests = set()
    for size in (32, 25):
        batches = PairBatches(history, batch_size=size, num_negatives=2, pool_size=None, seed=7)
        objective = teacher_of(history)
        train(objective, batches, config)
        digests.add(sha(objective))
    assert len(digests) == 2
