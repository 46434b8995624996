"""LightRec: recommenders whose items are four bytes.

    model = lightrec.train(interactions)              # or lightrec.compress(items=vectors, ...)
    model.save("model/")
    rec = lightrec.Recommender.load("model/")
    rec.recommend(users=["u1", "u2"], k=10)

Importing this package loads nothing else: each name below is loaded when it is first used. Only
training and its configuration (`train`, `RunConfig`, `load_config`) need torch.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from lightrec._version import __version__

if TYPE_CHECKING:
    from lightrec.artifact.contents import Model
    from lightrec.compress import compress
    from lightrec.run_config import RunConfig, load_config
    from lightrec.serving.recommender import Recommender
    from lightrec.train import train

__all__ = ["Model", "Recommender", "RunConfig", "__version__", "compress", "load_config", "train"]

_HOMES = {
    "Model": "lightrec.artifact.contents",
    "Recommender": "lightrec.serving.recommender",
    "RunConfig": "lightrec.run_config",
    "compress": "lightrec.compress",
    "load_config": "lightrec.run_config",
    "train": "lightrec.train",
}


class _PublicFace(ModuleType):
    """This package, on which `train` and `compress` stay functions.

    Importing the submodule `lightrec.train`, wherever that happens, makes Python bind it as the
    attribute `train` of the package. That binding is ignored here: `from lightrec.train import ...`
    finds the submodule anyway, and `lightrec.train(...)` is what people call.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = importlib.import_module(_HOMES[name])
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        from lightrec.errors import MissingExtraError

        raise MissingExtraError(f"lightrec.{name}", "train") from error
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)


sys.modules[__name__].__class__ = _PublicFace
