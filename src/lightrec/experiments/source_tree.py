"""The tree in docs/design.md: every source file with the first sentence of what it says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

WIDTH = 132  # of a line in the tree


def source_tree(root: Path) -> str:
    """A code block with one line for each file of the package and of the kernels.

    Args:
        root: Of the checkout.
    """
    lines = ["```"]
    for title, folder in (("src/lightrec/", "src/lightrec"), ("native/", "native")):
        lines.append(title)
        lines += _folder(root / folder, "  ")
    return "\n".join([*lines, "```"])


def _folder(folder: Path, indent: str) -> Iterator[str]:
    entries = sorted(folder.iterdir(), key=lambda entry: (entry.is_dir(), entry.name))
    files = [e for e in entries if e.suffix in {".py", ".cpp", ".hpp", ".toml"}]
    for file in files:
        if file.name != "__init__.py":
            yield _line(f"{indent}{file.name}", _first_sentence(file))
    for inner in entries:
        if inner.is_dir() and (inner / "__init__.py").exists():
            yield _line(f"{indent}{inner.name}/", _first_sentence(inner / "__init__.py"))
            yield from _folder(inner, indent + "  ")


def _line(name: str, about: str) -> str:
    line = f"{name:<34} {about}".rstrip()
    return line if len(line) <= WIDTH else line[: WIDTH - 2].rstrip() + " …"


def _first_sentence(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        about = ast.get_docstring(ast.parse(text)) or ""
    else:
        comments = []
        for line in text.splitlines():
            if not line.startswith(("//", "#")) or line.startswith(("#pragma", "#include")):
                break
            comments.append(line.lstrip("/# "))
        about = " ".join(comments)
    sentence = " ".join(about.split("\n\n")[0].split())
    return re.split(r"(?<!Eq)\. ", sentence)[0].rstrip(".")
