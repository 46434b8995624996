"""What the next codebook is given, once a codeword has been chosen (Eq. 7 and section 4.5)."""

from __future__ import annotations

import torch
from torch import nn

from lightrec.encoder.similarity import CodebookShape


class Recurrence(nn.Module):
    """What an encoder needs of a recurrence: x^b = phi(x^(b-1), y^(b-1)), one phi for all b."""

    def __init__(self, shape: CodebookShape) -> None:
        """Makes it for items and codewords of these widths."""
        super().__init__()
        self.shape = shape

    def forward(self, states: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """(n, S) next states from states (n, S) and chosen words (n, D)."""
        raise NotImplementedError("a recurrence gives the next state")


class Keep(Recurrence):
    """x: every codebook sees the item itself; there is no recurrence."""

    def forward(self, states: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """(n, S) next states."""
        del words
        return states


class Subtract(Recurrence):
    """x - y: the next codebook encodes what is left over."""

    def __init__(self, shape: CodebookShape) -> None:
        """Has no parameters."""
        super().__init__(shape)
        shape.require_one_width("x - y")

    def forward(self, states: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """(n, S) next states."""
        return states - words


class SubtractMapped(Recurrence):
    """x - W y: codewords are brought into the space of the items first."""

    def __init__(self, shape: CodebookShape) -> None:
        """Starts with the identity, where widths differ as far as it goes: x - y at first."""
        super().__init__(shape)
        self.of_word = nn.Parameter(torch.eye(shape.state_width, shape.word_width))

    def forward(self, states: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """(n, S) next states."""
        return states - words @ self.of_word.T


class MapBoth(SubtractMapped):
    """W1 x - W2 y."""

    def __init__(self, shape: CodebookShape) -> None:
        """Starts with identities: x - y at first."""
        super().__init__(shape)
        self.of_state = nn.Parameter(torch.eye(shape.state_width))

    def forward(self, states: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """(n, S) next states."""
        return super().forward(states @ self.of_state.T, words)


RECURRENCES: dict[str, type[Recurrence]] = {
    "none": Keep,
    "subtract": Subtract,
    "subtract_w": SubtractMapped,
    "w_subtract_w": MapBoth,
}
"""By their names in the configuration."""
