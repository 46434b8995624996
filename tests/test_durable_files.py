"""Files and folders reach the disk whole, or not at all."""

import contextlib
import errno
import hashlib
import importlib
import json
import os
import sys
import threading
import time
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightrec.durable_files import (
    append_line,
    bytes_free,
    check_can_be_made,
    leftovers,
    open_regular,
    parse_json,
    read_json,
    replace_folder,
    resolve_folder,
    sha256_of,
    to_json,
    write_blocks,
    write_file,
    write_new_file,
)
from lightrec.durable_files import folders as folders_module
from lightrec.errors import ArgumentError, InputError, LightRecError


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


class TestWriteFile:
    def test_creates_and_replaces(self, tmp_path):
        path = tmp_path / "new" / "parents" / "file"
        write_file(path, b"old")
        digest = write_file(path, b"ne", bytearray(b"w"), memoryview(b"er"))
        assert path.read_bytes() == b"newer"
        assert digest.num_bytes == 5
        assert digest.sha256 == hashlib.sha256(b"newer").hexdigest() == sha256_of(path)
        assert sha256_of(b"newer") == digest.sha256
        assert _names(path.parent) == ["file"]

    def test_takes_chunks_of_wider_items(self, tmp_path):
        digest = write_file(tmp_path / "file", memoryview(bytes(16)).cast("d"))
        assert digest.num_bytes == 16
        assert (tmp_path / "file").read_bytes() == bytes(16)

    def test_keeps_a_link(self, tmp_path):
        (tmp_path / "there").mkdir()
        (tmp_path / "link").symlink_to("there/file")
        write_file(tmp_path / "link", b"content")
        assert (tmp_path / "there" / "file").read_bytes() == b"content"
        assert (tmp_path / "link").is_symlink()
        assert _names(tmp_path) == ["link", "there"]

    @pytest.mark.parametrize("call", ["write", "fsync", "rename", "open"])
    def test_a_failure_keeps_the_old_content(self, tmp_path, monkeypatch, call):
        path = tmp_path / "file"
        write_file(path, b"old")

        def fail(*args, **kwargs):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(
                LightRecError, match=r"No space left.* 12,345 bytes .*[\d,]+ bytes are"
            ):
                write_file(path, bytes(12_345))
        assert path.read_bytes() == b"old"
        assert _names(tmp_path) == ["file"]

    def test_an_interrupt_keeps_the_old_content(self, tmp_path, monkeypatch):
        path = tmp_path / "file"
        write_file(path, b"old")

        def interrupt(fd):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", interrupt)
            with pytest.raises(KeyboardInterrupt):
                write_file(path, b"new")
        assert path.read_bytes() == b"old"
        assert _names(tmp_path) == ["file"]

    def test_sweeps_what_dead_writers_left_but_not_what_lives(self, tmp_path):
        dead = tmp_path / f".file.new-{'0' * 16}"
        living = tmp_path / f".file.new-{'1' * 16}"
        strangers = [tmp_path / ".file.new-x", tmp_path / f".other.new-{'0' * 16}"]
        for path in (dead, living, *strangers):
            path.write_bytes(b"half")
        with open(living, "rb") as file:
            leftovers.lock(file.fileno())
            write_file(tmp_path / "file", b"content")
            assert not dead.exists()
            assert living.exists()
        write_file(tmp_path / "file", b"content")
        assert _names(tmp_path) == sorted(["file", *(path.name for path in strangers)])

    def test_several_writers_of_one_file_do_not_fail(self, tmp_path, monkeypatch):
        """Each one sweeps, and must not sweep what another has made and not locked yet."""
        monkeypatch.setattr(os, "fsync", lambda fd: None)
        children = []
        for which in range(3):
            child = os.fork()
            if not child:
                failed = 1
                with contextlib.suppress(BaseException):
                    for _ in range(400):
                        write_file(tmp_path / "file", str(which).encode() * 99)
                    failed = 0
                os._exit(failed)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert codes == [0, 0, 0]
        assert (tmp_path / "file").read_bytes() in (b"0" * 99, b"1" * 99, b"2" * 99)
        write_file(tmp_path / "file", b"last")
        assert _names(tmp_path) == ["file"]

    @pytest.mark.parametrize("error", [OSError(errno.EIO, "worn out"), KeyboardInterrupt()])
    def test_a_failure_of_the_lock_leaves_nothing(self, tmp_path, monkeypatch, error):
        def fail(fd, *, wait=False):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(leftovers, "lock", fail)
            with pytest.raises((LightRecError, KeyboardInterrupt)):
                write_file(tmp_path / "file", b"content")
        assert _names(tmp_path) == []

    def test_a_missing_permission_is_told(self, tmp_path):
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere")
        tmp_path.chmod(0o500)
        with pytest.raises(LightRecError, match="Permission denied"):
            write_file(tmp_path / "file", b"content")

    def test_blocks_are_made_while_the_file_is_written(self, tmp_path):
        path, seen = tmp_path / "file", []

        def blocks():
            for number in range(3):
                seen.append([each.stat().st_size for each in tmp_path.glob(".file.new-*")])
                yield b"block" if number % 2 else memoryview(bytes(8)).cast("d")

        path.write_bytes(b"old")
        digest = write_blocks(path, blocks())
        assert seen == [[0], [8], [13]]
        assert path.read_bytes() == bytes(8) + b"block" + bytes(8)
        assert digest.num_bytes == 21
        assert digest.sha256 == sha256_of(path)
        assert _names(tmp_path) == ["file"]

    @pytest.mark.parametrize("error", [LightRecError("no more"), KeyboardInterrupt(), OSError(5)])
    def test_blocks_that_break_off_keep_the_old_content(self, tmp_path, error):
        path = tmp_path / "file"
        path.write_bytes(b"old")

        def blocks():
            yield b"new"
            raise error

        with pytest.raises(LightRecError if isinstance(error, OSError) else type(error)):
            write_blocks(path, blocks())
        assert path.read_bytes() == b"old"
        assert _names(tmp_path) == ["file"]

    def test_blocks_are_let_go_of(self, tmp_path):
        class Block(bytearray):
            pass

        made = []

        def blocks():
            for _ in range(3):
                assert not any(each() for each in made)
                block = Block(b"content")
                made.append(weakref.ref(block))
                yield block
                del block

        write_blocks(tmp_path / "file", blocks())
        assert len(made) == 3

    def test_new_files_do_not_replace(self, tmp_path):
        write_new_file(tmp_path / "file", b"one")
        with pytest.raises(LightRecError, match="exists"):
            write_new_file(tmp_path / "file", b"two")
        assert (tmp_path / "file").read_bytes() == b"one"


