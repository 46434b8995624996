"""docs/data.md does what it says: its files are written, its commands and code are run.

A block after `<!-- file: NAME -->` is that file. A block `sh` is run line by line; `sh fails` has
to end with errors, and `sh connected` is only checked for sets that exist. A block `python` is
executed. The lines of a `text` block have to be in what the block before printed, in their order.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from lightrec.cli.main import run
from lightrec.downloads.sources import DATA_SOURCES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "data.md"
BLOCK = re.compile(
    r"(?:<!-- file: (?P<file>\S+) -->\n)?^```(?P<kind>[a-z ]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
BLOCKS = [found.groupdict() for found in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def command(line: str, capsys: pytest.CaptureFixture[str], *, fails: bool) -> str:
    program, *words = shlex.split(line)
    assert program == "lightrec"
    with pytest.raises(SystemExit) as ended:
        run(words)
    assert bool(ended.value.code) == fails, line
    printed = capsys.readouterr()
    return printed.err if fails else printed.out


def run_block(block: dict[str, str], capsys: pytest.CaptureFixture[str]) -> str:
    kind, text = block["kind"], block["text"]
    if kind in ("sh", "sh fails"):
        return "".join(command(one, capsys, fails=kind != "sh") for one in text.splitlines())
    if kind == "sh connected":
        named = re.findall(r"(?:data get|--data) (\S+)", text)
        assert named
        assert set(named) <= set(DATA_SOURCES)
        return ""
    assert kind == "python", kind
    exec(compile(text, str(PAGE), "exec"), {})
    return capsys.readouterr().out


def test_the_page_does_what_it_says(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIGHTREC_DATA", raising=False)
    printed, compared = "", 0
    for block in BLOCKS:
        if block["file"]:
            Path(block["file"]).write_text(block["text"], encoding="utf-8")
        elif block["kind"] == "text":
            assert printed, block["text"]
            rest = printed.splitlines()
            for line in block["text"].splitlines():
                assert line in rest, f"{line!r} is not in, or not in this order:\n{printed}"
                rest = rest[rest.index(line) + 1 :]
            printed, compared = "", compared + 1
        else:
            printed = run_block(block, capsys)
    assert compared >= 12


def test_every_format_that_is_named_exists() -> None:
    from typing import get_args

    from lightrec.interactions.file_formats import FileFormat

    listed = PAGE.read_text(encoding="utf-8").split("`--format` (")[1].split(")")[0]
    assert re.findall(r"`(\w+)`", listed) == list(get_args(FileFormat))


def test_messages_of_the_table_are_those_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    table = page.split("| the message says |")[1].split("\n\n")[0]
    said = re.findall(r"^\| `([^`]+)` \|", table, flags=re.MULTILINE)
    assert len(said) >= 7
    folder = PAGE.parent.parent / "src" / "lightrec" / "interactions"
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    joined = re.sub(r'"\s*f?"', "", code)  # messages run over several lines
    for message in said:
        for part in re.split(r"\b\d+\b|item_id", message):  # what the code fills in
            assert part.strip() in joined, message
