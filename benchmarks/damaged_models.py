"""LightRec's model folders, damaged: what loading makes of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from benchmarks.forgeries import FORGERIES, seal
from benchmarks.in_children import CRASHED, REJECTED, UNCHANGED, WRONG, Outcome, Trial
from benchmarks.made_up_models import FORMS, TINY
from benchmarks.mutations import BYTES, FILES, SWAPS, Damaged, mutated, put
from benchmarks.own_contents import check_answers
from lightrec.artifact import Model
from lightrec.errors import ArtifactError
from lightrec.serving import Recommender

CARD, MANIFEST = "README.md", "MANIFEST.json"


def answers(model: Model) -> bytes:
    """All that a few users are recommended, in every way of asking, as bytes."""
    recommender = Recommender(model, threads=1)
    users = model.user_ids.series.gather(_few(model.num_users)).to_list()
    vectors = np.eye(2, model.query_width, dtype=np.float32)
    told = []
    for found in (
        recommender.recommend(users, exclude_seen=False),
        recommender.recommend(users, exclude_seen=True),
        recommender.recommend(vectors=vectors, post_ranking=20),
    ):
        told += [repr(found.item_ids.to_list()).encode(), found.item_scores.tobytes()]
    return b"\n".join(told)


def _few(count: int) -> list[int]:
    return sorted({*range(min(count, 4)), *range(count - 1, count)})


@dataclass(frozen=True)
class Intact:
    """A folder before any damage.

    Attributes:
        path: The folder.
        files: Content by name, without the card.
    """

    path: Path
    files: dict[str, bytes]

    @classmethod
    def read(cls, path: Path) -> Intact:
        """Reads the files."""
        names = sorted(file.name for file in path.iterdir() if file.name != CARD)
        return cls(path, {name: (path / name).read_bytes() for name in names})

    @cached_property
    def answers(self) -> bytes:
        """Of the model in it."""
        return answers(Model.load(self.path))


class Workplace:
    """Copies of the intact folders, to be damaged and mended."""

    def __init__(self, models: Path) -> None:
        self.scratch = Path(mkdtemp(dir=models))
        self.folders = {form: self.scratch / form for form in (*FORMS, TINY)}
        generations: dict[str, Path] = {form: models / form / "0" for form in FORMS}
        generations[TINY] = models / TINY
        self.intact = {form: Intact.read(path) for form, path in generations.items()}
        self.others: dict[str, Intact] = {form: Intact.read(models / form / "1") for form in FORMS}
        for form, path in generations.items():
            shutil.copytree(path, self.folders[form])

    @contextmanager
    def damaged(self, form: str, name: str, damaged: Damaged) -> Iterator[Path]:
        """The copy of a folder while one of its files is damaged."""
        folder, intact = self.folders[form], self.intact[form]
        put(folder / name, damaged, intact.path / name)
        try:
            yield folder
        finally:
            content = intact.files.get(name)
            put(folder / name, (intact.path / name).read_bytes() if content is None else content)

    @contextmanager
    def forged(self, form: str, files: dict[str, bytes]) -> Iterator[Path]:
        """A folder of exactly these files."""
        folder = self.scratch / "forged"
        folder.mkdir()
        try:
            for name, content in files.items():
                (folder / name).write_bytes(content)
            yield folder
        finally:
            shutil.rmtree(folder)


def judged(kind: str, told: str, load: Callable[[], bool]) -> Outcome:
    """The outcome of a trial.

    Args:
        kind: What was done.
        told: Where, to find it again.
        load: Loads and asks; returns whether the answers are right.
    """
    try:
        right = load()
    except ArtifactError:
        return Outcome(REJECTED, kind)
    except BaseException as error:  # panics of polars are no `Exception`
        return Outcome(CRASHED, kind, f"{told}: {error!r}")
    return Outcome(UNCHANGED, kind) if right else Outcome(WRONG, kind, told)


@contextmanager
def sealed(models: Path, seed: int) -> Iterator[Trial]:
    """Trials that mutate a file and leave the manifest as it is, or mutate the manifest."""
    place = Workplace(models)

    def trial(number: int) -> Outcome:
        rng = np.random.default_rng([seed, number])
        kind = list(FILES)[number % len(FILES)]
        while True:
            form = str(rng.choice(FORMS))
            name = str(rng.choice(list(place.intact[form].files)))
            contents = place.intact[form].files[name], place.others[form].files[name]
            damage = mutated(rng, FILES[kind], *contents)
            if damage is not None:
                break
        with place.damaged(form, name, damage) as folder:
            return judged(
                kind,
                f"trial {number}: {kind} {form} {name}",
                lambda: answers(Model.load(folder)) == place.intact[form].answers,
            )

    yield trial


def exhaustive_places(models: Path) -> list[tuple[str, int]]:
    """Every bit and then every length of each file of the tiny model, as name and number."""
    files = Intact.read(models / TINY).files
    return [(name, number) for name, content in files.items() for number in range(9 * len(content))]


@contextmanager
def sealed_exhaustive(models: Path) -> Iterator[Trial]:
    """Trials that flip one bit, or cut to one length: all there are."""
    place, places = Workplace(models), exhaustive_places(models)

    def trial(number: int) -> Outcome:
        name, change = places[number]
        content = place.intact[TINY].files[name]
        byte, bit = change // 8, change % 8
        if byte < len(content):
            kind = "flipped_bit"
            damage = content[:byte] + bytes([content[byte] ^ 1 << bit]) + content[byte + 1 :]
        else:
            kind, damage = "truncated", content[: change - 8 * len(content)]
        with place.damaged(TINY, name, damage) as folder:
            return judged(
                kind,
                f"trial {number}: {kind} {name}",
                lambda: answers(Model.load(folder)) == place.intact[TINY].answers,
            )

    yield trial


@contextmanager
def card(models: Path, seed: int) -> Iterator[Trial]:
    """Trials that edit the model card, which people may."""
    place = Workplace(models)

    def trial(number: int) -> Outcome:
        rng = np.random.default_rng([seed, number])
        kind = list(FILES)[number % len(FILES)]
        form = str(rng.choice(FORMS))
        contents = [(place.intact[form].path / CARD).read_bytes()]
        contents.append((place.others[form].path / CARD).read_bytes())
        damage = mutated(rng, FILES[kind], *contents)
        if damage is None:  # two generations may have one card
            damage = b"\xff" * 100
        with place.damaged(form, CARD, damage) as folder:
            return judged(
                kind,
                f"trial {number}: {kind} {form} {CARD}",
                lambda: answers(Model.load(folder)) == place.intact[form].answers,
            )

    yield trial


@contextmanager
def resealed(models: Path, seed: int) -> Iterator[Trial]:
    """Trials that change the files as an attacker does, who computes the digests again."""
    place = Workplace(models)
    by_bytes = {**BYTES, **SWAPS}
    kinds = [*by_bytes, *FORGERIES, *FORGERIES]

    def trial(number: int) -> Outcome:
        rng = np.random.default_rng([seed, number])
        kind = kinds[number % len(kinds)]
        while True:
            form = str(rng.choice(FORMS))
            files = {n: c for n, c in place.intact[form].files.items() if n != MANIFEST}
            if kind in FORGERIES:
                FORGERIES[kind](rng, files)
            else:
                name = str(rng.choice(list(files)))
                other = place.others[form].files[name]
                damage = mutated(rng, by_bytes[kind], files[name], other)
                if isinstance(damage, bytes):
                    files[name] = damage
            if any(
                content != place.intact[form].files.get(name) for name, content in files.items()
            ):
                break
        if MANIFEST not in files:
            seal(files)
        with place.forged(form, files) as folder:
            return judged(kind, f"trial {number}: {kind} {form}", lambda: not check_answers(folder))

    yield trial
