"""The parts of the public data sets that experiments measure on, and their teachers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lightrec.experiments.provenance import source_digest
from lightrec.experiments.runner import digest_of
from lightrec.experiments.teacher_cache import CachedTeacher, cached_teacher
from lightrec.interactions import (
    History,
    Split,
    load_public,
    load_source_split,
    paper_split,
    validation_split,
)
from lightrec.run_config import RunConfig
from lightrec.teachers.fit import FittedTeacher
from lightrec.teachers.make_teacher import make_teacher
from lightrec.training.loop import Surroundings

TEACHER_SOURCES = (
    "evaluation",
    "factors.py",
    "interactions",
    "native/row_adam.*",
    "teachers",
    "training",
)
"""What a teacher's vectors depend on: a change anywhere else keeps the cached ones."""
SOURCE_SPLIT = "_source_split"
"""Ending of a data set's name that stands for the split which its own file carries."""


@dataclass(frozen=True)
class Part:
    """Training pairs and the pairs to be found, with the digest of both.

    Attributes:
        data: Name of the public data set.
        split: Seed of the split.
        pairs: What is trained on.
        sought: What is ranked for: validation or test pairs.
        train_digest: Of the split's training pairs, validation included.
        digest: Of training and sought pairs.
    """

    data: str
    split: int
    pairs: History
    sought: History
    train_digest: str
    digest: str


def validation_part(data: str, root: Path | str | None = None) -> Part:
    """Split 0 with its validation pairs set aside: where settings and epochs are chosen."""
    train = _split(data, 0, root).train
    held = validation_split(train, 0)
    return _part(data, 0, train.digest(), held)


def test_part(data: str, split: int, root: Path | str | None = None) -> Part:
    """All training pairs of a split, and its test pairs."""
    both = _split(data, split, root)
    return _part(data, split, both.train.digest(), both)


def _part(data: str, split: int, train_digest: str, pairs: Split) -> Part:
    digest = digest_of([pairs.train.digest(), pairs.test.digest()])
    return Part(data, split, pairs.train.history(), pairs.test.history(), train_digest, digest)


def _split(data: str, split: int, root: Path | str | None) -> Split:
    if data.endswith(SOURCE_SPLIT):
        return load_source_split(data.removesuffix(SOURCE_SPLIT), root)
    # Rows are numbered by the seed: file order often follows popularity, and nothing may profit.
    return paper_split(load_public(data, root).shuffled_rows(split), split)


def teacher_of(
    part: Part,
    config: RunConfig,
    chosen: FittedTeacher | None,
    surroundings: Surroundings | None = None,
) -> CachedTeacher:
    """A part's teacher: chosen on its sought pairs, or what was chosen before trained again.

    Args:
        part: The part; its sought pairs are looked at only where nothing was chosen before.
        config: The run's configuration.
        chosen: The settings and epochs to use.
        surroundings: Progress bars.
    """
    again = None if chosen is None else [chosen.config.model_dump(), chosen.epochs]
    identity = {
        "teacher": config.teacher.model_dump(),
        "chosen": again,
        "seed": config.seed,
        "data": part.train_digest,
        "pairs": len(part.pairs),
        "source": source_digest(TEACHER_SOURCES),
    }
    return cached_teacher(
        digest_of(identity),
        lambda: make_teacher(
            part.pairs,
            config.teacher,
            seed=config.seed,
            held_out=part.sought if chosen is None else None,
            repeat=chosen,
            surroundings=surroundings,
        ),
    )
