"""How the users meet the codes: where P2 of Eq. 9 comes from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lightrec.encoder.user_grams import Grams, LinearGrams, SampledGrams, TrackedGrams
from lightrec.errors import ArgumentError


class UserForm(nn.Module):
    """What training needs of P2."""

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, D) vectors of different user rows (n,), with their gradient."""
        raise NotImplementedError("a user form gives every user a vector")

    def grams(self, rows: torch.Tensor, vectors: torch.Tensor) -> Grams:
        """The matrices of Eq. 10, in time that does not depend on M.

        Args:
            rows: (n,) different users of the batch.
            vectors: (n, D) what `of` gave for them.
        """
        raise NotImplementedError("a user form knows its Gram matrices")

    def start_epoch(self) -> None:
        """Called before the first step of every epoch; nothing by default."""

    def after_step(self) -> None:
        """Called when a step has moved the parameters; nothing by default."""

    def all(self) -> torch.Tensor:
        """P2, (M, D)."""
        raise NotImplementedError("a user form gives every user a vector")

    def map_weights(self) -> dict[str, np.ndarray] | None:
        """Layers that turn any vector of the teacher's space into one of the codebooks'.

        Returns:
            `K.weight` (out, in) and `K.bias` (out,) of each layer K, with tanh between layers; None
            where users have no such map.
        """
        return None


class IdentityUsers(UserForm):
    """P2 = P1: the teacher's vectors, so that any vector in its space can query."""

    def __init__(self, teacher_users: torch.Tensor, width: int) -> None:
        """Keeps the teacher's users, (M, T).

        Raises:
            ArgumentError: Codewords have another width.
        """
        super().__init__()
        if teacher_users.shape[1] != width:
            raise ArgumentError(
                f"identity users have the teacher's width {teacher_users.shape[1]}, "
                f"codewords {width}"
            )
        self.register_buffer("vectors", teacher_users.clone())
        square = Grams.of(teacher_users, teacher_users).teacher
        self.register_buffer("square", square, persistent=False)

    def grams(self, rows: torch.Tensor, vectors: torch.Tensor) -> Grams:
        """Constant."""
        del rows, vectors
        square = self.get_buffer("square")
        return Grams(square, square, square)

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, D) vectors of user rows (n,)."""
        return self.get_buffer("vectors")[rows]

    def all(self) -> torch.Tensor:
        """P2, (M, D)."""
        return self.get_buffer("vectors")


class FreeUsers(UserForm):
    """P2 free, started at P1 and trained by gradient: what the authors' code does."""

    def __init__(self, teacher_users: torch.Tensor, width: int) -> None:
        """Starts at the teacher's users, (M, T), their first numbers where width is less than T."""
        super().__init__()
        start = torch.zeros(len(teacher_users), width)
        shared = min(width, teacher_users.shape[1])
        start[:, :shared] = teacher_users[:, :shared]
        self.vectors = nn.Parameter(start)
        self.tracked = TrackedGrams(teacher_users, start)

    def start_epoch(self) -> None:
        """Computes the Gram matrices anew, so that errors of rounding do not add up."""
        self.tracked.refresh(self.vectors)

    def after_step(self) -> None:
        """Keeps the Gram matrices right."""
        self.tracked.after_step(self.vectors)

    def grams(self, rows: torch.Tensor, vectors: torch.Tensor) -> Grams:
        """Kept right from step to step; only users of a batch may move."""
        return self.tracked.now(rows, vectors)

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, D) vectors of different user rows (n,); their gradient is sparse."""
        return F.embedding(rows, self.vectors, sparse=True)

    def all(self) -> torch.Tensor:
        """P2, (M, D)."""
        return self.vectors


class MappedUsers(UserForm):
    """P2 a map of P1, by layers that any vector of the teacher's space can go through."""

    layers: nn.Sequential

    def __init__(self, teacher_users: torch.Tensor) -> None:
        """Keeps the teacher's users, (M, T)."""
        super().__init__()
        self.register_buffer("teacher", teacher_users, persistent=False)

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """(n, D) vectors of user rows (n,)."""
        mapped: torch.Tensor = self.layers(self.get_buffer("teacher")[rows])
        return mapped

    def all(self) -> torch.Tensor:
        """P2, (M, D)."""
        mapped: torch.Tensor = self.layers(self.get_buffer("teacher"))
        return mapped

    def map_weights(self) -> dict[str, np.ndarray]:
        """The layers as arrays."""
        return {
            name: value.detach().to("cpu", torch.float32, copy=True).numpy()
            for name, value in self.layers.state_dict().items()
        }


class LinearUsers(MappedUsers):
    """P2 = W P1 + b: vectors of a live user tower can query codes of another width."""

    def __init__(self, teacher_users: torch.Tensor, width: int) -> None:
        """Starts with the identity as far as it goes."""
        super().__init__(teacher_users)
        self.layers = nn.Sequential(_scaled_identity(teacher_users.shape[1], width, 1.0))
        self.moments = LinearGrams(teacher_users)

    def grams(self, rows: torch.Tensor, vectors: torch.Tensor) -> Grams:
        """From moments of P1, exactly."""
        del rows, vectors
        layer = self.layers[0]
        assert isinstance(layer, nn.Linear)
        return self.moments.of(layer)


class MlpUsers(MappedUsers):
    """P2 = W2 tanh(W1 P1 + b1) + b2: the paper's, an MLP of P1."""

    HIDDEN = 4  # times the teacher's width
    SMALL = 0.25  # what vectors are multiplied by before tanh at first, which is linear near zero

    def __init__(self, teacher_users: torch.Tensor, width: int) -> None:
        """Starts near the identity: other hidden units are drawn, and not listened to at first."""
        super().__init__(teacher_users)
        own = teacher_users.shape[1]
        first = _scaled_identity(own, self.HIDDEN * own, self.SMALL)
        second = _scaled_identity(self.HIDDEN * own, width, 1.0 / self.SMALL)
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randn((self.HIDDEN - 1) * own, own + 1, generator=generator)
        length = float(teacher_users.square().sum(dim=1).mean().sqrt())
        with torch.no_grad():  # a unit that is zero on either side would have no gradient, ever
            first.weight[own:] = drawn[:, :own] / (length or 1.0)
            first.bias[own:] = 0.5 * drawn[:, own]
            second.weight[:, own:] = 0.0
        self.layers = nn.Sequential(first, nn.Tanh(), second)
        self.moments = SampledGrams(teacher_users)

    def grams(self, rows: torch.Tensor, vectors: torch.Tensor) -> Grams:
        """An estimate, from a sample of users."""
        del rows, vectors
        return self.moments.of(self.layers)


def _scaled_identity(inputs: int, outputs: int, factor: float) -> nn.Linear:
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        layer.weight.copy_(factor * torch.eye(outputs, inputs))
        layer.bias.zero_()
    return layer


USER_FORMS: dict[str, Callable[[torch.Tensor, int], UserForm]] = {
    "free": FreeUsers,
    "identity": IdentityUsers,
    "linear": LinearUsers,
    "mlp": MlpUsers,
}
"""By their names in the configuration."""
