"""Who tests the tests: faults are seeded into the code, each found by the check beside it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import checks
import content_checks as content
import partial_checks as partial
import pytest
import seeding
import sharing_checks as sharing

WRITING, FOLDERS = "durable_files.writing", "durable_files.folders"
LEFTOVERS, READING = "durable_files.leftovers", "durable_files.reading"
PARTIAL = "durable_files.partial_files:PartialFile"
MANIFEST, CHECKPOINT = "artifact.manifest:Manifest.from_bytes", "training.checkpoint:Checkpoint"


def _of(check: Callable[..., object], kind: str, **how: bool) -> Callable[[Path], object]:
    return functools.partial(check, kind, **how)


CHECKS: dict[str, Callable[[Path], object]] = {
    "power cuts of a file": _of(checks.survives_power_cuts, "file"),
    "kills of a file": _of(checks.survives_kills, "file"),
    "errors of a file": _of(checks.survives_errors, "file"),
    "power cuts of a folder": _of(checks.survives_power_cuts, "folder"),
    "kills of a folder": _of(checks.survives_kills, "folder"),
    "errors of a folder": _of(checks.survives_errors, "folder"),
    "power cuts in two steps": _of(checks.survives_power_cuts, "folder", exchange=False),
    "kills in two steps": _of(checks.survives_kills, "folder", exchange=False),
    "power cuts of a checkpoint": _of(checks.survives_power_cuts, "checkpoint"),
    "power cuts of a log": checks.log_survives_power_cuts,
}
for each in (
    *(sharing.living_writers_are_left_alone, sharing.strangers_stay),
    *(sharing.what_is_swept_too_early_is_made_anew, sharing.what_is_being_swept_is_made_anew),
    *(sharing.a_log_waits_for_its_lock, sharing.a_switch_waits_for_its_lock),
    *(sharing.short_writes_are_continued, sharing.a_failed_line_leaves_nothing),
    *(sharing.permissions_stay, sharing.a_failed_second_step_is_undone),
    *(content.no_damage_is_read, content.lengths_are_told, content.manifests_are_strict),
    content.what_is_written_to_is_read_again,
    *(content.forgeries_are_refused, content.tensor_files_are_strict, content.json_is_strict),
    *(content.only_files_are_opened, content.histories_are_strict),
    *(content.unsound_models_are_found, content.unsound_models_are_not_saved),
    *(content.foreign_folders_stay, content.checkpoints_are_strict),
    *(partial.what_has_arrived_is_a_beginning, partial.a_failed_block_leaves_what_was_there),
    partial.a_finished_file_is_left_alone,
):
    CHECKS[each.__name__.replace("_", " ")] = each

FILL = "            filled = fill(fd)\n"
RENAME = "            os.rename(hidden, target)\n"
FILE_REFUSAL = """        if isinstance(error, OSError):
            refuse(path, error, needed)
        raise
"""
FOLDER_REFUSAL = """        if isinstance(error, OSError):
            refuse(path, error)
        raise
