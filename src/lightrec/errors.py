"""One family of errors.

Every error names what is at fault (file, column, row, id or argument) and says what to do. The
command line prints the message alone and leaves with the class's `exit_code`; no traceback reaches
a user.
"""

from __future__ import annotations

from collections.abc import Sequence


class LightRecError(Exception):
    """Base of every error that LightRec raises on purpose."""

    exit_code = 1


class ArgumentError(LightRecError, ValueError):
    """An argument of a call or an option of a command has a value that cannot be used."""

    exit_code = 2


class ConfigError(LightRecError, ValueError):
    """A run configuration has an unknown key or a value out of range."""

    exit_code = 2


class MissingExtraError(LightRecError, ImportError):
    """A feature needs an optional dependency that is not installed."""

    exit_code = 2

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs packages that are not installed; run: pip install 'lightrec[{extra}]'"
        )


class InputError(LightRecError, ValueError):
    """A table, file or array that the user gave cannot be used as it is."""

    exit_code = 3


class ArtifactError(LightRecError):
    """A model folder is damaged, incomplete, from a newer format, or could not be written."""

    exit_code = 4


class UnknownIdError(LightRecError, KeyError):
    """An id that the model does not know."""

    exit_code = 5

    def __init__(self, what: str, ids: Sequence[object], hint: str = "") -> None:
        shown = ", ".join(repr(value) for value in ids[:3])
        more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
        super().__init__(f"unknown {what} id: {shown}{more}{hint and f'; {hint}'}")

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the message in quotes


class DivergedError(LightRecError):
    """Training produced a value that is not finite; the last good checkpoint is kept."""

    exit_code = 6


class CheckpointError(LightRecError):
    """A checkpoint is not of this run or cannot be read, or another run works in the folder."""

    exit_code = 7


class NotPublishedError(LightRecError):
    """A new model is not as good as the one that it was to replace, which is kept."""

    exit_code = 8


class InterruptedRunError(LightRecError):
    """The user interrupted a run; a checkpoint was written and the run can be resumed."""

    exit_code = 130
