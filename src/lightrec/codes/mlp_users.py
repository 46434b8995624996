"""The small network that brings users to codebooks of their own, in the place of a linear map.

P2 = W2 tanh(W1 P1 + b1) + b2, the MLP of Eq. 9, learns to find the vectors that were fitted to the
users in closed form, for users whom it has never seen too. It starts as the linear map; users held
out of its training say when to stop, and where no step helps them, it stays what it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.linear_users import linear_map, require_pairs
from lightrec.codes.user_codebooks import Usage
from lightrec.errors import ArgumentError

HIDDEN = 1024  # units of tanh, beside one a dimension that hold the linear map
LINEAR_RANGE = 0.02  # where those work: tanh x = x there but for a ten-thousandth
HELD_OUT = 0.1  # of the users
MOST_EPOCHS = 40
PATIENCE = 5  # epochs without a better error of the users held out
BATCH = 64
LEARNING_RATES = (3e-3, 1e-4)  # into the hidden units; out of them, of which all add up
_RATES = tuple(rate for rate in LEARNING_RATES for _ in ("weight", "bias"))
_USERS_AT_ONCE = 4_096  # whose hidden units are held at once: 10 KB each at T = 256
_DECAYS = (0.9, 0.999)  # of Adam's moments


def mlp_map(
    users: np.ndarray, vectors: np.ndarray, item_codes: ItemCodes, *, rng: np.random.Generator
) -> Mlp:
    """The network that comes closest to given vectors, in the squared error of score tables.

    Args:
        users: (M, T) float32, P1; at least two.
        vectors: (M, D) float32, what they are to be brought to.
        item_codes: Codes, and the codebooks (B, W, D) that the vectors go with.
        rng: Draws the start, the batches and the users held out.

    Raises:
        ArgumentError: Shapes do not fit, or there are too few users, or all are zero.
    """
    require_pairs(users, vectors)
    if len(users) < 2:
        raise ArgumentError("a network needs at least two users, one of them to be held out")
    if not users.any():
        raise ArgumentError("a network needs users that differ from zero")
    if vectors.shape[1] != item_codes.width:
        raise ArgumentError(f"vectors are {vectors.shape[1]} wide, codewords {item_codes.width}")
    # In these coordinates of a vector, squared errors are those of its score table.
    root = _root(Usage.of(item_codes).weighted_codebooks(item_codes))
    start = Mlp.linear(users, linear_map(users, vectors).T @ root, rng)
    network = _trained(start, users, vectors.astype(np.float64) @ root, rng)
    from_root = np.linalg.inv(root).T
    return Mlp(network.into, network.bias, from_root @ network.out, from_root @ network.out_bias)


def _root(weighted_codebooks: np.ndarray) -> np.ndarray:
    """(D, D) float64 L with L L' the metric of score tables, to which unused dimensions add."""
    metric = weighted_codebooks.T @ weighted_codebooks
    size = len(metric)
    return np.linalg.cholesky(metric + max(1e-9 * np.trace(metric), 1e-30) / size * np.eye(size))


