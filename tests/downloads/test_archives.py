"""Single members of archives, and what must not come out of one."""

from __future__ import annotations

import errno
import io
import os
import stat
import tarfile
import zipfile

import pytest

from lightrec.downloads.archives import unpack_member
from lightrec.errors import InputError, LightRecError

TEXT = b"1::2::3::4\n" * 1000


def zip_of(path, *members: tuple[str | zipfile.ZipInfo, bytes]):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def tar_of(path, *members: tuple[tarfile.TarInfo, bytes]):
    with tarfile.open(path, "w:gz") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_only_the_named_member_comes_out(tmp_path, folder) -> None:
    path = zip_of(
        tmp_path / "a.zip", ("set/ratings.dat", TEXT), ("../evil", b"x"), ("/etc/evil", b"x")
    )
    assert unpack_member(path, "set/ratings.dat", folder, 10**6).read_bytes() == TEXT
    path = tar_of(tmp_path / "a.tar.gz", (tarfile.TarInfo("set/movies.dat"), TEXT))
    assert unpack_member(path, "set/movies.dat", folder, 10**6).read_bytes() == TEXT
    assert {file.name for file in folder.iterdir()} == {"ratings.dat", "movies.dat"}
    assert {file.name for file in tmp_path.iterdir()} == {"a.zip", "a.tar.gz", "out"}


def test_a_name_cannot_lead_out_of_the_folder(tmp_path, folder) -> None:
    path = zip_of(tmp_path / "a.zip", ("../../evil", TEXT))
    assert unpack_member(path, "../../evil", folder, 10**6) == folder / "evil"


def test_bombs_and_what_is_no_plain_file(tmp_path, folder) -> None:
    path = zip_of(tmp_path / "a.zip", ("ratings.dat", b"0" * 10**6))
    with pytest.raises(InputError, match="longer than 99,999 bytes"):
        unpack_member(path, "ratings.dat", folder, 99_999)
    assert list(folder.iterdir()) == []
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zip_of(tmp_path / "b.zip", (link, b"/etc/passwd"), ("folder/", b""))
    for name in ("link", "folder/"):
        with pytest.raises(InputError, match="no plain, unencrypted file"):
            unpack_member(path, name, folder, 10**6)
    info = tarfile.TarInfo("link")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    path = tar_of(tmp_path / "a.tar.gz", (info, b""))
    with pytest.raises(InputError, match="no plain, unencrypted file"):
        unpack_member(path, "link", folder, 10**6)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_missing_and_repeated_members(tmp_path, folder) -> None:
    path = zip_of(tmp_path / "a.zip", ("a", b"1"), ("a", b"2"))
    with pytest.raises(InputError, match=r"b is not in it; is this the publisher's archive\?"):
        unpack_member(path, "b", folder, 10**6)
    with pytest.raises(InputError, match="a is in it 2 times"):
        unpack_member(path, "a", folder, 10**6)


def test_what_cannot_be_written_is_told(tmp_path, folder, monkeypatch) -> None:
    path = zip_of(tmp_path / "a.zip", ("a", TEXT))
    (folder / "a").write_bytes(b"mine")
    with pytest.raises(LightRecError, match=r"a\.zip: a: .*out/a is there already"):
        unpack_member(path, "a", folder, 10**6)
    assert (folder / "a").read_bytes() == b"mine"
    (folder / "a").unlink()

    def full(fd: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(LightRecError, match=r"out/a: cannot be written: No space left"):
            unpack_member(path, "a", folder, 10**6)
    assert list(folder.iterdir()) == []


def test_damaged_archives(tmp_path, folder) -> None:
    path = zip_of(tmp_path / "a.zip", ("a", TEXT))
    data = bytearray(path.read_bytes())
    data[40] ^= 255
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.zip: a cannot be unpacked"):
        unpack_member(path, "a", folder, 10**6)
    (tmp_path / "b.zip").write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match=r"b\.zip: a cannot be unpacked"):
        unpack_member(tmp_path / "b.zip", "a", folder, 10**6)
