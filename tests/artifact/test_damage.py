"""No damage to a saved model goes unnoticed; nothing is ever half loaded."""

import itertools
import os
import shutil
import socket
import stat
import threading
import time
from types import SimpleNamespace

import pytest

from lightrec.artifact import Model, generation, load, read_manifest
from lightrec.durable_files import folders
from lightrec.errors import ArtifactError

SEALED = [
    "MANIFEST.json", "config.json", "codes.safetensors", "users.safetensors", "items.parquet",
    "users.parquet", "history.safetensors", "selection.safetensors", "float_items.safetensors",
]  # fmt: skip


def _assert_refused(folder, name):
    with pytest.raises(ArtifactError) as caught:
        Model.load(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert name in message
    assert "\n" not in message


def test_the_list_is_complete(saved):
    assert sorted(SEALED) == sorted(p.name for p in saved.iterdir() if p.name != "README.md")


@pytest.mark.parametrize("name", SEALED)
def test_any_flipped_bit_is_noticed(folder, name):
    content = (folder / name).read_bytes()
    version = content.find(b"1,") if name == "MANIFEST.json" else -1
    with open(folder / name, "r+b", buffering=0) as file:
        for place, byte in enumerate(content):
            for bit in range(8):
                os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), place)
                _assert_refused(folder, "" if place == version else name)
            os.pwrite(file.fileno(), bytes([byte]), place)
    Model.load(folder)


def test_any_flipped_bit_of_a_map_is_noticed(fitted_folder):
    content = (fitted_folder / "users.safetensors").read_bytes()
    assert b"map.0.weight" in content
    for place, byte in enumerate(content):
        damaged = content[:place] + bytes([byte ^ 1 << place % 8]) + content[place + 1 :]
        (fitted_folder / "users.safetensors").write_bytes(damaged)
        _assert_refused(fitted_folder, "users.safetensors")
    (fitted_folder / "users.safetensors").write_bytes(content)
    Model.load(fitted_folder)


@pytest.mark.parametrize("name", SEALED)
def test_a_cut_or_grown_file_is_noticed(folder, name):
    content = (folder / name).read_bytes()
    told = name if name == "MANIFEST.json" else "bytes, the manifest says"
    for length in reversed(range(len(content))):
        os.truncate(folder / name, length)
        _assert_refused(folder, told)
    for tail in (b"\0", b"\n", b" ", content):
        (folder / name).write_bytes(content + tail)
        _assert_refused(folder, told)


@pytest.mark.parametrize("name", SEALED)
def test_a_zeroed_block_is_noticed(folder, name):
    content = (folder / name).read_bytes()
    for start in range(0, len(content), 512):
        block = bytes(len(content[start : start + 512]))
        damaged = content[:start] + block + content[start + 512 :]
        if damaged != content:
            (folder / name).write_bytes(damaged)
            _assert_refused(folder, name)


@pytest.mark.parametrize("name", SEALED)
def test_a_file_of_another_generation_is_noticed(folder, name, tmp_path, make_model):
    make_model(seed=1).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / name, folder / name)
    with pytest.raises(ArtifactError):
        Model.load(folder)


def test_files_that_changed_places_are_noticed(folder):
    os.rename(folder / "items.parquet", folder / "kept")
    os.rename(folder / "users.parquet", folder / "items.parquet")
    os.rename(folder / "kept", folder / "users.parquet")
    _assert_refused(folder, ".parquet")


@pytest.mark.parametrize("name", SEALED)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    _assert_refused(folder, name)


def _folder(path):
    path.mkdir()


def _link(path):
    path.symlink_to("kept")


def _dangling_link(path):
    path.symlink_to("nowhere")


def _pipe(path):
    os.mkfifo(path)


def _socket(path):
    here = os.getcwd()
    os.chdir(path.parent)  # the names of sockets are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(here)


def _device(path):
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # an endless source of zeros
    except PermissionError:
        pytest.skip("devices need root")


@pytest.mark.parametrize("make", [_folder, _link, _dangling_link, _pipe, _socket, _device])
@pytest.mark.parametrize("name", ["MANIFEST.json", "users.parquet", "float_items.safetensors"])
def test_only_regular_files_are_read(folder, name, make):
    (folder / name).rename(folder / "kept")
    make(folder / name)
    start = time.monotonic()
    _assert_refused(folder, name)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("make", [_pipe, _socket, _dangling_link, None])
def test_the_path_must_be_a_folder(tmp_path, make):
    if make is not None:
        make(tmp_path / "model")
    with pytest.raises(ArtifactError, match="model"):
        Model.load(tmp_path / "model")


def test_a_file_without_permission_is_named(folder):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (folder / "users.parquet").chmod(0)
    _assert_refused(folder, "users.parquet")


