"""Checkpoints: what goes in comes out, and what is damaged or foreign is refused."""

import json

import pytest
import torch
from safetensors.torch import load_file

from lightrec.errors import CheckpointError, LightRecError
from lightrec.training.checkpoint import (
    DIGEST,
    SLOTS,
    STATE,
    TENSORS,
    Checkpoint,
    optimiser_tensors,
    restore_optimiser,
)

FINGERPRINT = {"config": "a", "data": "b", "lightrec": "1"}


def made(seed: int = 0) -> Checkpoint:
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        "objective.items": torch.randn(4, 3, generator=generator),
        "objective.codes": torch.arange(6, dtype=torch.uint8).view(3, 2),
        "optimiser.0.step": torch.tensor(5.0),
    }
    return Checkpoint(FINGERPRINT, {"epoch": 2, "best_value": 0.1 + 0.2, "curve": []}, tensors)


def same(first: Checkpoint, second: Checkpoint) -> bool:
    return (
        (first.fingerprint, first.progress) == (second.fingerprint, second.progress)
        and first.tensors.keys() == second.tensors.keys()
        and all(
            first.tensors[name].dtype == tensor.dtype and torch.equal(first.tensors[name], tensor)
            for name, tensor in second.tensors.items()
        )
    )


def test_comes_back_as_it_was_saved(tmp_path) -> None:
    made().save(tmp_path / "run")
    assert same(Checkpoint.load(tmp_path / "run", FINGERPRINT), made())
    made(seed=1).save(tmp_path / "run")
    assert same(Checkpoint.load(tmp_path / "run", FINGERPRINT), made(seed=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]  # nothing left beside it


def test_views_and_transposed_tensors_are_saved_by_value(tmp_path) -> None:
    whole = torch.arange(12.0).view(3, 4)
    tensors = {"objective.a": whole.T, "objective.b": whole[1]}
    Checkpoint(FINGERPRINT, {}, tensors).save(tmp_path / "run")
    found = Checkpoint.load(tmp_path / "run", FINGERPRINT)
    assert torch.equal(found.tensors["objective.a"], whole.T)
    assert torch.equal(found.tensors["objective.b"], whole[1])


def test_a_number_that_was_changed_is_damage_too(tmp_path) -> None:
    for seed in range(3):
        made(seed=seed).save(tmp_path / "run")
    file = tmp_path / "run" / SLOTS[1] / STATE
    file.write_bytes(file.read_bytes().replace(b'"number": 3', b'"number": 1'))
    told: list[CheckpointError] = []
    assert same(Checkpoint.load(tmp_path / "run", FINGERPRINT, told.append), made(seed=1))
    assert len(told) == 1


def test_the_layout_of_an_older_release_is_refused_by_name(tmp_path) -> None:
    made().save(tmp_path / "run")
    (slot,) = (tmp_path / "run").iterdir()
    for file in list(slot.iterdir()):
        file.rename(tmp_path / "run" / file.name)
    with pytest.raises(CheckpointError, match="older release"):
        Checkpoint.load(tmp_path / "run", FINGERPRINT)


def test_there_may_be_none(tmp_path) -> None:
    assert Checkpoint.load(tmp_path / "run", FINGERPRINT) is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"config": "z"}, r'different: config "a" then, "z" now'),
        ({"config": "z", "data": "z"}, r'config "a" then, "z" now, data "b" then'),
        ({"extra": 1}, "extra null then, 1 now"),
        ({"code": {"loop.py": "z" * 64}}, r"different: code\)"),
    ],
)
def test_another_runs_is_refused_and_the_difference_named(tmp_path, change, named: str) -> None:
    made().save(tmp_path / "run")
    with pytest.raises(CheckpointError, match=named) as found:
        Checkpoint.load(tmp_path / "run", FINGERPRINT | change)
    assert f"delete {tmp_path / 'run'}" in str(found.value)
    assert found.value.exit_code == 7
    with pytest.raises(CheckpointError, match="different: lightrec"):
        Checkpoint.load(tmp_path / "run", {"config": "a", "data": "b"})


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


