"""A run that stopped goes on where it was, and leaves behind only what it should."""

from __future__ import annotations

import contextlib
import functools
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from lightrec.artifact.contents import Model
from lightrec.encoder.student import Student
from lightrec.errors import CheckpointError, InterruptedRunError
from lightrec.interactions import Interactions
from lightrec.interactions.synthetic import synthetic_catalogue
from lightrec.run.folder import RunFolder, clear_checkpoints, code_digests
from lightrec.run_config import RunConfig, load_config
from lightrec.teachers.bpr import BprFactorization
from lightrec.teachers.sampled_softmax import SampledSoftmax
from lightrec.train import train
from lightrec.training.loop import Surroundings

torch.set_num_threads(1)


def small(**changes) -> RunConfig:
    """A student, five steps an epoch."""
    return load_config(
        "trained",
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


SOFTMAX = {"kind": "sampled_softmax", "width": 4, "epochs": 3, "evaluate_every": 1}


def without_student(teacher: dict, **changes) -> RunConfig:
    """The default preset's way from a teacher to a model."""
    return load_config(
        "default",
        teacher=teacher,
        codes={"num_codebooks": 2, "num_codewords": 8, "rounds": 1, "beam": 2},
        ranking={"rounds": 1},
        users={"form": "identity"},
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


KINDS = {"teacher": BprFactorization, "student": Student, "sampled softmax": SampledSoftmax}


def cut_at(monkeypatch, stage: str, step: int) -> None:
    """Makes the objective of a stage fail at a step; checkpoints are written after every step."""
    counted, kind = [], KINDS[stage]
    forward = kind.forward

    def failing(self, batch):
        counted.append(step)
        if len(counted) == step:
            raise Cut
        return forward(self, batch)

    monkeypatch.setattr(kind, "forward", failing)
    monkeypatch.setattr(
        "lightrec.run.folder.Surroundings", functools.partial(Surroundings, checkpoint_seconds=0)
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
    forward = BprFactorization.forward

    def counting(self, batch):
        steps.append(batch)
        return forward(self, batch)

    monkeypatch.setattr(BprFactorization, "forward", counting)
    model = train(pairs, config=small(), run_folder=folder)
    (epochs,) = model.config["teacher_epochs"]
    assert len(steps) == 5 * epochs  # those of the second fit


@pytest.mark.parametrize("step", [2, 5])
def test_a_teacher_without_a_student_goes_on_too(pairs, tmp_path, step: int) -> None:
    """One step an epoch: the first fit takes 3, the second one those that were best."""
    config, folder = without_student(SOFTMAX), tmp_path / "run"
    expected = saved(train(pairs, config=config), tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        cut_at(patch, "sampled softmax", step)
        with pytest.raises(Cut):
            train(pairs, config=config, run_folder=folder)
    again = train(pairs, config=config, run_folder=folder)
    assert '"resumed"' in (folder / "metrics.jsonl").read_text()
    assert saved(again, tmp_path / "again") == expected


def test_a_choice_of_teachers_that_was_cut_starts_again(pairs, tmp_path) -> None:
    config, folder = without_student({"kind": "auto", "widths": [4]}), tmp_path / "run"
    expected = saved(train(pairs, config=config), tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        cut_at(patch, "sampled softmax", 9)
        with pytest.raises(Cut):
            train(pairs, config=config, run_folder=folder)
    assert saved(train(pairs, config=config, run_folder=folder), tmp_path / "again") == expected


@pytest.mark.parametrize("width", [4, 6])
def test_the_parts_of_a_blend_do_not_take_up_each_others_checkpoints(
    pairs, tmp_path, width: int
) -> None:
    """Of the same width they would fit, and the second part would silently be the first again."""
    parts = [SOFTMAX, SOFTMAX | {"width": width, "temperature": 0.3}]
    config = without_student({"kind": "blend", "parts": parts, "weights": [1.0, 1.0], "width": 4})
    expected = saved(train(pairs, config=config), tmp_path / "without")
    model = train(pairs, config=config, run_folder=tmp_path / "run")
    assert saved(model, tmp_path / "with") == expected


def test_a_finished_run_can_be_had_again_until_its_checkpoints_are_cleared(
    pairs, tmp_path, monkeypatch
) -> None:
    """A model that could not be saved is not lost."""
    folder = tmp_path / "run"
    expected = saved(train(pairs, config=small(), run_folder=folder), tmp_path / "first")
    for kind in KINDS.values():
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
    with pytest.raises(CheckpointError, match=r"different: config\.seed 0 then, 1 now\)"):
        train(pairs, config=small(seed=1), run_folder=tmp_path)
    fewer = pairs.select(np.arange(len(pairs) - 1))
    with pytest.raises(CheckpointError, match=r"different: data\)"):
        train(fewer, config=small(), run_folder=tmp_path)


def test_a_teacher_chosen_elsewhere_is_told_from_another(pairs, tmp_path) -> None:
    """What an earlier model's choice left half trained is not taken up for that of another."""
    earlier = [
        train(pairs, config=without_student(SOFTMAX | {"temperature": temperature}))
        for temperature in (0.1, 0.2)
    ]
    config = without_student(SOFTMAX)
    with pytest.MonkeyPatch.context() as patch:
        cut_at(patch, "sampled softmax", 2)
        with pytest.raises(Cut):
            train(pairs, config=config, warm_start=earlier[0], run_folder=tmp_path)
    with pytest.raises(CheckpointError, match=r"repeated\.teacher\.temperature 0.1 then, 0.2 now"):
        train(pairs, config=config, warm_start=earlier[1], run_folder=tmp_path)


def test_checkpoints_of_other_code_are_refused(pairs, tmp_path, monkeypatch) -> None:
    assert {"run/stages.py", "training/loop.py", "encoder/student.py"} <= code_digests().keys()
    with pytest.MonkeyPatch.context() as patch:
        cut_at(patch, "teacher", 3)
        with pytest.raises(Cut):
            train(pairs, config=small(), run_folder=tmp_path)
    edited = code_digests() | {"training/loop.py": "0" * 64}
    monkeypatch.setattr("lightrec.run.folder.code_digests", lambda: edited)
    with pytest.raises(CheckpointError, match=r"different: code\.training/loop\.py\)"):
        train(pairs, config=small(), run_folder=tmp_path)


def test_an_interrupted_run_says_where_it_can_go_on(pairs, tmp_path, monkeypatch) -> None:
    forward = BprFactorization.forward

    def pressing(self, batch):
        signal.raise_signal(signal.SIGINT)
        return forward(self, batch)

    monkeypatch.setattr(BprFactorization, "forward", pressing)
    with pytest.raises(InterruptedRunError, match="run the same command again") as found:
        train(pairs, config=small(), run_folder=tmp_path)
    assert str(tmp_path) in str(found.value)


def test_two_runs_at_a_time_in_one_folder_are_refused(pairs, tmp_path) -> None:
    busy = pytest.raises(CheckpointError, match="another training is at work")
    with RunFolder(tmp_path, small()).alone(), busy:
        train(pairs, config=small(), run_folder=tmp_path)
    with RunFolder(tmp_path, small()).alone():
        pass  # as soon as the first is done


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

    monkeypatch.setattr("lightrec.run.folder.stage_bar", bar)
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


@pytest.mark.parametrize(
    ("teacher", "expected"),
    [
        ({"kind": "ials", "width": 4, "sweeps": 3}, [("teacher", 3, True), 1, 2, 3]),
        ({**SOFTMAX, "epochs": 2}, [("teacher", 2, True), 1, 2]),
    ],
)
def test_every_teacher_tells_its_bar(pairs, monkeypatch, teacher: dict, expected: list) -> None:
    told = []

    @contextlib.contextmanager
    def bar(description: str, epochs: int, *, enabled: bool):
        told.append((description, epochs, enabled))
        yield told.append

    monkeypatch.setattr("lightrec.run.folder.stage_bar", bar)
    train(pairs, config=without_student(teacher), refit=False, progress=True)
    assert told == [*expected, ("codes", 0, True)]


def test_each_teacher_of_a_choice_has_bars_of_its_own(pairs, monkeypatch) -> None:
    """A choice takes minutes and is no stage of so many epochs: nothing else would be seen."""
    shown = []

    def recording(steps, description, *, total=None, enabled=True):
        shown.append((description.partition(":")[0], enabled))
        yield from steps

    for module in ("lightrec.training.loop", "lightrec.teachers.ials"):
        monkeypatch.setattr(f"{module}.track", recording)
    config = without_student({"kind": "auto", "widths": [4]})
    train(pairs, config=config, refit=False, progress=True)
    described = [re.fullmatch(r"candidate (\d+) of at most (\d+), (.+)", each) for each, _ in shown]
    candidates = [int(each[1]) for each in described if each]
    assert candidates == sorted(candidates)
    assert candidates[0] == 1
    assert max(candidates) <= int(described[0][2])
    assert {each[3] for each in described if each} == {"sampled-softmax teacher", "iALS teacher"}
    assert all(enabled for _, enabled in shown)
