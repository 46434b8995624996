"""docs/updates.md does what it says, on a model as large as that of `lightrec demo`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import lightrec
from lightrec.cli.main import run
from lightrec.codes.additive_quantization import AdditiveQuantizationConfig
from lightrec.codes.ranking_metric import RankingMetricConfig
from lightrec.compress import CompressConfig

PAGE = Path(__file__).resolve().parent.parent / "docs" / "updates.md"
BLOCK = re.compile(
    r"(?:<!-- file: (?P<file>\S+) -->\n)?^```(?P<kind>[a-z]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
BLOCKS = [found.groupdict() for found in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


@pytest.fixture
def shop(tmp_path):
    """A folder with a model of 12,000 books and some readers."""
    rng = np.random.default_rng(0)
    users = rng.normal(size=(300, 4)).astype(np.float32)
    items = rng.normal(size=(12_000, 4)).astype(np.float32)
    reads = rng.integers((300, 12_000), size=(3_000, 2))
    model = lightrec.compress(
        items,
        users,
        item_ids=[f"b{row:05d}" for row in range(12_000)],
        user_ids=[f"u{row:04d}" for row in range(300)],
        interactions={
            "user_id": [f"u{row:04d}" for row in reads[:, 0]],
            "item_id": [f"b{row:05d}" for row in reads[:, 1]],
        },
        config=CompressConfig(
            codes=AdditiveQuantizationConfig(num_codewords=32, rounds=1, beam=4),
            ranking=RankingMetricConfig(rounds=1, cells=8, beam=2),
        ),
    )
    model.save(tmp_path / "shop" / "model")
    return tmp_path


def test_the_page_does_what_it_says(shop, monkeypatch, capsys) -> None:
    monkeypatch.chdir(shop)
    printed, compared = "", 0
    for block in BLOCKS:
        if block["file"]:
            Path(block["file"]).write_text(block["text"], encoding="utf-8")
        elif block["kind"] == "sh":
            for line in block["text"].splitlines():
                with pytest.raises(SystemExit) as ended:
                    run(shlex.split(line)[1:])
                assert not ended.value.code, line
            printed = capsys.readouterr().out
        elif block["kind"] == "text":
            missing = [line for line in block["text"].splitlines() if line not in printed]
            assert not missing, printed
            compared += 1
        else:
            exec(compile(block["text"], str(PAGE), "exec"), {})
    assert compared == 2
