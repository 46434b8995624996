"""A small history, a model to train on it, and digests of what training left."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lightrec.interactions.history import History
from lightrec.teachers.bpr import BprConfig, BprFactorization
from lightrec.training.negative_sampling import PairBatches

torch.set_num_threads(1)
HERE = str(Path(__file__).resolve().parent)
if HERE not in sys.path:  # the stand-in for another device lies beside the tests
    sys.path.insert(0, HERE)


@pytest.fixture(scope="session")
def history() -> History:
    """20 users with 5 of 30 items each: 100 pairs, 4 steps of 32 an epoch."""
    rng = np.random.default_rng(1)
    picks = [rng.permutation(30)[:5] for _ in range(20)]
    return History.from_pairs(np.repeat(np.arange(20), 5), np.concatenate(picks), 20, 30)


@pytest.fixture
def batches(history: History) -> PairBatches:
    return PairBatches(history, batch_size=32, num_negatives=2, pool_size=None, seed=7)


@pytest.fixture(scope="session")
def config() -> BprConfig:
    return BprConfig(
        width=4, epochs=3, batch_size=32, evaluate_every=1, learning_rate=0.05, schedule="cosine"
    )


@pytest.fixture
def model(history: History, config: BprConfig) -> BprFactorization:
    return BprFactorization(history.num_users, history.num_items, config, seed=3)


@pytest.fixture(scope="session")
def sha() -> Callable[[torch.nn.Module], str]:
    """SHA-256 over every parameter and buffer of a module."""

    def digest_of(module: torch.nn.Module) -> str:
        digest = hashlib.sha256()
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(name.encode() + tensor.detach().contiguous().numpy().tobytes())
        return digest.hexdigest()

    return digest_of
