"""docs/data.md names the formats, the data sets and the messages that there are."""

from __future__ import annotations

import re
from typing import get_args

from lightrec.downloads.sources import DATA_SOURCES
from lightrec.interactions.file_formats import FileFormat
from tests.documents.pages import ROOT

TEXT = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


def test_data_sets_that_it_gets_exist() -> None:
    named = re.findall(r"(?:data get|data list|--data) ([a-z][\w-]+)", TEXT)
    assert named
    assert set(named) <= set(DATA_SOURCES)


def test_every_format_that_is_named_exists() -> None:
    listed = TEXT.split("`--format` (")[1].split(")")[0]
    assert re.findall(r"`(\w+)`", listed) == list(get_args(FileFormat))


def test_messages_of_the_table_are_those_of_the_code() -> None:
    table = TEXT.split("| the message says |")[1].split("\n\n")[0]
    said = re.findall(r"^\| `([^`]+)` \|", table, flags=re.MULTILINE)
    assert len(said) >= 7
    folder = ROOT / "src" / "lightrec" / "interactions"
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    joined = re.sub(r'"\s*f?"', "", code)  # messages run over several lines
    for message in said:
        for part in re.split(r"\b\d+\b|item_id", message):  # what the code fills in
            assert part.strip() in joined, message
