"""Fuzzes the loading of model folders with atheris: mutations led by the branches they reach.

`python -m benchmarks.damage --atheris MINUTES` runs this program. An input is one byte for the
model, one for the file of it that is replaced, and that file's new content. The folder is sealed
again before it is loaded, and what is accepted has to answer as its own contents say. Half of the
mutations leave true what a file tells of its own lengths, and so get past them. Inputs that reached
something new are kept in `build/fuzz/corpus`, and the next run begins with them; those that found
something are in `build/fuzz`.

atheris is no dependency of the project: `pip install atheris`.
"""

from __future__ import annotations

import importlib.util
import inspect
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.array_forgeries import split_header, with_header
from benchmarks.forgeries import FORGERIES, MANIFEST, seal
from benchmarks.in_children import (
    CRASHED,
    LIMIT_SECONDS,
    ONE_THREAD,
    REJECTED,
    RESULTS,
    UNCHANGED,
    WRONG,
    row_of,
)
from benchmarks.mutations import put
from benchmarks.results import Row

WATCHED = (
    *("lightrec.artifact", "lightrec.codes.item_codes", "lightrec.durable_files"),
    *("lightrec.interactions.history", "lightrec.interactions.id_map"),
)
ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "build" / "fuzz"
FORMS = ("identity", "mlp", "fitted", "table")
MOST_BYTES = 32 << 10  # of an input
MOST_MEGABYTES = 4096
MOST_FINDINGS = 5
CARD = "README.md"

logger = logging.getLogger("lightrec")


def is_installed() -> bool:
    """Whether there is a fuzzer."""
    return importlib.util.find_spec("atheris") is not None


def fuzzed(models: Path, minutes: float, seed: int) -> list[Row]:
    """The row of the fault `atheris`.

    Args:
        models: From `make_models`.
        minutes: How long.
        seed: Of the fuzzer, which also depends on the corpus that it finds.
    """
    corpus = KEPT / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    write_corpus(models, corpus)
    begun = time.perf_counter()
    results: Counter[str] = Counter()
    while (left := minutes * 60 - (time.perf_counter() - begun)) > 1:
        told, finding = run(models, f"-seed={seed + 1}", f"-max_total_time={int(left)}", corpus)
        results += told
        failures = results[WRONG] + results[CRASHED]
        logger.warning("atheris: %s", dict(results))
        if not finding:
            break
        logger.error("atheris found something: %s", finding)
        if failures >= MOST_FINDINGS:
            break
        seed += 1
    seconds = round(time.perf_counter() - begun, 1)
    return [row_of("lightrec", "atheris", results) | {"seconds": seconds}]


def run(models: Path, *arguments: str | Path) -> tuple[Counter[str], str]:
    """One process of the fuzzer.

    A finding is made once more, by itself, before it counts: a busy machine can stall for seconds.

    Returns:
        How its executions ended, and the finding that ended it: the end of its log, or nothing.
    """
    before = set(KEPT.iterdir())
    with tempfile.TemporaryDirectory() as scratch:
        counts = Path(scratch) / "counts"
        np.zeros(len(RESULTS), np.int64).tofile(counts)
        command = [sys.executable, "-m", "benchmarks.fuzz", str(models), scratch]
        command += [f"-timeout={LIMIT_SECONDS:g}", f"-rss_limit_mb={MOST_MEGABYTES}"]
        command += [f"-max_len={MOST_BYTES}", f"-artifact_prefix={KEPT}/", *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | ONE_THREAD,
            capture_output=True,
            check=False,
        )
        numbers = np.fromfile(counts, np.int64).tolist()
    results = Counter(dict(zip(RESULTS, numbers, strict=True)))
    if done.returncode == 0:
        if results.total() > 100 and b" cov: " not in done.stderr:
            raise RuntimeError("the fuzzer saw no branches; nothing is watched")
        return results, ""
    found = [path for path in KEPT.iterdir() if path not in before and path.is_file()]
    told = done.stderr.decode(errors="replace")[-3000:]
    if not found and not results.total():
        raise RuntimeError(f"the fuzzer did not start: {told}")
    if found and not run(models, *found)[1]:
        logger.warning("%s did not happen again", found)
        for result in (WRONG, CRASHED):
            results[result] = 0
        return results, "nothing: it did not happen again"
    if not results[WRONG]:
        results[CRASHED] = max(results[CRASHED], 1)
    return results, told


def write_corpus(models: Path, corpus: Path) -> None:
    """The intact files, as inputs."""
    for number, form in enumerate(FORMS):
        for place, (name, content) in enumerate(files_of(models, form).items()):
            (corpus / f"{form}-{name}").write_bytes(bytes([number, place]) + content)


