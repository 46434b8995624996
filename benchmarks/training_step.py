"""Times one step of training through the codes, and tells where the time goes.

    python -m benchmarks.training_step              # a minute
    python -m benchmarks.training_step --steps 20   # a trial

A step is one batch of 1,024 pairs with pooled negatives, D = 32 and 4 x 256 codewords: draw the
batch, encode its items, losses, gradients, optimiser. Users, items and pairs are made up, as many
as citeulike-t has. One thread on one core; the machine must be idle. `seconds` is the median step.
Then other steps are recorded by torch's profiler; its share of time is given for products of
matrices, for passes over matrices of items by codewords, for everything else that torch does, and
for what lies between (Python, mostly). Rows go to `benchmarks/results/training_step.json`.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.results import Row, write_results
from benchmarks.timing import one_core
from lightrec.codes.item_codes import ItemCodes
from lightrec.encoder.student import Student
from lightrec.encoder.student_config import StudentConfig
from lightrec.experiments.provenance import commit, source_digest, sources_of
from lightrec.factors import Factors
from lightrec.interactions.history import History
from lightrec.run_config import load_config
from lightrec.training.negative_sampling import PairBatches

NAME = "training_step"
USERS, ITEMS, PAIRS, WIDTH = 8_000, 26_000, 107_000, 32
BOOKS, WORDS = 4, 256
WARM = 5  # steps before the clock runs
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "paper": ("paper", {}),
    "paper, bilinear": ("paper", {"similarity": "bilinear"}),
    "paper, hard": ("paper", {"selection": "hard"}),
    "trained": ("trained", {}),
    "kde": ("kde", {}),
}
"""Each student: its preset, and what is changed in it."""
PRODUCTS = ("mm", "addmm", "bmm")
MATRIX_PASSES = ("softmax", "mul_", "div_", "sub_", "div", "linalg_vecdot", "argmax", "amax")

logger = logging.getLogger("lightrec")


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=100, help="steps that are timed")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(1)
    rows = []
    with one_core():
        for name in PRESETS:
            rows.append(measured(name, asked.steps))
            logger.warning("%s", rows[-1])
    write_results(NAME, f"python -m benchmarks.training_step --steps {asked.steps}", rows)


def measured(name: str, steps: int) -> Row:
    """The median step of one kind of student, and where its time goes."""
    preset, changes = PRESETS[name]
    settings = load_config(preset, student=changes).student
    assert settings is not None  # these presets have one
    training = Training(settings)
    training.steps(WARM)
    seconds = training.steps(steps)
    with profile(activities=[ProfilerActivity.CPU]) as told:
        recorded = training.steps(steps)
    return {
        "system": "lightrec",
        "student": name,
        "steps": steps,
        "batch_size": settings.batch_size,
        "width": WIDTH,
        "seconds": statistics.median(seconds),
        **shares(told, sum(recorded)),
        "commit": commit(),
        "source_digest": source_digest(sources_of(NAME)),
    }


class Training:
    """A student and its batches, made up."""

    def __init__(self, settings: StudentConfig) -> None:
        rng = np.random.default_rng(0)
        popularity = rng.zipf(1.5, 4 * PAIRS)
        liked = popularity[popularity <= ITEMS][:PAIRS] - 1
        pairs = History.from_pairs(rng.integers(0, USERS, len(liked)), liked, USERS, ITEMS)
        users, items = (
            (0.3 * rng.normal(size=(count, WIDTH))).astype(np.float32) for count in (USERS, ITEMS)
        )
        codes = rng.integers(0, WORDS, (ITEMS, BOOKS), dtype=np.uint8)
        books = (0.15 * rng.normal(size=(BOOKS, WORDS, WIDTH))).astype(np.float32)
        # Codes stay as long as an epoch lasts, and no epoch begins here.
        self.student = Student(
            Factors(users, items),
            None if settings.start == "random" else ItemCodes(codes, books),
            settings,
            num_codebooks=BOOKS,
            num_codewords=WORDS,
            seed=0,
        )
        self.batches = PairBatches(
            pairs,
            batch_size=settings.batch_size,
            num_negatives=settings.num_negatives,
            pool_size=settings.pool_size,
            seed=0,
        )
        self.optimiser = self.student.optimiser(settings.learning_rate)
        self.done = 0

    def steps(self, count: int) -> list[float]:
        """Makes so many; returns the seconds of each."""
        seconds = []
        for _ in range(count):
            begun = time.perf_counter()
            epoch, step = divmod(self.done, self.batches.steps_per_epoch)
            losses = self.student(self.batches.batch(epoch, step))
            self.optimiser.zero_grad(set_to_none=True)
            losses["loss"].backward()
            self.optimiser.step()
            self.student.after_step()
            self.done += 1
            seconds.append(time.perf_counter() - begun)
        return seconds


def shares(told: profile, seconds: float) -> dict[str, float]:
    """Shares of the recorded time by kind of work; they add up to 1."""
    spent = dict.fromkeys(("products", "matrix_passes", "other_torch"), 0.0)
    for event in told.key_averages():
        if not event.key.startswith("aten::"):
            continue
        name = event.key.removeprefix("aten::").removeprefix("_")
        kind = "products" if name in PRODUCTS else "other_torch"
        kind = "matrix_passes" if name in MATRIX_PASSES else kind
        spent[kind] += event.self_cpu_time_total / 1e6
    rest = max(0.0, seconds - sum(spent.values()))
    total = sum(spent.values()) + rest
    return {f"{kind}_share": value / total for kind, value in (spent | {"rest": rest}).items()}


if __name__ == "__main__":
    main()
