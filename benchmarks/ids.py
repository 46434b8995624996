"""Sends hostile ids through the whole library and compares what comes back, byte by byte.

    python -m benchmarks.ids                 # fifty thousand tables, fifteen minutes of one core
    python -m benchmarks.ids --trials 400
    python -m benchmarks.ids --trial 17      # one table; writes nothing

A trial draws a table of ids (`benchmarks.hostile_ids`), reads it as CSV, TSV, Parquet or frame in
turn, makes a model, saves it, loads it and asks for recommendations by every user's id. Either all
ids come back as they went in, every user gets exactly the items that are not his, and an id typed
as text is found again; or the table is refused, which it must deserve, with the line or row and the
column at fault. A model is made from random codes; in every fiftieth trial by `lightrec.compress`,
and in thirty-six, on larger tables, by `lightrec.train`: all take the ids from the same
`Interactions`. The row goes to `benchmarks/results/ids.json`; an interrupted run goes on with the
next thousand tables. Ends with status 1 if there was any difference.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.hostile_ids import KINDS, IdTable, drawn
from benchmarks.results import Row, measured_once, write_results
from lightrec.artifact import Model, Users
from lightrec.codes.item_codes import ItemCodes
from lightrec.compress import CompressConfig, compress
from lightrec.errors import InputError
from lightrec.experiments.provenance import commit, source_digest, sources_of
from lightrec.interactions import Interactions
from lightrec.serving import Recommender

NAME = "ids"
CHUNK = 1_000  # what an interruption loses
COUNTED = ("trials", "differences", "rejected", "built", "compressed", "trained", "seconds")
WIDTH = 2
COMPRESS_EVERY = 50
TRAINED = 36
ROWS_TO_TRAIN_ON = 24
TINY = {"num_codebooks": 1, "num_codewords": 2, "kmeans_iterations": 1, "rounds": 0}
TOLD = 20  # differences that the result file describes

logger = logging.getLogger("lightrec")
Maker = Callable[[Interactions, np.random.Generator], Model]


def main(arguments: list[str] | None = None) -> None:
    """Reads the command line and sends."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=50_000)
    parser.add_argument("--trained", type=int, default=TRAINED, help="of them by lightrec.train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trial", type=int, help="only this one, and write nothing")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    if asked.trial is not None:
        (row,) = outcomes(asked.seed, [asked.trial], asked.trained)
    else:
        row = in_chunks(asked.seed, asked.trials, asked.trained)
        stamp = {"commit": commit(), "source_digest": source_digest(sources_of(NAME))}
        write_results(NAME, f"python -m benchmarks.ids --seed {asked.seed}", [row | stamp])
    logger.warning("%s", json.dumps(row))
    if row["differences"]:
        raise SystemExit(1)


def in_chunks(seed: int, trials: int, trained: int) -> Row:
    """All trials; chunks that the present source has finished are taken over."""
    total: Row = {"system": "lightrec", "fault": "ids", **dict.fromkeys(COUNTED, 0), "found": []}
    for start in range(0, trials, CHUNK):
        chunk = range(start, min(start + CHUNK, trials))
        (row,) = measured_once(
            NAME,
            f"{seed}-{start:06}-{len(chunk)}-{trained}",
            partial(outcomes, seed, chunk, trained),
            stale=True,  # what an older source made of ids says nothing about this one
        )
        for counted in COUNTED:
            total[counted] = round(total[counted] + row[counted], 1)
        total["found"] = (total["found"] + row["found"])[:TOLD]
        logger.warning(
            "%d trials, %d differences, %.0f seconds",
            total["trials"],
            total["differences"],
            total["seconds"],
        )
    return total


def outcomes(seed: int, trials: Sequence[int], trained: int) -> list[Row]:
    """What became of each trial, counted in one row."""
    begun = time.perf_counter()
    counts: Counter[str] = Counter(trials=len(trials))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for trial in trials:
            outcome, wrong = sent(seed, trial, trained, Path(folder))
            counts[outcome] += 1
            if wrong:
                counts["differences"] += 1
                found.append({"trial": trial, "difference": wrong})
                logger.error("DIFFERENCE in trial %d: %s", trial, wrong)
    seconds = round(time.perf_counter() - begun, 1)
    return [{name: counts[name] for name in COUNTED} | {"seconds": seconds, "found": found}]


