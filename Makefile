# make demo     the offline demonstration, from a bare machine
# make test     every test, with the compiled kernels; what depends on them also without
# make lint     style, types, import rules
#
# The first use creates .venv and installs into it what constraints.txt pins. PYTHON names the interpreter.
# The package is installed editable: changes in src/ count at once, changes in native/ at the next make.
# For quick rebuilds while working on a kernel:
#   .venv/bin/pip install cmake ninja        (once, where the system has none)
#   .venv/bin/pip install --no-deps --no-build-isolation -Cbuild-dir=build/native -e .

PYTHON ?= python3
BIN := .venv/bin

# pip reads these too for the packages that it builds with.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

ifneq ($(wildcard ../shared/data),)
export LIGHTREC_DATA ?= $(abspath ../shared/data)
endif

INSTALLS_AGAIN := pyproject.toml constraints.txt CMakeLists.txt $(wildcard native/*)

# Tests whose answers come from the kernels, or from numpy where there are none.
KERNEL_TESTS := tests/codes tests/search tests/test_native.py

.PHONY: demo test lint install-dev clean

demo: .venv/.installed-train
	$(BIN)/lightrec demo

test: .venv/.installed-dev
	LIGHTREC_NO_NATIVE=1 $(BIN)/python -m pytest $(KERNEL_TESTS)
	$(BIN)/python -m pytest

lint: .venv/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

install-dev: .venv/.installed-dev

clean:
	rm -rf .venv build

.venv/.created:
	$(PYTHON) -m venv .venv
	touch $@

.venv/.installed-train: .venv/.created $(INSTALLS_AGAIN)
	$(BIN)/pip install --quiet -e '.[train]'
	touch $@

.venv/.installed-dev: .venv/.created $(INSTALLS_AGAIN)
	$(BIN)/pip install --quiet -e '.[train,report,baselines,dev]'
	touch $@ .venv/.installed-train
