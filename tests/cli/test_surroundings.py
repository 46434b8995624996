"""The program where its surroundings are at fault: pipes, disks, permissions, signals, names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lightrec import errors
from lightrec.cli import main

PROGRAM = "from lightrec.cli.main import run; run()"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "errors.md"


def started(*words, code=PROGRAM, before=(), **options) -> subprocess.Popen:
    """The program in a process of its own, with every output to be read."""
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    command = [*before, sys.executable, "-c", code, *map(os.fspath, words)]
    return subprocess.Popen(command, **settings)


def ended(*words, **options) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a run."""
    with started(*words, **options) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def one_line(err: str) -> str:
    """The one line of an error."""
    assert "Traceback" not in err
    (line,) = err.splitlines()
    assert line.startswith("lightrec: error: ")
    return line


def test_the_document_lists_every_exit_code():
    rows = re.findall(r"^\| (\d+) \|(.*?)\|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    told = {name: int(code) for code, names in rows for name in re.findall(r"`(\w+)`", names)}
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    family = {each for each in classes if issubclass(each, errors.LightRecError)}
    assert told == {each.__name__: each.exit_code for each in family}
    codes = {int(code) for code, _ in rows}
    assert codes - set(told.values()) == {0, main.UNEXPECTED}
    assert told["InterruptedRunError"] == main.INTERRUPTED


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output(model_folder, unbuffered):
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        code, _, err = ended("inspect", model_folder, stdout=full, env=environment)
    assert code == 1
    assert one_line(err).endswith("standard output: No space left on device")


def test_the_exit_code_stays_where_nothing_can_be_said(tmp_path):
    with open("/dev/full", "w") as full:
        code, _, _ = ended("inspect", tmp_path / "nowhere", stdout=full, stderr=full)
    assert code == 4


def test_nobody_listens(model_folder):
    shell = f'"{sys.executable}" -c "{PROGRAM}" recommend "{model_folder}" --user u1'
    for redirected in (">&-", ">&- 2>&-"):
        ran = subprocess.run(f"{shell} {redirected}", shell=True, capture_output=True, text=True)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_a_reader_that_reads_nothing(model_folder):
    for words in (["recommend", model_folder, "--user=u1"], ["--help"]):
        reading, writing = os.pipe()
        os.close(reading)  # before the first letter, unlike `head`
        code, _, err = ended(*words, stdout=writing)
        os.close(writing)
        assert (code, err) == (0, "")


def test_control_c_while_a_command_works(model_folder, tmp_path):
    vectors = tmp_path / "items.npy"
    np.save(vectors, np.ones((300, 4), np.float32))
    for opened, words in (
        ("items.npy", ["compress", "--items", vectors, "--out", tmp_path / "m"]),
        ("users.parquet", ["recommend", model_folder, "--user=u1"]),
        ("MANIFEST.json", ["bench", model_folder]),
    ):
        hook = f"""
import os, signal, sys
def interrupt(event, arguments):
    if event == "open" and str(arguments[0]).endswith("{opened}"):
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(interrupt)
"""
        code, out, err = ended(*words, code=hook + PROGRAM)
        assert (code, out) == (130, ""), err
        assert one_line(err) == "lightrec: error: interrupted"
    assert os.listdir(tmp_path) == ["items.npy"]


def test_control_c_inside_an_import_of_a_command(refused, monkeypatch):
    def interrupted(*_, **__):
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr(main, "app", interrupted)
    assert refused(130) == "lightrec: error: interrupted"
    monkeypatch.setattr(main, "app", lambda *_, **__: main.INTERRUPTED)
    assert refused(130) == "lightrec: error: interrupted"


def test_no_home_no_place_for_temporary_files_and_no_current_folder(model_folder, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    environment = os.environ | {"HOME": "/nonexistent", "TMPDIR": "/nonexistent"}
    code = f"import os\nos.rmdir(os.getcwd())\n{PROGRAM}"
    outcome = ended(
        *("recommend", model_folder, "--user=u1", "-k1"), code=code, cwd=gone, env=environment
    )
    assert outcome[0] == 0, outcome
    assert outcome[1].startswith("user u1:\n")
    gone.mkdir()
    code, _, err = ended("recommend", "model", "--user=u1", code=code, cwd=gone)
    assert code != 0
    one_line(err)


def without_privileges() -> list[str]:
    """What to put before a command so that permissions hold for the superuser too."""
    if os.getuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip("permissions do not hold for the superuser")
    bound = "-dac_override,-dac_read_search"
    return ["setpriv", "--bounding-set", bound, "--inh-caps", bound]


def test_without_permission(model_folder, ratings, tmp_path):
    model, closed, secret = (tmp_path / name for name in ("model", "closed", "secret.csv"))
    shutil.copytree(model_folder, model)
    (model / "codes.safetensors").chmod(0)
    closed.mkdir(mode=0o555)
    secret.write_text("user_id,item_id\na,b\n")
    secret.chmod(0)
    refusals = [
        (["inspect", model], 4, "codes.safetensors: cannot be opened: Permission denied"),
        (["split", secret, "--out", tmp_path / "new"], 2, "is not readable"),
        (["split", ratings, "--out", closed / "parts"], 1, "closed/parts"),
        (["train", ratings, "--out", closed / "m"], 4, "no permission to write into"),
        (["demo", "--out", closed / "demo"], 4, "no permission to write into"),
    ]
    before = without_privileges()
    for words, code, said in refusals:
        with started(*words, before=before) as process:
            _, err = process.communicate(timeout=60)
        assert (process.returncode, said in one_line(err)) == (code, True), err


def test_file_names_that_are_no_text(model_folder, tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    shutil.copytree(model_folder, folder)
    code, out, _ = ended("recommend", folder, "--user=u1", "-k1", "--json")
    assert code == 0
    assert '"user_id": "u1"' in out
    table = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xfe.csv"))
    table.write_text("user_id,item_id\na,b\n")
    code, _, err = ended("split", table, "--by", "paper", "--out", tmp_path / "parts")
    assert code == 3
    assert one_line(err).endswith("the path is not UTF-8 text; rename the file or its folder")
    code, _, err = ended("recommend", model_folder, "--user", b"\xff")
    assert code == 5
    assert one_line(err).endswith(r"unknown user id: '\udcff'")


def test_a_limit_on_the_size_of_files(model_folder, tmp_path):
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
    out = tmp_path / "out.csv"
    words = ("recommend", model_folder, "--user=u1", "--out", out)
    code, _, err = ended(*words, code=limit + PROGRAM)
    assert code == 1
    assert "out.csv" in one_line(err)
    assert os.listdir(tmp_path) == []
