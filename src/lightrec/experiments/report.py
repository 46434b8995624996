"""Puts the recorded results into the documents.

A document asks for a table by a pair of comments:

    <!-- table: main_path -->
    <!-- end table -->

Everything between them is rendered: tables from result files, `demo` from recorded output, `tree`
from the source. Under a table stands how many of its rows are older than their sources. `--check`
only says whether all is current.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lightrec.durable_files import read_json, write_file
from lightrec.errors import InputError
from lightrec.experiments.figures import draw_budgets, draw_scaling
from lightrec.experiments.provenance import BENCHMARKS, project_root, source_digest, sources_of
from lightrec.experiments.result_tables import PARTS, TABLES
from lightrec.experiments.source_tree import source_tree

OUTPUTS = {"demo": "lightrec demo | tee experiments/results/demo.txt"}
"""Terminal output that documents show, with the command that records it again."""
FIGURES = {
    "budgets.svg": ("budgets", draw_budgets),
    "scaling.svg": ("scaling", draw_scaling),
}
"""Drawings in docs/figures: their result files and what draws them."""
PLACE = re.compile(r"(<!-- table: (?P<name>\w+) -->\n).*?(<!-- end table -->)", re.DOTALL)


@dataclass(frozen=True)
class Report:
    """What rendering did or, with `check`, would do.

    Attributes:
        rendered: Documents that hold tables.
        changed: Those whose tables were not current.
    """

    rendered: tuple[Path, ...]
    changed: tuple[Path, ...]


def render(root: Path | None = None, *, check: bool = False) -> Report:
    """Renders every table in README.md and docs/.

    Args:
        root: Of the checkout.
        check: Changes nothing.

    Raises:
        InputError: A document asks for a table that does not exist, or has no result file yet.
    """
    root = root or project_root()
    documents = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    rendered, changed = [], []
    for document in documents:
        if not document.exists():
            continue
        text = document.read_text(encoding="utf-8")
        fresh = _filled(text, root, document.name)
        if PLACE.search(text):
            rendered.append(document)
        if fresh != text:
            changed.append(document)
            if not check:
                write_file(document, fresh.encode())
    return Report(tuple(rendered), tuple(changed))


def draw(root: Path | None = None) -> tuple[Path, ...]:
    """Draws the figures whose result files are there.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    root = root or project_root()
    drawn = []
    for name, (results, figure) in FIGURES.items():
        content = _results(root, results)
        if content.exists():
            file = root / "docs" / "figures" / name
            figure(read_json(content), file)
            drawn.append(file)
    return tuple(drawn)


def _filled(text: str, root: Path, document: str) -> str:
    """The document's text with every table rendered anew."""
    return PLACE.sub(
        lambda found: f"{found[1]}{_table(found['name'], root, document)}\n{found[3]}", text
    )


def _table(name: str, root: Path, document: str) -> str:
    if name == "tree":
        return source_tree(root)
    if name == "settings":
        from lightrec.experiments.settings_table import settings_table  # loads torch

        return settings_table()
    if name in OUTPUTS:
        output = root / "experiments" / "results" / f"{name}.txt"
        if not output.exists():
            raise InputError(f"{document}: {output} is not there yet; run: {OUTPUTS[name]}")
        return f"```\n{output.read_text(encoding='utf-8').strip()}\n```"
    if name not in TABLES:
        raise InputError(f"{document}: there is no table {name!r}; there are {', '.join(TABLES)}")
    file, table = TABLES[name]
    experiment = file.removesuffix(".json")
    results = _results(root, experiment)
    if not results.exists():
        raise InputError(f"{document}: {results} is not there yet; run its experiment")
    content = PARTS.get(name, dict)(read_json(results))
    now = source_digest(sources_of(experiment))
    old = sum(row.get("source_digest") != now for row in content["rows"])
    note = (
        f"\n\n*{old} of {len(content['rows'])} rows are older than the last change of a file that "
        "they may depend on.*"
    )
    return table(content) + (note if old else "")


def _results(root: Path, experiment: str) -> Path:
    folder = "benchmarks" if experiment in BENCHMARKS else "experiments"
    return root / folder / "results" / f"{experiment}.json"
