"""Tables of what was damaged, killed and interrupted, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_DAMAGE = {
    "sealed": "a file cut, flipped, overwritten, zeroed, spliced, swapped, missing ...",
    "sealed_exhaustive": "every bit and every length of every file of a small model",
    "card": "README.md, which people may edit",
    "resealed": "edited by structure, and all digests computed anew",
    "atheris": "the same, by a fuzzer in search of every branch",
    "bytes": "bytes of the file",
}
_FAULTS = {
    "kill_each_call": "killed at every system call",
    "kill_random": "killed at random moments",
    "errno_EIO": "input/output error at every call",
    "errno_ENOSPC": "no space left, at every call",
    "errno_EROFS": "read-only file system, at every call",
    "errno_EACCES": "no permission, at every call",
    "disk_full": "a full disk, 4 KB more free at a time",
}
_KEPT = {
    "lightrec": "a model folder",
    "lightrec_checkpoint": "a checkpoint",
    "lightrec_file": "a file",
}


def damage_table(content: Mapping[str, Any]) -> str:
    """Damaged folders and files, and whether loading noticed."""
    lines = [
        "| system | damage | tried | rejected | accepted, right | silently wrong | crashed |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in _ours_first(content["rows"]):
        lines.append(
            f"| {row['system']} | {_DAMAGE[row['fault']]} | {row['trials']:,} | "
            f"{row['rejected']:,} | {row['accepted_unchanged']:,} | {row['silent_wrong']:,} | "
            f"{row['crashed']:,} |"
        )
    return "\n".join(lines)


def kill_table(content: Mapping[str, Any]) -> str:
    """Interrupted saves, and what was there afterwards."""
    lines = [
        "| what was saved | how it was interrupted | tried | lost | mixed | leftovers after the "
        "next save | said to be saved and was not |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in _ours_first(content["rows"]):
        counts = (row[name] for name in ("lost", "mixed", "leftovers", "false_success"))
        lines.append(
            f"| {_KEPT.get(row['system'], row['system'])} | {_FAULTS[row['fault']]} | "
            f"{row['trials']:,} | {' | '.join(f'{count:,}' for count in counts)} |"
        )
    return "\n".join(lines)


def _ours_first(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(rows, key=lambda row: not row["system"].startswith("lightrec"))