def test_an_empty_folder_is_no_model(tmp_path):
    _assert_refused(tmp_path, "MANIFEST.json")


def test_an_edited_card_is_no_damage(folder):
    (folder / "README.md").write_bytes(b"\xff" * 100)
    assert Model.load(folder).digest == read_manifest(folder).digest


def test_a_file_replaced_while_it_is_read_cannot_slip_in(folder, monkeypatch):
    """The bytes that were hashed are the bytes that are used."""
    whole = Model.load(folder)
    hash_of = generation.sha256_of

    def hash_and_replace(content):
        for name in ("config.json", "items.parquet", "users.safetensors"):
            (folder / name).write_bytes(b"changed")
        return hash_of(content)

    monkeypatch.setattr(generation, "sha256_of", hash_and_replace)
    try:
        loaded = Model.load(folder)
    except ArtifactError:
        return
    assert loaded.digest == whole.digest
    assert loaded.item_ids.series.equals(whole.item_ids.series)


@pytest.fixture
def pauses(monkeypatch):
    """The pauses of a load that tries again; what is put into `work` is done in each."""
    made = SimpleNamespace(seconds=[], work=lambda: None)

    def pause(seconds):
        made.seconds.append(seconds)
        made.work()

    monkeypatch.setattr(load.time, "sleep", pause)
    return made


def test_a_damaged_model_is_not_read_again(folder, pauses):
    (folder / "users.parquet").write_bytes(b"damaged")
    _assert_refused(folder, "users.parquet")
    with pytest.raises(ArtifactError, match="no such folder"):
        Model.load(folder / "nowhere")
    assert pauses.seconds == []


@pytest.mark.parametrize("in_place", [True, False])
def test_a_load_during_a_copy_waits_for_its_end(
    folder, tmp_path, make_model, assert_same, pauses, monkeypatch, in_place
):
    """As `cp -r` or `rsync` do it: file after file, over what is there or by renames."""
    make_model(seed=1).save(tmp_path / "new")
    names = iter(sorted(path.name for path in (tmp_path / "new").iterdir()))

    def copy_one():
        for name in itertools.islice(names, 2):
            target = folder / name
            copy = target if in_place else tmp_path / "copy"
            shutil.copyfile(tmp_path / "new" / name, copy)
            copy.rename(target)

    read = load.open_generation

    def copy_while_reading(path, stack):
        copy_one()
        return read(path, stack)

    monkeypatch.setattr(load, "open_generation", copy_while_reading)
    pauses.work = copy_one
    assert_same(Model.load(folder), make_model(seed=1))
    assert 0 < len(pauses.seconds) <= 3


def test_a_folder_that_is_written_to_again_and_again_is_given_up(folder, pauses):
    def write():
        (folder / "users.parquet").write_bytes(b"x" * len(pauses.seconds))

    (folder / "users.parquet").write_bytes(b"damaged")
    pauses.work = write
    first = load.open_generation
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "open_generation", lambda *given: (write(), first(*given))[1])
        with pytest.raises(ArtifactError, match=r"users\.parquet.*copy the new one under another"):
            Model.load(folder)
    assert sum(pauses.seconds) < 5
    assert len(pauses.seconds) == len(load._PAUSES)


def test_a_mapped_file_that_is_cut_while_it_is_read_is_told(folder, monkeypatch):
    digest_of = generation.hashlib.file_digest

    def cut_after(file, name):
        found = digest_of(file, name)
        os.truncate(folder / "codes.safetensors", 10)
        return found

    monkeypatch.setattr(generation.hashlib, "file_digest", cut_after)
    with pytest.raises(ArtifactError, match=r"codes\.safetensors: "):
        Model.load(folder)


def _try_to_load(path):
    """Whether a load gives one generation, or the error."""
    try:
        model = Model.load(path)
    except Exception as error:
        return repr(error)
    return model.user_ids.series[0].startswith(f"user {model.config['seed']}-")


@pytest.mark.parametrize("exchange", [True, False])
def test_a_load_sees_one_generation_while_saves_replace_it(
    tmp_path, make_model, exchange, monkeypatch
):
    """Every answer is of one generation, whole, whatever the interleaving."""
    if not exchange:
        monkeypatch.setattr(folders, "_exchange", lambda first, second: False)
    models = [make_model(seed=seed) for seed in (1, 2)]
    models[0].save(tmp_path / "model")
    stop = threading.Event()
    outcomes = set()

    def keep_saving():
        while not stop.is_set():
            for model in models:
                model.save(tmp_path / "model")

    def keep_loading():
        while not stop.is_set():
            outcomes.add(_try_to_load(tmp_path / "model"))

    threads = [threading.Thread(target=work) for work in (keep_saving, keep_loading, keep_loading)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    stop.set()
    for thread in threads:
        thread.join()
    assert outcomes == {True}