def sent(seed: int, trial: int, trained: int, folder: Path) -> tuple[str, str | None]:
    """What became of a table, and what was wrong with that."""
    rng = np.random.default_rng([seed, trial])
    way, make = _way(trial, trained)
    table = drawn(rng, trial, rows=ROWS_TO_TRAIN_ON if way == "trained" else 0)
    faults = table.faults()
    try:
        pairs = Interactions.from_table(table.given(folder))
    except InputError as error:
        if not faults:
            return "rejected", f"{table.kind}: refused without reason: {error}"
        named = any(fault in str(error) for fault in faults)
        return "rejected", None if named else f"{error} (at fault: {' or '.join(faults)})"
    if faults:
        return way, f"{table.kind}: accepted, in spite of {' and '.join(faults)}"
    try:
        make(pairs, rng).save(folder / "model")
        return way, difference(table, Recommender.load(folder / "model"))
    except Exception as error:  # no id may stop anything once it was read
        return way, f"{table.kind}: {type(error).__name__}: {error}"


def difference(table: IdTable, recommender: Recommender) -> str | None:
    """Compares what a loaded model answers with the ids of a table."""
    users, items = (list(dict.fromkeys(ids)) for ids in (table.users, table.items))
    model = recommender.model
    for what, ids, known in (("user", users, model.user_ids), ("item", items, model.item_ids)):
        if _exact(known.series.to_list()) != _exact(ids):
            return f"other {what} ids: {known.series.to_list()!r:.300} for {ids!r:.300}"
        typed = [known.parse(str(value)) for value in ids]
        if _exact(typed) != _exact(ids):
            return f"other {what} ids when typed: {typed!r:.300} for {ids!r:.300}"
    seen: dict[Any, set[Any]] = {user: set() for user in users}
    for user, item in zip(table.users, table.items, strict=True):
        seen[user].add(item)
    answers = recommender.recommend(users, k=len(items))
    if _exact([answer.query for answer in answers]) != _exact(users):
        return f"answers to other users: {[answer.query for answer in answers]!r:.300}"
    for user, answer in zip(users, answers, strict=True):
        if _in_order(answer.items) != _in_order(set(items) - seen[user]):
            return f"user {user!r:.60} is recommended {answer.items!r:.300}"
    written = answers.to_polars()["item_id"].to_list()
    if _exact(written) != _exact([item for answer in answers for item in answer.items]):
        return "the table of answers holds other ids than the answers"
    everything = recommender.recommend(users[0], k=len(items), exclude_seen=False)[0].items
    return None if _in_order(everything) == _in_order(items) else f"all: {everything!r:.300}"


def _in_order(ids: Any) -> list[Any]:  # noqa: ANN401
    return sorted(_exact(ids), key=repr)


def _exact(ids: Any) -> list[Any]:  # noqa: ANN401
    """Ids as they can be compared: text by its bytes, integers with their type."""
    return [(type(value), value.encode() if isinstance(value, str) else value) for value in ids]


def _way(trial: int, trained: int) -> tuple[str, Maker]:
    """How the model of a trial is made; all kinds of tables are trained on in turn."""
    if trial < trained:
        return "trained", _trained
    if trial // len(KINDS) % COMPRESS_EVERY == 0:
        return "compressed", _compressed
    return "built", _built


def _built(pairs: Interactions, rng: np.random.Generator) -> Model:
    """A model with random codes; its ids and pairs are those that were read."""
    return Model(
        config={},
        item_codes=ItemCodes(
            rng.integers(0, 2, (len(pairs.items), 1), dtype=np.uint8),
            rng.standard_normal((1, 2, WIDTH), dtype=np.float32),
        ),
        users=Users("identity", rng.standard_normal((len(pairs.users), WIDTH), dtype=np.float32)),
        user_ids=pairs.users,
        item_ids=pairs.items,
        item_columns=pl.DataFrame({"popularity": pairs.history().item_degrees()}),
        history=pairs.history(),
    )


def _compressed(pairs: Interactions, rng: np.random.Generator) -> Model:
    codewords = min(2, len(pairs.items))
    return compress(
        rng.standard_normal((len(pairs.items), WIDTH), dtype=np.float32),
        rng.standard_normal((len(pairs.users), WIDTH), dtype=np.float32),
        item_ids=pairs.items,
        user_ids=pairs.users,
        interactions=pairs,
        config=CompressConfig.model_validate({"codes": TINY | {"num_codewords": codewords}}),
    )


def _trained(pairs: Interactions, rng: np.random.Generator) -> Model:
    from lightrec.run_config import load_config
    from lightrec.train import train

    teacher = {"kind": "ials", "width": WIDTH, "sweeps": 1}
    fit = {"rounds": 1}
    settings = load_config(
        "default", teacher=teacher, codes=TINY, users={"fit": fit}, seed=int(rng.integers(1000))
    )
    return train(pairs, config=settings)


if __name__ == "__main__":
    main()
