"""The one way anything reaches the disk.

A file or folder is written under a hidden name beside its target, synced, and switched into place
in one atomic step, so that a kill, a full disk or a power cut leaves the old content or the new,
whole. What arrives over hours is kept beside its target until it is whole. Written for POSIX;
elsewhere it imports, and does without locks and the exchange of folders.
"""

from lightrec.durable_files.folders import check_can_be_made, replace_folder, resolve_folder
from lightrec.durable_files.leftovers import sweep
from lightrec.durable_files.partial_files import PartialFile, partial_file
from lightrec.durable_files.reading import open_regular, read_json, sha256_of
from lightrec.durable_files.strict_json import parse_json, to_json
from lightrec.durable_files.writing import (
    Bytes,
    FileDigest,
    FilePath,
    append_line,
    bytes_free,
    num_bytes,
    write_blocks,
    write_file,
    write_new_file,
    write_through,
)

__all__ = [
    "Bytes",
    "FileDigest",
    "FilePath",
    "PartialFile",
    "append_line",
    "bytes_free",
    "check_can_be_made",
    "num_bytes",
    "open_regular",
    "parse_json",
    "partial_file",
    "read_json",
    "replace_folder",
    "resolve_folder",
    "sha256_of",
    "sweep",
    "to_json",
    "write_blocks",
    "write_file",
    "write_new_file",
    "write_through",
]
