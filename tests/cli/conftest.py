"""The program run in this process, and small tables and models for it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest

from lightrec.artifact import Model, Users
from lightrec.cli.main import run
from lightrec.codes.item_codes import ItemCodes
from lightrec.interactions import History, IdMap

NUM_USERS, NUM_ITEMS, WIDTH = 20, 60, 4
TEACHER_WIDTH = 7  # where a map leads to the codewords


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys):
    """Runs a command: `cli("inspect", folder)`."""

    def call(*words: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(ended.value.code, captured.out, captured.err)

    return call


@pytest.fixture
def refused(cli):
    """Runs a command that must fail with this exit code; returns its one line of error."""

    def call(code: int, *words: object) -> str:
        outcome = cli(*words)
        assert outcome.code == code, outcome
        lines = outcome.err.splitlines()
        assert len(lines) == 1, outcome.err
        assert lines[0].startswith("lightrec: error: ")
        return lines[0]

    return call


@pytest.fixture(autouse=True)
def _log_as_before():
    logger = logging.getLogger("lightrec")
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


def make_model(*, seed=0, history=True, users=NUM_USERS, items=NUM_ITEMS) -> Model:
    """A model with random contents: users u0, u1 ..., items 1000, 1001 ... (integers)."""
    rng = np.random.default_rng(seed)
    pairs = History.from_pairs(
        np.repeat(np.arange(users), 3), rng.integers(0, items, 3 * users), users, items
    )
    return Model(
        config={"lightrec": "0.1.0", "settings": {"seed": seed}, "data_digest": "abc"},
        item_codes=ItemCodes(
            rng.integers(0, 8, (items, 2), dtype=np.uint8),
            rng.standard_normal((2, 8, WIDTH), dtype=np.float32),
        ),
        users=Users("identity", rng.standard_normal((users, WIDTH), dtype=np.float32)),
        user_ids=IdMap.from_values([f"u{row}" for row in range(users)], "user"),
        item_ids=IdMap.from_values(np.arange(items) + 1000),
        item_columns=pl.DataFrame(
            {
                "popularity": pairs.item_degrees(),
                "title": [f"Book [bold]{row}[/bold] :smile:" for row in range(items)],
                "category": ["Crime" if row % 2 else "Music" for row in range(items)],
                "year": [1990 + row % 5 for row in range(items)],
            }
        ),
        history=pairs if history else None,
    )


@pytest.fixture(scope="session")
def model() -> Model:
    """What `model_folder` holds."""
    return make_model()


@pytest.fixture
def in_form(model):
    """The model with half-precision users of a form, and float items as wide as its teacher.

    `mapped` stands for fitted users whose codebooks left the teacher's space.
    """

    def call(form: str) -> Model:
        rng = np.random.default_rng(1)
        codes, num_users = model.item_codes, model.num_users
        layers = {
            "mapped": (TEACHER_WIDTH, codes.width),
            "linear": (TEACHER_WIDTH, codes.width),
            "mlp": (TEACHER_WIDTH, 5, codes.width),
        }
        sizes = layers.get(form, ())
        weights = {
            f"{layer}.weight": rng.standard_normal(
                (sizes[layer + 1], sizes[layer]), dtype=np.float32
            )
            for layer in range(len(sizes) - 1)
        }
        shape = (codes.num_codebooks, codes.num_codewords) if form == "table" else (codes.width,)
        values = rng.standard_normal((num_users, *shape), dtype=np.float32).astype(np.float16)
        users = Users("fitted" if form == "mapped" else form, values, weights or None)
        width = TEACHER_WIDTH if weights else codes.width
        float_items = rng.standard_normal((model.num_items, width), dtype=np.float32)
        return replace(model, users=users, float_items=float_items.astype(np.float16))

    return call


@pytest.fixture(scope="session")
def model_folder(model, tmp_path_factory):
    """A saved model; not to be changed."""
    folder = tmp_path_factory.mktemp("models") / "model"
    model.save(folder)
    return folder


@pytest.fixture(scope="session")
def bare_model_folder(model, tmp_path_factory):
    """The same model saved without its training pairs."""
    folder = tmp_path_factory.mktemp("models") / "bare"
    model.save(folder, with_history=False)
    return folder


@pytest.fixture
def write(tmp_path):
    """Writes a text file and returns its path."""

    def file(name: str, text: str):
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return file


@pytest.fixture(scope="session")
def ratings(tmp_path_factory):
    """A CSV of 30 users, 80 items and times, with structure that can be learned."""
    rng = np.random.default_rng(7)
    rows = ["user_id,item_id,rating,timestamp,shop"]
    for user in range(30):
        liked = np.arange(user % 2, 80, 2)
        for item in rng.choice(liked, 12, replace=False):
            rows.append(f"u{user},i{item:03},{rng.integers(1, 6)},{rng.integers(1, 10_000)},north")
    path = tmp_path_factory.mktemp("tables") / "ratings.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


QUICK_CODES = (
    "[codes]\nnum_codebooks = 2\nnum_codewords = 16\nkmeans_iterations = 2\nrounds = 1\n"
    "[users.fit]\nrounds = 2\n"
)


@pytest.fixture(scope="session")
def quick_config(tmp_path_factory):
    """Settings that train in a moment."""
    path = tmp_path_factory.mktemp("settings") / "quick.toml"
    path.write_text(f'[teacher]\nkind = "ials"\nwidth = 8\nsweeps = 2\n{QUICK_CODES}')
    return path


@pytest.fixture(scope="session")
def quick_choice(tmp_path_factory):
    """The same, and the teacher is chosen, as the default preset does."""
    path = tmp_path_factory.mktemp("settings") / "choice.toml"
    path.write_text(f"[teacher]\nwidths = [8]\n{QUICK_CODES}")
    return path
