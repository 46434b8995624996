"""What happened in a run, one JSON object a line, and the same in short on the terminal."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from lightrec.durable_files import append_line

logger = logging.getLogger("lightrec")


class RunLog:
    """Writes events to `metrics.jsonl` (when the run has a folder) and to the logger."""

    def __init__(self, file: Path | None = None) -> None:
        """Opens the log.

        Args:
            file: The JSONL file to append to; None keeps no file.
        """
        self._file = file
        self._started = time.monotonic()

    def event(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 - any JSON value
        """Records an event.

        Args:
            kind: What happened: `epoch`, `validation`, `round`, ...
            fields: Numbers and words that belong to it.
        """
        seconds = round(time.monotonic() - self._started, 3)
        if self._file is not None:
            line = json.dumps({"event": kind, "seconds": seconds, **fields})
            append_line(self._file, line)
        shown = "  ".join(f"{name} {_short(value)}" for name, value in fields.items())
        logger.info("%s  %s", kind, shown)


def _short(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
