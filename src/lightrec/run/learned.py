"""What the stages of training learned: compared, and put together into a model."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from lightrec.artifact.contents import Model
from lightrec.artifact.item_columns import item_columns, nested_columns
from lightrec.codes.coded_users import CodedUsers, UserForm
from lightrec.codes.item_codes import ItemCodes
from lightrec.codes.item_metric import ItemMetric
from lightrec.codes.shared_codes import describe_shared_codes
from lightrec.codes.trained_selection import TrainedSelection
from lightrec.evaluation.comparison import Comparison
from lightrec.evaluation.scorers import PopularityScorer
from lightrec.interactions import History, Interactions
from lightrec.outcome import Compared, assembled, measured_alike
from lightrec.run.stages import FittedStudent, quantize
from lightrec.run_config import RunConfig
from lightrec.teachers.fit import FittedTeacher


@dataclass(frozen=True)
class Learned:
    """The stages' outcomes, in order.

    Attributes:
        teacher: The float model.
        start: The codes before any gradient step; None where they were drawn.
        student: Codes and users trained by gradient; None where the configuration has no student.
        forms: The users in every form that was asked for, the one to be shipped last.
        chosen_by: What chose the codes: a trained encoder, or the metric of their errors.
    """

    teacher: FittedTeacher
    start: ItemCodes | None
    student: FittedStudent | None
    forms: tuple[CodedUsers, ...]
    chosen_by: TrainedSelection | ItemMetric | None = None

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
    models = [
        Compared("popularity", PopularityScorer(pairs.item_degrees()), 4.0, None),
        Compared.teacher(teacher),
        *(
            Compared.quantiser(name, _quantised(learned, pairs, config, name), teacher)
            for name in ("rvq", "aq")
        ),
        *(Compared.lightrec(users) for users in learned.forms),
    ]
    return measured_alike(title, models, pairs, held_out)


def _quantised(learned: Learned, pairs: History, config: RunConfig, name: str) -> ItemCodes:
    """The codes of a quantiser: those that the student began with, where they are the same."""
    if config.student is not None and config.student.start == name and learned.start is not None:
        return learned.start
    return quantize(pairs, learned.teacher.factors, config, name)


def assemble(
    learned: Learned,
    pairs: Interactions,
    config: RunConfig,
    comparison: Comparison,
    items_table: pl.DataFrame | None,
) -> Model:
    """Puts the outcome and the ids together into what a model folder holds."""
    teacher, history = learned.teacher, pairs.history()
    popularity = history.item_degrees()
    sharing = describe_shared_codes(learned.shipped.item_codes, popularity)
    told = {
        "settings": config.model_dump(mode="json"),
        "data_digest": pairs.digest(),
        "teacher": teacher.config.model_dump(mode="json"),
        "teacher_epochs": list(teacher.epochs),
        "student_epochs": learned.student.epochs if learned.student else None,
        "comparison": comparison.to_json(),
        "item_columns_left_out": [] if items_table is None else nested_columns(items_table),
        "notes": [sharing] if sharing else [],
    }
    return assembled(
        learned.shipped,
        teacher.factors,
        learned.chosen_by,
        told,
        user_ids=pairs.users,
        item_ids=pairs.items,
        item_columns=item_columns(pairs.items, popularity, items_table),
        history=history,
        keep_float_items=config.keep_float_items,
    )
