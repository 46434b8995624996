"""The encoder inside somebody else's network."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lightrec.encoder import CompositeEmbedding, CompositeEncoder
from lightrec.encoder.selection import IdentityStraightThrough, StraightThrough
from lightrec.errors import ArgumentError, InputError
from lightrec.search.code_search import CodeSearch

USERS, ITEMS, GROUPS = 60, 120, 6


def liked() -> tuple[torch.Tensor, torch.Tensor]:
    """Users like the items of their own group."""
    users = torch.arange(USERS).repeat_interleave(8)
    drawn = torch.randint(ITEMS // GROUPS, (len(users),), generator=generator())
    return users, GROUPS * drawn + users % GROUPS


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def share_of_own_group(users: np.ndarray, codes, k: int = 10) -> float:
    search = CodeSearch(codes)
    best = [search.top_k(np.ascontiguousarray(user), k).rows for user in users]
    return float(np.mean([rows % GROUPS == user % GROUPS for user, rows in enumerate(best)]))


def loss_of(network: nn.Module) -> float:
    return network(*liked()).item()


def train(network: nn.Module, steps: int = 150) -> None:
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    users, items = liked()
    for _ in range(steps):
        optimiser.zero_grad()
        network(users, items).backward()
        optimiser.step()


class TwoTowers(nn.Module):
    """Towers of somebody's own; the items pass through the encoder on their way to the scores."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.users = nn.Embedding(USERS, 8)
        self.features = F.one_hot(torch.arange(ITEMS) % GROUPS, GROUPS).float()
        self.features += 0.1 * torch.randn(ITEMS, GROUPS, generator=generator(seed))
        self.tower = nn.Sequential(nn.Linear(GROUPS, 16), nn.Tanh(), nn.Linear(16, 8))
        self.encoder = CompositeEncoder(8, 2, 16, generator=generator(seed))

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


def test_towers_alone_come_to_terms_with_random_codewords_but_less_well() -> None:
    """On average: one run may end either way."""
    losses: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(6):
        for learns, found in losses.items():
            towers = TwoTowers(seed)
            towers.encoder.requires_grad_(learns)
            train(towers)
            found.append(loss_of(towers))
    assert np.mean(losses[True]) < np.mean(losses[False]) - 0.05


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
    control = Factorisation(CompositeEmbedding(ITEMS, 8, 2, 16, generator=generator()))
    control.items.encoder.requires_grad_(False)
    train(network)
    train(control)
    assert loss_of(network) < loss_of(control) - 0.1
    codes = coded.item_codes()
    assert share_of_own_group(network.users.weight.detach().numpy(), codes) > 0.9
    np.testing.assert_allclose(
        codes.decode(np.array([3, 119])),
        coded(torch.tensor([3, 119])).detach(),
        rtol=1e-5,
        atol=1e-5,
    )


def test_what_an_embedding_has() -> None:
    coded = CompositeEmbedding(ITEMS, 8, 2, 16, padding_idx=-1, generator=generator())
    assert (coded.num_embeddings, coded.embedding_dim, coded.padding_idx) == (ITEMS, 8, ITEMS - 1)
    vectors = coded(torch.tensor([ITEMS - 1, 3, ITEMS - 1]))
    assert not vectors[[0, 2]].any()
    assert vectors[1].any()
    vectors.sum().backward()
    assert coded.weight.grad[3].any()
    assert not coded.weight.grad[ITEMS - 1].any()
    with pytest.raises(ArgumentError, match="padding_idx"):
        CompositeEmbedding(ITEMS, 8, padding_idx=ITEMS)


def test_can_be_copied_after_a_step() -> None:
    coded = CompositeEmbedding(ITEMS, 8, 2, 16, selection=IdentityStraightThrough())
    coded(torch.tensor([1, 2]))
    assert coded.penalty is not None
    copied = copy.deepcopy(coded)
    assert copied.penalty is None
    assert torch.equal(copied(torch.tensor([1, 2])), coded(torch.tensor([1, 2])))


def test_sequences_of_items() -> None:
    encoder = CompositeEncoder(8, 2, 16, generator=generator())
    items = torch.randn(3, 5, 8, generator=generator())
    encoded = encoder(items)
    assert encoded.vectors.shape == (3, 5, 8)
    assert encoded.codes.shape == (3, 5, 2)
    assert torch.equal(encoded.vectors[1], encoder(items[1]).vectors)
    assert encoder(items[0, 0]).vectors.shape == (8,)


def test_refuses_what_cannot_be_encoded() -> None:
    encoder = CompositeEncoder(8, 2, 16, generator=generator())
    with pytest.raises(ArgumentError, match=r"\(\.\.\., 8\), not \(4, 7\)"):
        encoder(torch.zeros(4, 7))
    items = torch.zeros(4, 8)
    items[2, 1] = torch.nan
    with pytest.raises(InputError, match="row 2"):
        encoder.item_codes(items)
    with pytest.raises(ArgumentError, match="not finite"):
        encoder.start_from(np.full((2, 16, 8), np.nan, np.float32))
    for settings in ({"temperature": np.inf}, {"temperature": np.nan}, {"final_temperature": 0.0}):
        with pytest.raises(ArgumentError, match="temperatures"):
            StraightThrough(**settings)
    for commitment in (-1.0, np.nan, np.inf):
        with pytest.raises(ArgumentError, match="commitment"):
            IdentityStraightThrough(commitment)


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
