"""Puts a fault into the code for the length of a test, by changing a function's text."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
from typing import Any

PACKAGE = "lightrec."
CHECKS = ("checks", "content_checks", "kept_things", "sharing_checks")


def seed(monkeypatch: Any, where: str, *changes: tuple[str, str]) -> None:
    """Replaces text in a function or method, wherever the package has it by name.

    Args:
        monkeypatch: Takes the fault out again.
        where: Module and function below `lightrec`, such as `artifact.load:load_model`.
        changes: What is replaced by what; has to be there exactly once.
    """
    module, owner, name, text = _found(where)
    for old, new in changes:
        assert text.count(old) == 1, f"{where} no longer says {old!r} once; seed it anew"
        text = text.replace(old, new)
    _put(monkeypatch, module, owner, name, text)


def statements(where: str, calls: set[str]) -> list[str]:
    """The statements of a function that are nothing but a call of one of these, as text."""
    found = []
    for node in ast.walk(ast.parse(_found(where)[3])):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            function = node.value.func
            if isinstance(function, ast.Name) and function.id in calls:
                found.append(ast.unparse(node))
    return found


def seed_without(monkeypatch: Any, where: str, statement: str) -> None:
    """Drops a statement that `statements` has found."""
    module, owner, name, text = _found(where)

    class Drop(ast.NodeTransformer):
        def visit_Expr(self, node: ast.Expr) -> ast.stmt:
            return ast.Pass() if ast.unparse(node) == statement else node

    tree = ast.fix_missing_locations(Drop().visit(ast.parse(text)))
    _put(monkeypatch, module, owner, name, ast.unparse(tree))


def _found(where: str) -> tuple[Any, Any, str, str]:
    """Module, class or module that has it, name and text of a function."""
    path, _, function = where.partition(":")
    module = importlib.import_module(PACKAGE + path)
    *classes, name = function.split(".")
    owner: Any = module
    for each in classes:
        owner = getattr(owner, each)
    text = textwrap.dedent(inspect.getsource(getattr(owner, name)))
    return module, owner, name, text


def _put(monkeypatch: Any, module: Any, owner: Any, name: str, text: str) -> None:
    original = inspect.getattr_static(owner, name)
    made: dict[str, Any] = {}
    flags = annotations.compiler_flag  # as the package's modules: `from __future__ import …`
    code = compile(text, f"<seeded {name}>", "exec", flags, dont_inherit=True)
    exec(code, module.__dict__, made)
    if owner is not module:
        monkeypatch.setattr(owner, name, made[name])
        return
    for each in list(sys.modules.values()):
        if getattr(each, "__name__", "").startswith((PACKAGE, *CHECKS)):
            for alias, value in list(vars(each).items()):
                if value is original:
                    monkeypatch.setattr(each, alias, made[name])
