"""The whole method: interactions in, model out.

    teacher   float vectors, by BPR (Eq. 3)
    → start   codes of the teacher's items: random, residual k-means or additive quantisation
    → student codes, codebooks and users, learned from pairs and from the teacher (Eq. 1-11)

Validation pairs are held out first: the epochs are chosen on them, and the printed table is
measured on them. Then the shipped model is trained on all pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from lightrec._version import __version__
from lightrec.artifact.contents import Model, Users
from lightrec.artifact.verify import check_item_columns
from lightrec.codes.item_codes import ItemCodes
from lightrec.comparison import Comparison, ComparisonRow
from lightrec.errors import ArgumentError, InputError
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer, PopularityScorer, Scorer
from lightrec.interactions import (
    ColumnNames,
    History,
    Interactions,
    Split,
    read_items,
    time_split,
    validation_split,
)
from lightrec.interactions.read_tables import TableSource
from lightrec.run_config import RunConfig, load_config
from lightrec.run_folder import RunFolder
from lightrec.stages import FittedStudent, FittedTeacher, fit_student, fit_teacher, quantize
from lightrec.training.loop import LoopConfig


@dataclass(frozen=True)
class Learned:
    """The stages' outcomes, in order."""

    teacher: FittedTeacher
    start: ItemCodes | None
    student: FittedStudent


def train(
    interactions: Interactions | TableSource,
    *,
    preset: str = "default",
    config: RunConfig | None = None,
    items: TableSource | None = None,
    columns: ColumnNames | None = None,
    refit: bool = True,
    run_folder: Path | str | None = None,
    progress: bool = False,
) -> Model:
    """Trains a model.

    Args:
        interactions: A file (CSV, TSV, `.inter`, Parquet), a pandas, polars or Arrow table, or
            `Interactions`.
        preset: `default` or `paper`; ignored when `config` is given.
        config: The whole configuration.
        items: Items table: the catalogue, with any columns to keep (title, category, ...).
        columns: The table's column names where they are not recognised.
        refit: Trains the shipped model on all pairs; False ships the one that validation saw.
        run_folder: Where metrics and checkpoints go; the same call goes on where a run with the
            same data and configuration stopped. `run_folder.clear_checkpoints` removes the
            checkpoints once the model is saved. None keeps nothing.
        progress: Shows progress bars when standard error is a terminal.

    Returns:
        The model; `model.config["comparison"]` holds the table measured on the held-out pairs.

    Raises:
        InputError: A table cannot be used, or no pair can be held out.
        ArtifactError: A column of the items table cannot be kept in a model.
        ArgumentError: There are fewer items than codewords.
        DivergedError: A loss is not finite.
        InterruptedRunError: The user asked to stop; checkpoints are in `run_folder`.
    """
    config = config or load_config(preset)
    items_table = None if items is None else read_items(items)
    pairs = (
        interactions
        if isinstance(interactions, Interactions)
        else Interactions.from_table(interactions, columns, items=items_table)
    )
    _check_sizes(pairs, config)
    if items_table is not None and isinstance(interactions, Interactions):
        _check_catalogue(pairs, items_table)
    check_item_columns(item_columns(pairs, items_table), len(pairs.items))
    folder = None if run_folder is None else Path(run_folder)
    run = RunFolder(folder, config, pairs.digest(), progress)
    held = hold_out(pairs, config)
    fitted, judged = held.train.history(), held.test.history()
    learned = learn(fitted, config, held_out=judged, run=run)
    title = "; ".join([f"{len(judged):,} held-out validation pairs", *held.notes])
    comparison = compare(learned, fitted, judged, config, title)
    if not refit:
        return assemble(learned, held.train, config, comparison, items_table)
    learned = learn(pairs.history(), config, repeat=learned, run=run)
    return assemble(learned, pairs, config, comparison, items_table)


def hold_out(pairs: Interactions, config: RunConfig) -> Split:
    """Sets validation pairs aside: the latest where there are timestamps, else a uniform share.

    Only users with an earlier pair can be judged; the latest pairs of all others are left out of
    the validation, which the split's notes tell. Where that would leave less than half of them,
    `auto` takes a uniform share instead.

    Raises:
        InputError: No pair can be held out.
    """
    share, by = config.validation.share, config.validation.by
    held = None
    if by == "time" or (by == "auto" and pairs.timestamps is not None):
        latest = time_split(pairs, share)
        held = _of_known_users(latest.train, latest.test)
        if by == "auto" and 2 * len(held.test) < len(latest.test):
            held = None
    held = held or validation_split(pairs, config.seed, share)
    if not len(held.test):
        raise InputError(
            f"no validation pair can be held out of {len(pairs):,}: no user has an earlier pair "
            "too; give more interactions, or set validation.by or validation.share"
        )
    return held


def _of_known_users(earlier: Interactions, latest: Interactions) -> Split:
    known = earlier.history().user_degrees()[latest.user_rows] > 0
    if known.all():
        return Split(earlier, latest)
    note = f"{int((~known).sum()):,} more, of users without an earlier pair, are not judged"
    return Split(earlier, latest.select(known), (note,))