@pytest.fixture(params=["exchange", "two steps"])
def way(request, monkeypatch):
    """Both ways to put a folder in the place of another."""
    if request.param == "two steps":
        monkeypatch.setattr(folders_module, "_exchange", lambda first, second: False)
    return request.param


class TestReplaceFolder:
    def test_creates_and_replaces(self, tmp_path, way):
        target = tmp_path / "parent" / "folder"
        for content in (b"old", b"new"):
            with replace_folder(target) as folder:
                write_new_file(folder / content.decode(), content)
                (folder / "nested").mkdir()
                (folder / "nested" / "file").write_bytes(content)
        assert _names(target) == ["nested", "new"]
        assert _names(target.parent) == ["folder"]

    def test_the_switch_is_seen_as_one_step(self, tmp_path):
        """A reader finds a folder at every moment."""
        target = tmp_path / "folder"
        with replace_folder(target) as folder:
            write_new_file(folder / "file", b"")
        missing, stop = [], threading.Event()

        def look():
            while not stop.is_set():
                if not os.path.exists(target):
                    missing.append(time.monotonic())

        reader = threading.Thread(target=look)
        reader.start()
        for _ in range(50):
            with replace_folder(target) as folder:
                write_new_file(folder / "file", b"")
        stop.set()
        reader.join()
        (tmp_path / "other").mkdir()
        if not folders_module._exchange(target, tmp_path / "other"):
            pytest.skip("this file system cannot exchange two folders")
        assert not missing

    def test_an_error_in_the_block_keeps_the_old_content(self, tmp_path, way):
        target = tmp_path / "folder"
        with replace_folder(target) as folder:
            write_new_file(folder / "old", b"old")
        for error in (ValueError("mine"), KeyboardInterrupt()):
            with pytest.raises(type(error)), replace_folder(target) as folder:
                write_new_file(folder / "new", b"new")
                raise error
        with pytest.raises(LightRecError, match="Is a directory"), replace_folder(target) as folder:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        assert _names(target) == ["old"]
        assert _names(tmp_path) == ["folder"]

    def test_a_file_of_that_name_is_not_replaced(self, tmp_path, way):
        (tmp_path / "folder").write_bytes(b"precious")
        with (
            pytest.raises(LightRecError, match="Not a directory"),
            replace_folder(tmp_path / "folder"),
        ):
            pass
        assert (tmp_path / "folder").read_bytes() == b"precious"
        assert _names(tmp_path) == ["folder"]

    def test_a_switch_that_was_cut_short_is_found_and_mended(self, tmp_path, way):
        target = tmp_path / "folder"
        with replace_folder(target) as folder:
            write_new_file(folder / "old", b"old")
        os.rename(target, tmp_path / ".folder.previous")
        assert _names(resolve_folder(target)) == ["old"]
        for name in ("new", "newer"):
            with replace_folder(target) as folder:
                write_new_file(folder / name, b"")
            assert resolve_folder(target) == target
            assert _names(target) == [name]
            assert _names(tmp_path) == ["folder"]

    def test_a_leftover_of_a_finished_switch_is_deleted(self, tmp_path, way):
        target = tmp_path / "folder"
        for path in (target, tmp_path / ".folder.previous"):
            path.mkdir()
            (path / path.name).write_bytes(b"")
        assert resolve_folder(target) == target
        with replace_folder(target) as folder:
            write_new_file(folder / "new", b"")
        assert _names(tmp_path) == ["folder"]
        assert _names(target) == ["new"]

    def test_a_link_is_followed_and_kept(self, tmp_path, way):
        (tmp_path / "there").mkdir()
        (tmp_path / "link").symlink_to("there")
        with replace_folder(tmp_path / "link") as folder:
            write_new_file(folder / "file", b"")
        assert (tmp_path / "link").is_symlink()
        assert _names(tmp_path / "there") == ["file"]

    def test_two_steps_are_told_once_of_each_place(self, tmp_path, way, caplog):
        for parent in ("here", "there"):
            for _ in range(3):
                with replace_folder(tmp_path / parent / "folder") as folder:
                    write_new_file(folder / "file", b"")
        told = [record.message for record in caplog.records if record.levelname == "WARNING"]
        expected = ["here", "there"] if way == "two steps" else []
        assert len(told) == len(expected)
        for parent, message in zip(expected, told, strict=True):
            assert message.startswith(f"{tmp_path / parent}: folders cannot be exchanged")

    def test_a_second_failure_does_not_hide_the_old_content(self, tmp_path, monkeypatch):
        """In two steps, when the second rename fails the first is undone."""
        target = tmp_path / "folder"
        with replace_folder(target) as folder:
            write_new_file(folder / "old", b"old")
        monkeypatch.setattr(folders_module, "_exchange", lambda first, second: False)
        rename = os.rename

        def fail(source, destination):
            if ".new-" in str(source) and not target.exists():
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return rename(source, destination)

        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", fail)
            with pytest.raises(LightRecError, match="Input/output"), replace_folder(target):
                pass
        assert _names(target) == ["old"]
        assert _names(tmp_path) == ["folder"]


