"""The whole method: interactions in, model out.

    teacher   float vectors: the best that validation finds, or the one asked for
    → codes   of the teacher's items: quantised in the metric of the ranking (Eq. 9 to second order)
              or, where the configuration has a student, learned by gradient (Eq. 1-11)
    → users   in the form in which they meet the codes: identity, fitted or table (Eq. 9's P2)

Validation pairs are held out first: all choices are made on them, and the printed table is
measured on them. Then the shipped model is trained on all pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from lightrec._version import __version__
from lightrec.artifact.contents import Model, Selection, Users
from lightrec.artifact.verify import can_keep, check_item_columns
from lightrec.codes.coded_users import FORMS, CodedUsers, UserForm, users_in_form
from lightrec.codes.half_precision import half_precision
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import ItemMetric
from lightrec.comparison import Comparison, ComparisonRow
from lightrec.encoder.student_config import StudentConfig
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
from lightrec.preferred_form import preferred_last
from lightrec.run_config import RunConfig, load_config
from lightrec.run_folder import RunFolder
from lightrec.stages import FittedStudent, fit_student, quantize, quantize_by_ranking
from lightrec.teachers.choice import AutoConfig
from lightrec.teachers.fit import AnyTeacherConfig, BlendConfig, FittedTeacher
from lightrec.teachers.ials import IalsConfig
from lightrec.teachers.make_teacher import make_teacher
from lightrec.teachers.sampled_softmax import SampledSoftmaxConfig
from lightrec.training.device import device_of
from lightrec.training.loop import LoopConfig
from lightrec.warm_start import STABILITY, WarmStart, requantize


@dataclass(frozen=True)
class Learned:
    """The stages' outcomes, in order.

    Attributes:
        teacher: The float model.
        start: The codes before any gradient step; None where they were drawn.
        student: Codes and users trained by gradient; None where the configuration has no student.
        forms: The users in every form that was asked for, the one to be shipped last.
        metric: How the codes' errors were measured; None where a gradient trained them.
    """

    teacher: FittedTeacher
    start: ItemCodes | None
    student: FittedStudent | None
    forms: tuple[CodedUsers, ...]
    metric: ItemMetric | None = None

    @property
    def form(self) -> UserForm:
        """The form of users that was chosen."""
        return self.shipped.form

    @property
    def shipped(self) -> CodedUsers:
        """Codes and users of the model."""
        return self.forms[-1]


def train(
    interactions: Interactions | TableSource,
    *,
    preset: str = "default",
    config: RunConfig | None = None,
    items: TableSource | None = None,
    columns: ColumnNames | None = None,
    refit: bool = True,
    warm_start: Model | None = None,
    stability: float = STABILITY,
    run_folder: Path | str | None = None,
    device: str = "auto",
    progress: bool = False,
) -> Model:
    """Trains a model.

    Args:
        interactions: A file (CSV, TSV, `.inter`, Parquet), a pandas, polars or Arrow table, or
            `Interactions`.
        preset: `default`, `paper` or `trained`; ignored when `config` is given.
        config: The whole configuration.
        items: Items table: the catalogue, with any columns to keep (title, category, ...).
        columns: The table's column names where they are not recognised.
        refit: Trains the shipped model on all pairs; False ships the one that validation saw.
        warm_start: An earlier model from `train`: its choice of teacher and of the users' form is
            repeated instead of made anew, and items keep their codes where these still fit.
        stability: How much smaller, as a share, an item's error must get before its code changes
            from the one in `warm_start`; 1 keeps all codes.
        run_folder: Where metrics and checkpoints go; the same call goes on where a run with the
            same data and configuration stopped (the choice among teachers starts over).
            `run_folder.clear_checkpoints` removes the checkpoints once the model is saved. None
            keeps nothing.
        device: Where teachers and students are trained by gradient: `cpu`, `cuda`, or `auto` for
            the latter where there is one. The same run gives the same bits on the CPU only; all
            other stages run there anyway.
        progress: Shows progress bars when standard error is a terminal.

    Returns:
        The model; `model.config["comparison"]` holds the table measured on the held-out pairs.

    Raises:
        InputError: A table cannot be used, or no pair can be held out.
        ArtifactError: A column of the items table cannot be kept in a model.
        ArgumentError: There are fewer items than codewords, or `warm_start` does not fit the run.
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
    warm = None
    if warm_start is not None:
        warm = WarmStart.of(warm_start, pairs.items, config, stability)
    folder = None if run_folder is None else Path(run_folder)
    run = RunFolder(folder, config, pairs.digest(), progress, device_of(device))
    held = hold_out(pairs, config)
    fitted, judged = held.train.history(), held.test.history()
    learned = learn(fitted, config, held_out=judged, warm=warm, run=run)
    chosen = "on which open choices (teacher, epochs, users' form) were made too"
    title = "; ".join([f"{len(judged):,} held-out validation pairs, {chosen}", *held.notes])
    comparison = compare(learned, fitted, judged, config, title)
    if not refit:
        return assemble(learned, held.train, config, comparison, items_table)
    learned = learn(pairs.history(), config, repeat=learned, warm=warm, run=run)
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
    warm: WarmStart | None = None,
    run: RunFolder | None = None,
) -> Learned:
    """Runs the stages.

    Args:
        pairs: Training pairs.
        config: The run's configuration.
        held_out: Pairs to choose teacher, epochs and users' form on.
        repeat: An earlier outcome whose choices are used instead.
        warm: What is taken over from an earlier model.
        run: Where logs and checkpoints go.
    """
    run = run or RunFolder(None, config)
    part = "all" if held_out is None else "validation"
    earlier = repeat or warm
    teacher = _teacher(pairs, config, held_out, earlier.teacher if earlier else None, run, part)
    if config.student is not None:
        return _trained(pairs, config, config.student, teacher, held_out, repeat, run, part)
    with run.stage(f"codes-{part}", epochs=0, steps=0) as surroundings:
        if warm is None:
            ranked = quantize_by_ranking(pairs, teacher.factors, config, surroundings.log)
        else:
            ranked = requantize(pairs, teacher.factors, config, warm, surroundings.log)
    codes = ranked.item_codes
    asked = (earlier.form,) if earlier else forms_of(config)
    forms = tuple(
        users_in_form(
            form,
            teacher.factors.users,
            teacher.factors.items,
            codes,
            pairs,
            config.users,
            seed=config.seed,
            progress=run.progress,
        )
        for form in asked
    )
    if held_out is not None and len(forms) > 1:
        forms = preferred_last(forms, pairs, held_out, config.users.tolerance)
    return Learned(teacher, codes, None, forms, ranked.metric)


