"""How a trained encoder chooses codes, without torch: Eq. 7 with similarities of Eq. 5 and Table 5.

The forward pass of `lightrec.encoder`, to which a test holds it: one codebook after the other, the
most similar codeword of each. It is what a model folder needs to encode new items as training did.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lightrec.codes.item_codes import ItemCodes
from lightrec.errors import ArgumentError

Array: TypeAlias = npt.NDArray[Any]
Weights: TypeAlias = Mapping[str, Array]

BLOCK = 8192
"""Items encoded at a time."""


@dataclass(frozen=True)
class _Part:
    """A similarity or a recurrence.

    Attributes:
        compute: Of a similarity: states (n, S), codebook (W, D) and the codebook's weights give
            similarities (n, W). Of a recurrence: states (n, S), words (n, D) and weights give the
            next states (n, S).
        shapes: Of its weights: B codebooks, W codewords, D their width, S that of states.
        one_width: Whether items and codewords must have one width.
    """

    compute: Callable[[Array, Array, Weights], Array]
    shapes: Mapping[str, str] = field(default_factory=dict)
    one_width: bool = False


def _euclidean(states: Array, codebook: Array, _: Weights) -> Array:
    lengths: Array = np.square(codebook).sum(axis=1)
    return 2 * (states @ codebook.T) - lengths


def _dot(states: Array, codebook: Array, _: Weights) -> Array:
    return states @ codebook.T


def _scaled_dot(states: Array, codebook: Array, _: Weights) -> Array:
    return states @ codebook.T / np.float32(math.sqrt(codebook.shape[1]))


def _plain_bilinear(states: Array, codebook: Array, weights: Weights) -> Array:
    return states @ weights["weight"] @ codebook.T


def _bilinear(states: Array, codebook: Array, weights: Weights) -> Array:
    return (states @ weights["weight"] + weights["codeword_weight"]) @ codebook.T


def _biased_bilinear(states: Array, codebook: Array, weights: Weights) -> Array:
    return _plain_bilinear(states, codebook, weights) + weights["bias"]


def _selector(states: Array, _: Array, weights: Weights) -> Array:
    return states @ weights["weight"] + weights["bias"]


SIMILARITIES: Mapping[str, _Part] = {
    "euclidean": _Part(_euclidean, one_width=True),
    "dot": _Part(_dot, one_width=True),
    "scaled_dot": _Part(_scaled_dot, one_width=True),
    "bilinear": _Part(_bilinear, {"weight": "BSD", "codeword_weight": "BD"}),
    "plain_bilinear": _Part(_plain_bilinear, {"weight": "BSD"}),
    "biased_bilinear": _Part(_biased_bilinear, {"weight": "BSD", "bias": "BW"}),
    "selector": _Part(_selector, {"weight": "BSW", "bias": "BW"}),
}
"""By their names in the configuration. <w1, x> of Eq. 5 changes no choice and is left out."""
RECURRENCES: Mapping[str, _Part] = {
    "none": _Part(lambda states, _, __: states),
    "subtract": _Part(lambda states, words, _: states - words, one_width=True),
    "subtract_w": _Part(
        lambda states, words, weights: states - words @ weights["of_word"].T, {"of_word": "SD"}
    ),
    "w_subtract_w": _Part(
        lambda states, words, weights: (
            states @ weights["of_state"].T - words @ weights["of_word"].T
        ),
        {"of_word": "SD", "of_state": "SS"},
    ),
}
"""By their names in the configuration."""


@dataclass(frozen=True, eq=False)
class TrainedSelection:
    """The trained part of an encoder, beside its codebooks.

    Attributes:
        similarity: Of `SIMILARITIES`.
        recurrence: Of `RECURRENCES`.
        weights: Float32, by name, as `weight_shapes` tells; those of a similarity for all
            codebooks, one after the other.
    """

    similarity: str
    recurrence: str
    weights: Weights

    def state_width(self, word_width: int) -> int:
        """S, where codewords have D numbers."""
        for array in self.weights.values():
            if array.ndim == 3:  # of a similarity: (B, S, D or W)
                return int(array.shape[1])
        of_word = self.weights.get("of_word")
        return word_width if of_word is None or not of_word.ndim else len(of_word)

    def encode(self, items: Array, codebooks: Array) -> ItemCodes:
        """Chooses codes.

        Args:
            items: (N, S) float32 vectors of the teacher's space, finite.
            codebooks: (B, W, D) float32.

        Raises:
            ArgumentError: The weights do not fit items and codebooks.
        """
        wanted = weight_shapes(self.similarity, self.recurrence, items.shape[1], codebooks.shape)
        given = {name: array.shape for name, array in self.weights.items()}
        if given != wanted:
            raise ArgumentError(f"the encoder's weights are {given}, and {wanted} are needed")
        codes = np.empty((len(items), len(codebooks)), np.uint8)
        with np.errstate(over="ignore", invalid="ignore"):  # numbers near the largest still choose
            for start in range(0, len(items), BLOCK):
                codes[start : start + BLOCK] = self._choose(items[start : start + BLOCK], codebooks)
        return ItemCodes(codes, codebooks)

    def _choose(self, states: Array, codebooks: Array) -> Array:
        similarity, recurrence = SIMILARITIES[self.similarity], RECURRENCES[self.recurrence]
        codes = np.empty((len(states), len(codebooks)), np.uint8)
        for book, codebook in enumerate(codebooks):
            own = {name: self.weights[name][book] for name in similarity.shapes}
            chosen = similarity.compute(states, codebook, own).argmax(axis=1)
            states = recurrence.compute(states, codebook[chosen], self.weights)
            codes[:, book] = chosen
        return codes


def weight_shapes(
    similarity: str, recurrence: str, state_width: int, codebooks: tuple[int, ...]
) -> dict[str, tuple[int, ...]]:
    """The shapes that weights must have, by name.

    Args:
        similarity: Of `SIMILARITIES`.
        recurrence: Of `RECURRENCES`.
        state_width: S, of the items.
        codebooks: (B, W, D), the codebooks' shape.

    Raises:
        ArgumentError: A name is unknown, or S and D differ where they must not.
    """
    for name, known in ((similarity, SIMILARITIES), (recurrence, RECURRENCES)):
        if name not in known:
            raise ArgumentError(f"{name!r} is none of {', '.join(known)}")
    parts = SIMILARITIES[similarity], RECURRENCES[recurrence]
    sizes = dict(zip("BWD", codebooks, strict=True), S=state_width)
    if state_width != sizes["D"] and any(part.one_width for part in parts):
        raise ArgumentError(
            f"{similarity} and {recurrence} need items and codewords of one width, not "
            f"{state_width} and {sizes['D']}"
        )
    return {
        name: tuple(sizes[letter] for letter in shape)
        for part in parts
        for name, shape in part.shapes.items()
    }
