"""The encoder inside somebody else's network."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lightrec.encoder import CompositeEmbedding, CompositeEncoder
from lightrec.encoder.selection import IdentityStraightThrough
from lightrec.errors import ArgumentError
from lightrec.search.code_search import CodeSearch

USERS, ITEMS, GROUPS = 60, 120, 6


def liked() -> tuple[torch.Tensor, torch.Tensor]:
    """Users like the items of their own group."""
    users = torch.arange(USERS).repeat_interleave(8)
    drawn = torch.randint(ITEMS // GROUPS, (len(users),), generator=generator())
    return users, GROUPS * drawn + users % GROUPS


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def share_of_own_group(users: np.ndarray, codes, k: int = 10) -> float:
    search = CodeSearch(codes)
    best = [search.top_k(np.ascontiguousarray(user), k).rows for user in users]
    return float(np.mean([rows % GROUPS == user % GROUPS for user, rows in enumerate(best)]))


def train(network: nn.Module, steps: int = 150) -> None:
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    users, items = liked()
    for _ in range(steps):
        optimiser.zero_grad()
        network(users, items).backward()
        optimiser.step()


class TwoTowers(nn.Module):
    """Towers of somebody's own; the items pass through the encoder on their way to the scores."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.users = nn.Embedding(USERS, 8)
        self.features = F.one_hot(torch.arange(ITEMS) % GROUPS, GROUPS).float()
        self.features += 0.1 * torch.randn(ITEMS, GROUPS, generator=generator())
        self.tower = nn.Sequential(nn.Linear(GROUPS, 16), nn.Tanh(), nn.Linear(16, 8))
        self.encoder = CompositeEncoder(8, 2, 16, generator=generator())

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        floats = self.tower(self.features)
        encoded = self.encoder(floats).vectors
        kept = 0.1 * (floats - encoded).square().sum(dim=1).mean()
        return F.cross_entropy(self.users(users) @ encoded.T, items) + kept


def test_a_layer_of_a_two_tower_network() -> None:
    towers = TwoTowers()
    codes = towers.encoder.item_codes(towers.tower(towers.features).detach())
    before = share_of_own_group(towers.users.weight.detach().numpy(), codes)
    train(towers)
    codes = towers.encoder.item_codes(towers.tower(towers.features).detach())
    after = share_of_own_group(towers.users.weight.detach().numpy(), codes)
    assert before < 0.4
    assert after > 0.9


class Factorisation(nn.Module):
    def __init__(self, items: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.users, self.items = nn.Embedding(USERS, 8), items

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.users(users) @ self.items(torch.arange(ITEMS)).T, items)


def test_in_the_place_of_an_embedding() -> None:
    floats, coded = (
        nn.Embedding(ITEMS, 8),
        CompositeEmbedding(ITEMS, 8, 2, 16, generator=generator()),
    )
    rows = torch.tensor([[3, 3, 119], [0, 3, 7]])
    assert coded(rows).shape == floats(rows).shape == (2, 3, 8)
    assert torch.equal(coded(rows)[0, 0], coded(rows)[1, 1])
    network = Factorisation(coded)
    train(network)
    codes = coded.item_codes()
    assert share_of_own_group(network.users.weight.detach().numpy(), codes) > 0.9
    np.testing.assert_allclose(
        codes.decode(np.array([3, 119])),
        coded(torch.tensor([3, 119])).detach(),
        rtol=1e-5,
        atol=1e-5,
    )


def test_a_sparse_table() -> None:
    coded = CompositeEmbedding(ITEMS, 8, 2, 16, sparse=True, generator=generator())
    coded(torch.tensor([5, 5, 9])).sum().backward()
    assert sorted(coded.weight.grad.coalesce().indices()[0].tolist()) == [5, 9]


def test_parts_go_to_the_encoder() -> None:
    coded = CompositeEmbedding(ITEMS, 8, 2, 16, selection=IdentityStraightThrough(0.1))
    assert coded.penalty is None
    vectors = coded(torch.tensor([[1, 2], [2, 5]]))
    assert coded.penalty is not None
    (vectors.sum() + coded.penalty).backward()
    assert (coded.encoder.codebooks.grad.abs().sum(dim=(1, 2)) > 0).all()


def test_there_must_be_items() -> None:
    with pytest.raises(ArgumentError, match="num_embeddings"):
        CompositeEmbedding(0, 8)
