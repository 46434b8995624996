"""The life of a model: a tenth of the pairs and a twentieth of the items come later.

`earlier` is trained without them; `updated` is that model after `lightrec.updates.update`, its
codebooks and codes as they were; `warm` is trained again from everything, with the earlier codes
kept where they still fit, for several stabilities; `cold` is trained from everything without
looking back. Users are the teacher's vectors (`identity`), and settings are those chosen for the
data set. All rank the same test pairs: all of them, and those of the later items alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import polars as pl

from lightrec.artifact.contents import Model, Selection, Users
from lightrec.codes.ranking_quantization import RankedCodes
from lightrec.evaluation.scorers import CodeScorer
from lightrec.experiments.best import chosen_teacher
from lightrec.experiments.parts import Part, teacher_of, test_part, validation_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.rows import coded_sizes, ranking_row
from lightrec.experiments.runner import Row, Runner, command_for, digest_of
from lightrec.factors import Factors
from lightrec.interactions import History, IdMap, Interactions
from lightrec.run.stages import quantize_by_ranking
from lightrec.run.warm_start import WarmStart, requantize
from lightrec.run_config import RunConfig, load_config
from lightrec.teachers.fit import FittedTeacher
from lightrec.training.loop import Surroundings
from lightrec.updates import difference, update
from lightrec.updates.catalogue import without_items

NAME = "updates"
DATA = ("citeulike-t",)
LATER_PAIRS, LATER_ITEMS, FEWEST_PAIRS = 0.1, 0.05, 10
STABILITIES = (0.0, 0.3, 0.6, 1.0)


def run(
    data: Sequence[str] | None = None,
    *,
    root: Path | str | None = None,
    stale: bool = False,
    progress: bool = False,
) -> Path:
    """Measures what is missing and writes `experiments/results/updates.json`.

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
        _Life(runner, test_part(name, 0, root), config, chosen, surroundings).measure()
    return runner.write()


class _Life:
    """Every model of one data set; what several rows need is made once."""

    def __init__(
        self,
        runner: Runner,
        part: Part,
        config: RunConfig,
        chosen: FittedTeacher,
        surroundings: Surroundings,
    ) -> None:
        self.runner, self.part, self.config, self.chosen = runner, part, config, chosen
        before, later = _parts(part, config.seed)
        self.before, self.later_items = before, later
        self.factors = cache(lambda: self._factors(part, surroundings))
        self.earlier = cache(lambda: self._earlier(surroundings))

    def measure(self) -> None:
        """All rows."""
        self.row("earlier", "", self.earlier)
        self.row("updated", "", self._updated)
        for share in STABILITIES:
            self.row("warm", f"stability {share:g}", partial(self._warm, share))
        self.row("cold", "", self._cold)

    def row(self, model: str, variant: str, make: Callable[[], Model]) -> None:
        """A model's rows: on all test pairs, and on those of later items."""
        made = cache(lambda: _timed(make))
        for sought in ("all pairs", "later items"):
            if model == "earlier" and sought == "later items":
                continue

            def measure(sought: str = sought) -> Row:
                there, seconds = made()
                part = self._part(there, sought)
                scorer = CodeScorer(there.item_codes, there.users.values)
                changed = difference(self.earlier(), there, users=1)
                sizes = coded_sizes(there.item_codes, 4.0 * there.item_codes.width)
                of = ", ".join(filter(None, [variant, sought]))
                told = {"sought": sought, "variant": of, "seed": self.config.seed}
                told |= {"codes_changed": changed.codes_changed, "making_seconds": seconds}
                return ranking_row(part, model, scorer, **told, **sizes)

            stage = {
                "data": self.part.data,
                "split": self.part.split,
                "part": "test",
                "model": model,
                "variant": variant,
                "sought": sought,
                "teacher": [self.chosen.config.model_dump(), self.chosen.epochs],
                "config": self.config.without_teacher(users=False),
            }
            self.runner.test_row(stage, self.before.digest, measure)
            self.runner.write()

    def _part(self, model: Model, sought: str) -> Part:
        """The test pairs in the rows of a model, whose ids are the rows of the whole."""
        pairs = self.part.sought
        items = model.item_ids.find(pairs.item_rows.astype(np.int64))
        kept = items >= 0
        if sought == "later items":
            kept &= np.isin(pairs.item_rows, self.later_items)
        found = History.from_pairs(
            pairs.user_rows()[kept], items[kept], model.num_users, model.num_items
        )
        assert model.history is not None
        return replace(self.part, pairs=model.history, sought=found)

    def _factors(self, part: Part, surroundings: Surroundings) -> Factors:
        return teacher_of(part, self.config, self.chosen, surroundings).fitted.factors

    def _earlier(self, surroundings: Surroundings) -> Model:
        factors = self._factors(self.before, surroundings)
        ranked = quantize_by_ranking(self.before.pairs, factors, self.config)
        return without_items(_model(factors, ranked, self.before.pairs), self.later_items)

    def _cold(self) -> Model:
        factors = self.factors()
        ranked = quantize_by_ranking(self.part.pairs, factors, self.config)
        return _model(factors, ranked, self.part.pairs)

    def _warm(self, stability: float) -> Model:
        factors, earlier = self.factors(), self.earlier()
        rows = earlier.item_ids.find(np.arange(self.part.pairs.num_items))
        codes = np.where((rows >= 0)[:, None], earlier.item_codes.codes[rows], np.uint8(0))
        warm = WarmStart(self.chosen, "identity", codes, rows >= 0, stability)
        ranked = requantize(self.part.pairs, factors, self.config, warm)
        return _model(factors, ranked, self.part.pairs)

    def _updated(self) -> Model:
        pairs = self.part.pairs
        users = IdMap(pl.Series(np.arange(pairs.num_users)), "user")
        items = IdMap(pl.Series(np.arange(pairs.num_items)))
        everything = Interactions(users, items, pairs.user_rows(), pairs.item_rows)
        return update(self.earlier(), everything).model


def _parts(part: Part, seed: int) -> tuple[Part, np.ndarray]:
    """The part as it was before, and the rows of the items that came later."""
    rng = np.random.default_rng(seed)
    pairs = part.pairs
    able = np.flatnonzero(pairs.item_degrees() >= FEWEST_PAIRS)
    later = np.sort(rng.choice(able, round(LATER_ITEMS * len(able)), replace=False))
    kept = ~np.isin(pairs.item_rows, later) & (rng.random(len(pairs)) >= LATER_PAIRS)
    before = History.from_pairs(
        pairs.user_rows()[kept], pairs.item_rows[kept], pairs.num_users, pairs.num_items
    )
    digest = digest_of([part.digest, "before", seed, LATER_PAIRS, LATER_ITEMS])
    return replace(part, pairs=before, train_digest=digest, digest=digest), later


def _model(factors: Factors, ranked: RankedCodes, pairs: History) -> Model:
    """A model whose ids are the rows."""
    return Model(
        config={},
        item_codes=ranked.item_codes,
        users=Users("identity", factors.users),
        user_ids=IdMap(pl.Series(np.arange(pairs.num_users)), "user"),
        item_ids=IdMap(pl.Series(np.arange(pairs.num_items))),
        item_columns=pl.DataFrame({"popularity": pairs.item_degrees()}),
        history=pairs,
        selection=Selection.by_cells(factors.items, ranked.metric),
    )


def _timed(make: Callable[[], Model]) -> tuple[Model, float]:
    start = time.perf_counter()
    model = make()
    return model, round(time.perf_counter() - start, 2)
