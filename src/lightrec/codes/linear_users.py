"""The linear map that brings users to codebooks of their own.

Vectors fitted to the codes (`user_fit`) rank better than the teacher's, but belong to the users
they were fitted for. What of it is the same for all users, a linear map can learn: P2 = P1 W'
(Eq. 9, a linear form), and whoever's vector comes from the same tower can go through it.
"""

from __future__ import annotations

import numpy as np

from lightrec.errors import ArgumentError

RIDGE = 1e-2  # of the mean square of a number: what users say little of gets no large map


def linear_map(users: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The map W that comes closest to given vectors.

    Ridge regression: it minimises `sum_u |W p_u - v_u|^2` and a little of `|W|^2`. But for that
    little, W would be the same whatever metric the error were measured in.

    Args:
        users: (M, T) float32, P1; at least one.
        vectors: (M, D) float32, v: what they are to be brought to.

    Returns:
        (D, T) float32.

    Raises:
        ArgumentError: Shapes do not fit, or there is no user.
    """
    require_pairs(users, vectors)
    wide = users.astype(np.float64)
    moment = wide.T @ wide
    moment += max(RIDGE * np.trace(moment) / len(moment), 1e-30) * np.eye(len(moment))
    return np.linalg.solve(moment, wide.T @ vectors).T.astype(np.float32)


def require_pairs(users: np.ndarray, vectors: np.ndarray) -> None:
    """Refuses anything but two matrices of the same, positive number of rows.

    Raises:
        ArgumentError: They are not.
    """
    if users.ndim != 2 or vectors.ndim != 2 or len(users) != len(vectors) or not len(users):
        raise ArgumentError(
            f"users must be (M, T) with a vector each, and at least one, not {users.shape} with "
            f"vectors {vectors.shape}"
        )
