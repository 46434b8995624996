"""New users: what fold-in gives to users whom training never saw.

A tenth of the users is held out whole. `trained` is what they get when they are trained with all
others; `folded_in` is what a model that never saw them makes of their history, with or without
float items in the model folder, by form of users. `known_items` is what the first model makes of
the same histories: its items have learned from these users, so that it tells what is lost by the
fold-in, and what by the items. All rows rank the same test pairs of the same users.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from lightrec.codes.coded_users import CodedUsers, UserForm, users_in_form
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_fit_task import Effort
from lightrec.evaluation.scorers import CodeScorer, FloatScorer, Scorer
from lightrec.experiments.best import chosen_teacher
from lightrec.experiments.parts import Part, teacher_of, test_part, validation_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.rows import coded_sizes, float_sizes, ranking_row
from lightrec.experiments.runner import Row, Runner, command_for, digest_of
from lightrec.interactions import History
from lightrec.run.stages import quantize
from lightrec.run_config import RunConfig, load_config
from lightrec.serving.fold_in import FoldIn
from lightrec.serving.item_vectors import DecodedItems, FloatItems, ItemVectors
from lightrec.serving.new_users import NewUserFit
from lightrec.serving.user_map import map_vectors
from lightrec.teachers.fit import FittedTeacher
from lightrec.training.loop import Surroundings

NAME = "fold_in"
DATA = ("citeulike-t", "gowalla")
SHARE = 0.1  # of the users are held out
TRAINED: tuple[UserForm, ...] = ("identity", "fitted", "table")
FOLDED = ("float", "codes only", *(f"float items: {form}" for form in TRAINED))
KNOWN_ITEMS = ("float", "float items: table")


def run(
    data: Sequence[str] | None = None,
    *,
    root: Path | str | None = None,
    stale: bool = False,
    progress: bool = False,
) -> Path:
    """Measures what is missing and writes `experiments/results/fold_in.json`.

    Args:
        data: Public data sets, split 0 of each; those of `DATA` when None.
        root: The data folder; by default the one that LIGHTREC_DATA names.
        stale: Measures cells of an older source again.
        progress: Shows progress bars when standard error is a terminal.

    Returns:
        The result file.
    """
    runner = Runner(NAME, command_for(NAME, DATA), sources_of(NAME), stale=stale)
    surroundings = Surroundings(progress=progress)
    config = load_config("default")
    for name in data or DATA:
        chosen = chosen_teacher(runner, validation_part(name, root), config, surroundings)
        everybody = test_part(name, 0, root)
        held, others = hold_users_out(everybody, config.seed)
        _measure(runner, everybody, held, others, config, chosen, surroundings)
        runner.write()
    return runner.write()


@dataclass(frozen=True)
class HeldUsers:
    """Users whom a model never saw, by their rows in the whole data, as a part of their own."""

    rows: np.ndarray
    part: Part


def hold_users_out(part: Part, seed: int) -> tuple[HeldUsers, Part]:
    """A share of the users with test pairs, and the part without them."""
    rng = np.random.default_rng(seed)
    active = np.flatnonzero(part.sought.user_degrees())
    rows = np.sort(rng.choice(active, round(SHARE * len(active)), replace=False))
    return parted_by_users(part, rows)


def parted_by_users(part: Part, rows: np.ndarray) -> tuple[HeldUsers, Part]:
    """The users of some rows, ascending, and the part without them."""
    rest = np.setdiff1d(np.arange(part.pairs.num_users), rows)
    held = HeldUsers(rows, _of_users(part, rows, "held"))
    return held, _of_users(part, rest, "others")


def _of_users(part: Part, rows: np.ndarray, what: str) -> Part:
    """The part of some users, numbered anew."""
    digest = digest_of([part.digest, what, len(rows)])
    pairs, sought = _rows_of(part.pairs, rows), _rows_of(part.sought, rows)
    return replace(part, pairs=pairs, sought=sought, train_digest=digest, digest=digest)


def _rows_of(pairs: History, rows: np.ndarray) -> History:
    items = [pairs.of(int(row)) for row in rows]
    starts = np.concatenate([[0], np.cumsum([len(each) for each in items])]).astype(np.int64)
    return History(starts, np.concatenate(items).astype(np.int32), pairs.num_items)


def _measure(
    runner: Runner,
    everybody: Part,
    held: HeldUsers,
    others: Part,
    config: RunConfig,
    chosen: FittedTeacher,
    surroundings: Surroundings,
) -> None:
    whole = ModelOfPart(everybody, config, chosen, surroundings)
    without = ModelOfPart(others, config, chosen, surroundings)
    histories = [held.part.pairs.of(row) for row in range(held.part.pairs.num_users)]

    def row(model: str, variant: str, make: Callable[[], tuple[Scorer, Row]]) -> None:
        def measure() -> Row:
            scorer, sizes = make()
            return ranking_row(held.part, model, scorer, variant=variant, seed=config.seed, **sizes)

        stage = {
            "data": everybody.data,
            "split": everybody.split,
            "part": "test",
            "model": model,
            "variant": variant,
            "teacher": [chosen.config.model_dump(), chosen.epochs],
            "config": config.without_teacher(),
        }
        runner.test_row(stage, held.part.digest, measure)

    def trained_float() -> tuple[Scorer, Row]:
        factors = whole.factors()
        scorer = FloatScorer(factors.users[held.rows], factors.items)
        return scorer, float_sizes(factors)

    row("trained", "float", trained_float)
    for form in TRAINED:
        row("trained", form, partial(whole.trained, form, held.rows))
    for variant in FOLDED:
        row("folded_in", variant, partial(without.folded, variant, histories))
    for variant in KNOWN_ITEMS:
        row("known_items", variant, partial(whole.folded, variant, histories))


VectorsOf = Callable[[ItemVectors, Sequence[np.ndarray]], np.ndarray]


def usual_vectors(items: ItemVectors, histories: Sequence[np.ndarray]) -> np.ndarray:
    """What the product makes of histories."""
    return FoldIn(items).vectors(histories)


class ModelOfPart:
    """A teacher and its codes, made when they are needed."""

    def __init__(
        self, part: Part, config: RunConfig, chosen: FittedTeacher, surroundings: Surroundings
    ) -> None:
        self.part, self.config = part, config
        self.factors = cache(lambda: teacher_of(part, config, chosen, surroundings).fitted.factors)
        self.codes = cache(self._codes)
        self.users = cache(self._users)

    def trained(self, form: UserForm, rows: np.ndarray) -> tuple[Scorer, Row]:
        """Stored users in one form."""
        users: CodedUsers = self.users(form)
        sizes = coded_sizes(users.item_codes, users.bytes_per_user)
        return CodeScorer(users.item_codes, users.values[rows]), sizes

    def folded(
        self, variant: str, histories: Sequence[np.ndarray], vectors_of: VectorsOf = usual_vectors
    ) -> tuple[Scorer, Row]:
        """New users, by what the model folder holds."""
        codes: ItemCodes = self.codes()
        if variant == "codes only":
            vectors = vectors_of(DecodedItems(codes), histories)
            return CodeScorer(codes, vectors), coded_sizes(codes, 4.0 * codes.width)
        items = FloatItems(self.factors().items.astype(np.float16))
        vectors = vectors_of(items, histories)
        if variant == "float":
            return FloatScorer(vectors, self.factors().items), float_sizes(self.factors())
        if variant == "float items: identity":
            return CodeScorer(codes, vectors), coded_sizes(codes, 4.0 * codes.width)
        if variant == "float items: fitted":
            users: CodedUsers = self.users("fitted")
            assert users.query_map is not None  # fitted users have one
            codes, start = users.item_codes, map_vectors(users.query_map, vectors)
            values = self._fit(items, codes).vectors(vectors, histories, start=start)
        else:
            values = self._fit(items, codes).tables(vectors, histories).astype(np.float16)
        return CodeScorer(codes, values), coded_sizes(codes, float(values[:1].nbytes))

    def _fit(self, items: FloatItems, codes: ItemCodes) -> NewUserFit:
        return NewUserFit(items, codes, self.config.users.fit, seed=self.config.seed)

    def _users(self, form: UserForm) -> CodedUsers:
        return users_in_form(
            form,
            self.factors(),
            self.codes(),
            self.part.pairs,
            self.config.users,
            Effort(self.config.seed),
        )

    def _codes(self) -> ItemCodes:
        return quantize(self.part.pairs, self.factors(), self.config, "metric")
