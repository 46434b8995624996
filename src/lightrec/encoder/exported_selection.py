"""What a trained encoder leaves to models that encode without torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from lightrec.codes import trained_selection
from lightrec.codes.trained_selection import TrainedSelection
from lightrec.encoder.composite_encoder import CompositeEncoder
from lightrec.encoder.recurrence import RECURRENCES
from lightrec.encoder.similarity import SIMILARITIES
from lightrec.errors import ArgumentError


def exported_selection(encoder: CompositeEncoder) -> TrainedSelection:
    """What chooses the codes that an encoder chooses, as it stands.

    Args:
        encoder: Trained or not.

    Raises:
        ArgumentError: Its similarity or its recurrence is somebody's own.
    """
    similarity = _name_of(encoder.similarities[0], SIMILARITIES)
    recurrence = _name_of(encoder.recurrence, RECURRENCES)
    weights = {
        name: np.stack([_array(module, name) for module in encoder.similarities])
        for name in trained_selection.SIMILARITIES[similarity].shapes
    }
    for name in trained_selection.RECURRENCES[recurrence].shapes:
        weights[name] = _array(encoder.recurrence, name)
    return TrainedSelection(similarity, recurrence, weights)


def _name_of(part: nn.Module, named: Mapping[str, type[nn.Module]]) -> str:
    """What the configuration calls a part."""
    for name, kind in named.items():
        if type(part) is kind:
            return name
    raise ArgumentError(
        f"{type(part).__name__} is none of {', '.join(named)}, which alone can be exported"
    )


def _array(module: nn.Module, name: str) -> np.ndarray:
    """A parameter, float32."""
    parameter = module.get_parameter(name)
    return parameter.detach().to("cpu", torch.float32, copy=True).numpy()
