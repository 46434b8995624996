"""JSON without its traps: no key twice, no NaN or infinity, no lone surrogates, no deep nesting."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from lightrec.errors import ArgumentError, InputError


def to_json(value: Any) -> bytes:  # noqa: ANN401
    """Readable JSON in UTF-8 with a final line break; the same value gives the same bytes.

    Raises:
        ArgumentError: The value holds what strict JSON cannot: NaN, an array, the keys 1 and "1".
    """
    try:
        data = (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
        parse_json(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"cannot be written as JSON: {error}") from None
    return data


def parse_json(data: bytes | bytearray | memoryview) -> Any:  # noqa: ANN401
    """Reads JSON text.

    Raises:
        InputError: The text is not strict JSON; the message does not say where it came from.
    """
    try:
        value = json.loads(
            bytes(data).decode(),
            object_pairs_hook=_object_of,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
        json.dumps(value, ensure_ascii=False).encode()  # fails for "\ud800", which no file can hold
    except (
        ValueError,
        RecursionError,
    ) as error:  # UnicodeError is a ValueError
        raise InputError(f"is not valid JSON: {error or 'nested too deeply'}") from None
    return value


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, member in pairs:
        if key in value:
            raise ValueError(f"key {key!r} occurs twice")
        value[key] = member
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number
