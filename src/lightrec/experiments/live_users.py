"""Users of a live tower: what a query by vector is worth, where nobody has fitted the user.

A tenth of the users with validation pairs is held out of everything that comes after the teacher:
codes, codebooks and maps are made for the others. Then the held-out users' teacher vectors query:
as they are (`identity`), or through a map learned from fitted users (`linear`, `mlp`), at several
widths. `identity, codebooks refitted` fits the codebooks once more to the other users' vectors as
they are, on their candidates. Validation pairs of split 0 only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from lightrec.codes.coded_users import CodedUsers, UserForm, users_in_form
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_codebooks import refit_codebooks_to_users
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer, Scorer
from lightrec.experiments.best import chosen_teacher
from lightrec.experiments.fold_in import HeldUsers, hold_users_out
from lightrec.experiments.parts import Part, teacher_of, validation_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.runner import Row, Runner, command_for
from lightrec.run_config import RunConfig, load_config
from lightrec.serving.user_map import map_vectors
from lightrec.stages import quantize
from lightrec.teachers.factors import Factors
from lightrec.training.loop import Surroundings

NAME = "live_users"
DATA = ("citeulike-t",)
MAPPED: dict[str, tuple[UserForm, int]] = {
    f"{form}, {width} numbers": (form, width)
    for width in (256, 128, 64, 32)
    for form in ("linear", "mlp")
}
VARIANTS = ("float", "identity", "identity, codebooks refitted", *MAPPED)
REFITS = 3  # of the codebooks under identity


def run(
    data: Sequence[str] | None = None,
    *,
    root: Path | str | None = None,
    stale: bool = False,
    progress: bool = False,
) -> Path:
    """Measures what is missing and writes `experiments/results/live_users.json`.

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
        part = validation_part(name, root)
        held, others = hold_users_out(part, config.seed)
        chosen = chosen_teacher(runner, part, config, surroundings)
        tower = _Tower(
            cache(
                lambda part=part, chosen=chosen: (
                    teacher_of(part, config, chosen, surroundings).fitted.factors
                )
            ),
            held,
            others,
            config,
        )
        for variant in VARIANTS:
            stage = {
                "data": name,
                "split": 0,
                "variant": variant,
                "teacher": [chosen.config.model_dump(), chosen.epochs],
                "config": config.model_dump(
                    include={"codes", "metric", "ranking", "users", "seed"}
                ),
            }
            measure = partial(tower.measure, variant)
            runner.rows.append(runner.cell(stage, held.part.digest, measure))
            runner.write()
    return runner.write()


class _Tower:
    """A teacher whose users are known in part; codes are made once."""

    def __init__(
        self,
        factors: Callable[[], Factors],
        held: HeldUsers,
        others: Part,
        config: RunConfig,
    ) -> None:
        self.held, self.others, self.config = held, others, config
        self.teacher = factors
        self.known = cache(self._known)
        self.codes = cache(self._codes)

    def measure(self, variant: str) -> Row:
        """Validation metrics of the held-out users."""
        vectors = self.teacher().users[self.held.rows]
        scorer, width = self._scorer(variant, vectors)
        means = evaluate_ranking(scorer, self.held.part.pairs, self.held.part.sought).means
        row: Row = {"data": self.held.part.data, "split": 0, "seed": self.config.seed}
        row |= {"model": "lightrec", "variant": variant, "width": width, "users": len(vectors)}
        return row | {
            f"{name}_validation": means[name] for name in ("recall@100", "ndcg@100", "ndcg")
        }

    def _scorer(self, variant: str, vectors: np.ndarray) -> tuple[Scorer, int]:
        if variant == "float":
            return FloatScorer(vectors, self.teacher().items), vectors.shape[1]
        if variant in MAPPED:
            form, width = MAPPED[variant]
            made = self._mapped(form, width)
            assert made.query_map is not None  # mapped users have one
            return CodeScorer(
                made.item_codes, map_vectors(made.query_map, vectors)
            ), made.item_codes.width
        codes: ItemCodes = self.codes()
        for _ in range(REFITS if variant != "identity" else 0):
            known = self.known()
            books = refit_codebooks_to_users(
                *(known.users, known.users, known.items, codes, self.others.pairs),
                self.config.users.fit,
                seed=self.config.seed,
            )
            codes = ItemCodes(codes.codes, books)
        return CodeScorer(codes, vectors), codes.width

    def _mapped(self, form: UserForm, width: int) -> CodedUsers:
        known = self.known()
        return users_in_form(
            form,
            known.users,
            known.items,
            self.codes(),
            self.others.pairs,
            self.config.users.model_copy(update={"codeword_width": width}),
            seed=self.config.seed,
        )

    def _known(self) -> Factors:
        """The teacher without the users held out."""
        users, items = self.teacher().users, self.teacher().items
        rest = np.setdiff1d(np.arange(len(users)), self.held.rows)
        return Factors(users[rest], items)

    def _codes(self) -> ItemCodes:
        codes = quantize(self.others.pairs, self.known(), self.config, "metric")
        assert codes is not None  # only random codebooks are drawn later
        return codes
