"""The page of settings, from the configuration classes and what they say about their fields."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import get_args

from lightrec.encoder.student_config import StudentConfig
from lightrec.run_config import RunConfig
from lightrec.settings import Settings


def settings_table() -> str:
    """A table for each stage and for each kind of teacher: key, default and meaning."""
    parts = [_stage("## Top level", RunConfig)]
    for name, field in RunConfig.model_fields.items():
        if name == "teacher":
            for kind, settings in teacher_kinds().items():
                parts.append(_stage(f'## [teacher] with kind = "{kind}"', settings))
        elif name == "student":
            parts.append(_stage("## [student]", StudentConfig))
        elif isinstance(field.default, Settings):
            parts += _nested(name, type(field.default))
    return "\n\n".join(parts)


def teacher_kinds() -> dict[str, type[Settings]]:
    """The settings of every kind of teacher that a configuration may ask for, by the kind."""
    kinds = get_args(RunConfig.model_fields["teacher"].annotation)
    by_name = {kind.model_fields["kind"].default: kind for kind in kinds}
    return {"auto": by_name.pop("auto"), **by_name}


def _nested(name: str, kind: type[Settings]) -> list[str]:
    """The stage's own table, and those of the stages in it."""
    parts = [_stage(f"## [{name}]", kind)]
    for key, field in kind.model_fields.items():
        if isinstance(field.default, Settings):
            parts += _nested(f"{name}.{key}", type(field.default))
    return parts


def _stage(heading: str, kind: type[Settings]) -> str:
    meanings: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, Settings) and base is not Settings:
            meanings |= _field_docstrings(base)
    lines = [heading, "", "| key | default | meaning |", "|---|---|---|"]
    for key, field in kind.model_fields.items():
        if not isinstance(field.default, Settings):
            default = (
                "must be given"
                if field.is_required()
                else f"`{field.get_default(call_default_factory=True)}`"
            )
            lines.append(f"| `{key}` | {default} | {meanings.get(key, '')} |")
    return "\n".join(lines)


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
