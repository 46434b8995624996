"""The page of settings, from the configuration classes and what they say about their fields."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise

from lightrec.run_config import RunConfig
from lightrec.settings import Settings


def settings_table() -> str:
    """A table for each stage: key, default and meaning."""
    parts = [_stage("run", RunConfig)]
    for name, field in RunConfig.model_fields.items():
        if isinstance(field.default, Settings):
            parts.append(_stage(name, type(field.default)))
    return "\n\n".join(parts)


def _stage(name: str, kind: type[Settings]) -> str:
    meanings: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, Settings) and base is not Settings:
            meanings |= _field_docstrings(base)
    heading = "## Top level" if name == "run" else f"## [{name}]"
    lines = [heading, "", "| key | default | meaning |", "|---|---|---|"]
    for key, field in kind.model_fields.items():
        if not isinstance(field.default, Settings):
            lines.append(f"| `{key}` | `{field.default}` | {meanings.get(key, '')} |")
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
