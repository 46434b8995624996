"""The page of settings, from the configuration classes and what they say about their fields."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from lightrec.encoder.student_config import StudentConfig
from lightrec.run_config import RunConfig, load_config
from lightrec.settings import Settings


def settings_table() -> str:
    """A table for each stage and for each kind of teacher: key, default and meaning."""
    preset = load_config("default")
    parts = [_stage("## Top level", RunConfig, preset)]
    for name, field in RunConfig.model_fields.items():
        if name == "teacher":
            for kind, settings in teacher_kinds().items():
                parts.append(_stage(f'## [teacher] with kind = "{kind}"', settings))
        elif name == "student":
            parts.append(_stage("## [student]", StudentConfig))
        elif isinstance(field.default, Settings):
            parts += _nested(name, type(field.default), getattr(preset, name))
    return "\n\n".join(parts)


def teacher_kinds() -> dict[str, type[Settings]]:
    """The settings of every kind of teacher that a configuration may ask for, by the kind."""
    kinds = get_args(RunConfig.model_fields["teacher"].annotation)
    by_name = {kind.model_fields["kind"].default: kind for kind in kinds}
    return {"auto": by_name.pop("auto"), **by_name}


def _nested(name: str, kind: type[Settings], preset: Settings) -> list[str]:
    """The stage's own table, and those of the stages in it."""
    parts = [_stage(f"## [{name}]", kind, preset)]
    for key, field in kind.model_fields.items():
        if isinstance(field.default, Settings):
            parts += _nested(f"{name}.{key}", type(field.default), getattr(preset, key))
    return parts


def _stage(heading: str, kind: type[Settings], preset: Settings | None = None) -> str:
    """A stage's table; where the default preset says otherwise than the class, both are told."""
    meanings: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, Settings) and base is not Settings:
            meanings |= _field_docstrings(base)
    lines = [heading, "", "| key | default | meaning |", "|---|---|---|"]
    for key, field in kind.model_fields.items():
        if not isinstance(field.default, Settings):
            default = "must be given"
            if not field.is_required():
                value = field.get_default(call_default_factory=True)
                default = f"`{value}`"
                if preset is not None and getattr(preset, key) != value:
                    default += f"; in the preset `default`: `{getattr(preset, key)}`"
            meaning = f"{_values(field.annotation)} {meanings.get(key, '')}".strip()
            lines.append(f"| `{key}` | {default} | {meaning} |")
    return "\n".join(lines)


def _values(annotation: Any) -> str:  # noqa: ANN401 - a type, as written
    """The values that a setting may have, where these are a few words."""
    if get_origin(annotation) is Union or get_origin(annotation) is UnionType:
        (annotation, *_) = (each for each in get_args(annotation) if each is not type(None))
    if get_origin(annotation) is not Literal or len(get_args(annotation)) == 1:
        return ""
    return ", ".join(f"`{value}`" for value in get_args(annotation)) + "."


def _field_docstrings(kind: type) -> dict[str, str]:
    """The string under each annotated field of a class."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    found = {}
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    for field, below in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found
