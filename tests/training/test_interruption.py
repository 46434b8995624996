"""Ctrl-C and SIGTERM: a checkpoint is written, the exit code says so, and the run can go on."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import torch

from lightrec.errors import InterruptedRunError
from lightrec.teachers.bpr import BprFactorization
from lightrec.training.interruptions import interruptions
from lightrec.training.loop import Surroundings, Validation, fit
from lightrec.training.negative_sampling import Batch

PROGRAM = """
import os, signal, sys
from pathlib import Path

import numpy as np
import torch

from lightrec.errors import LightRecError
from lightrec.interactions.history import History
from lightrec.teachers.bpr import BprConfig, BprFactorization
from lightrec.training.loop import Surroundings, fit
from lightrec.training.negative_sampling import PairBatches

torch.set_num_threads(1)
reader, writer = os.pipe()
os.set_blocking(writer, False)
signal.set_wakeup_fd(writer)


class Waiting(BprFactorization):
    steps = 0

    def forward(self, batch):
        self.steps += 1
        if self.steps == 6:
            print("in step 6", flush=True)
            os.read(reader, 1)  # until the signal is there
        return super().forward(batch)


rng = np.random.default_rng(1)
picks = np.concatenate([rng.permutation(30)[:5] for _ in range(20)])
history = History.from_pairs(np.repeat(np.arange(20), 5), picks, 20, 30)
config = BprConfig.model_validate_json(sys.argv[1])
batches = PairBatches(history, batch_size=32, num_negatives=2, pool_size=None, seed=7)
surroundings = Surroundings(checkpoint=Path(sys.argv[2]), checkpoint_seconds=1e9)
try:
    fit(Waiting(20, 30, config, seed=3), batches, config, name="toy", surroundings=surroundings)
except LightRecError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_ctrl_c_writes_a_checkpoint_from_which_the_run_goes_on(
    tmp_path, batches, config, history, sha
) -> None:
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, config.model_dump_json(), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "in step 6\n"
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130, message
    assert "interrupted in epoch 2 after step 2; run the same command again" in message
    assert str(folder) in message
    assert "Traceback" not in message
    whole = BprFactorization(history.num_users, history.num_items, config, seed=3)
    fit(whole, batches, config, name="toy")
    again, steps = BprFactorization(history.num_users, history.num_items, config, seed=3), []
    forward = again.forward

    def counting(batch: Batch) -> dict[str, torch.Tensor]:
        steps.append(batch)
        return forward(batch)

    again.forward = counting
    fit(again, batches, config, name="toy", surroundings=Surroundings(checkpoint=folder))
    assert sha(again) == sha(whole)
    assert len(steps) == 12 - 6


def interrupting(
    model: BprFactorization, at: int, *, times: int = 1, number: int = signal.SIGINT
) -> BprFactorization:
    """Makes the model send a signal to its own process during one of its steps."""
    calls, forward = [], model.forward

    def pressing(batch: Batch) -> dict[str, torch.Tensor]:
        calls.append(batch)
        if len(calls) == at:
            for _ in range(times):
                signal.raise_signal(number)
        return forward(batch)

    model.forward = pressing
    return model


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_present_step_is_finished_first(
    model, batches, config, tmp_path, sha, number: int
) -> None:
    before = sha(model)
    surroundings = Surroundings(checkpoint=tmp_path / "run", checkpoint_seconds=1e9)
    with pytest.raises(InterruptedRunError, match="epoch 1 after step 3") as found:
        objective = interrupting(model, at=3, number=number)
        fit(objective, batches, config, name="toy", surroundings=surroundings)
    assert found.value.exit_code == 130
    assert (tmp_path / "run").is_dir()
    assert sha(model) != before


@pytest.fixture
def interruptible():
    """Python's own handler: a process in the background is started with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_second_signal_acts_at_once(model, batches, config) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(interrupting(model, at=3, times=2), batches, config, name="toy")


def test_without_a_checkpoint_none_is_promised(model, batches, config) -> None:
    with pytest.raises(InterruptedRunError) as found:
        fit(interrupting(model, at=1), batches, config, name="toy")
    assert "again" not in str(found.value)


def test_handlers_are_put_back(model, batches, config) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    fit(model, batches, config, name="toy")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    with pytest.raises(InterruptedRunError):
        fit(interrupting(model, at=2), batches, config, name="toy")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize("at", [0, 3])
def test_a_signal_during_a_validation_is_not_lost(
    model, batches, config, tmp_path, at: int
) -> None:
    """Otherwise the next stage of the run would begin as if nobody had asked."""
    measured = []

    def measure() -> dict[str, float]:
        if len(measured) == at:
            signal.raise_signal(signal.SIGINT)
        measured.append(at)
        return {"quality": float(len(measured))}

    validation = Validation(measure, lambda metrics: metrics["quality"])
    surroundings = Surroundings(checkpoint=tmp_path / "run", checkpoint_seconds=1e9)
    with pytest.raises(InterruptedRunError):
        fit(
            model,
            batches,
            config,
            name="toy",
            validation=validation,
            surroundings=surroundings,
        )
    assert (tmp_path / "run").is_dir()


def test_trains_outside_of_the_main_thread(model, batches, config, history, sha) -> None:
    thread = threading.Thread(target=fit, args=(model, batches, config), kwargs={"name": "toy"})
    thread.start()
    thread.join()
    whole = BprFactorization(history.num_users, history.num_items, config, seed=3)
    fit(whole, batches, config, name="toy")
    assert sha(model) == sha(whole)


@pytest.fixture
def _ctrl_c_raises() -> Iterator[None]:
    """As in a terminal; what is begun in the background of a script ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_raises")
def test_a_stage_that_begins_after_ctrl_c_is_told_of_it() -> None:
    with interruptions() as outer:
        with interruptions() as before:
            assert not before.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert outer.is_set()
        with interruptions() as inner:
            assert inner.is_set()
    with interruptions() as later:
        assert not later.is_set()


def test_the_second_ctrl_c_acts_at_once_within_nested_stages() -> None:
    with interruptions() as outer:
        with interruptions() as inner:
            signal.raise_signal(signal.SIGINT)
            assert inner.is_set()
            assert not outer.is_set()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # the outer stage asks anew
        assert outer.is_set()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
