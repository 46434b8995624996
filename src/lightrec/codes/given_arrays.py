"""Arrays as callers give them: numpy's, lists, tensors."""

from __future__ import annotations

import numpy as np

from lightrec.errors import ArgumentError


def given_array(values: object, name: str, *, ragged: str) -> np.ndarray:
    """What a caller gave, as numpy reads it; its type and shape are still to be checked.

    Args:
        values: An array, a list of rows, a tensor.
        name: What they are, for error messages.
        ragged: The whole error message where rows differ in width.

    Raises:
        ArgumentError: Numpy cannot read it.
    """
    try:
        return np.asarray(values)
    except ValueError:
        raise ArgumentError(ragged) from None
    except (TypeError, RuntimeError) as error:  # torch's, for a gradient, a device or bfloat16
        reason = str(error).partition("\n")[0]
        raise ArgumentError(
            f"{name} cannot be read as an array ({reason}); of a torch tensor, give "
            "tensor.detach().float().cpu().numpy()"
        ) from None
