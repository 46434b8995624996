"""Every command and every block of code in README.md and docs/ does what it says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lightrec.codes.item_codes import ItemCodes
from lightrec.interactions import synthetic_catalogue
from tests.documents.pages import REMOTE, ROOT, Page

RNG = np.random.default_rng(0)
SEARCHED = {
    "item_codes": ItemCodes(
        RNG.integers(0, 256, (3_000, 4)).astype(np.uint8),
        RNG.normal(size=(4, 256, 8)).astype(np.float32),
    ),
    "query": RNG.normal(size=8).astype(np.float32),
    "items": RNG.normal(size=(3_000, 8)).astype(np.float32),
    "histories": [np.array([7, 9], np.int32), np.array([11], np.int32)],
}
TRAINED = {
    "df": pl.concat(
        [
            synthetic_catalogue(300, 1_000, 1).interactions,
            pl.DataFrame(
                {"user_id": ["u001", "u002"], "item_id": ["i7", "i9"], "timestamp": [1, 1]}
            ),
        ]
    ).with_columns(pl.col("user_id").str.replace("^u0+", "u")),
    "queries": RNG.normal(size=(2, 16)).astype(np.float32),
}
PAGES = [
    Page("README.md", "films", TRAINED),
    Page("docs/getting-started.md", "books"),
    Page("docs/data.md", "empty"),
    Page("docs/updates.md", "nightly"),
    Page("docs/model-folder.md", "shop"),
    Page("docs/evaluation.md", "empty"),
    Page("docs/memory.md", "shop"),
    Page("docs/faq.md", "shop"),
    Page("docs/users.md", "empty", SEARCHED),
    Page("docs/search.md", "empty", SEARCHED),
    Page("docs/training.md", "empty"),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_does_what_it_says(page, request, capsys):
    request.getfixturevalue(page.setting)
    capsys.readouterr()
    assert page.run(capsys)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder that `ssh` and `rsync` take for another machine."""
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    if subprocess.run(["mv", "--exchange", "--help"], capture_output=True, check=False).returncode:
        pytest.skip("mv knows no --exchange: it came with GNU coreutils 9.5")
    home, programs = tmp_path / "home of the server", tmp_path / "programs"
    for folder in (home, programs):
        folder.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(f'#!/bin/sh\n[ "$1" = server ] && shift && cd "{home}" && exec sh -c "$*"\n')
    ssh.chmod(0o755)
    path = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(path))
    return home


def test_a_model_is_copied_to_a_server(server, shop):
    shutil.copytree("shop/model", server / "models" / "model")
    (server / "models" / "model" / "README.md").write_text("the old one", encoding="utf-8")
    (commands,) = Page("docs/model-folder.md", "shop").blocks(REMOTE)
    subprocess.run(["sh", "-e", "-c", commands], check=True)
    assert [path.name for path in (server / "models").iterdir()] == ["model"]
    copied = {path.name: path.read_bytes() for path in (server / "models" / "model").iterdir()}
    assert copied == {path.name: path.read_bytes() for path in Path("shop/model").iterdir()}


def test_no_page_is_left_out():
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    with_code = {
        str(file.relative_to(ROOT))
        for file in documents
        if "```python\n" in (text := file.read_text(encoding="utf-8")) or "```sh" in text
    }
    assert with_code == {page.name for page in PAGES}
