"""How long the main path takes, on an otherwise idle machine.

Wall time of: an epoch of the BPR teacher, ranking all test users by floats and by codes, additive
quantisation of a catalogue, `train` as a whole, `compress` of a million and of ten million vectors
(both with the most memory that they took), the demonstration, and a cold Python that loads a model
and answers one query.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lightrec.artifact.contents import Model
from lightrec.errors import ArgumentError
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer
from lightrec.experiments.parts import Part, test_part
from lightrec.experiments.provenance import machine, sources_of
from lightrec.experiments.runner import Runner, command_for
from lightrec.factors import Factors
from lightrec.interactions.public_datasets import DATA_VARIABLE
from lightrec.progress import track
from lightrec.run.stages import quantize
from lightrec.run_config import load_config
from lightrec.teachers.bpr import BprConfig
from lightrec.teachers.description import describe_teacher
from lightrec.teachers.fit import fit_teacher

NAME = "timings"
DATA = {
    "gowalla": 0,
    "citeulike-t": 0,
    "made up": 0,
    "made up, 1,000,000 items": 1_000_000,
    "made up, 10,000,000 items": 10_000_000,
}
"""What is timed by default, with the sizes of what is made up."""
EPOCHS = 2  # of the teacher: enough to see what one costs
COLD_STARTS = 9
QUESTION = (
    "import sys; from lightrec.serving import Recommender; "
    "model = Recommender.load(sys.argv[1]); "
    "found = model.recommend(users=model.model.user_ids.ids([7])[0], k=10); "
    "assert len(found.items) == 10"
)


def run(
    data: Sequence[str] | None = None,
    *,
    root: Path | str | None = None,
    progress: bool = False,
) -> Path:
    """Measures everything anew and writes `experiments/results/timings.json`.

    Args:
        data: Which of `DATA`; all when None.
        root: The data folder; by default the one that LIGHTREC_DATA names.
        progress: Shows progress bars when standard error is a terminal.

    Returns:
        The result file.

    Raises:
        ArgumentError: There is nothing to be timed under a name.
    """
    runner = Runner(NAME, command_for(NAME, tuple(DATA)), sources_of(NAME))
    host = machine()
    place = {name: host[name] for name in ("cpu", "instruction_set")}

    def record(name: str, what: str, seconds: float, **more: float | str) -> None:
        row = {"data": name, "model": what, "seconds": round(seconds, 3), **more, **place}
        runner.rows.append(row | {"source_digest": runner.source_digest})
        runner.write()

    for name in track(data or DATA, "timings", enabled=progress):
        if name not in DATA:
            raise ArgumentError(f"nothing is timed on {name!r}; choose of {', '.join(DATA)}")
        if name == "gowalla":
            part = test_part(name, 0, root)
            factors = _time_stages(part, record)
            record(name, "ranking all users by floats", _ranking(part, factors))
        with tempfile.TemporaryDirectory() as folder:
            if name == "made up":
                record(name, "lightrec demo", _command(["demo", "--out", f"{folder}/demo"])[0])
            elif name.startswith("made up"):
                _time_compress(name, DATA[name], Path(folder), record)
            else:
                pairs = Path(root or os.environ[DATA_VARIABLE]) / name / "interactions.parquet"
                _time_train(name, pairs, folder, record)
    return runner.write()


def _time_train(name: str, pairs: Path, folder: str, record: Callable[..., None]) -> None:
    """A whole run with the default preset, what it chose, and the first answer of its model."""
    for preset in ("default", "paper") if name == "citeulike-t" else ("default",):
        words = ["train", str(pairs), "--preset", preset, "--out", f"{folder}/{preset}"]
        told = "lightrec train" if preset == "default" else f"lightrec train --preset {preset}"
        seconds, peak = _command(words)
        model = Model.load(f"{folder}/{preset}")
        teacher = describe_teacher(model.config["teacher"], model.config["teacher_epochs"])
        chosen = {"teacher": teacher, "users": model.users.form}
        record(name, told, seconds, peak_gib=round(peak, 2), **chosen)
    starts = [_seconds(lambda: _python(f"{folder}/default")) for _ in range(COLD_STARTS)]
    record(name, "cold load and one answer", statistics.median(starts))


def _time_compress(name: str, num_items: int, folder: Path, record: Callable[..., None]) -> None:
    """Vectors of 64 numbers, items in clusters and users near some of them."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(2_000, 64)).astype(np.float32)
    for what, count in (("items", num_items), ("users", 20_000)):
        vectors = centres[rng.integers(0, len(centres), count)]
        for begin in range(0, count, 1 << 20):
            block = vectors[begin : begin + (1 << 20)]
            block += 0.7 * rng.standard_normal(block.shape, np.float32)
        np.save(folder / f"{what}.npy", vectors)
    files = {what: str(folder / f"{what}.npy") for what in ("items", "users")}
    words = ["compress", "--items", files["items"], "--users", files["users"]]
    seconds, peak = _command([*words, "--out", str(folder / "model")])
    record(name, "lightrec compress", seconds, peak_gib=round(peak, 2))


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
    scorer = CodeScorer(codes, factors.users)
    seconds = _seconds(lambda: evaluate_ranking(scorer, part.pairs, part.sought))
    record(part.data, "ranking all users by codes", seconds)
    return factors


def _ranking(part: Part, factors: Factors) -> float:
    scorer = FloatScorer(factors.users, factors.items)
    return _seconds(lambda: evaluate_ranking(scorer, part.pairs, part.sought))


def _command(words: list[str]) -> tuple[float, float]:
    """Seconds that a command takes, and the most memory that it had, in GiB."""
    program = [sys.executable, "-c", "from lightrec.cli.main import run; run()", *words]
    start = time.perf_counter()
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"lightrec {' '.join(words)} ended with {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 2**20


def _python(model: str) -> None:
    subprocess.run([sys.executable, "-c", QUESTION, model], check=True)


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