def files_of(models: Path, form: str) -> dict[str, bytes]:
    """The files that are sealed, in order."""
    paths = sorted((models / form / "0").iterdir())
    return {path.name: path.read_bytes() for path in paths if path.name not in (MANIFEST, CARD)}


class Fuzzer:
    """What the fuzzer calls.

    Args:
        models: From `make_models`.
        scratch: Where folders are damaged, and `counts` is.
    """

    def __init__(self, models: Path, scratch: Path) -> None:
        self.intact = [files_of(models, form) for form in FORMS]
        self.folders = [scratch / form for form in FORMS]
        for form, folder in zip(FORMS, self.folders, strict=True):
            shutil.copytree(models / form / "0", folder)
        self.counts = np.memmap(scratch / "counts", np.int64)

    def chosen(self, data: bytes) -> tuple[int, str]:
        """The model and the file that an input is about."""
        model = data[0] % len(FORMS)
        names = list(self.intact[model])
        return model, names[data[1] % len(names)]

    def __call__(self, data: bytes) -> None:
        """Loads what an input makes; raises for a finding."""
        from benchmarks.own_contents import check_answers
        from lightrec.errors import ArtifactError

        if len(data) < 2:
            return
        model, name = self.chosen(data)
        folder, files = self.folders[model], {**self.intact[model], name: data[2:]}
        seal(files)
        for changed in (name, MANIFEST):
            put(folder / changed, files[changed])
        try:
            wrong = check_answers(folder)
        except ArtifactError:
            self.count(REJECTED)
        except BaseException:
            self.count(CRASHED)
            raise
        else:
            self.count(WRONG if wrong else UNCHANGED)
            if wrong:
                raise RuntimeError(wrong)
        finally:
            put(folder / name, self.intact[model][name])

    def count(self, result: str) -> None:
        """Counts an execution where the parent finds it, however this process ends."""
        self.counts[RESULTS.index(result)] += 1

    def mutate(self, data: bytes, most: int, seed: int) -> bytes:
        """An input made of another."""
        import atheris  # type: ignore[import-untyped]

        rng = np.random.default_rng(seed)
        if len(data) < 2 or rng.random() < 0.02:
            model, place = (int(rng.integers(limit)) for limit in (len(FORMS), 8))
            name = self.chosen(bytes([model, place]))[1]
            data = bytes([model, place]) + self.intact[model][name]
        model, name = self.chosen(data)
        content = self._mutated(atheris, rng, model, name, data[2:])
        return (data[:2] + content)[:most]

    def _mutated(
        self,
        atheris: Any,  # noqa: ANN401
        rng: np.random.Generator,
        model: int,
        name: str,
        content: bytes,
    ) -> bytes:
        kind = rng.random()
        if kind < 0.1:  # by structure
            files = dict(self.intact[model])
            forge = list(FORGERIES.values())[rng.integers(len(FORGERIES))]
            forge(rng, files)
            return files[name]
        if kind < 0.5 and name.endswith(".safetensors") and len(content) > 8:
            header, body = split_header(content)
            if rng.random() < 0.5 and header:
                header = atheris.Mutate(header, len(header) + 64)
            else:
                body = atheris.Mutate(body, len(body) + 64)
            return with_header(header, body)
        if kind < 0.5 and name.endswith(".parquet") and len(content) > 12:
            size = min(int.from_bytes(content[-8:-4], "little"), len(content) - 12)
            cut = len(content) - 8 - size
            pages, footer = content[:cut], content[cut:-8]
            if rng.random() < 0.7 and footer:
                footer = atheris.Mutate(footer, len(footer) + 64)
            else:
                pages = b"PAR1" + atheris.Mutate(pages[4:] or b"0", len(pages) + 64)
            return pages + footer + len(footer).to_bytes(4, "little") + b"PAR1"
        changed: bytes = atheris.Mutate(content or b"0", MOST_BYTES)
        return changed


def watch(instrument: Callable[[Callable[..., Any]], object]) -> int:
    """Instruments every function of the modules that read a folder; returns how many there are.

    What atheris offers for imports does not see through the finders of editable installs.
    """
    from benchmarks import own_contents  # noqa: F401 - imports them

    count = 0
    for module in [module for name, module in sys.modules.items() if name.startswith(WATCHED)]:
        members = list(vars(module).values())
        for kind in [member for member in members if isinstance(member, type)]:
            members += vars(kind).values()
        for member in members:
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            function = inspect.unwrap(function) if callable(function) else None
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                instrument(function)
                count += 1
    return count


def main() -> None:
    """Reads the command line and fuzzes until the time is over, or something is found."""
    import atheris

    models, scratch, *arguments = sys.argv[1:]
    logger.warning("%d functions are watched", watch(atheris.instrument_func))
    fuzzer = Fuzzer(Path(models), Path(scratch))
    atheris.Setup([sys.argv[0], *arguments], fuzzer, custom_mutator=fuzzer.mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
