"""The documents say what the code does: equations, tree, recorded numbers."""

import ast
import re
from pathlib import Path

import pytest

from lightrec.experiments.report import render
from lightrec.experiments.source_tree import source_tree

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "lightrec"


def defined_names(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def equation_rows() -> list[tuple[str, str]]:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    table = text.split("### Equation → file and function")[1].split("###")[0]
    return re.findall(r"^\| (Eq[^|]+?) \|[^|]+\| ([^|]+) \|$", table, flags=re.MULTILINE)


def test_every_equation_of_the_method_is_in_the_table():
    numbers = {int(n) for equation, _ in equation_rows() for n in re.findall(r"\d+", equation)}
    assert numbers == set(range(1, 12))


@pytest.mark.parametrize(("equation", "places"), equation_rows())
def test_the_table_names_functions_that_exist(equation, places):
    for place in places.split(";"):
        file, *names = re.findall(r"`([^`]+)`", place)
        assert names, f"{equation}: {place} names no function"
        assert set(names) <= defined_names(PACKAGE / file), f"{equation}: {place}"


def test_every_source_file_says_what_it_is():
    silent = [
        line.strip()
        for line in source_tree(ROOT).splitlines()
        if re.fullmatch(r"\s+\S+\.(py|hpp|toml)", line.rstrip())
    ]
    assert not silent


def test_tables_in_the_documents_are_current():
    assert render(ROOT, check=True).changed == ()


def test_rendering_twice_changes_nothing(tmp_path):
    (tmp_path / "README.md").write_text(
        "before\n<!-- table: tree -->\nold\n<!-- end table -->\nafter\n", encoding="utf-8"
    )
    for folder in ("src/lightrec", "native"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "src/lightrec/one.py").write_text('"""Does one thing. And says so."""\n')
    assert render(tmp_path).changed == (tmp_path / "README.md",)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "Does one thing" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert render(tmp_path).changed == ()
