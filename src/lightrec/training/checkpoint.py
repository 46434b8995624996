"""Checkpoints without pickle: tensors in safetensors, numbers in JSON, one atomic folder.

A checkpoint belongs to one run: it carries a fingerprint of the configuration, the data and the
code, and another run refuses it, naming what differs. The last two are kept, in two folders that
take turns: should the newest one be damaged, the one before it serves.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from lightrec.durable_files import (
    parse_json,
    replace_folder,
    resolve_folder,
    sha256_of,
    sweep,
    to_json,
    write_file,
)
from lightrec.errors import CheckpointError, LightRecError

TENSORS, STATE, DIGEST = "tensors.safetensors", "state.json", "state.sha256"
SLOTS = ("even", "odd")
"""Folders of the last two checkpoints: those of even and of odd numbers."""
MOST_TOLD = 8  # differences of a checkpoint of another run
LONGEST_TOLD = 40  # characters of a value that is told; no digest is


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a training run.

    Attributes:
        fingerprint: What the run is: configuration, data digest, code, as nested JSON values.
        progress: Epoch, step and everything else of the loop that is a number.
        tensors: Parameters, buffers, optimiser moments and the best parameters so far, by name.
    """

    fingerprint: dict[str, Any]
    progress: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    def save(self, folder: Path) -> None:
        """Writes the checkpoint in one atomic step; the previous ones survive any failure."""
        held = {name: tensor.detach().cpu() for name, tensor in self.tensors.items()}
        tensors = {name: tensor.contiguous() for name, tensor in held.items()}
        content = save(tensors)
        number = 1 + max(_number(folder / slot) for slot in SLOTS)
        state = {
            "fingerprint": self.fingerprint,
            "number": number,
            "progress": self.progress,
            "tensors_sha256": sha256_of(content),
        }
        written = to_json(state)
        with contextlib.suppress(OSError):  # what a killed run began in the other slot
            for slot in SLOTS:
                sweep(folder / slot)
        with replace_folder(folder / SLOTS[number % 2]) as fresh:
            write_file(fresh / TENSORS, content)
            write_file(fresh / STATE, written)
            write_file(fresh / DIGEST, sha256_of(written).encode())

    @classmethod
    def load(
        cls,
        folder: Path,
        fingerprint: dict[str, Any],
        on_damage: Callable[[CheckpointError], None] | None = None,
        *,
        among: Path | None = None,
    ) -> Checkpoint | None:
        """The newest sound checkpoint in `folder`, or None where there is none at all.

        Args:
            folder: Where `save` wrote.
            fingerprint: The present run's.
            on_damage: Told why one of the two cannot be used when the other is.
            among: The folder of all checkpoints of which this is one: what another run left there
                is told to be deleted whole.

        Raises:
            CheckpointError: It belongs to another run, or all there are are damaged.
        """
        if folder.exists() and (not folder.is_dir() or (folder / STATE).exists()):
            raise damaged(folder, ValueError("it is a file, or of an older release"))
        sound: list[tuple[int, Checkpoint]] = []
        refused: list[CheckpointError] = []
        for slot in (resolve_folder(folder / slot) for slot in SLOTS):
            if slot.exists():
                try:
                    sound.append(cls._read(folder, slot))
                except CheckpointError as error:
                    refused.append(error)
        if refused and not sound:
            raise refused[0]
        if not sound:
            return None
        newest = max(sound, key=lambda numbered: numbered[0])[1]
        _require_same_run(among or folder, newest.fingerprint, fingerprint)
        if on_damage is not None:
            for reason in refused:
                on_damage(reason)
        return newest

    @classmethod
    def _read(cls, folder: Path, slot: Path) -> tuple[int, Checkpoint]:
        """A sound checkpoint and its number."""
        try:
            state = (slot / STATE).read_bytes()
            content = (slot / TENSORS).read_bytes()
            if (slot / DIGEST).read_bytes() != sha256_of(state).encode():
                raise ValueError(f"{STATE} was changed after it was written")
            parsed = parse_json(state)
            if parsed["tensors_sha256"] != sha256_of(content):
                raise ValueError(f"{TENSORS} was changed after it was written")
            tensors = load(content)
        except (OSError, SafetensorError, ValueError, LightRecError) as error:
            raise damaged(folder, error) from error
        return parsed["number"], cls(parsed["fingerprint"], parsed["progress"], tensors)


def _number(slot: Path) -> int:
    """How many checkpoints had been written with this one; 0 where none can be read."""
    try:
        number = parse_json((resolve_folder(slot) / STATE).read_bytes())["number"]
    except (OSError, ValueError, KeyError, TypeError, LightRecError):
        return 0
    return number if isinstance(number, int) and number > 0 else 0


def _require_same_run(folder: Path, saved: dict[str, Any], present: dict[str, Any]) -> None:
    different = _differences(saved, present)
    if different:
        more = len(different) - MOST_TOLD
        told = ", ".join(different[:MOST_TOLD]) + (f" and {more} more" if more > 0 else "")
        raise CheckpointError(
            f"{folder}: the checkpoint belongs to another run (different: {told}); "
            f"delete {folder} to start again"
        )


def _differences(saved: object, present: object, key: str = "") -> list[str]:
    """What differs between two fingerprints, by dotted keys, with both values where short."""
    if isinstance(saved, dict) and isinstance(present, dict):
        return [
            told
            for name in sorted(saved.keys() | present.keys())
            for told in _differences(
                saved.get(name), present.get(name), f"{key}.{name}" if key else name
            )
        ]
    if saved == present:
        return []
    values = [json.dumps(value) for value in (saved, present)]
    short = all(len(value) <= LONGEST_TOLD for value in values)
    return [f"{key} {values[0]} then, {values[1]} now" if short else key]


def damaged(folder: Path, error: Exception) -> CheckpointError:
    """The error for a checkpoint that cannot be used, with the remedy."""
    reason = " ".join(str(error).split())
    return CheckpointError(
        f"{folder}: the checkpoint cannot be used ({reason}); delete {folder} to start again"
    )


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimiser's moments by parameter number and name."""
    state = optimiser.state_dict()["state"]
    return {
        f"optimiser.{number}.{name}": value
        for number, moments in state.items()
        for name, value in moments.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Puts the moments that `optimiser_tensors` took back."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, number, name = key.split(".")
            state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict(
        {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
    )
