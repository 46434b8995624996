"""Checkpoints without pickle: tensors in safetensors, numbers in JSON, one atomic folder.

A checkpoint belongs to one run: it carries a fingerprint of the configuration, data and code
version, and another run refuses it, naming what differs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from lightrec.durable_files import read_json, replace_folder, resolve_folder, write_file
from lightrec.errors import CheckpointError

TENSORS, STATE = "tensors.safetensors", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a training run.

    Attributes:
        fingerprint: What the run is: configuration, data digest, versions.
        progress: Epoch, step and everything else of the loop that is a number.
        tensors: Parameters, buffers, optimiser moments and the best parameters so far, by name.
    """

    fingerprint: dict[str, Any]
    progress: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    def save(self, folder: Path) -> None:
        """Writes the checkpoint in one atomic step; the previous one survives any failure."""
        tensors = {name: tensor.detach().contiguous() for name, tensor in self.tensors.items()}
        state = {"fingerprint": self.fingerprint, "progress": self.progress}
        with replace_folder(folder) as fresh:
            write_file(fresh / TENSORS, save(tensors))
            write_file(fresh / STATE, json.dumps(state).encode())

    @classmethod
    def load(cls, folder: Path, fingerprint: dict[str, Any]) -> Checkpoint | None:
        """The checkpoint in `folder`, or None where there is none.

        Args:
            folder: Where `save` wrote.
            fingerprint: The present run's.

        Raises:
            CheckpointError: It belongs to another run, or cannot be read.
        """
        folder = resolve_folder(folder)
        if not folder.exists():
            return None
        remedy = f"delete {folder} to start again"
        try:
            state = read_json(folder / STATE)
            tensors = load((folder / TENSORS).read_bytes())
        except (OSError, SafetensorError, ValueError) as error:
            raise CheckpointError(
                f"{folder}: the checkpoint cannot be read ({error}); {remedy}"
            ) from error
        saved = state["fingerprint"]
        different = sorted(
            key
            for key in saved.keys() | fingerprint.keys()
            if saved.get(key) != fingerprint.get(key)
        )
        if different:
            raise CheckpointError(
                f"{folder}: the checkpoint belongs to another run "
                f"({', '.join(different)} differ); {remedy}"
            )
        return cls(saved, state["progress"], tensors)


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
