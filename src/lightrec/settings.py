"""Reading settings from TOML into the configuration classes, with errors that name the key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from lightrec.errors import ConfigError


class Settings(BaseModel):
    """Base of every configuration class: immutable, no unknown key, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Config = TypeVar("Config", bound=Settings)


def read_toml(file: Path | str) -> dict[str, Any]:
    """The tables and values of a TOML file.

    Raises:
        ConfigError: It is not there or is not TOML.
    """
    if not Path(file).exists():
        raise ConfigError(f"{file} does not exist; check the path")
    try:
        return tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read as TOML ({error})") from error


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`under` with what `over` says; tables are merged key by key.

    A table that names another `kind` replaces the one beneath: the keys of one kind mean nothing to
    another.
    """
    if "kind" in over and over["kind"] != under.get("kind", over["kind"]):
        return dict(over)
    result = dict(under)
    for key, value in over.items():
        present = result.get(key)
        if isinstance(present, Mapping) and isinstance(value, Mapping):
            result[key] = merged(present, value)
        else:
            result[key] = value
    return result


def validated(kind: type[Config], settings: Mapping[str, Any], source: str) -> Config:
    """Settings as a configuration object.

    Args:
        kind: The configuration class.
        settings: Tables and values.
        source: Where they come from, for the error.

    Raises:
        ConfigError: An unknown key or a value out of range, each named.
    """
    try:
        return kind.model_validate(dict(settings))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise ConfigError(f"{source}: {faults}") from error