def _teacher(
    pairs: History,
    config: RunConfig,
    held_out: History | None,
    chosen: FittedTeacher | None,
    run: RunFolder,
    part: str,
) -> FittedTeacher:
    """The float model: chosen, trained as told, or what was chosen before."""
    settings = chosen.config if chosen else config.teacher
    with run.stage(f"teacher-{part}", **_teacher_length(pairs, settings, chosen)) as surroundings:
        if isinstance(settings, AutoConfig | BlendConfig):  # several runs, each with its own bars
            surroundings = replace(surroundings, progress=run.progress)
        return make_teacher(
            pairs,
            config.teacher,
            seed=config.seed,
            held_out=held_out,
            repeat=chosen,
            surroundings=surroundings,
        )


def _trained(
    pairs: History,
    config: RunConfig,
    settings: StudentConfig,
    teacher: FittedTeacher,
    held_out: History | None,
    repeat: Learned | None,
    run: RunFolder,
    part: str,
) -> Learned:
    """Codes and users by gradient."""
    epochs = repeat.student.epochs if repeat and repeat.student else None
    with run.stage(f"student-{part}", **_length(len(pairs), settings, epochs)) as surroundings:
        start = quantize(pairs, teacher.factors, config, settings.start, surroundings.log)
        student = fit_student(
            pairs,
            teacher.factors,
            start,
            config,
            held_out=held_out,
            epochs=epochs,
            surroundings=surroundings,
        )
    users = CodedUsers(settings.user_form, student.item_codes, student.users, student.map_weights)
    return Learned(teacher, start, student, (users,))