DAMAGE = {
    "tensors cut short": (TENSORS, lambda data: data[:-1]),
    "tensors empty": (TENSORS, lambda data: b""),
    "tensors of another kind": (TENSORS, lambda data: b"PK" + data),
    "a flipped bit in a tensor": (TENSORS, lambda data: flip(data, len(data) - 3)),
    "another number of epochs": (STATE, lambda data: data.replace(b'"epoch": 2', b'"epoch": 3')),
    "a digest of something else": (DIGEST, lambda data: flip(data, 5)),
    "state cut short": (STATE, lambda data: data[:-5]),
    "state empty": (STATE, lambda data: b""),
    "state not UTF-8": (STATE, lambda data: b"\xff" + data),
    "state an empty object": (STATE, lambda data: b"{}"),
    "state a list": (STATE, lambda data: b"[1, 2]"),
    "state without progress": (
        STATE,
        lambda data: json.dumps({"fingerprint": json.loads(data)["fingerprint"]}).encode(),
    ),
    "fingerprint no object": (STATE, lambda data: b'{"fingerprint": 3, "progress": {}}'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_an_error_that_names_the_folder_and_the_remedy(tmp_path, damage: str) -> None:
    folder = tmp_path / "run"
    made().save(folder)
    name, change = DAMAGE[damage]
    (slot,) = folder.iterdir()
    before = (slot / name).read_bytes()
    assert change(before) != before
    (slot / name).write_bytes(change(before))
    with pytest.raises(CheckpointError, match="delete") as found:
        Checkpoint.load(folder, FINGERPRINT)
    assert str(folder) in str(found.value)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("saved", [2, 3])
def test_the_one_before_a_damaged_one_serves(tmp_path, damage: str, saved: int) -> None:
    folder = tmp_path / "run"
    for seed in range(saved):
        made(seed=seed).save(folder)
    name, change = DAMAGE[damage]
    file = folder / SLOTS[saved % 2] / name
    file.write_bytes(change(file.read_bytes()))
    told: list[CheckpointError] = []
    found = Checkpoint.load(folder, FINGERPRINT, told.append)
    assert same(found, made(seed=saved - 2))
    (reason,) = told
    assert "cannot be used" in str(reason)
    made(seed=7).save(folder)
    assert same(Checkpoint.load(folder, FINGERPRINT), made(seed=7))
    made(seed=8).save(folder)
    assert same(Checkpoint.load(folder, FINGERPRINT, pytest.fail), made(seed=8))


@pytest.mark.parametrize("name", [TENSORS, STATE, DIGEST])
def test_a_missing_file_is_damage(tmp_path, name: str) -> None:
    made().save(tmp_path / "run")
    (slot,) = (tmp_path / "run").iterdir()
    (slot / name).unlink()
    with pytest.raises(CheckpointError, match="cannot be used"):
        Checkpoint.load(tmp_path / "run", FINGERPRINT)


def test_a_file_in_the_folders_place_is_damage(tmp_path) -> None:
    (tmp_path / "run").write_bytes(b"something else")
    with pytest.raises(CheckpointError):
        Checkpoint.load(tmp_path / "run", FINGERPRINT)


def test_a_save_that_fails_leaves_the_previous_one(tmp_path, monkeypatch) -> None:
    made().save(tmp_path / "run")

    def full(*_: object) -> None:
        raise LightRecError("the disk is full")

    monkeypatch.setattr("lightrec.training.checkpoint.write_file", full)
    with pytest.raises(LightRecError, match="full"):
        made(seed=1).save(tmp_path / "run")
    assert same(Checkpoint.load(tmp_path / "run", FINGERPRINT), made())


def test_nothing_is_pickled(tmp_path) -> None:
    made().save(tmp_path / "run")
    (slot,) = (tmp_path / "run").iterdir()
    assert {path.name for path in slot.iterdir()} == {TENSORS, STATE, DIGEST}
    json.loads((slot / STATE).read_bytes())
    assert load_file(slot / TENSORS).keys() == made().tensors.keys()


def test_an_optimisers_moments_come_back() -> None:
    def parameters() -> list[torch.nn.Parameter]:
        generator = torch.Generator().manual_seed(0)
        return [torch.nn.Parameter(torch.randn(3, generator=generator)) for _ in range(2)]

    def step(optimiser: torch.optim.Optimizer, values: list[torch.nn.Parameter]) -> None:
        optimiser.zero_grad()
        (values[0].square().sum() + values[1].pow(4).sum()).backward()
        optimiser.step()

    first = parameters()
    optimiser = torch.optim.Adam(first, lr=0.1, fused=True)
    step(optimiser, first)
    saved = {name: tensor.clone() for name, tensor in optimiser_tensors(optimiser).items()}
    second = [torch.nn.Parameter(value.detach().clone()) for value in first]
    restored = torch.optim.Adam(second, lr=0.1, fused=True)
    restore_optimiser(restored, saved)
    step(optimiser, first)
    step(restored, second)
    for ours, theirs in zip(first, second, strict=True):
        assert torch.equal(ours, theirs)
