"""Quality against bytes: two to sixteen bytes an item, beside plain float16 and int8 vectors.

Every quantiser compresses the same teacher, chosen as in `best`. `opq`, `rvq` and `aq` are met by
the teacher's users as they are; `lightrec` by users in all three forms. The bytes of a row are
those of the codes; `bytes_per_item_all_in` counts the codebooks too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from lightrec.baselines.opq import optimized_product_quantization
from lightrec.baselines.scalar_quantization import StoredVectors, as_float16, as_int8
from lightrec.codes.coded_users import FORMS, CodedUsers, UserForm, users_in_form
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.user_fit_task import Effort
from lightrec.evaluation.scorers import CodeScorer, FloatScorer
from lightrec.experiments.best import chosen_teacher
from lightrec.experiments.parts import Part, teacher_of, test_part, validation_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.rows import NO_CODES, coded_sizes, float_sizes, ranking_row
from lightrec.experiments.runner import Row, Runner, command_for
from lightrec.factors import Factors
from lightrec.run.stages import quantize
from lightrec.run_config import RunConfig, load_config
from lightrec.teachers.fit import FittedTeacher
from lightrec.training.loop import Surroundings

NAME = "budgets"
DATA = ("citeulike-t",)
BYTES = (2, 3, 4, 6, 8, 16)
QUANTIZERS: tuple[tuple[str, UserForm], ...] = (
    ("opq", "identity"),
    ("rvq", "identity"),
    ("aq", "identity"),
    *(("lightrec", form) for form in FORMS),
)


def run(
    data: Sequence[str] | None = None,
    *,
    root: Path | str | None = None,
    stale: bool = False,
    progress: bool = False,
) -> Path:
    """Measures what is missing and writes `experiments/results/budgets.json`.

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
        of_data = _Budgets(runner, test_part(name, 0, root), config, chosen, surroundings)
        of_data.measure_floats()
        for num_bytes in BYTES:
            of_data.measure_codes(num_bytes)
    return runner.write()


class _Budgets:
    """The rows of one data set."""

    def __init__(
        self,
        runner: Runner,
        part: Part,
        config: RunConfig,
        chosen: FittedTeacher,
        surroundings: Surroundings,
    ) -> None:
        self.runner, self.part, self.config, self.chosen = runner, part, config, chosen
        self.surroundings = surroundings
        self.factors = cache(lambda: teacher_of(part, config, chosen, surroundings).fitted.factors)
        self.codes = cache(self._codes)

    def measure_floats(self) -> None:
        """The teacher's vectors stored plainly."""

        def stored(name: str) -> StoredVectors:
            items = self.factors().items
            if name == "float32":
                return StoredVectors(items, 4.0 * items.shape[1])
            return as_float16(items) if name == "float16" else as_int8(items)

        for name in ("float32", "float16", "int8"):

            def measure(name: str = name) -> Row:
                users, items = self.factors().users, stored(name)
                sizes = float_sizes(self.factors()) | NO_CODES
                sizes |= {
                    "bytes": items.bytes_per_item,
                    "bits_per_item": 8.0 * items.bytes_per_item,
                    "bytes_per_item_all_in": items.bytes_per_item,
                }
                scorer = FloatScorer(users, items.vectors)
                return ranking_row(self.part, name, scorer, seed=self.config.seed, **sizes)

            self._row(name, "", 0, measure)

    def measure_codes(self, num_bytes: int) -> None:
        """Every quantiser at one size."""
        for model, form in QUANTIZERS:

            def measure(model: str = model, form: UserForm = form) -> Row:
                users = self._users(model, form, num_bytes)
                sizes = coded_sizes(users.item_codes, users.bytes_per_user)
                return ranking_row(
                    self.part,
                    model,
                    CodeScorer(users.item_codes, users.values),
                    variant=form,
                    seed=self.config.seed,
                    bytes=float(num_bytes),
                    teacher_width=self.factors().width,
                    **sizes,
                )

            self._row(model, form, num_bytes, measure)
        self.codes.cache_clear()

    def _row(self, model: str, form: str, num_bytes: int, measure: Callable[[], Row]) -> None:
        sized = self._sized(num_bytes or 4)
        stage = {
            "data": self.part.data,
            "split": self.part.split,
            "part": "test",
            "model": model,
            "variant": form,
            "bytes": num_bytes,
            "teacher": [self.chosen.config.model_dump(), self.chosen.epochs],
            "config": sized.without_teacher(),
        }
        self.runner.test_row(stage, self.part.digest, measure)
        self.runner.write()

    def _sized(self, num_bytes: int) -> RunConfig:
        codes = self.config.codes.model_copy(update={"num_codebooks": num_bytes})
        return self.config.model_copy(update={"codes": codes})

    def _users(self, model: str, form: UserForm, num_bytes: int) -> CodedUsers:
        factors: Factors = self.factors()
        return users_in_form(
            form,
            factors,
            self.codes(model, num_bytes),
            self.part.pairs,
            self.config.users,
            Effort(self.config.seed, progress=self.surroundings.progress),
        )

    def _codes(self, model: str, num_bytes: int) -> ItemCodes:
        factors, sized = self.factors(), self._sized(num_bytes)
        if model == "opq":
            return optimized_product_quantization(
                np.ascontiguousarray(factors.items),
                num_bytes,
                sized.codes.num_codewords,
                seed=sized.seed,
            )
        start = "metric" if model == "lightrec" else model
        return quantize(self.part.pairs, factors, sized, start)
