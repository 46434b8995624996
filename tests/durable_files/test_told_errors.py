"""Errors that once came through raw, or were told wrongly."""

import errno
import os

import pytest
from kept_things import tiny_model

from lightrec.artifact import Model
from lightrec.artifact.save import check_target
from lightrec.durable_files import folders, replace_folder
from lightrec.errors import ArtifactError


def _failing_stat(monkeypatch, part):
    """Asking after any path with that in its name fails."""
    stat = os.stat

    def fail(path, *args, **kwargs):
        if not isinstance(path, int) and part in os.fspath(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", fail)


def test_a_finished_save_does_not_fail_for_what_it_would_only_clear_away(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        _failing_stat(patch, ".previous")
        with replace_folder(tmp_path / "folder") as fresh:
            (fresh / "file").touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"]


def test_a_disk_that_cannot_be_asked_is_told_when_saving(tmp_path, monkeypatch):
    """Not before: `check_target` only looks whether the work would be in vain."""
    with monkeypatch.context() as patch:
        _failing_stat(patch, "parent")
        check_target(tmp_path / "parent" / "model")
        with pytest.raises(ArtifactError, match="Input/output error"):
            tiny_model().save(tmp_path / "parent" / "model")


def test_a_manifest_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    tiny_model().save(tmp_path / "model")

    def fail(*_args):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("lightrec.artifact.save.read_json", fail)
    with pytest.raises(ArtifactError, match=r"MANIFEST\.json cannot be read: Input/output error"):
        tiny_model().save(tmp_path / "model")


def test_what_a_trial_left_beside_a_missing_parent_is_cleared_once_the_parent_is_there(
    tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(folders, "remove", lambda path: None)  # as where the disk refuses
        check_target(tmp_path / "parent" / "model")
    assert [path.name[:12] for path in tmp_path.iterdir()] == [".parent.new-"]
    tiny_model().save(tmp_path / "parent" / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["parent"]


def test_a_switch_that_could_not_be_synced_is_told_as_it_is(tmp_path, monkeypatch):
    target = tmp_path / "model"
    tiny_model(0).save(target)
    sync = folders.sync

    def fail(path):
        if os.fspath(path) == str(tmp_path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(path)

    with monkeypatch.context() as patch:
        patch.setattr(folders, "sync", fail)
        with pytest.raises(ArtifactError, match="all but the last sync went well, the new one"):
            tiny_model(1).save(target)
    assert Model.load(target).config["version"] == 1
    assert len(list(tmp_path.iterdir())) == 2  # a power cut may bring either back
    tiny_model(2).save(target)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