def learn(
    pairs: History,
    config: RunConfig,
    *,
    held_out: History | None = None,
    repeat: Learned | None = None,
    run: RunFolder | None = None,
) -> Learned:
    """Runs the three stages.

    Args:
        pairs: Training pairs.
        config: The run's configuration.
        held_out: Pairs to choose epochs on.
        repeat: An earlier outcome whose epochs are used instead.
        run: Where logs and checkpoints go.
    """
    run = run or RunFolder(None, config)
    part = "all" if held_out is None else "validation"
    epochs = repeat.teacher.epochs if repeat else None
    with run.stage(f"teacher-{part}", **_length(pairs, config.teacher, epochs)) as surroundings:
        teacher = fit_teacher(
            pairs, config, held_out=held_out, epochs=epochs, surroundings=surroundings
        )
    epochs = repeat.student.epochs if repeat else None
    with run.stage(f"student-{part}", **_length(pairs, config.student, epochs)) as surroundings:
        factors, log = teacher.factors, surroundings.log
        start = quantize(pairs, factors, config, config.student.start, log)
        student = fit_student(
            pairs,
            factors,
            start,
            config,
            held_out=held_out,
            epochs=epochs,
            surroundings=surroundings,
        )
    return Learned(teacher, start, student)


def _length(pairs: History, config: LoopConfig, epochs: int | None) -> dict[str, int]:
    """How many epochs and steps a stage makes at most, for its bar."""
    most = config.epochs if epochs is None else min(epochs, config.epochs)
    return {"epochs": most, "steps": -(-len(pairs) // config.batch_size)}


def compare(
    learned: Learned, pairs: History, held_out: History, config: RunConfig, title: str
) -> Comparison:
    """Popularity, teacher, quantisers and student, measured on the held-out pairs."""
    teacher, student = learned.teacher.factors, learned.student
    vector = 4.0 * teacher.width
    scorers: list[tuple[str, Scorer, float, float | None]] = [
        ("popularity", PopularityScorer(pairs.item_degrees()), 4.0, None),
        ("teacher", FloatScorer(teacher.users, teacher.items), vector, vector),
    ]
    for name in ("rvq", "aq"):
        same = name == config.student.start
        codes = learned.start if same else quantize(pairs, teacher, config, name)
        if codes is not None:
            scorer = CodeScorer(codes, teacher.users)
            scorers.append((name, scorer, codes.bytes_per_item_all_in, vector))
    codes = student.item_codes
    scorer = CodeScorer(codes, student.users)
    scorers.append(("lightrec", scorer, codes.bytes_per_item_all_in, 4.0 * student.users.shape[1]))
    rows = (
        ComparisonRow(name, evaluate_ranking(each, pairs, held_out).means, per_item, per_user)
        for name, each, per_item, per_user in scorers
    )
    return Comparison(title, tuple(rows))


def assemble(
    learned: Learned,
    pairs: Interactions,
    config: RunConfig,
    comparison: Comparison,
    items_table: pl.DataFrame | None,
) -> Model:
    """Puts the outcome and the ids together into what a model folder holds."""
    history = pairs.history()
    student = config.student
    return Model(
        config={
            "lightrec": __version__,
            "settings": config.model_dump(mode="json"),
            "data_digest": pairs.digest(),
            "teacher_epochs": learned.teacher.epochs,
            "student_epochs": learned.student.epochs,
            "comparison": comparison.to_json(),
            "item_columns_left_out": [] if items_table is None else nested_columns(items_table),
        },
        item_codes=learned.student.item_codes,
        users=Users(student.user_form, learned.student.users),
        user_ids=pairs.users,
        item_ids=pairs.items,
        item_columns=item_columns(pairs, items_table),
        history=history,
    )


def item_columns(pairs: Interactions, items_table: pl.DataFrame | None) -> pl.DataFrame:
    """Popularity and the flat columns of the items table, in row order.

    Columns of lists have no place in a model folder; `nested_columns` names them.
    """
    columns = pl.DataFrame({"popularity": pairs.history().item_degrees()})
    if items_table is None:
        return columns
    if "popularity" in items_table.columns:
        raise InputError(
            "the items table has a column 'popularity', which is the model's own; rename it"
        )
    # A text file's ids are text; the same ids in a Parquet file may be numbers.
    ids = pl.DataFrame({"item_id": pairs.items.series})
    known = items_table.with_columns(
        pl.col("item_id").cast(pairs.items.series.dtype),
        pl.col(pl.Categorical, pl.Enum).cast(pl.String),
    )
    described = ids.join(known, on="item_id", how="left", maintain_order="left")
    nested = nested_columns(items_table)
    return columns.hstack(described.drop("item_id", *nested))


def nested_columns(items_table: pl.DataFrame) -> list[str]:
    """Names of the columns that a model cannot keep, because a cell holds more than one value."""
    return [name for name, dtype in items_table.schema.items() if dtype.is_nested()]


def _check_catalogue(pairs: Interactions, items_table: pl.DataFrame) -> None:
    """Refuses items that given interactions do not know: their catalogue is fixed."""
    ids = items_table["item_id"].cast(pairs.items.series.dtype)
    unknown = int((pairs.items.find(ids) < 0).sum())
    if unknown:
        raise InputError(
            f"{unknown:,} items of the items table are not in the catalogue of the interactions; "
            "give the same table to Interactions.from_table(..., items=...)"
        )


def _check_sizes(pairs: Interactions, config: RunConfig) -> None:
    """Refuses at once what would fail only after the teacher was trained."""
    if len(pairs.items) < config.codes.num_codewords:
        raise ArgumentError(
            f"the catalogue has {len(pairs.items)} items, fewer than num_codewords = "
            f"{config.codes.num_codewords}; set codes.num_codewords to at most {len(pairs.items)}"
        )
