"""Probes of a choice among teachers: candidates that are narrow and short."""

from __future__ import annotations

from lightrec.teachers.fit import SingleConfig
from lightrec.teachers.ials import IalsConfig
from lightrec.teachers.sampled_softmax import SampledSoftmaxConfig

PROBE_WIDTH = 64
PROBE_EPOCHS = 6
PROBE_NEGATIVES = 4096
PROBE_SWEEPS = 10
WALKED = {
    "temperature": (0.05, 0.07, 0.1, 0.15, 0.2, 0.3),
    "history_share": (0.1, 0.3, 0.5, 0.7, 0.85),
    "popularity_power": (0.0, 0.05, 0.1, 0.15, 0.2),
    "degree_power": (0.0, 0.25, 0.5),
}
"""Settings of sampled softmax to be chosen, in this order, and their values."""
IALS_PENALTIES = ((0.2, 0.5), (0.025, 1.0), (0.01, 1.0), (0.004, 1.0))
"""(l2, frequency_power) to try."""


def in_full(probe: SingleConfig, width: int) -> SingleConfig:
    """A probe's settings at full length and a width."""
    if isinstance(probe, IalsConfig):
        return IalsConfig(width=width, l2=probe.l2, frequency_power=probe.frequency_power)
    return SampledSoftmaxConfig.model_validate(
        {"width": width} | probe.model_dump(include=set(WALKED))
    )


def first_probe() -> SampledSoftmaxConfig:
    """Where the walk through the settings of sampled softmax begins."""
    return SampledSoftmaxConfig(
        width=PROBE_WIDTH,
        num_negatives=PROBE_NEGATIVES,
        epochs=PROBE_EPOCHS,
        evaluate_every=PROBE_EPOCHS,
    )


def ials_probes() -> list[IalsConfig]:
    """All of iALS."""
    return [
        IalsConfig(
            width=PROBE_WIDTH,
            l2=l2,
            frequency_power=power,
            sweeps=PROBE_SWEEPS,
            evaluate_every=PROBE_SWEEPS,
        )
        for l2, power in IALS_PENALTIES
    ]


def most_probes() -> list[SingleConfig]:
    """As many as the longest walks through all settings try."""
    first, steps = first_probe(), 0
    for setting, values in WALKED.items():
        down = values.index(getattr(first, setting))
        up = len(values) - 1 - down
        steps += max(up, min(up, 1) + down)
    return [*[first] * (1 + steps), *ials_probes()]
