"""What the stages of training learned: compared, and put together into a model."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from lightrec._version import __version__
from lightrec.artifact.contents import Model, Selection, Users
from lightrec.codes.coded_users import CodedUsers, UserForm
from lightrec.codes.half_precision import half_precision
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import ItemMetric
from lightrec.comparison import Comparison, ComparisonRow
from lightrec.evaluation.ranking_evaluation import evaluate_ranking
from lightrec.evaluation.scorers import CodeScorer, FloatScorer, PopularityScorer, Scorer
from lightrec.interactions import History, Interactions
from lightrec.item_columns import item_columns, nested_columns
from lightrec.run_config import RunConfig
from lightrec.stages import FittedStudent, quantize
from lightrec.teachers.fit import FittedTeacher


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
        begun = learned.start if config.student and config.student.start == name else None
        codes = begun or quantize(pairs, teacher, config, name)
        add(name, CodeScorer(codes, teacher.users), codes.bytes_per_item_all_in, vector)
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
