"""Every command and every block of code in README.md and docs/ does what it says."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from lightrec.codes.item_codes import ItemCodes
from lightrec.interactions import synthetic_catalogue
from tests.documents.pages import ROOT, Page

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


def test_no_page_is_left_out():
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    with_code = {
        str(file.relative_to(ROOT))
        for file in documents
        if "```python\n" in (text := file.read_text(encoding="utf-8")) or "```sh" in text
    }
    assert with_code == {page.name for page in PAGES}
