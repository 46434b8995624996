"""Kills training at random moments, takes it up again, and compares every byte of the model.

    python -m benchmarks.resume              # fifty runs, a quarter of an hour
    python -m benchmarks.resume --trials 3

A run trains a teacher and a student on made-up data in a process of its own, with a checkpoint
after almost every step; in one kind of run the teacher is chosen among many. It is killed (SIGKILL)
at a moment drawn between the first line of its log and its end, twice in every second trial, and
then run to its end; the model's files must be those of a run that was never killed. `resumed`
counts the trials whose log tells that training went on from a checkpoint: nearly all of them, or
the kills came too early to say anything. Rows go to
`benchmarks/results/resume.json`, one for each kind of run.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.results import Row, write_results
from lightrec.experiments.provenance import commit, source_digest, sources_of

NAME = "resume"
ROOT = Path(__file__).resolve().parents[1]
TEACHER = {"width": 16, "epochs": 12, "learning_rate": 0.01, "batch_size": 512}
KINDS = {
    "joint": {"teacher": TEACHER},
    "straight_through": {
        "teacher": TEACHER,
        "student": {
            "start": "random",
            "selection": "straight_through",
            "similarity": "bilinear",
            "items": "trained",
            "final_temperature": 0.5,
            "revive_every": 1,
            "inner_product_distillation": 1.0,
        },
    },
    "chosen_teacher": {"teacher": {"kind": "auto", "widths": [8, 12]}},
}
"""What is changed in the preset `trained`; between them all that a checkpoint has to hold."""
MOST_KILLS = 2
LOOKING = 0.005  # seconds between two looks at the log of a run that is to be killed

logger = logging.getLogger("lightrec")


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line, kills and compares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=2, metavar=("KIND", "DIR"), help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.child:
        train_in(*asked.child)
        return
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    rows = [tried(kind, asked.trials, asked.seed) for kind in KINDS]
    command = f"python -m benchmarks.resume --trials {asked.trials} --seed {asked.seed}"
    write_results(NAME, command, rows)
    for row in rows:
        logger.warning("%s", row)
    if any(row["identical_share"] < 1 for row in rows):
        raise SystemExit(1)


def tried(kind: str, trials: int, seed: int) -> Row:
    """The trials of one kind of run."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    trials = -(-trials // len(KINDS))
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "whole"
        seconds = run(kind, whole)
        assert seconds is not None
        right = digest_of(whole)
        identical = kills = resumed = lost = 0
        for trial in range(trials):
            folder = Path(scratch) / f"trial-{trial}"
            left = seconds
            for _ in range(1 + trial % MOST_KILLS):
                moment = float(rng.uniform(0.0, left))
                while run(kind, folder, kill_after=moment) is not None:
                    shutil.rmtree(folder)  # it was quicker than that: no kill, no trial
                    left, moment = seconds, float(rng.uniform(0.0, seconds / 2))
                left -= moment
                kills += 1
            try:
                run(kind, folder)
                identical += digest_of(folder) == right
            except subprocess.CalledProcessError as error:
                logger.error("%s: %s", kind, error.stderr.decode(errors="replace"))
                lost += 1
            resumed += any(events_of(folder, each) for each in ("resumed", "recalled"))
            logger.warning(
                "%s: %d of %d identical, %d kills, %d gone on from a checkpoint",
                *(kind, identical, trial + 1, kills, resumed),
            )
    return {
        "system": "lightrec",
        "fault": "kill_random",
        "student": kind,
        "trials": trials,
        "kills": kills,
        "resumed": resumed,
        "identical_share": identical / trials,
        "lost": lost,
        "commit": commit(),
        "source_digest": source_digest(sources_of(NAME)),
    }


def events_of(folder: Path, kind: str) -> list[Row]:
    """The events of a kind in a run's log."""
    events = [json.loads(line) for line in lines_of(folder)]
    return [event for event in events if event["event"] == kind]


def lines_of(folder: Path) -> list[str]:
    """The lines of a run's log; none where it has not begun."""
    log = folder / "run" / "metrics.jsonl"
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def run(kind: str, folder: Path, kill_after: float | None = None) -> float | None:
    """Trains to the end, or until it is killed.

    Args:
        kind: Its name.
        folder: Of the run.
        kill_after: Seconds from the first line that the run adds to its log; None for never.

    Returns:
        Seconds from that line to the end; None where the run was killed.

    Raises:
        subprocess.CalledProcessError: Training failed.
    """
    command = [sys.executable, "-m", "benchmarks.resume", "--child", kind, str(folder)]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    before = len(lines_of(folder))
    child = subprocess.Popen(command, cwd=ROOT, env=os.environ | one_thread, stderr=subprocess.PIPE)
    while child.poll() is None and len(lines_of(folder)) == before:
        time.sleep(LOOKING)
    begun = time.perf_counter()
    try:
        _, told = child.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return None
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command, stderr=told)
    return time.perf_counter() - begun


def train_in(kind: str, folder: str) -> None:
    """One run, in a process of its own; goes on where an earlier one was killed."""
    import torch

    from lightrec.interactions import Interactions, synthetic_catalogue
    from lightrec.run import folder as run_folder
    from lightrec.run_config import load_config
    from lightrec.teachers import tried as teachers_tried
    from lightrec.train import train
    from lightrec.training.loop import Surroundings

    torch.set_num_threads(1)
    often = functools.partial(Surroundings, checkpoint_seconds=0.01)
    setattr(run_folder, "Surroundings", often)  # noqa: B010
    setattr(teachers_tried, "SECONDS_AT_STAKE", 0.01)  # noqa: B010
    config = load_config(
        "trained",
        teacher=KINDS[kind]["teacher"],
        codes={"num_codebooks": 4, "num_codewords": 32, "rounds": 2},
        student={"epochs": 6, "batch_size": 256, **KINDS[kind].get("student", {})},
    )
    made = synthetic_catalogue(400, 300, seed=0, pairs_per_user=20)
    target = Path(folder)
    model = train(
        Interactions.from_table(made.interactions), config=config, run_folder=target / "run"
    )
    model.save(target / "model")


def digest_of(folder: Path) -> str:
    """SHA-256 of all files of the model."""
    digest = hashlib.sha256()
    for file in sorted((folder / "model").rglob("*")):
        if file.is_file():
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
