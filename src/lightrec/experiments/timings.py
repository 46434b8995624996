"""How long the main path takes, on an otherwise idle machine.

Wall time of: an epoch of the BPR teacher, ranking all test users by floats and by codes, additive
quantisation of a catalogue, `train --preset paper` as a whole, the demonstration, and a cold
Python that loads a model and answers one query.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer
from lightrec.experiments.parts import Part, test_part
from lightrec.experiments.provenance import sources_of
from lightrec.experiments.runner import Runner
from lightrec.interactions.public_datasets import DATA_VARIABLE
from lightrec.run_config import load_config
from lightrec.stages import quantize
from lightrec.teachers.bpr import BprConfig
from lightrec.teachers.factors import Factors
from lightrec.teachers.fit import fit_teacher

NAME = "timings"
EPOCHS = 2  # of the teacher: enough to see what one costs
COLD_STARTS = 9
QUESTION = (
    "import sys; from lightrec.serving import Recommender; "
    "model = Recommender.load(sys.argv[1]); "
    "found = model.recommend(users=model.model.user_ids.ids([7])[0], k=10); "
    "assert len(found.items) == 10"
)


def run(*, root: Path | str | None = None) -> Path:
    """Measures everything anew and writes `experiments/results/timings.json`.

    Args:
        root: The data folder; by default the one that LIGHTREC_DATA names.

    Returns:
        The result file.
    """
    runner = Runner(NAME, lambda rows: f"lightrec experiment {NAME}", sources_of(NAME))

    def record(data: str, what: str, seconds: float) -> None:
        row = {"data": data, "model": what, "seconds": round(seconds, 3)}
        runner.rows.append(row | {"source_digest": runner.source_digest})
        runner.write()

    part = test_part("gowalla", 0, root)
    factors = _time_stages(part, record)
    record("gowalla", "ranking all users by floats", _ranking(part, factors))
    with tempfile.TemporaryDirectory() as folder:
        record("made up", "lightrec demo", _command(["demo", "--out", f"{folder}/demo"]))
        pairs = Path(root or os.environ[DATA_VARIABLE]) / "citeulike-t" / "interactions.parquet"
        train = ["train", str(pairs), "--preset", "paper", "--out", f"{folder}/model"]
        record("citeulike-t", "lightrec train --preset paper", _command(train))
        starts = [_seconds(lambda: _python(f"{folder}/model")) for _ in range(COLD_STARTS)]
        record("citeulike-t", "cold load and one answer", statistics.median(starts))
    return runner.write()


def _time_stages(part: Part, record: Callable[[str, str, float], None]) -> Factors:
    """Times a teacher's epoch and a quantiser, and ranks by its codes."""
    config = load_config("trained")
    brief = BprConfig(epochs=EPOCHS)
    fit_teacher(part.pairs, brief, seed=0, epochs=(0,))  # loads what torch loads once
    start = time.perf_counter()
    factors = fit_teacher(part.pairs, brief, seed=0).factors
    record(part.data, "one epoch of BPR", (time.perf_counter() - start) / EPOCHS)
    start = time.perf_counter()
    codes = quantize(part.pairs, factors, config, "aq")
    record(part.data, "additive quantisation", time.perf_counter() - start)
    if codes is not None:
        scorer = CodeScorer(codes, factors.users)
        seconds = _seconds(lambda: evaluate_ranking(scorer, part.pairs, part.sought))
        record(part.data, "ranking all users by codes", seconds)
    return factors


def _ranking(part: Part, factors: Factors) -> float:
    scorer = FloatScorer(factors.users, factors.items)
    return _seconds(lambda: evaluate_ranking(scorer, part.pairs, part.sought))


def _command(words: list[str]) -> float:
    program = "from lightrec.cli.main import run; run()"
    return _seconds(
        lambda: subprocess.run(
            [sys.executable, "-c", program, *words], check=True, capture_output=True
        )
    )


def _python(model: str) -> None:
    subprocess.run([sys.executable, "-c", QUESTION, model], check=True)


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
