"""Index and array files of other libraries, damaged as our model folders are.

Each keeps the same 2,000 made-up items in one file. Most of these formats promise nothing about
damage; the figures tell what a checksum over everything is worth, and no more. Any exception counts
as rejected; a child makes one trial only, since a damaged index may spoil the memory of those after
it.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.in_children import REJECTED, UNCHANGED, WRONG, Outcome, Trial
from benchmarks.mutations import BYTES, mutated

ITEMS, WIDTH, QUERIES, K = 2_000, 32, 50, 10
INTACT, OTHER, DAMAGED, ANSWERS = "intact", "other", "damaged", "answers"


@dataclass(frozen=True)
class Rival:
    """A library that keeps what it searches in one file.

    Attributes:
        package: Its distribution.
        save: Writes the items of a generation to a file.
        answers: Reads the file and answers the queries: rows (Q, K).
    """

    package: str
    save: Callable[[Path, int], None]
    answers: Callable[[Path], np.ndarray]

    @property
    def version(self) -> str | None:
        """What is installed; None if nothing is."""
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return None


def _vectors(generation: int, count: int = ITEMS) -> np.ndarray:
    return np.random.default_rng([generation, count]).standard_normal((count, WIDTH), np.float32)


def _queries() -> np.ndarray:
    return _vectors(7, QUERIES)


def _save_faiss(make: Callable[[Any], Any], path: Path, generation: int) -> None:
    import faiss

    index = make(faiss)
    index.train(_vectors(generation))
    index.add(_vectors(generation))
    faiss.write_index(index, str(path))


def _ask_faiss(path: Path) -> np.ndarray:
    import faiss

    rows: np.ndarray = faiss.read_index(str(path)).search(_queries(), K)[1]
    return rows


def _save_graph(path: Path, generation: int) -> None:
    import hnswlib  # type: ignore[import-untyped]

    index = hnswlib.Index("ip", WIDTH)
    index.init_index(ITEMS, ef_construction=50, M=8, random_seed=generation)
    index.add_items(_vectors(generation), num_threads=1)
    index.save_index(str(path))


def _ask_graph(path: Path) -> np.ndarray:
    import hnswlib

    index = hnswlib.Index("ip", WIDTH)
    index.load_index(str(path))
    index.set_ef(50)
    rows: np.ndarray = index.knn_query(_queries(), K, num_threads=1)[0]
    return rows


def _arrays(generation: int) -> dict[str, np.ndarray]:
    """Codes and codebooks, as anybody would keep them."""
    rng = np.random.default_rng(generation)
    return {
        "codes": rng.integers(0, 256, (ITEMS, 4), dtype=np.uint8),
        "codebooks": rng.standard_normal((4, 256, WIDTH), np.float32),
    }


def _ask_arrays(arrays: dict[str, np.ndarray]) -> np.ndarray:
    codes, codebooks = arrays["codes"], arrays["codebooks"]
    items = sum(codebooks[book][codes[:, book]] for book in range(codes.shape[1]))
    rows: np.ndarray = np.argsort(-(_queries() @ np.asarray(items).T), axis=1, kind="stable")[:, :K]
    return rows


def _save_tensors(path: Path, generation: int) -> None:
    from safetensors.numpy import save

    path.write_bytes(save(_arrays(generation)))


def _ask_tensors(path: Path) -> np.ndarray:
    from safetensors.numpy import load

    return _ask_arrays(load(path.read_bytes()))


def _save_npz(path: Path, generation: int) -> None:
    with path.open("wb") as file:
        np.savez(file, **_arrays(generation))  # type: ignore[arg-type]


def _ask_npz(path: Path) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        return _ask_arrays(dict(arrays))


def _flat(faiss: Any) -> Any:  # noqa: ANN401
    return faiss.IndexFlatIP(WIDTH)


def _pq(faiss: Any) -> Any:  # noqa: ANN401
    return faiss.IndexPQ(WIDTH, 4, 8, faiss.METRIC_INNER_PRODUCT)


def _rq(faiss: Any) -> Any:  # noqa: ANN401
    return faiss.IndexResidualQuantizer(WIDTH, 4, 8, faiss.METRIC_INNER_PRODUCT)


RIVALS = {
    "faiss_flat": Rival("faiss-cpu", partial(_save_faiss, _flat), _ask_faiss),
    "faiss_pq": Rival("faiss-cpu", partial(_save_faiss, _pq), _ask_faiss),
    "faiss_rq": Rival("faiss-cpu", partial(_save_faiss, _rq), _ask_faiss),
    "hnswlib": Rival("hnswlib", _save_graph, _ask_graph),
    "safetensors": Rival("safetensors", _save_tensors, _ask_tensors),
    "npz": Rival("numpy", _save_npz, _ask_npz),
}


def make_files(system: str, folder: Path) -> None:
    """Saves two generations of a rival's file, and the right answers."""
    folder.mkdir()
    rival = RIVALS[system]
    rival.save(folder / INTACT, 0)
    rival.save(folder / OTHER, 1)
    np.save(folder / f"{ANSWERS}.npy", rival.answers(folder / INTACT))


@contextmanager
def rival_trials(system: str, folder: Path, seed: int) -> Iterator[Trial]:
    """Trials that mutate the bytes of a rival's file."""
    rival, kinds = RIVALS[system], list(BYTES)
    intact, other = (folder / INTACT).read_bytes(), (folder / OTHER).read_bytes()
    right = np.load(folder / f"{ANSWERS}.npy")

    def trial(number: int) -> Outcome:
        rng = np.random.default_rng([seed, number])
        kind = kinds[number % len(kinds)]
        damage = None
        while not isinstance(damage, bytes):
            damage = mutated(rng, BYTES[kind], intact, other)
        (folder / DAMAGED).write_bytes(damage)
        try:
            found = rival.answers(folder / DAMAGED)
        except BaseException:
            return Outcome(REJECTED, kind)
        return Outcome(UNCHANGED if np.array_equal(found, right) else WRONG, kind)

    yield trial
