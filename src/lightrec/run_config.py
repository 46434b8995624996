"""One run's configuration: the stages' own settings, composed, and read from TOML."""

from __future__ import annotations

import hashlib
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lightrec.codes.additive_quantization import AdditiveQuantizationConfig
from lightrec.codes.coded_users import UsersConfig
from lightrec.codes.item_metric import MetricConfig
from lightrec.codes.ranking_metric import RankingMetricConfig
from lightrec.encoder.student_config import StudentConfig
from lightrec.errors import ConfigError
from lightrec.settings import Settings, merged, read_toml, validated
from lightrec.teachers.choice import AutoConfig
from lightrec.teachers.fit import AnyTeacherConfig

PRESETS = ("default", "kde", "paper", "trained")


class ValidationConfig(Settings):
    """What is held out to choose epochs and to print the table."""

    share: float = Field(0.1, gt=0, lt=1)
    """Of the pairs given."""
    by: Literal["auto", "time", "random"] = "auto"
    """`time`: the latest pairs; `random`: uniform, never a user's only pair; `auto`: by time where
    there are timestamps."""


class RunConfig(Settings):
    """Everything that decides a run, besides its data."""

    seed: int = Field(0, ge=0)
    """Of splits, starts, order and negatives."""
    validation: ValidationConfig = ValidationConfig()
    teacher: Annotated[AnyTeacherConfig | AutoConfig, Field(discriminator="kind")] = AutoConfig()
    codes: AdditiveQuantizationConfig = AdditiveQuantizationConfig()
    metric: MetricConfig = MetricConfig()
    ranking: RankingMetricConfig = RankingMetricConfig()
    users: UsersConfig = UsersConfig()
    keep_float_items: bool = False
    """Keeps the teacher's items in the model, as float16 where they fit: for post-ranking, and to
    fit new users as well as the first ones. They take 2 D bytes an item."""
    student: StudentConfig | None = None
    """Trains codes and users by gradient; without it codes are quantised and users fitted."""

    @model_validator(mode="after")
    def _one_place_says_the_users_form(self) -> RunConfig:
        if self.student is not None and self.users.form != "auto":
            raise PydanticCustomError(
                "users_form",
                "users.form = '{form}' is for codes without a student; a student trains its users "
                "beside the codes, in the form of student.user_form",
                {"form": self.users.form},
            )
        return self

    @model_validator(mode="after")
    def _float_items_need_users_in_their_space(self) -> RunConfig:
        student = self.student
        elsewhere = student is not None and student.codeword_width and student.user_form == "free"
        if self.keep_float_items and elsewhere:
            raise PydanticCustomError(
                "float_items",
                "keep_float_items needs users in the teacher's space: with codeword_width, "
                "user_form = 'linear' or 'mlp'",
            )
        return self

    def without_teacher(self, *, users: bool = True) -> dict[str, Any]:
        """The settings that decide the codes of a given teacher, and the users who meet them.

        Args:
            users: Whether those of the users' form are among them.
        """
        of_codes = {"codes", "metric", "ranking", "seed"}
        return self.model_dump(include=of_codes | {"users"} if users else of_codes)

    def digest(self) -> str:
        """SHA-256 of the canonical JSON form."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def load_config(
    preset: str = "default",
    file: Path | str | None = None,
    **changes: Any,  # noqa: ANN401
) -> RunConfig:
    """A preset, changed by a TOML file, changed by keyword.

    Args:
        preset: One of `PRESETS`.
        file: TOML with any of the same tables and keys.
        changes: Top-level tables or values that win over both.

    Raises:
        ConfigError: Unknown preset or key, a value out of range, or a file that is not TOML.
    """
    if preset not in PRESETS:
        raise ConfigError(f"unknown preset {preset!r}; there are {', '.join(PRESETS)}")
    shipped = resources.files("lightrec.presets") / f"{preset}.toml"
    settings, source = tomllib.loads(shipped.read_text(encoding="utf-8")), f"preset {preset}"
    if file is not None:
        settings, source = merged(settings, read_toml(file)), str(file)
    return validated(RunConfig, merged(settings, changes), source)
