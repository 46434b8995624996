"""The pages of README.md and docs/, and what running one means.

A block after `<!-- file: NAME -->` is that file. A block `sh` is run line by line, and has to end
well; `sh fails` has to end with errors; of `sh parsed` only the options are read; `sh remote` needs
a server, and has a test of its own. A block `python` is executed, in the names that the blocks
before it left. The lines of a `text` block have to be in what the block before printed, in their
order.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main

from lightrec.cli.main import app, run

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(
    r"(?:<!-- file: (?P<file>\S+) -->\n)?^```(?P<kind>[a-z ]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)

REMOTE = "sh remote"


@dataclass(frozen=True)
class Page:
    """A page, relative to the checkout.

    Attributes:
        name: Its file.
        setting: The fixture that puts its data into the folder where it is run.
        named: Names that its code may use.
    """

    name: str
    setting: str
    named: Mapping[str, Any] | None = None

    @property
    def text(self) -> str:
        """What it says."""
        return (ROOT / self.name).read_text(encoding="utf-8")

    def blocks(self, kind: str) -> list[str]:
        """The texts of its blocks of one kind."""
        return [found["text"] for found in _BLOCK.finditer(self.text) if found["kind"] == kind]

    def run(self, capsys: pytest.CaptureFixture[str]) -> int:
        """Does what the page says, in the present folder; returns how many blocks were run."""
        printed, ran = "", 0
        names = dict(self.named or {})
        for found in _BLOCK.finditer(self.text):
            block = found.groupdict()
            if block["file"]:
                Path(block["file"]).write_text(block["text"], encoding="utf-8")
                if block["file"].endswith(".py"):
                    exec(compile(block["text"], self.name, "exec"), {})
            elif block["kind"] == "text":
                _compare(block["text"], printed)
            elif block["kind"] not in ("", REMOTE):  # a block of no kind is rendered, not written
                printed = self._printed(block["kind"], block["text"], names, capsys)
                ran += 1
        return ran

    def _printed(
        self, kind: str, text: str, names: dict[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> str:
        if kind == "python":
            exec(compile(text, self.name, "exec"), names)
            return capsys.readouterr().out
        lines = [shlex.split(line, comments=True) for line in text.splitlines()]
        lines = [words[1:] if "=" in words[0] else words for words in lines]  # NAME=VALUE first
        assert all(words[0] == "lightrec" for words in lines), lines
        if kind == "sh parsed":
            for words in lines:
                _parse(words[1:])
            return ""
        assert kind in ("sh", "sh fails"), kind
        return "".join(self._ended(words[1:], capsys, fails=kind != "sh") for words in lines)

    @staticmethod
    def _ended(words: list[str], capsys: pytest.CaptureFixture[str], *, fails: bool) -> str:
        with pytest.raises(SystemExit) as ended:
            run(words)
        printed = capsys.readouterr()
        assert bool(ended.value.code) == fails, f"{words}: {printed.err}"
        return printed.err if fails else printed.out


def _parse(words: list[str]) -> None:
    """Reads a command line without running it."""
    program: Any = typer.main.get_command(app)
    name, rest = words[0], words[1:]
    while True:
        program = program.get_command(None, name)
        assert program is not None, words
        if not hasattr(program, "get_command"):
            break
        name, *rest = rest
    parser = program.make_parser(program.context_class(program))
    parser.parse_args(rest)


def _compare(expected: str, printed: str) -> None:
    assert printed, expected
    rest = printed.splitlines()
    for line in expected.splitlines():
        assert line in rest, f"{line!r} is not in, or not in this order:\n{printed}"
        rest = rest[rest.index(line) + 1 :]
