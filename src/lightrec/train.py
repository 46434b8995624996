"""The whole method: interactions in, model out.

    teacher   float vectors: the best that validation finds, or the one asked for
    → codes   of the teacher's items: quantised in the metric of the ranking (Eq. 9 to second order)
              or, where the configuration has a student, learned by gradient (Eq. 1-11)
    → users   in the form in which they meet the codes: identity, fitted or table (Eq. 9's P2)

Validation pairs are held out first: all choices are made on them, and the printed table is
measured on them. Then the shipped model is trained on all pairs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lightrec.artifact.contents import Model
from lightrec.artifact.item_columns import check_catalogue, item_columns
from lightrec.artifact.verify import check_item_columns
from lightrec.codes.coded_users import FORMS, CodedUsers, UserForm, users_in_forms
from lightrec.codes.shared_codes import check_num_codewords
from lightrec.codes.user_fit_task import Effort
from lightrec.encoder.student_config import StudentConfig
from lightrec.evaluation.preferred_form import preferred_last
from lightrec.interactions import (
    ColumnNames,
    History,
    Interactions,
)
from lightrec.interactions.given_pairs import given_pairs
from lightrec.interactions.read_items import read_catalogue
from lightrec.interactions.read_tables import TableSource
from lightrec.run.folder import RunFolder
from lightrec.run.held_out_pairs import hold_out
from lightrec.run.learned import Learned, assemble, compare
from lightrec.run.stages import fit_student, quantize_by_ranking, student_start
from lightrec.run.warm_start import STABILITY, WarmStart, requantize
from lightrec.run_config import RunConfig, load_config
from lightrec.teachers.choice import AutoConfig
from lightrec.teachers.fit import AnyTeacherConfig, BlendConfig, FittedTeacher
from lightrec.teachers.ials import IalsConfig
from lightrec.teachers.make_teacher import make_teacher
from lightrec.teachers.sampled_softmax import SampledSoftmaxConfig
from lightrec.training.device import device_of
from lightrec.training.loop import LoopConfig


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
            `Interactions`. What became of the rows of a table is told by the log (`lightrec`), and
            as warnings that ratings, weights and counts are not used; `Interactions` have a report.
        preset: `default`, `paper`, `trained` or `kde`; ignored when `config` is given.
        config: The whole configuration.
        items: Items table: the catalogue, with any columns to keep (title, category, ...).
        columns: The table's column names where they are not recognised; the items table may have
            its ids in a column of the name given here, too.
        refit: Trains the shipped model on all pairs; False ships the one that validation saw.
        warm_start: An earlier model from `train`: its choice of teacher and of the users' form is
            repeated instead of made anew, and items keep their codes where these still fit.
        stability: How much smaller, as a share, an item's error must get before its code changes
            from the one in `warm_start`; 1 keeps all codes.
        run_folder: Where metrics and checkpoints go; the same call goes on where a run with the
            same data and configuration stopped. `lightrec.run.folder.clear_checkpoints` removes the
            checkpoints once the model is saved. None keeps nothing.
        device: Where teachers and students are trained by gradient: `cpu`, `cuda`, or `auto` for
            the latter where there is one. The same run gives the same bits on the CPU only; all
            other stages run there anyway.
        progress: Shows progress bars when standard error is a terminal.

    Returns:
        The model; `model.config` holds `comparison` (the table measured on the held-out pairs)
        and `notes` (which tell of items that share a code).

    Raises:
        InputError: A table cannot be used, or no pair can be held out.
        ArtifactError: A column of the items table cannot be kept in a model.
        ArgumentError: There are fewer items than codewords, or one codeword for all of them, or
            `warm_start` does not fit the run.
        DivergedError: A loss is not finite.
        InterruptedRunError: The user asked to stop; checkpoints are in `run_folder`.
        CheckpointError: Checkpoints in `run_folder` are of another run, or one is at work there.
    """
    config = config or load_config(preset)
    items_table = None if items is None else read_catalogue(items, columns)
    pairs = given_pairs(interactions, columns, items=items_table)
    check_num_codewords(config.codes, len(pairs.items))
    if items_table is not None and isinstance(interactions, Interactions):
        check_catalogue(pairs, items_table)
    popularity = pairs.history().item_degrees()
    check_item_columns(item_columns(pairs.items, popularity, items_table), len(pairs.items))
    warm = None
    if warm_start is not None:
        warm = WarmStart.of(warm_start, pairs.items, config, stability)
    folder = None if run_folder is None else Path(run_folder)
    run = RunFolder(folder, config, pairs.digest(), progress, device_of(device))
    held = hold_out(pairs, config)
    fitted, judged = held.train.history(), held.test.history()
    chosen = "on which open choices (teacher, epochs, users' form) were made too"
    title = "; ".join([f"{len(judged):,} held-out validation pairs, {chosen}", *held.notes])
    with run.alone():
        learned = learn(fitted, config, held_out=judged, warm=warm, run=run)
        comparison = compare(learned, fitted, judged, config, title)
        if not refit:
            return assemble(learned, held.train, config, comparison, items_table)
        learned = learn(pairs.history(), config, repeat=learned, warm=warm, run=run)
        return assemble(learned, pairs, config, comparison, items_table)


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
    forms = users_in_forms(
        (earlier.form,) if earlier else forms_of(config),
        *(teacher.factors, codes, pairs, config.users),
        Effort(config.seed, progress=run.progress),
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
        if chosen is not None:  # elsewhere than in this run's configuration
            repeated = {
                "teacher": chosen.config.model_dump(mode="json"),
                "epochs": [*chosen.epochs],
            }
            fingerprint = surroundings.fingerprint | {"repeated": repeated}
            surroundings = replace(surroundings, fingerprint=fingerprint)
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
        start = student_start(pairs, teacher.factors, config, surroundings.log)
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
    return Learned(teacher, start, student, (users,), student.chosen_by)


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
