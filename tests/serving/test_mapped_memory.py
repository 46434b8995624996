"""Memory of mapped files can be had back, and reads again as before."""

import mmap
import re
from pathlib import Path

import numpy as np
import pytest

from lightrec.native import KERNELS
from lightrec.search.mapped_memory import give_back
from lightrec.serving.recommender import Recommender

SMAPS = Path("/proc/self/smaps")
needs_linux = pytest.mark.skipif(not SMAPS.exists(), reason="asks Linux what is resident")


def resident(file: Path) -> int:
    """Bytes of a file's mappings that are in this process's memory."""
    entries = re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", SMAPS.read_text())
    sizes = [re.search(r"^Rss: +(\d+) kB", entry, re.M) for entry in entries if str(file) in entry]
    return sum(1024 * int(size[1]) for size in sizes if size)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "codes.npy"
    np.save(path, np.arange(1 << 20, dtype=np.uint8).reshape(-1, 4))
    return path


@needs_linux
@pytest.mark.parametrize("how", ["memmap", "frombuffer"])
def test_a_mapped_file(file, how: str) -> None:
    if how == "memmap":
        array = np.load(file, mmap_mode="r")[5:, :2]
    else:
        with file.open("rb") as opened:
            mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        array = np.frombuffer(memoryview(mapped)[128:], np.uint8)
    before = array.sum()
    assert resident(file) > 1 << 19
    give_back(array)
    assert resident(file) == 0
    assert array.sum() == before


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_what_may_have_been_changed_stays(file, mode: str) -> None:
    array = np.load(file, mmap_mode=mode)
    array[0] = 7
    give_back(array)
    assert array[0].tolist() == [7, 7, 7, 7]


def test_other_arrays() -> None:
    array = np.arange(9)
    array.setflags(write=False)
    give_back(array[2:])
    assert array.sum() == 36


@needs_linux
@pytest.mark.skipif(KERNELS is None, reason="without kernels, codes are what is searched")
def test_a_recommender_leaves_the_codes_in_their_file(make_model, tmp_path) -> None:
    model = make_model()
    model.save(tmp_path / "model")
    rec = Recommender.load(tmp_path / "model")
    (file,) = tmp_path.rglob("codes.safetensors")
    assert resident(file) == 0
    user = model.user_ids.series[0]
    assert rec.recommend(users=user).item_ids.to_list() == (
        Recommender(model).recommend(users=user).item_ids.to_list()
    )
