"""The program as a whole: help, exit codes, and no traceback for whatever users do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import polars as pl
import pytest

from lightrec.cli import main

COMMANDS = [
    "demo",
    "split",
    "train",
    "compress",
    "evaluate",
    "recommend",
    "score",
    "similar",
    "explain",
    "update",
    "diff",
    "verify",
    "data",
    "inspect",
    "bench",
    "experiment",
    "report",
]
PROGRAM = [sys.executable, "-c", "from lightrec.cli.entry import run; run()"]


def process(*words, program=PROGRAM, **changes):
    """Runs the program in a process of its own."""
    environment = {**os.environ, "LIGHTREC_TRACEBACK": "0", **changes}
    return subprocess.run(
        [*program, *map(str, words)], capture_output=True, text=True, check=False, env=environment
    )


def test_help_is_fast_and_loads_nothing_heavy():
    loaded = process(
        "--help",
        program=[
            sys.executable,
            "-c",
            "import sys\nfrom lightrec.cli.main import run\n"
            "try: run()\nexcept SystemExit: sys.stderr.write(' '.join(sys.modules))",
        ],
    )
    assert "recommend" in loaded.stdout
    assert not {"torch", "polars", "numpy", "pydantic", "scipy"} & set(loaded.stderr.split())
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        process("--help")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1.0  # 0.15 s when nothing else runs


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_with_two_examples(cli, command):
    outcome = cli(command, "--help")
    assert outcome.code == 0
    text = outcome.out.split("Examples:")[1]
    assert text.count(f"lightrec {command}") >= 2
    assert cli(command, "-h") == outcome


def test_the_list_of_commands_is_complete(cli):
    listed = cli("--help").out
    assert all(f" {command} " in listed for command in COMMANDS)


def test_version(cli):
    assert cli("--version").out == "lightrec 0.1.0\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "nonsense"),
        (["train", "x.csv"], "--out"),
        (["recommend"], "MODEL"),
        (["recommend", "m", "-k", "many"], "-k"),
        (["split", "x.csv", "--out", "d", "--by", "moon"], "--by"),
        (["inspect", "m", "--colour"], "--colour"),
    ],
)
def test_wrong_usage_exits_with_2_and_one_line(refused, words, said):
    assert said in refused(2, *words)


def test_no_command_at_all_shows_the_help(cli):
    outcome = cli()
    assert outcome.code == 2
    assert "recommend" in outcome.out + outcome.err
    assert outcome.err.splitlines()[-1] == "lightrec: error: name a command"


def test_usage_errors_name_the_help(refused):
    assert refused(2, "train", "x.csv").endswith("see lightrec train --help")


def test_failures_in_a_real_process_have_no_traceback(tmp_path):
    ran = process("inspect", tmp_path / "nowhere")
    assert ran.returncode == 4
    assert ran.stdout == ""
    assert ran.stderr.startswith("lightrec: error: ")
    assert "Traceback" not in ran.stderr


def test_traceback_on_demand(tmp_path):
    ran = process("inspect", tmp_path / "nowhere", LIGHTREC_TRACEBACK="1")
    assert "Traceback" in ran.stderr
    assert "ArtifactError" in ran.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (PermissionError(13, "Permission denied", "a.csv"), 1, "a.csv: Permission denied"),
        (MemoryError(), 1, "not enough memory"),
        (ZeroDivisionError("division"), 70, "ZeroDivisionError: division (unexpected"),
    ],
)
def test_other_errors_are_one_line_too(refused, monkeypatch, error, code, said):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(main, "app", fail)
    assert said in refused(code)


def test_missing_torch_names_the_extra(ratings, tmp_path):
    ran = process(
        "train",
        ratings,
        "--out",
        tmp_path / "m",
        program=[
            sys.executable,
            "-c",
            "import sys; sys.modules['torch'] = None\nfrom lightrec.cli.main import run; run()",
        ],
    )
    assert ran.returncode == 2
    assert "pip install 'lightrec[train]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_reader_that_stops_early_is_no_error(model_folder):
    command = subprocess.Popen(
        [*PROGRAM, "recommend", model_folder, "--json", *["--user=u1"] * 2000],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    command.stdout.readline()
    command.stdout.close()
    assert command.stderr.read() == ""
    command.stderr.close()
    assert command.wait() in (0, 1)


def test_a_terminal_without_utf8_gets_escapes(model, tmp_path):
    columns = model.item_columns.with_columns(title=pl.lit("Été 😀"))
    replace(model, item_columns=columns).save(tmp_path / "m")
    words = ("recommend", tmp_path / "m", "--user=u1", "-k1")
    shown = process(*words, PYTHONIOENCODING="ascii")
    assert "\\xc9t\\xe9 \\U0001f600" in shown.stdout
    line = process(*words, "--json", PYTHONIOENCODING="ascii").stdout
    assert json.loads(line)["items"][0]["title"] == "Été 😀"


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ("kind = 'bpr'\nepochs = 100000\nevaluate_every = 100000", "run the same command again"),
        ("kind = 'ials'\nsweeps = 100000\npatience = 100000", "run the same command again"),
        ("widths = [1024]\nbudget_minutes = 1e9", "interrupted"),  # of a choice nothing is kept
    ],
    ids=["bpr", "ials", "auto"],
)
def test_an_interrupted_training_says_how_to_go_on(ratings, tmp_path, teacher, said):
    config = tmp_path / "long.toml"
    config.write_text(f"[teacher]\n{teacher}\n[codes]\nnum_codewords = 16\n")
    log = tmp_path / "m.run" / "metrics.jsonl"
    words = ["train", ratings, "--out", tmp_path / "m", "--config", config]
    command = subprocess.Popen(
        [*PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 60
    while not (log.exists() and log.stat().st_size) and time.monotonic() < until:
        time.sleep(0.1)
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=60)
    assert command.returncode == 130
    (error,) = [line for line in err.splitlines() if not line.startswith("Choosing the teacher ")]
    assert error.startswith("lightrec: error: ")
    assert said in error
    assert not (tmp_path / "m").exists()


def test_an_interrupt_while_the_program_loads_is_one_line():
    program = """
        import sys
        from lightrec.cli import entry

        class Interrupting:
            def find_spec(self, name, path=None, target=None):
                if name == "lightrec.cli.main":
                    raise KeyboardInterrupt

        sys.meta_path.insert(0, Interrupting())
        entry.run()
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr == "lightrec: error: interrupted\n"
