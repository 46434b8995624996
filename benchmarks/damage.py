"""Damages model folders in every way, and shows that loading notices.

    python -m benchmarks.damage                     # three quarters of an hour
    python -m benchmarks.damage --trials 1000 --resealed 1000 --rivals 100    # a minute
    python -m benchmarks.damage --atheris 20        # with twenty minutes of fuzzing

A trial damages one folder, loads it and, if that succeeds, asks for recommendations. It ends in one
of four ways: `rejected` with an `ArtifactError`; `accepted_unchanged`; `silent_wrong`, accepted
with other answers than it should give; or `crashed`: the process died, took more than five seconds
or four gigabytes, or raised anything else. The faults:

- `sealed`: a file is cut, flipped, overwritten, zeroed, spliced, lengthened, swapped, emptied,
  removed or replaced by something that is no file, and the manifest stays as it was; or the
  manifest itself is so treated. All of it has to be rejected.
- `sealed_exhaustive`: every bit and every length of every file of a small model. Likewise.
- `card`: the same, done to README.md, which people may edit. Nothing of it is rejected.
- `resealed`: the files are damaged, or edited by structure as an attacker does it, and the manifest
  is computed anew. A digest is no defence here: the folder is rejected for what it holds, or its
  answers are right: equal to brute force on its own contents. Those count as `accepted_unchanged`.
- `atheris`: the same, by a fuzzer that seeks out every branch of the code (if it is installed).
- `bytes`: files of other libraries, damaged like ours, for comparison.

Every trial is drawn from the seed and its number alone, so that one that failed can be made again.
Rows go to `benchmarks/results/damage.json`. Parts that are finished are kept: an interrupted run
goes on where it stopped, and more trials are added to those that were made.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from benchmarks import results
from benchmarks.damaged_models import (
    card,
    exhaustive_places,
    resealed,
    sealed,
    sealed_exhaustive,
)
from benchmarks.damaged_rivals import RIVALS, make_files, rival_trials
from benchmarks.fuzz import fuzzed, is_installed
from benchmarks.in_children import (
    CRASHED,
    RESULTS,
    WRONG,
    Opened,
    Outcome,
    outcomes,
    row_of,
    run_in_child,
)
from benchmarks.made_up_models import make_models
from benchmarks.results import Row, kept, measured_once, write_results

NAME = "damage"
MOST_TOLD = 20  # failures of a fault that are told one by one
CARDS = 50  # every how many trials one more is made with the card
PART = 2_000  # trials that are kept together

logger = logging.getLogger("lightrec")


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line, damages and counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=100_000, help="of the fault sealed")
    parser.add_argument("--resealed", type=int, default=40_000, help="trials of that fault")
    parser.add_argument("--rivals", type=int, default=3_000, help="trials for each rival")
    parser.add_argument("--atheris", type=float, default=0, metavar="MINUTES")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    command = (
        f"python -m benchmarks.damage --trials {asked.trials} --resealed {asked.resealed} "
        f"--rivals {asked.rivals} --atheris {asked.atheris:g} --seed {asked.seed}"
    )
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, measure in contests(asked, Path(scratch)).items():
            # What older code did with a folder says nothing about this.
            rows += measured_once(NAME, name, measure, stale=True)
            write_results(NAME, command, summed(rows))
    if not asked.atheris:
        cells = results.FOLDER / "cells" / NAME
        rows += [row for file in sorted(cells.glob("atheris-*")) for row in kept(NAME, file.stem)]
    rows = summed(rows)
    write_results(NAME, command, rows)
    for row in rows:
        logger.warning("%s", row)
    if not rows or not all(map(is_sound, rows)):
        raise SystemExit(1)


def summed(rows: Iterable[Row]) -> list[Row]:
    """One row for each system and fault; what is not counted is that of its first part."""
    alike: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        alike.setdefault((row["system"], row["fault"]), []).append(row)
    whole = []
    for (system, fault), every in alike.items():
        counts = Counter({result: sum(row[result] for row in every) for result in RESULTS})
        seconds = round(sum(row["seconds"] for row in every), 1)
        whole.append({**every[0], **row_of(system, fault, counts), "seconds": seconds})
    return whole


def is_sound(row: Row) -> bool:
    """Whether a row shows what it must: something was tried, and nothing of ours went wrong."""
    if row["system"] != "lightrec":
        return bool(row["trials"])
    wanted = {"sealed": 1.0, "sealed_exhaustive": 1.0, "card": 0.0}.get(row["fault"])
    refused = wanted is None or row["rejected_share"] == wanted
    return bool(row["trials"]) and refused and not row["silent_wrong"] and not row["crashed"]


def contests(asked: argparse.Namespace, scratch: Path) -> dict[str, Callable[[], list[Row]]]:
    """What is measured, by the name under which it is kept: every fault in parts."""
    models, seed = scratch / "models", asked.seed
    run_in_child(make_models, models)
    every: dict[str, tuple[Opened, int]] = {
        "sealed_exhaustive": (partial(sealed_exhaustive, models), len(exhaustive_places(models))),
        "card": (partial(card, models, seed), -(-asked.trials // CARDS)),
        "sealed": (partial(sealed, models, seed), asked.trials),
        "resealed": (partial(resealed, models, seed), asked.resealed),
    }
    measures: dict[str, Callable[[], list[Row]]] = {}
    for fault, (opened, trials) in every.items():
        for part in parts(trials):
            name = f"{fault}-{seed}-{part.start:06}-{part.stop:06}"
            measures[name] = partial(tried, "lightrec", fault, opened, part)
    if asked.atheris and not is_installed():
        logger.warning("atheris is not installed, skipped; run: pip install atheris")
    elif asked.atheris:
        name = f"atheris-{seed}-{asked.atheris:g}"
        measures[name] = partial(fuzzed, models, asked.atheris, seed)
    for system, rival in RIVALS.items():
        if rival.version is None:
            logger.warning("%s: %s is not installed, skipped", system, rival.package)
            continue
        for part in parts(asked.rivals):
            name = f"{system}-{seed}-{part.start:06}-{part.stop:06}"
            measures[name] = partial(tried_rival, system, scratch / system, seed, part)
    return measures


def parts(trials: int) -> list[range]:
    """The numbers of so many trials, in parts that are kept each for itself."""
    return [range(start, min(start + PART, trials)) for start in range(0, trials, PART)]


def tried(
    system: str, fault: str, opened: Opened, numbers: range, *, apart: bool = False
) -> list[Row]:
    """The row of some trials of one fault."""
    begun = time.perf_counter()
    row = counted(system, fault, outcomes(opened, numbers, apart=apart))
    seconds = time.perf_counter() - begun
    logger.warning("%s %s: up to %d, %.0f seconds", system, fault, numbers.stop, seconds)
    return [row | {"seconds": round(seconds, 1)}]


def tried_rival(system: str, folder: Path, seed: int, numbers: range) -> list[Row]:
    """The row of some trials of another library."""
    if not folder.exists():
        run_in_child(make_files, system, folder)
    opened = partial(rival_trials, system, folder, seed)
    rows = tried(system, "bytes", opened, numbers, apart=True)
    return [row | {"version": RIVALS[system].version} for row in rows]


def counted(system: str, fault: str, told: Iterable[Outcome]) -> Row:
    """How many trials ended in which way; failures of ours are told one by one, up to a number."""
    counts: Counter[str] = Counter()
    kinds: Counter[tuple[str, str]] = Counter()
    for outcome in told:
        counts[outcome.result] += 1
        kinds[outcome.kind, outcome.result] += 1
        failures = counts[WRONG] + counts[CRASHED]
        if outcome.detail and system == "lightrec" and failures <= MOST_TOLD:
            logger.error("%s: %s: %s", fault, outcome.result, outcome.detail)
    told_kinds = ", ".join(f"{kind} {count} {how}" for (kind, how), count in sorted(kinds.items()))
    logger.warning("%s %s: %s", system, fault, told_kinds)
    return row_of(system, fault, counts)


if __name__ == "__main__":
    main()