@dataclass
class Mlp:
    """Two layers: W2 tanh(W1 p + b1) + b2, float64 while it is made.

    Attributes:
        into: (H, T), W1. Its first T units hold the linear map that it started as.
        bias: (H,), b1.
        out: (D, H), W2.
        out_bias: (D,), b2.
    """

    into: np.ndarray
    bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray

    @classmethod
    def linear(cls, users: np.ndarray, linear: np.ndarray, rng: np.random.Generator) -> Self:
        """A linear map (T, D); the other units are drawn, and nothing listens to them yet."""
        width = users.shape[1]
        size = max(float(np.sqrt(np.square(users).sum(axis=1).mean())), 1e-30)
        shrink = LINEAR_RANGE / max(float(np.abs(users).max()), 1e-30)
        drawn = rng.normal(0.0, 1.0 / size, (HIDDEN, width))
        return cls(
            np.vstack([shrink * np.eye(width), drawn]),
            np.concatenate([np.zeros(width), rng.normal(0.0, 0.5, HIDDEN)]),
            np.vstack([linear / shrink, np.zeros((HIDDEN, linear.shape[1]))]).T,
            np.zeros(linear.shape[1]),
        )

    @property
    def learned(self) -> tuple[np.ndarray, ...]:
        """What training moves: all but the units that hold the linear map. Two parts a layer."""
        linear = self.into.shape[1]
        return self.into[linear:], self.bias[linear:], self.out[:, linear:], self.out_bias

    def copy(self) -> Self:
        """Arrays of its own."""
        return type(self)(*(part.copy() for part in vars(self).values()))

    def error(self, users: np.ndarray, targets: np.ndarray) -> float:
        """Mean squared error."""
        hidden = np.tanh(users @ self.into.T + self.bias)
        return float(np.square(hidden @ self.out.T + self.out_bias - targets).mean())

    def gradient(self, users: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, ...]:
        """Of half the squared error, a user's on average, by each part of `learned`."""
        linear = self.into.shape[1]
        hidden = np.tanh(users @ self.into.T + self.bias)
        wrong = (hidden @ self.out.T + self.out_bias - targets) / len(users)
        back = (wrong @ self.out[:, linear:]) * (1.0 - np.square(hidden[:, linear:]))
        return back.T @ users, back.sum(axis=0), wrong.T @ hidden[:, linear:], wrong.sum(axis=0)

    def of(self, users: np.ndarray) -> np.ndarray:
        """(n, D) float32 of users (n, T)."""
        found = np.empty((len(users), len(self.out_bias)), np.float32)
        for begin in range(0, len(users), _USERS_AT_ONCE):
            block = slice(begin, begin + _USERS_AT_ONCE)
            hidden = np.tanh(users[block] @ self.into.T + self.bias)
            found[block] = hidden @ self.out.T + self.out_bias
        return found

    def layers(self) -> dict[str, np.ndarray]:
        """`0.weight`, `0.bias`, `2.weight` and `2.bias`, float32, with tanh between the two."""
        named = {
            "0.weight": self.into,
            "0.bias": self.bias,
            "2.weight": self.out,
            "2.bias": self.out_bias,
        }
        return {name: np.ascontiguousarray(part, np.float32) for name, part in named.items()}


def _trained(network: Mlp, users: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> Mlp:
    """The network at the epoch that the users held out like best, the start included."""
    scale = max(float(np.sqrt(np.square(targets).mean())), 1e-30)
    network.out, targets = network.out / scale, targets / scale  # so that steps have one size
    order = rng.permutation(len(users))
    held = order[: max(1, int(HELD_OUT * len(users)))]
    trained_on = order[len(held) :]
    best, least, since = network.copy(), network.error(users[held], targets[held]), 0
    adam = _Adam(network.learned, MOST_EPOCHS * -(-len(trained_on) // BATCH))
    for _ in range(MOST_EPOCHS):
        mixed = rng.permutation(trained_on)
        for begin in range(0, len(mixed), BATCH):
            batch = mixed[begin : begin + BATCH]
            adam.step(network.gradient(users[batch], targets[batch]))
        error = network.error(users[held], targets[held])
        since += 1
        if error < least:
            best, least, since = network.copy(), error, 0
        if since == PATIENCE:
            break
    best.out, best.out_bias = best.out * scale, best.out_bias * scale
    return best


class _Adam:
    """Adam with learning rates that fall to zero, on arrays that it changes in place."""

    def __init__(self, parts: tuple[np.ndarray, ...], steps: int) -> None:
        self.parts, self.steps, self.done = parts, steps, 0
        self.means = [np.zeros_like(part) for part in parts]
        self.squares = [np.zeros_like(part) for part in parts]

    def step(self, gradients: tuple[np.ndarray, ...]) -> None:
        """Moves every part against its gradient."""
        left = 1.0 - self.done / self.steps
        self.done += 1
        first, second = (1.0 - decay**self.done for decay in _DECAYS)
        moved = zip(self.parts, gradients, self.means, self.squares, _RATES, strict=True)
        for part, gradient, mean, square, rate in moved:
            mean += (1.0 - _DECAYS[0]) * (gradient - mean)
            square += (1.0 - _DECAYS[1]) * (np.square(gradient) - square)
            part -= left * rate * (mean / first) / (np.sqrt(square / second) + 1e-8)