class TestCheckCanBeMade:
    def test_nothing_stays(self, tmp_path):
        (tmp_path / f".new.new-{'0' * 16}").mkdir()  # of a check that was killed
        for name in ("new", "new/with/parents", ""):
            check_can_be_made(tmp_path / name)
        assert _names(tmp_path) == []

    def test_what_cannot_be_made_is_told(self, tmp_path, monkeypatch):
        def fail(path, mode=0o777):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        with monkeypatch.context() as patch:
            patch.setattr(os, "mkdir", fail)
            with pytest.raises(LightRecError, match=r"a/b: cannot be written: Read-only"):
                check_can_be_made(tmp_path / "a" / "b")
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(LightRecError, match="Not a directory"):
            check_can_be_made(tmp_path / "file" / "folder")

    def test_a_place_that_grants_all_and_takes_nothing(self):
        if not os.path.isdir("/proc/self"):
            pytest.skip("needs /proc")
        with pytest.raises(LightRecError, match="cannot be written"):
            check_can_be_made("/proc/model")


class TestAppendLine:
    def test_appends(self, tmp_path):
        path = tmp_path / "logs" / "log"
        for line in ("one", "", "zwei \u00e4 \U0001f600"):
            append_line(path, line)
            append_line(path, line, durable=False)
        expected = "one\none\n\n\nzwei \u00e4 \U0001f600\nzwei \u00e4 \U0001f600\n"
        assert path.read_text(encoding="utf-8") == expected

    def test_ends_a_torn_line_first(self, tmp_path):
        path = tmp_path / "log"
        path.write_bytes(b"whole\ntor")
        append_line(path, "next")
        assert path.read_bytes() == b"whole\ntor\nnext\n"

    def test_refuses_two_lines(self, tmp_path):
        with pytest.raises(ArgumentError, match="line"):
            append_line(tmp_path / "log", "a\nb")

    def test_a_full_disk_leaves_no_half_line(self, tmp_path, monkeypatch):
        path = tmp_path / "log"
        append_line(path, "one")
        write = os.write

        def fill_up(fd, data):
            if len(data) < 20:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(fd, data[:15])

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", fill_up)
            with pytest.raises(LightRecError, match="No space left"):
                append_line(path, "x" * 25)
        assert path.read_bytes() == b"one\n"

    def test_several_writers_do_not_mix(self, tmp_path, monkeypatch):
        path = tmp_path / "log"
        write = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:999]))

        def write_lines(which):
            for row in range(50):
                append_line(path, f"{which} {row} " + "x" * 5000, durable=False)

        threads = [threading.Thread(target=write_lines, args=(which,)) for which in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lines = path.read_text().splitlines()
        assert len(lines) == 200
        assert all(len(line.split(" ")[2]) == 5000 for line in lines)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), children, max_size=4)
    ),
    max_leaves=10,
)


