from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lightrec.experiments import provenance
from lightrec.experiments.provenance import (
    kernel_closure,
    project_root,
    source_digest,
    sources_of,
)


def included_by(file: Path) -> set[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return {line.split('"')[1] for line in lines if line.startswith('#include "')}


@pytest.mark.parametrize("experiment", ["main_path", "best", "training_study", "updates"])
def test_what_a_ranking_kernel_includes_counts(experiment: str) -> None:
    kernels = [part for part in sources_of(experiment) if part.startswith("native/")]
    counted = {file for part in kernels for file in project_root().glob(part)}
    assert project_root() / "native" / "score_every_item.cpp" in counted  # picks candidates
    for file in counted:
        for header in included_by(file):
            assert project_root() / "native" / header in counted, f"{file.name} includes {header}"


def test_a_change_of_an_included_file_changes_the_digest(tmp_path, monkeypatch) -> None:
    shutil.copytree(project_root() / "native", tmp_path / "native")
    monkeypatch.setattr(provenance, "project_root", lambda: tmp_path)
    before = source_digest(sources_of("main_path"))
    for name, counts in (
        ("k_best.cpp", True),
        ("float_order.hpp", True),
        ("bound_scan.cpp", False),
    ):
        file = tmp_path / "native" / name
        kept = file.read_text(encoding="utf-8")
        file.write_text(kept + "// changed\n", encoding="utf-8")
        assert (source_digest(sources_of("main_path")) != before) == counts, name
        file.write_text(kept, encoding="utf-8")
    assert source_digest(sources_of("main_path")) == before


def test_includes_are_followed_through_headers_and_their_sources(tmp_path, monkeypatch) -> None:
    native = tmp_path / "native"
    native.mkdir()
    for name, text in {
        "a.cpp": '#include "a.hpp"\n\n#include <vector>\n',
        "a.hpp": '#pragma once\n#include "b.hpp"\n',
        "b.hpp": '#include "a.hpp"\n',
        "b.cpp": '#include "b.hpp"\n#if X\n#include "c.hpp"\n#endif\n',
        "c.hpp": "",
        "beside.cpp": '#include "a.hpp"\n',
    }.items():
        (native / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(provenance, "project_root", lambda: tmp_path)
    assert kernel_closure(["a"]) == ("native/a.*", "native/b.*", "native/c.*")
    assert kernel_closure(["c", "beside"]) == kernel_closure(["beside", "c"])
    assert kernel_closure(["c"]) == ("native/c.*",)
