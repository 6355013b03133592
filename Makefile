# `make demo` and `make test` are all that a newcomer needs; every target sets up `.venv` first.
#
#   make setup      create .venv and install bayesfuse with every extra
#   make demo       train on the embedded demo catalogue and write a report
#   make test       lint, then every test that is not slow
#   make test-slow  the slow tests: long training runs, statistics, the documentation site
#   make kill       kill `fit` and `encode` at 100 moments each, and look what is left
#   make fuzz       broken files by the ten thousand for every reader (CASES=100000 for more)
#   make audit      known vulnerabilities of the packages that are installed
#   make lint       ruff, mypy, import-linter; changes nothing
#   make fix        let ruff mend what it can
#   make bench      seconds a step, a draw and an item, memory, start-up, and how all of it grows
#   make docs       build the documentation into site/, strictly
#   make clean      remove what the targets above made, .venv included

# The first Python that runs and is new enough; 3.11 first, since DGL has wheels up to 3.11.
# A user's own choice: `make setup PYTHON=/path/to/python3.11`.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$python; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
DEMO := demo-run
# A process a core, each with one thread: the tests' networks are too small for more.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

.PHONY: setup demo test test-slow kill fuzz audit lint fix bench docs clean
.DELETE_ON_ERROR:

setup: $(STAMP)

# torch goes first, on its own, so that a wheel the user provides (a CPU build, say) is what the
# rest is resolved against.
$(STAMP): pyproject.toml constraints.txt
	@if ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		found=$$($(or $(PYTHON),python3) --version 2>&1) || found="none"; \
		echo "bayesfuse needs Python 3.11 or later; found: $$found." >&2; \
		echo "Install it, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
		exit 2; \
	fi
	@echo "Installing into $(VENV) (a few minutes the first time)."
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(PIP) torch
	$(PIP) -e '.[all,dev]'
	@touch $(STAMP)

demo: setup
	@rm -rf $(DEMO)
	$(BIN)/bayesfuse fit --elbo annealed --out $(DEMO)
	$(BIN)/bayesfuse report $(DEMO)
	@echo "Done. Open $(DEMO)/report.html in a browser."

test: lint
	$(PYTEST) -m "not slow"

test-slow: setup
	$(PYTEST) -m slow

kill: setup
	BAYESFUSE_KILLS=100 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -s tests/cli/test_kills.py

# First by hypothesis, then guided by coverage where atheris is to be had (Linux, Python to 3.13).
fuzz: setup
	BAYESFUSE_FUZZ_CASES=$(or $(CASES),10000) $(PYTEST) -m slow tests/fuzz
	$(PIP) atheris
	@for target in $$($(BIN)/python -c 'from tests.fuzz.targets import TARGETS; print(*TARGETS)'); do \
		echo "fuzzing $$target"; \
		OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/coverage_guided.py $$target \
			-runs=$(or $(CASES),10000) -timeout=20 -rss_limit_mb=4096 -verbosity=0 || exit 1; \
	done

# Asks pypi.org, so that it needs the network; what is installed is what constraints.txt names.
audit: setup
	$(PIP) pip-audit
	$(BIN)/python -m pip_audit --skip-editable

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(PIP) -e '.[bench]'
	$(BIN)/python benchmarks/compare_step.py
	$(BIN)/python benchmarks/compare_peers.py
	$(BIN)/python benchmarks/compare_prediction.py
	$(BIN)/python benchmarks/encoding_memory.py --items 1000 10000
	$(BIN)/python benchmarks/prediction_memory.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/loading.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python -m pytest benchmarks --benchmark-only -q

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(DEMO) site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis .benchmarks
