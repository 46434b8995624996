"""A run that stopped goes on where it was, and leaves behind only what it should."""

from __future__ import annotations

import contextlib
import functools
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from lightrec import stages
from lightrec.artifact.contents import Model
from lightrec.errors import CheckpointError, InterruptedRunError
from lightrec.interactions import Interactions
from lightrec.interactions.synthetic import synthetic_catalogue
from lightrec.run_config import RunConfig, load_config
from lightrec.run_folder import RunFolder, clear_checkpoints
from lightrec.train import train
from lightrec.training.loop import Surroundings

torch.set_num_threads(1)


def small(**changes) -> RunConfig:
    """Five steps an epoch."""
    return load_config(
        "default",
        teacher={
            "width": 4,
            "epochs": 3,
            "evaluate_every": 1,
            "learning_rate": 0.05,
            "batch_size": 128,
        },
        codes={"num_codebooks": 2, "num_codewords": 8, "rounds": 1, "beam": 2},
        student={"epochs": 2, "batch_size": 128, "beam": 2, "icm_sweeps": 1},
        **changes,
    )


@pytest.fixture(scope="module")
def pairs() -> Interactions:
    data = synthetic_catalogue(70, 50, seed=2, pairs_per_user=10)
    return Interactions.from_table(data.interactions)


def saved(model: Model, folder: Path) -> dict[str, bytes]:
    model.save(folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(pairs, tmp_path_factory) -> dict[str, bytes]:
    """The files of a model that was trained in one go."""
    return saved(train(pairs, config=small()), tmp_path_factory.mktemp("whole") / "model")


class Cut(Exception):
    """The power goes."""


def cut_at(monkeypatch, stage: str, step: int) -> None:
    """Makes the objective of a stage fail at a step; checkpoints are written after every step."""
    counted, kind = [], {"teacher": stages.BprFactorization, "student": stages.Student}[stage]
    forward = kind.forward

    def failing(self, batch):
        counted.append(step)
        if len(counted) == step:
            raise Cut
        return forward(self, batch)

    monkeypatch.setattr(kind, "forward", failing)
    monkeypatch.setattr(
        "lightrec.run_folder.Surroundings", functools.partial(Surroundings, checkpoint_seconds=0)
    )


@pytest.mark.parametrize(
    ("stage", "step"), [("teacher", 3), ("teacher", 17), ("student", 2), ("student", 12)]
)
def test_the_same_call_goes_on_where_a_run_was_cut(
    whole, pairs, tmp_path, stage: str, step: int
) -> None:
    """The first fits take 15 and 10 steps: later ones belong to the second, on all pairs."""
    folder = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        cut_at(patch, stage, step)
        with pytest.raises(Cut):
            train(pairs, config=small(), run_folder=folder)
    assert any((folder / "checkpoints").iterdir())
    assert saved(train(pairs, config=small(), run_folder=folder), tmp_path / "again") == whole


def test_finished_stages_are_not_trained_again(pairs, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        cut_at(patch, "student", 2)
        with pytest.raises(Cut):
            train(pairs, config=small(), run_folder=folder)
    steps = []
    forward = stages.BprFactorization.forward

    def counting(self, batch):
        steps.append(batch)
        return forward(self, batch)

    monkeypatch.setattr(stages.BprFactorization, "forward", counting)
    model = train(pairs, config=small(), run_folder=folder)
    assert len(steps) == 5 * model.config["teacher_epochs"]  # those of the second fit


def test_a_finished_run_can_be_had_again_until_its_checkpoints_are_cleared(
    pairs, tmp_path, monkeypatch
) -> None:
    """A model that could not be saved is not lost."""
    folder = tmp_path / "run"
    expected = saved(train(pairs, config=small(), run_folder=folder), tmp_path / "first")
    for kind in (stages.BprFactorization, stages.Student):
        monkeypatch.setattr(kind, "forward", None)  # any step would fail
    again = train(pairs, config=small(), run_folder=folder)
    assert saved(again, tmp_path / "again") == expected
    clear_checkpoints(folder)
    assert [file.name for file in folder.iterdir()] == ["metrics.jsonl"]


def test_only_the_runs_own_checkpoints_are_cleared(pairs, tmp_path) -> None:
    """A run folder may be somebody's project folder."""
    mine = ["notes.txt", "my-data/vectors.npy", "checkpoints/resnet.pt"]
    for name in mine:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    train(pairs, config=small(), run_folder=tmp_path)
    clear_checkpoints(tmp_path)
    for name in mine:
        assert (tmp_path / name).read_text() == "mine"
    assert [file.name for file in (tmp_path / "checkpoints").iterdir()] == ["resnet.pt"]


def test_clearing_what_is_not_there_is_no_error(tmp_path) -> None:
    clear_checkpoints(tmp_path)
    clear_checkpoints(tmp_path / "none")


def test_another_runs_checkpoints_are_refused(pairs, tmp_path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        cut_at(patch, "teacher", 3)
        with pytest.raises(Cut):
            train(pairs, config=small(), run_folder=tmp_path)
    with pytest.raises(CheckpointError, match="config differ"):
        train(pairs, config=small(seed=1), run_folder=tmp_path)
    fewer = pairs.select(np.arange(len(pairs) - 1))
    with pytest.raises(CheckpointError, match="data differ"):
        train(fewer, config=small(), run_folder=tmp_path)


def test_an_interrupted_run_says_where_it_can_go_on(pairs, tmp_path, monkeypatch) -> None:
    forward = stages.BprFactorization.forward

    def pressing(self, batch):
        signal.raise_signal(signal.SIGINT)
        return forward(self, batch)

    monkeypatch.setattr(stages.BprFactorization, "forward", pressing)
    with pytest.raises(InterruptedRunError, match="run the same command again") as found:
        train(pairs, config=small(), run_folder=tmp_path)
    assert str(tmp_path) in str(found.value)


def test_a_run_without_a_folder_keeps_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    surroundings = RunFolder(None, small()).surroundings("teacher-all")
    assert surroundings.checkpoint is None
    surroundings.log.event("epoch", epoch=1)
    assert list(tmp_path.iterdir()) == []


def test_a_stage_tells_its_bar_about_every_epoch(tmp_path, monkeypatch) -> None:
    """The time left is of the whole stage, not of one epoch."""
    told = []

    @contextlib.contextmanager
    def bar(description: str, epochs: int, *, enabled: bool):
        told.append((description, epochs, enabled))
        yield lambda done: told.append(done)

    monkeypatch.setattr("lightrec.run_folder.stage_bar", bar)
    run = RunFolder(tmp_path, small(), progress=True)
    with run.stage("teacher-all", epochs=3, steps=10) as surroundings:
        assert not surroundings.progress
        for epoch in (1, 2):
            surroundings.log.event("epoch", of="BPR teacher", epoch=epoch)
            surroundings.log.event("validation", epoch=epoch)
    assert told == [("teacher", 3, True), 1, 2]
    with run.stage("student-all", epochs=3, steps=10**6) as surroundings:
        assert surroundings.progress  # an epoch that takes an hour has a bar of its own
    assert told[-1] == ("student", 3, False)
