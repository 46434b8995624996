# make demo     the demonstration, from a bare machine; only packages are downloaded
# make test     every test, with the compiled kernels; what depends on them also without
# make sanitize tests of the kernels with memory, arithmetic and threads watched; needs g++
# make coverage which lines and branches of what is saved the tests reach; fails under 95 %
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

INSTALLS_AGAIN := pyproject.toml constraints.txt CMakeLists.txt $(wildcard native/*.[ch]pp)

# Tests that give the kernels arrays of every size and kind, good and bad.
SANITIZED_TESTS := tests/codes tests/search tests/serving/test_similar_items.py \
  tests/training/test_row_adam.py tests/test_native.py::test_kernels_refuse_what_does_not_fit
SANITIZE := $(CURDIR)/build/sanitize
WITH_CMAKE := PATH="$(CURDIR)/$(BIN):$$PATH"
gcc_library = $(shell g++ -print-file-name=$(1))

# What must not lose anything, and its own tests.
COVERED := lightrec.artifact,lightrec.durable_files,lightrec.training.checkpoint
COVERED_TESTS := tests/artifact tests/test_compressed_item_columns.py tests/durable_files tests/test_durable_files.py \
  tests/training/test_checkpoint.py

# Tests whose answers come from the kernels, or from numpy where there are none.
KERNEL_TESTS := tests/codes tests/search tests/serving/test_similar_items.py tests/test_native.py

.PHONY: demo test sanitize coverage lint install-dev clean

demo: .venv/.installed-train
	$(BIN)/lightrec demo

test: .venv/.installed-dev
	LIGHTREC_NO_NATIVE=1 $(BIN)/python -m pytest -n 2 $(KERNEL_TESTS)
	$(BIN)/python -m pytest -n 2

# Python itself is not built with sanitizers, so their runtimes have to be there before it starts, and
# libstdc++ with them, whose exceptions they watch. Python leaks on purpose.
sanitize: .venv/.installed-dev
	$(WITH_CMAKE) && { command -v cmake && command -v ninja; } > /dev/null || $(BIN)/pip install --quiet cmake ninja
	$(WITH_CMAKE) cmake -S . -B $(SANITIZE)/module -G Ninja -DCMAKE_CXX_COMPILER=g++ \
	  -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python '-DLIGHTREC_SANITIZE=address;undefined'
	$(WITH_CMAKE) cmake --build $(SANITIZE)/module
	$(WITH_CMAKE) cmake -S . -B $(SANITIZE)/threads -G Ninja -DCMAKE_CXX_COMPILER=g++ -DLIGHTREC_SANITIZE=thread
	$(WITH_CMAKE) cmake --build $(SANITIZE)/threads
	LD_PRELOAD=$(call gcc_library,libasan.so):$(call gcc_library,libubsan.so):$(call gcc_library,libstdc++.so) \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	PYTHONPATH=tests/sanitize LIGHTREC_SANITIZED_MODULE=$(SANITIZE)/module \
	  $(BIN)/python -m pytest --capture=sys -p sanitized_kernels $(SANITIZED_TESTS)
	$(SANITIZE)/threads/concurrent_search

# Many of these tests fork, and children end by os._exit: pyproject.toml has each leave data of its own. Of one that a test
# kills while it writes them, a warning says that they cannot be used.
coverage: .venv/.installed-dev
	$(BIN)/python -c 'import coverage' 2> /dev/null || $(BIN)/pip install --quiet coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run --branch --source=$(COVERED) -m pytest $(COVERED_TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=95

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