class TestStrictJson:
    @given(JSON_VALUES)
    def test_values_come_back(self, value):
        assert parse_json(to_json(value)) == value
        assert json.loads(to_json(value)) == value

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"{",
            b"nul",
            b"1 2",
            b"NaN",
            b"[Infinity]",
            b"-Infinity",
            b"1e999",
            b"[-1e999]",
            b'{"a": 1, "a": 1}',
            b'{"a": {"b": 1, "\\u0062": 2}}',
            b'"\\ud800"',
            b'{"\\udfff": 1}',
            b"\xff",
            b'"\xed\xa0\x80"',
            b"[" * 100_000,
            b"[" * 100_000 + b"]" * 100_000,
            b"9" * 5000,
            b"\xef\xbb\xbf{}",
            b"{'a': 1}",
        ],
    )
    def test_traps_are_refused(self, text):
        with pytest.raises(InputError, match="JSON"):
            parse_json(text)

    @pytest.mark.parametrize(
        "value", [float("nan"), {"a": float("inf")}, {1: 1, "1": 2}, {(1, 2): 3}, {1, 2}, "\ud800"]
    )
    def test_what_is_no_json_is_not_written(self, value):
        with pytest.raises(ArgumentError, match="JSON"):
            to_json(value)

    def test_endless_values_are_not_written(self):
        value = []
        value.append(value)
        with pytest.raises(ArgumentError, match="JSON"):
            to_json(value)

    def test_files(self, tmp_path):
        path = tmp_path / "value.json"
        write_file(path, to_json({"a": [1, None, "\u00e4"]}))
        assert read_json(path) == {"a": [1, None, "\u00e4"]}
        with pytest.raises(InputError, match=r"value\.json.*longer than 5 bytes"):
            read_json(path, max_bytes=5)
        path.write_text("{")
        with pytest.raises(InputError, match=r"value\.json"):
            read_json(path)
        with pytest.raises(InputError, match=r"other\.json: there is no such file"):
            read_json(tmp_path / "other.json")
        os.mkfifo(tmp_path / "pipe.json")
        with pytest.raises(InputError, match=r"pipe\.json: is not a regular file"):
            read_json(tmp_path / "pipe.json")


class TestOpenRegular:
    def test_reads_relative_to_a_folder(self, tmp_path):
        (tmp_path / "file").write_bytes(b"content")
        folder = os.open(tmp_path, os.O_RDONLY)
        with open(open_regular("file", folder), "rb") as file:
            assert file.read() == b"content"
        with pytest.raises(FileNotFoundError):
            open_regular("other", folder)
        os.close(folder)

    def test_refuses_what_is_no_file(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "link").symlink_to("pipe")
        for name, reason in (("pipe", "regular"), ("link", "symbolic link"), ("", "regular")):
            with pytest.raises(InputError, match=reason):
                open_regular(tmp_path / name)

    def test_leaves_no_descriptor_open(self, tmp_path):
        if not os.path.isdir("/proc/self/fd"):
            pytest.skip("needs /proc to count descriptors")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            with pytest.raises(InputError):
                open_regular(tmp_path)
            write_file(tmp_path / "file", b"")
            append_line(tmp_path / "log", "line")
            with replace_folder(tmp_path / "folder"):
                pass
        assert len(os.listdir("/proc/self/fd")) == before


def test_bytes_free_is_told(tmp_path):
    free = bytes_free(tmp_path / "not" / "there")
    assert free is None
    assert bytes_free(tmp_path / "file") > 0


def test_imports_where_there_is_no_posix(monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    module = importlib.util.module_from_spec(leftovers.__spec__)
    leftovers.__spec__.loader.exec_module(module)
    assert module.fcntl is None
    assert module.lock(0) is None
