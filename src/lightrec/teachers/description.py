"""A teacher in a few words, from its settings as a model keeps them; no torch is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_KINDS = {"sampled_softmax": "sampled softmax", "ials": "iALS", "bpr": "BPR"}
_ROUNDS = {"ials": "sweeps"}


def describe_teacher(settings: Mapping[str, Any], epochs: Sequence[int] = ()) -> str:
    """Kind, width and length of training; of every part where the teacher is a blend.

    Args:
        settings: As `model_dump` of its configuration gives them; `teacher` of a model's config.
        epochs: The epochs or sweeps that it took, one number a part; `teacher_epochs` likewise.
            What is not given is not told.
    """
    if settings["kind"] != "blend":
        return _single(settings, *epochs[:1])
    lengths = [[count] for count in epochs] or [[]] * len(settings["parts"])
    parts = [
        f"{weight:g} x {_single(part, *length)}"
        for part, weight, length in zip(
            settings["parts"], settings["weights"], lengths, strict=True
        )
    ]
    return f"a blend of {settings['width']} numbers ({' + '.join(parts)})"


def _single(settings: Mapping[str, Any], epochs: int | None = None) -> str:
    kind = settings["kind"]
    told = "" if epochs is None else f", {epochs} {_ROUNDS.get(kind, 'epochs')}"
    return f"{_KINDS.get(kind, kind)} of {settings['width']} numbers{told}"
