"""How similar an item is to each codeword of a codebook (Eq. 5, its special cases, and others).

Each similarity maps item states (n, S) and a codebook (W, D) to (n, W) similarities. A codebook has
one of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from lightrec.errors import ArgumentError


@dataclass(frozen=True)
class CodebookShape:
    """What a similarity and a recurrence are made for.

    Attributes:
        num_codewords: W.
        state_width: S, of items and of what is left of them.
        word_width: D, of codewords.
    """

    num_codewords: int
    state_width: int
    word_width: int

    def require_one_width(self, what: str) -> None:
        """Refuses items and codewords of different width.

        Raises:
            ArgumentError: They differ.
        """
        if self.state_width != self.word_width:
            raise ArgumentError(
                f"{what} needs items and codewords of one width, not "
                f"{self.state_width} and {self.word_width}"
            )


class Similarity(nn.Module):
    """What an encoder needs of a similarity.

    Attributes:
        in_item_space: Whether the most similar codeword of a state is the state itself, or one in
            its direction.
    """

    in_item_space = False

    def __init__(self, shape: CodebookShape, generator: torch.Generator | None = None) -> None:
        """Makes it for one codebook, with parameters drawn from the generator."""
        del generator
        super().__init__()
        self.shape = shape

    def start_from(self, codebook: torch.Tensor) -> None:
        """Adapts parameters to codewords (W, D) that a quantiser fitted; nothing by default."""

    def copy_words(self, to: torch.Tensor, source: torch.Tensor) -> None:
        """Gives codewords `to` (m,) whatever parameters are those of `source`; none by default."""

    def forward(self, states: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
        """(n, W) similarities."""
        raise NotImplementedError("a similarity compares states with codewords")


class Dot(Similarity):
    """<x, c>: Eq. 5 with W = I."""

    in_item_space = True

    def __init__(self, shape: CodebookShape, generator: torch.Generator | None = None) -> None:
        """Has no parameters."""
        super().__init__(shape, generator)
        shape.require_one_width("the inner product")

    def forward(self, states: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
        """(n, W) similarities."""
        return states @ codebook.T


class ScaledDot(Dot):
    """<x, c> / sqrt(D): Eq. 5 with W = I / sqrt(D)."""

    def forward(self, states: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
        """(n, W) similarities."""
        return states @ codebook.T / math.sqrt(codebook.shape[1])


class Euclidean(Similarity):
    """Negative squared distance; up to a constant per item, 2 <x, c> - |c|^2.

    Eq. 5 with constant w2 cannot express it: the term in the codeword is quadratic.
    """

    in_item_space = True

    def __init__(self, shape: CodebookShape, generator: torch.Generator | None = None) -> None:
        """Has no parameters."""
        super().__init__(shape, generator)
        shape.require_one_width("the distance")

    def forward(self, states: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
        """(n, W) similarities; |x|^2, which changes no choice, is left out."""
        return torch.addmm(-codebook.square().sum(dim=1), states, codebook.T, alpha=2.0)


class PlainBilinear(Similarity):
    """x' W c: the form of the authors' program, one matrix for each codebook."""

    def __init__(self, shape: CodebookShape, generator: torch.Generator | None = None) -> None:
        """Draws W from the Glorot normal distribution, as the authors do."""
        super().__init__(shape, generator)
        size = shape.state_width, shape.word_width
        spread = (2.0 / sum(size)) ** 0.5
        self.weight = nn.Parameter(torch.randn(size, generator=generator) * spread)

    def forward(self, states: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
        """(n, W) similarities."""
        return states @ self.weight @ codebook.T


class Bilinear(PlainBilinear):
    """x' W c + <w1, x> + <w2, c> (Eq. 5).

    <w1, x> is the same for all codewords: it changes neither the choice nor the softmax of Eq. 4.
    Its gradient is zero, so that it is kept out of training, which would only add up rounding.
    """

    def __init__(self, shape: CodebookShape, generator: torch.Generator | None = None) -> None:
        """Draws W as the authors do; w1 and w2 start at zero."""
        super().__init__(shape, generator)
        self.item_weight = nn.Parameter(torch.zeros(shape.state_width), requires_grad=False)
        self.codeword_weight = nn.Parameter(torch.zeros(shape.word_width))

    def forward(self, states: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
        """(n, W) similarities."""
        of_codewords = (states @ self.weight + self.codeword_weight) @ codebook.T
        return of_codewords + (states @ self.item_weight)[:, None]


class BiasedBilinear(PlainBilinear):
    """x' W c + b_w with a bias for each codeword, which can express the distance: b_w = -|c|^2."""

    def __init__(self, shape: CodebookShape, generator: torch.Generator | None = None) -> None:
        """Draws W as the authors do; biases start at zero."""
        super().__init__(shape, generator)
        self.bias = nn.Parameter(torch.zeros(shape.num_codewords))

    @torch.no_grad()
    def start_from(self, codebook: torch.Tensor) -> None:
        """Starts as the Euclidean similarity, by which quantisers choose."""
        self.shape.require_one_width("a start from a quantiser's codebooks")
        self.weight.copy_(2.0 * torch.eye(self.shape.word_width))
        self.bias.copy_(-codebook.square().sum(dim=1))

    @torch.no_grad()
    def copy_words(self, to: torch.Tensor, source: torch.Tensor) -> None:
        """Gives codewords `to` (m,) the biases of `source`."""
        self.bias[to] = self.bias[source]

    def forward(self, states: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
        """(n, W) similarities."""
        return super().forward(states, codebook) + self.bias


class Selector(Similarity):
    """f(x) of Table 5: from the item's vector alone, whatever the codewords are (as in KDE)."""

    def __init__(self, shape: CodebookShape, generator: torch.Generator | None = None) -> None:
        """Draws a linear map from the Glorot normal distribution."""
        super().__init__(shape, generator)
        size = shape.state_width, shape.num_codewords
        spread = (2.0 / sum(size)) ** 0.5
        self.weight = nn.Parameter(torch.randn(size, generator=generator) * spread)
        self.bias = nn.Parameter(torch.zeros(shape.num_codewords))

    @torch.no_grad()
    def start_from(self, codebook: torch.Tensor) -> None:
        """Starts as the Euclidean similarity to these codewords; later ones it does not follow."""
        self.shape.require_one_width("a start from a quantiser's codebooks")
        self.weight.copy_(2.0 * codebook.T)
        self.bias.copy_(-codebook.square().sum(dim=1))

    @torch.no_grad()
    def copy_words(self, to: torch.Tensor, source: torch.Tensor) -> None:
        """Gives codewords `to` (m,) almost the selectors of `source`: equals would tie."""
        size = self.shape.state_width, len(to)
        aside = torch.randn(size, generator=torch.Generator().manual_seed(0)).to(self.weight)
        self.weight[:, to] = self.weight[:, source] + 0.05 * self.weight.std() * aside
        self.bias[to] = self.bias[source]

    def forward(self, states: torch.Tensor, codebook: torch.Tensor) -> torch.Tensor:
        """(n, W) similarities; the codebook is not looked at."""
        del codebook
        return states @ self.weight + self.bias


SIMILARITIES: dict[str, type[Similarity]] = {
    "euclidean": Euclidean,
    "dot": Dot,
    "scaled_dot": ScaledDot,
    "bilinear": Bilinear,
    "plain_bilinear": PlainBilinear,
    "biased_bilinear": BiasedBilinear,
    "selector": Selector,
}
"""By their names in the configuration."""
