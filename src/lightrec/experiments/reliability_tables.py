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
    "kill_each_call": "killed at every file or descriptor call",
    "kill_random": "killed at random moments",
    "errno_EIO": "input/output error at every such call",
    "errno_ENOSPC": "no space left, at every such call",
    "errno_EROFS": "read-only file system, at every such call",
    "errno_EACCES": "no permission, at every such call",
    "disk_full": "a full disk, 4 KB more free at a time",
}
_TABLE_DAMAGE = {
    "truncated": "cut short",
    "flipped_bit": "a bit flipped",
    "overwritten_head": "bytes overwritten at the head",
    "overwritten": "bytes overwritten anywhere",
    "zeroed_block": "a block of a disk zeroed",
    "spliced": "joined from two files",
    "trailing": "bytes appended",
    "swapped": "another sound table in its place",
    "emptied": "emptied",
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


def resume_table(content: Mapping[str, Any]) -> str:
    """Training runs that were killed and went on, held against runs that were left alone."""
    lines = [
        "| what was trained | runs | killed | resumed | identical, bit for bit | lost |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in content["rows"]:
        counts = (row[name] for name in ("trials", "kills", "resumed"))
        lines.append(
            f"| `{row['student']}` | {' | '.join(f'{count:,}' for count in counts)} | "
            f"{100 * row['identical_share']:.0f} % | {row['lost']} |"
        )
    return "\n".join(lines)


def ids_table(content: Mapping[str, Any]) -> str:
    """Tables of hostile ids, what became of them, and what came back otherwise than it went in."""
    lines = [
        "| tables of ids | refused, with the place | a model of random codes | "
        "by `lightrec.compress` | by `lightrec.train` | differences |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    names = ("trials", "rejected", "built", "compressed", "trained", "differences")
    for row in content["rows"]:
        lines.append(f"| {' | '.join(f'{row[name]:,}' for name in names)} |")
    return "\n".join(lines)


def damaged_tables_table(content: Mapping[str, Any]) -> str:
    """Damaged Parquet tables: refused, read as they were, or read with other cells."""
    lines = [
        "| damage to a Parquet table | tried | refused | read, the same | read, with other cells | "
        "another error | crashed |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    names = ("trials", "rejected", "accepted_unchanged", "accepted_changed", "uncaught", "crashed")
    for row in content["rows"]:
        kind = row["fault"].removeprefix("parquet table ")
        counts = " | ".join(f"{row[name]:,}" for name in names)
        lines.append(f"| {_TABLE_DAMAGE[kind]} | {counts} |")
    return "\n".join(lines)


def _ours_first(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(rows, key=lambda row: not row["system"].startswith("lightrec"))
