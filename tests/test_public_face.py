"""`import lightrec`: instant, complete, and its functions stay functions."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lightrec
from lightrec.errors import MissingExtraError


def run(program: str) -> str:
    """Runs a program in a fresh process."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_importing_the_package_loads_nothing_else() -> None:
    loaded = run(
        "import sys; before = set(sys.modules)\n"
        "import lightrec\n"
        "sys.stdout.write(' '.join(sorted(set(sys.modules) - before)))"
    ).split()
    assert {name for name in loaded if name.startswith("lightrec")} == {
        "lightrec",
        "lightrec._version",
    }
    assert not {"numpy", "polars", "torch"} & set(loaded)


@pytest.mark.parametrize("name", ["Recommender", "Model", "compress"])
def test_serving_and_compressing_need_no_torch(name: str) -> None:
    run(
        "import sys; sys.modules['torch'] = None\n"
        "import lightrec\n"
        f"assert callable(lightrec.{name}), lightrec.{name}"
    )


def test_train_without_torch_says_what_to_install() -> None:
    message = run(
        "import sys; sys.modules['torch'] = None\n"
        "import lightrec\n"
        "from lightrec.errors import MissingExtraError\n"
        "try:\n"
        "    lightrec.train\n"
        "except MissingExtraError as error:\n"
        "    sys.stdout.write(str(error))"
    )
    assert "lightrec.train" in message
    assert "pip install 'lightrec[train]'" in message
    assert issubclass(MissingExtraError, ImportError)


@pytest.mark.parametrize(
    "first",
    [
        "import lightrec.{name}",
        "from lightrec.{name} import {name}",
        "import importlib; importlib.import_module('lightrec.{name}')",
        "from lightrec import {name}; import lightrec.{name}",
        "import lightrec; lightrec.{name}; import lightrec.{name}",
    ],
)
@pytest.mark.parametrize("name", ["train", "compress"])
def test_a_submodule_never_hides_the_function_of_its_name(name: str, first: str) -> None:
    run(
        f"{first.format(name=name)}\n"
        "import inspect, sys, lightrec\n"
        f"submodule = sys.modules['lightrec.{name}']\n"
        f"assert lightrec.{name} is submodule.{name}, lightrec.{name}\n"
        f"assert inspect.isfunction(lightrec.{name})\n"
        f"from lightrec import {name} as imported\n"
        f"assert imported is submodule.{name}"
    )


def test_other_submodules_are_attributes_as_usual() -> None:
    run("import lightrec.search.scan; assert lightrec.search.scan.make_scan")


def test_every_public_name_resolves() -> None:
    for name in lightrec.__all__:
        assert getattr(lightrec, name) is not None
    assert dir(lightrec) == sorted(lightrec.__all__)
    assert lightrec.Model.__module__ == "lightrec.artifact.contents"
    assert lightrec.__version__.count(".") == 2


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'recommend'"):
        lightrec.recommend  # noqa: B018
