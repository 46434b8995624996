"""Where a run computes: the CPU, or the accelerator that torch knows of."""

from __future__ import annotations

import torch

from lightrec.errors import ArgumentError


def device_of(asked: str = "auto") -> str:
    """The name of a device that is there.

    Args:
        asked: `auto` for `cuda` where there is one and else `cpu`; or as torch names it: `cpu`,
            `cuda`, `cuda:1`, `mps`.

    Raises:
        ArgumentError: There is no such device, or torch was built without it.
    """
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=asked)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ArgumentError(f"device {asked!r} cannot be used: {reason}") from error
    return asked