"""
SWITCH = "        _sync_tree(hidden)\n        _switch(hidden, target, check)\n"

FAULTS = {
    # name: (function, what is replaced by what ..., the check that finds it)
    "file not synced": (f"{WRITING}:_fill", ("    os.fsync(fd)\n", ""), "power cuts of a file"),
    "folder of a file not synced": (
        f"{WRITING}:_replaced",
        ("        sync(target.parent)\n", ""),
        "power cuts of a file",
    ),
    "file renamed before it is synced": (
        f"{WRITING}:_replaced",
        (FILL + RENAME, RENAME + FILL),
        "power cuts of a file",
    ),
    "file written in place": (
        f"{LEFTOVERS}:locked_hidden_file",
        ("hidden_sibling(target)", "target"),
        ("os.O_EXCL", "os.O_TRUNC"),
        "kills of a file",
    ),
    "file deleted before it is replaced": (
        f"{WRITING}:_replaced",
        ("        sweep(target)\n", "        sweep(target)\n        remove(target)\n"),
        "kills of a file",
    ),
    "dead writers of a file not swept": (
        f"{WRITING}:_replaced",
        ("        sweep(target)\n", ""),
        "kills of a file",
    ),
    "failure to write a file not told": (
        f"{WRITING}:_replaced",
        (FILE_REFUSAL, "        return None\n"),
        "errors of a file",
    ),
    "failure to write a file not cleaned up": (
        f"{WRITING}:_replaced",
        ("        remove(hidden)\n", ""),
        "errors of a file",
    ),
    "failed sync forgiven": (
        f"{WRITING}:sync",
        (
            "        os.fsync(fd)\n",
            "        with contextlib.suppress(OSError):\n            os.fsync(fd)\n",
        ),
        "errors of a file",
    ),
    "short write taken for whole": (
        f"{WRITING}:_write_all",
        ("while rest:", "if rest:"),
        "short writes are continued",
    ),
    "new folder not synced": (
        f"{WRITING}:make_folder",
        ("os.mkdir(folder)\n        sync(folder.parent)\n", "os.mkdir(folder)\n"),
        "power cuts of a file",
    ),
    "new folder of a dead writer not synced": (
        f"{WRITING}:make_folder",
        ("        sync(folder.parent)  #", "        pass  #"),
        "kills of a file",
    ),
    "line not synced": (
        f"{WRITING}:append_line",
        ("                os.fsync(fd)\n", "                pass\n"),
        "power cuts of a log",
    ),
    "new log not synced": (
        f"{WRITING}:append_line",
        ("            sync(target.parent)\n", "            pass\n"),
        "power cuts of a log",
    ),
    "log synced by its creator alone": (
        f"{WRITING}:append_line",
        ("        if durable:  #", "        if durable and not size:  #"),
        "power cuts of a log",
    ),
    "torn line not ended": (
        f"{WRITING}:append_line",
        ('                data = b"\\n" + data\n', "                pass\n"),
        "power cuts of a log",
    ),
    "half a line left": (
        f"{WRITING}:append_line",
        ("                os.ftruncate(fd, size)\n", ""),
        "a failed line leaves nothing",
    ),
    "log not locked": (
        f"{WRITING}:append_line",
        ("            lock(fd, wait=True)\n", ""),
        "a log waits for its lock",
    ),
    "tree not synced": (
        f"{FOLDERS}:replace_folder",
        ("        _sync_tree(hidden)\n", ""),
        "power cuts of a folder",
    ),
    "files in a tree not synced": (
        f"{FOLDERS}:_sync_tree",
        ("sync(os.path.join(parent, name))", "pass"),
        "power cuts of a folder",
    ),
    "names in a tree not synced": (
        f"{FOLDERS}:_sync_tree",
        ("        sync(parent)\n", ""),
        "power cuts of a folder",
    ),
    "folder switched before it is synced": (
        f"{FOLDERS}:replace_folder",
        (SWITCH, "".join(reversed(SWITCH.splitlines(keepends=True)))),
        "power cuts of a folder",
    ),
    "switch not synced": (
        f"{FOLDERS}:replace_folder",
        ("        sync(target.parent)\n", "        pass\n"),
        "power cuts of a folder",
    ),
    "old content deleted before the switch is synced": (
        f"{FOLDERS}:replace_folder",
        ("        sync(target.parent)\n", "        remove(hidden)\n        sync(target.parent)\n"),
        "power cuts of a folder",
    ),
    "old content deleted before the switch": (
        f"{FOLDERS}:replace_folder",
        (SWITCH, SWITCH.replace("        _switch", "        remove(target)\n        _switch")),
        "kills of a folder",
    ),
    "dead writers of a folder not swept": (
        f"{FOLDERS}:replace_folder",
        ("        sweep(target)\n", ""),
        "kills of a folder",
    ),
    "old content left": (
        f"{FOLDERS}:replace_folder",
        ("    remove(hidden)  # holds the old content now\n", ""),
        "power cuts of a folder",
    ),
    "failure to write a folder not told": (
        f"{FOLDERS}:replace_folder",
        (FOLDER_REFUSAL, "        return\n"),
        "errors of a folder",
    ),
    "failure to sync a switch not told": (
        f"{FOLDERS}:replace_folder",
        ("both are kept\n        refuse(path, error)\n", "both are kept\n        pass\n"),
        "errors of a folder",
    ),
    "error of a close not caught": (
        f"{FOLDERS}:replace_folder",
        ("with contextlib.suppress(OSError):", "if True:"),
        "errors of a folder",
    ),
    "first step not synced": (
        f"{FOLDERS}:_switch_in_two_steps",
        ("    sync(target.parent)\n", ""),
        "power cuts in two steps",
    ),
    "failed second step not undone": (
        f"{FOLDERS}:_switch_in_two_steps",
        ("        os.rename(previous, target)\n", ""),
        "a failed second step is undone",
    ),
    "previous content not found": (
        f"{FOLDERS}:resolve_folder",
        ("return previous if cut_short else Path(path)", "return Path(path)"),
        "kills in two steps",
    ),
    "previous content not swept": (
        f"{FOLDERS}:_sweep_previous",
        ("                remove(previous)\n", "                pass\n"),
        "kills in two steps",
    ),
    "switch not locked": (
        f"{FOLDERS}:_switch",
        ("with _locked_folder(target.parent):", "if True:"),
        "a switch waits for its lock",
    ),
    "permissions forgotten": (
        f"{FOLDERS}:_switch",
        ("os.chmod(hidden, stat.S_IMODE(os.stat(target).st_mode))", "pass"),
        "permissions stay",
    ),
    "hidden names not locked": (
        f"{LEFTOVERS}:_is_ours",
        ("if lock(fd) is not False and hidden.exists():", "if hidden.exists():"),
        "living writers are left alone",
    ),
    "swept names not noticed": (
        f"{LEFTOVERS}:_is_ours",
        (" and hidden.exists()", ""),
        "what is swept too early is made anew",
    ),
    "sweeping of what is new not noticed": (
        f"{LEFTOVERS}:_is_ours",
        ("lock(fd) is not False", "lock(fd) in (True, False)"),
        "what is being swept is made anew",
    ),
    "locks not heeded": (
        f"{LEFTOVERS}:sweep",
        ("if lock(fd):", "if True:"),
        "living writers are left alone",
    ),
    "strangers swept": (f"{LEFTOVERS}:sweep", ('"[0-9a-f]{16}"', '".*"'), "strangers stay"),
    "links followed": (
        f"{READING}:open_regular",
        ("OPEN_FLAGS", "0"),
        "only files are opened",
    ),
    "pipes read": (
        f"{READING}:open_regular",
        ("if not stat.S_ISREG(os.fstat(fd).st_mode):", "if False:"),
        "only files are opened",
    ),
    "keys twice": (
        "durable_files.strict_json:_object_of",
        ("if key in value:", "if False:"),
        "json is strict",
    ),
    "NaN in JSON": (
        "durable_files.strict_json:_refuse_constant",
        ('raise ValueError(f"{text} is not a number in JSON")', "return 0"),
        "json is strict",
    ),
    "infinity in JSON": (
        "durable_files.strict_json:_finite",
        ("if not math.isfinite(number):", "if False:"),
        "json is strict",
    ),
    "digest not compared": (
        "artifact.generation:Generation.content",
        ("if digest != listed.sha256:", "if False:"),
        "no damage is read",
    ),
    "length not compared": (
        "artifact.generation:Generation.content",
        ("if length != listed.num_bytes:", "if False:"),
        "lengths are told",
    ),
    "manifest's own digest not compared": (
        MANIFEST,
        ("if manifest.to_bytes() != data:", "if False:"),
        "no damage is read",
    ),
    "any file listed": (
        MANIFEST,
        ("if name not in REQUIRED + OPTIONAL:", "if False:"),
        "manifests are strict",
    ),
    "any length listed": (
        MANIFEST,
        ("if type(file.num_bytes) is not int or file.num_bytes < 0:", "if False:"),
        "manifests are strict",
    ),
    "parts missing": (MANIFEST, ("if name not in files:", "if False:"), "manifests are strict"),
    "newer format read": (
        MANIFEST,
        ("    _refuse_newer(body)\n", ""),
        "manifests are strict",
    ),
    "loaded without verifying": (
        "artifact.load:_load",
        ("            verify(model)\n", ""),
        "forgeries are refused",
    ),
    "a write while loading not noticed": (
        "artifact.load:_load",
        ("            generation.check_unchanged()\n", ""),
        "what is written to is read again",
    ),
    "what is written to not read again": (
        "artifact.load:load_model_and_manifest",
        ("if now == before:", "if True:"),
        "what is written to is read again",
    ),
    "sizes not compared": (
        "artifact.load:_read",
        ('if config["sizes"] != sizes_of(model):', "if False:"),
        "forgeries are refused",
    ),
    "columns of users not refused": (
        "artifact.load:_read",
        ("if user_columns.width:", "if False:"),
        "forgeries are refused",
    ),
    "a config that is no object": (
        "artifact.load:_read_config",
        ('if not isinstance(config["config"], dict):', "if False:"),
        "forgeries are refused",
    ),
    "a selection that is not there": (
        "artifact.load:_read_selection",
        (
            "if (SELECTION in contents) != (names is not None):",
            "if SELECTION not in contents:\n        return None\n    if False:",
        ),
        "forgeries are refused",
    ),
    "arrays that overlap": (
        "artifact.tensor_file:decode_tensors",
        ("if start != place:", "if False:"),
        "tensor files are strict",
    ),
    "bytes at the end": (
        "artifact.tensor_file:decode_tensors",
        ("if place != len(body):", "if False:"),
        "tensor files are strict",
    ),
    "shapes that do not fit": (
        "artifact.tensor_file:_checked_entry",
        ("count != offsets[1] - offsets[0] or", ""),
        "tensor files are strict",
    ),
    "unsorted history": (
        "interactions.history:History.__post_init__",
        ("if not ascends.all():", "if False:"),
        "histories are strict",
    ),
    "history out of range": (
        "interactions.history:History.__post_init__",
        ("items.max() >= self.num_items", "False"),
        "histories are strict",
    ),
    "saved without verifying": (
        "artifact.save:save_model",
        ("        verify(model)\n", ""),
        "unsound models are not saved",
    ),
    "saved over anything": (
        "artifact.save:save_model",
        ("        check_target(path)\n", ""),
        "foreign folders stay",
    ),
    "saved over a folder in a model": (
        "artifact.save:_check_is_model",
        ("if inside or not (", "if not ("),
        "foreign folders stay",
    ),
    "saved over a file in a model": (
        "artifact.save:_check_is_model",
        ("if strangers or MANIFEST", "if any(is_folder.values()) or MANIFEST"),
        "foreign folders stay",
    ),
    "saved over another program's manifest": (
        "artifact.save:_check_is_model",
        ("if not ours:", "if False:"),
        "foreign folders stay",
    ),
    "checkpoint's digest not compared": (
        f"{CHECKPOINT}._read",
        ("if (slot / DIGEST).read_bytes() != sha256_of(state).encode():", "if False:"),
        "checkpoints are strict",
    ),
    "tensors' digest not compared": (
        f"{CHECKPOINT}._read",
        ('if parsed["tensors_sha256"] != sha256_of(content):', "if False:"),
        "checkpoints are strict",
    ),
    "another run's checkpoint read": (
        f"{CHECKPOINT}.load",
        ("    _require_same_run(among or folder, newest.fingerprint, fingerprint)\n", ""),
        "checkpoints are strict",
    ),
    "oldest checkpoint read": (
        f"{CHECKPOINT}.load",
        ("max(sound", "min(sound"),
        "checkpoints are strict",
    ),
    "damaged checkpoint not told": (
        f"{CHECKPOINT}.load",
        ("            on_damage(reason)\n", "            pass\n"),
        "checkpoints are strict",
    ),
    "one checkpoint alone kept": (
        f"{CHECKPOINT}.save",
        ("SLOTS[number % 2]", "SLOTS[1]"),
        "checkpoints are strict",
    ),
    "checkpoint written in place": (
        f"{CHECKPOINT}.save",
        (
            "with replace_folder(folder / SLOTS[number % 2]) as fresh:",
            "if fresh := folder / SLOTS[0]:",
        ),
        "power cuts of a checkpoint",
    ),
    "partial file believed before it is synced": (
        f"{PARTIAL}.keep",
        ("        _sync(self.path, self._fd)\n", ""),
        "what has arrived is a beginning",
    ),
    "partial file taken for that of an earlier origin": (
        f"{PARTIAL}.begin",
        ("    self._write_record()", "    pass"),
        "what has arrived is a beginning",
    ),
    "partial file kept only when it is closed": (
        f"{PARTIAL}.append",
        ("self.keep()\n", "pass\n"),
        "what has arrived is a beginning",
    ),
    "partial file not kept when it is closed": (
        f"{PARTIAL}.close",
        ("self.keep()\n", "pass\n"),
        "what has arrived is a beginning",
    ),
    "partial file in place before it is synced": (
        f"{PARTIAL}.finish",
        ("        os.fsync(self._fd)\n", ""),
        "what has arrived is a beginning",
    ),
    "folder of a finished partial file not synced": (
        f"{PARTIAL}.finish",
        ("        sync(self._target.parent)\n", ""),
        "what has arrived is a beginning",
    ),
    "half a block left in a partial file": (
        f"{PARTIAL}.append",
        ("os.ftruncate(self._fd, self.num_bytes)\n", "pass\n"),
        "a failed block leaves what was there",
    ),
    "finished file taken for a partial one": (
        f"{PARTIAL}._opened",
        ("if _is_at(self.path, fd):", "if True:"),
        "a finished file is left alone",
    ),
}
VERIFY = ("verify", "_check_columns", "_check_users", "_check_map", "_check_selection")
VERIFIED = [
    (function, statement)
    for function in VERIFY
    for statement in seeding.statements(
        f"artifact.verify:{function}", {"_check", "_check_shape", "_check_floats"}
    )
]


@pytest.mark.parametrize("check", CHECKS)
def test_checks_pass_where_no_fault_is_seeded(scratch, check):
    CHECKS[check](scratch)


def test_there_are_enough_faults():
    assert len(FAULTS) >= 60
    assert len(VERIFIED) >= 30
    assert {fault[-1] for fault in FAULTS.values()} | {"unsound models are found"} == set(CHECKS)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_found(scratch, monkeypatch, fault):
    where, *changes, check = FAULTS[fault]
    seeding.seed(monkeypatch, where, *changes)
    with pytest.raises((AssertionError, OSError, ValueError)):
        CHECKS[check](scratch)


@pytest.mark.parametrize(("function", "statement"), VERIFIED)
def test_a_check_left_out_of_verify_is_found(scratch, monkeypatch, function, statement):
    seeding.seed_without(monkeypatch, f"artifact.verify:{function}", statement)
    with pytest.raises((AssertionError, TypeError, AttributeError, IndexError)):
        content.unsound_models_are_found(scratch)
