"""How the users meet the codes: where P2 of Eq. 9 comes from."""

from __future__ import annotations

import torch
from torch import nn


class UserForm(nn.Module):
    """What training needs of P2."""

    def all(self) -> torch.Tensor:
        """P2, (M, D)."""
        raise NotImplementedError("a user form gives every user a vector")


class IdentityUsers(UserForm):
    """P2 = P1: the teacher's vectors, so that any vector in its space can query."""

    def __init__(self, teacher_users: torch.Tensor) -> None:
        """Keeps the teacher's users, (M, D)."""
        super().__init__()
        self.register_buffer("vectors", teacher_users.clone())

    def all(self) -> torch.Tensor:
        """P2, (M, D)."""
        return self.get_buffer("vectors")


class FreeUsers(UserForm):
    """P2 free, started at P1 and trained by gradient: what the authors' code does."""

    def __init__(self, teacher_users: torch.Tensor) -> None:
        """Starts at the teacher's users, (M, D)."""
        super().__init__()
        self.vectors = nn.Parameter(teacher_users.clone())

    def all(self) -> torch.Tensor:
        """P2, (M, D)."""
        return self.vectors
