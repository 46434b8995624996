"""Checkpoints without pickle: tensors in safetensors, numbers in JSON, one atomic folder.

A checkpoint belongs to one run: it carries a fingerprint of the configuration, data and code
version, and another run refuses it, naming what differs.
"""

from __future__ import annotations

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
    to_json,
    write_file,
)
from lightrec.errors import CheckpointError, LightRecError

TENSORS, STATE, DIGEST = "tensors.safetensors", "state.json", "state.sha256"


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
        content = save(tensors)
        state = {
            "fingerprint": self.fingerprint,
            "progress": self.progress,
            "tensors_sha256": sha256_of(content),
        }
        written = to_json(state)
        with replace_folder(folder) as fresh:
            write_file(fresh / TENSORS, content)
            write_file(fresh / STATE, written)
            write_file(fresh / DIGEST, sha256_of(written).encode())

    @classmethod
    def load(cls, folder: Path, fingerprint: dict[str, Any]) -> Checkpoint | None:
        """The checkpoint in `folder`, or None where there is none.

        Args:
            folder: Where `save` wrote.
            fingerprint: The present run's.

        Raises:
            CheckpointError: It belongs to another run, or is damaged.
        """
        folder = resolve_folder(folder)
        if not folder.exists():
            return None
        try:
            state = (folder / STATE).read_bytes()
            content = (folder / TENSORS).read_bytes()
            if (folder / DIGEST).read_bytes() != sha256_of(state).encode():
                raise ValueError(f"{STATE} was changed after it was written")
            parsed = parse_json(state)
            if parsed["tensors_sha256"] != sha256_of(content):
                raise ValueError(f"{TENSORS} was changed after it was written")
            tensors = load(content)
        except (OSError, SafetensorError, ValueError, LightRecError) as error:
            raise damaged(folder, error) from error
        saved = parsed["fingerprint"]
        different = sorted(
            key
            for key in saved.keys() | fingerprint.keys()
            if saved.get(key) != fingerprint.get(key)
        )
        if different:
            raise CheckpointError(
                f"{folder}: the checkpoint belongs to another run "
                f"({', '.join(different)} differ); delete {folder} to start again"
            )
        return cls(saved, parsed["progress"], tensors)


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