def forms_of(config: RunConfig) -> tuple[UserForm, ...]:
    """The forms of users that are compared."""
    return FORMS if config.users.form == "auto" else (config.users.form,)


def _length(rows: int, config: LoopConfig, epochs: int | None) -> dict[str, int]:
    """How many epochs and steps a stage makes at most, for its bar."""
    most = config.epochs if epochs is None else min(epochs, config.epochs)
    return {"epochs": most, "steps": -(-rows // config.batch_size)}


def _teacher_length(
    pairs: History, settings: AnyTeacherConfig | AutoConfig, chosen: FittedTeacher | None
) -> dict[str, int]:
    """Likewise for a teacher; nothing for several in a row."""
    epochs = chosen.epochs[0] if chosen else None
    if isinstance(settings, SampledSoftmaxConfig):  # its batches are of users
        return _length(int((pairs.user_degrees() > 0).sum()), settings, epochs)
    if isinstance(settings, LoopConfig):
        return _length(len(pairs), settings, epochs)
    if isinstance(settings, IalsConfig):
        return {"epochs": settings.sweeps if epochs is None else epochs, "steps": 1}
    return {"epochs": 0, "steps": 0}


def compare(
    learned: Learned, pairs: History, held_out: History, config: RunConfig, title: str
) -> Comparison:
    """Popularity, teacher, quantisers and LightRec, measured on the held-out pairs."""
    teacher = learned.teacher.factors
    vector = 4.0 * teacher.width
    rows: list[ComparisonRow] = []

    def add(
        model: str, scorer: Scorer, per_item: float, per_user: float | None, variant: str = ""
    ) -> None:
        means = evaluate_ranking(scorer, pairs, held_out).means
        rows.append(ComparisonRow(model, means, per_item, per_user, variant=variant))

    add("popularity", PopularityScorer(pairs.item_degrees()), 4.0, None)
    add("teacher", FloatScorer(teacher.users, teacher.items), vector, vector)
    for name in ("rvq", "aq"):
        same = config.student is not None and name == config.student.start
        codes = learned.start if same else quantize(pairs, teacher, config, name)
        if codes is not None:
            scorer = CodeScorer(codes, teacher.users)
            add(name, scorer, codes.bytes_per_item_all_in, vector)
    for users in learned.forms:
        codes = users.item_codes
        scorer = CodeScorer(codes, users.values)
        per_item = codes.bytes_per_item_all_in
        add("lightrec", scorer, per_item, users.bytes_per_user, variant=users.form)
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
    users, teacher = learned.shipped, learned.teacher
    return Model(
        config={
            "lightrec": __version__,
            "settings": config.model_dump(mode="json"),
            "data_digest": pairs.digest(),
            "teacher": teacher.config.model_dump(mode="json"),
            "teacher_epochs": list(teacher.epochs),
            "student_epochs": learned.student.epochs if learned.student else None,
            "comparison": comparison.to_json(),
            "item_columns_left_out": [] if items_table is None else nested_columns(items_table),
        },
        item_codes=users.item_codes,
        users=Users(users.form, users.values, users.query_map),
        user_ids=pairs.users,
        item_ids=pairs.items,
        item_columns=item_columns(pairs, items_table),
        history=history,
        selection=Selection.by_cells(teacher.factors.items, learned.metric),
        float_items=half_precision(teacher.factors.items) if config.keep_float_items else None,
    )


def item_columns(pairs: Interactions, items_table: pl.DataFrame | None) -> pl.DataFrame:
    """Popularity and the columns of the items table, in row order.

    Columns of structures have no place in a model folder; `nested_columns` names them.
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
    """Names of the columns that a model cannot keep: structures, and lists of such."""
    schema = items_table.schema.items()
    return [name for name, dtype in schema if dtype.is_nested() and not can_keep(dtype)]


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
