# Everything here needs make and Python 3.11 or newer; the rest is installed into .venv on first use.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: bench-budgets help demo run test check lint types coverage mutants bench bench-supervisors bench-path bench-http leak soak crash wheel-check build clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
	    sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, this is {v[0]}.{v[1]}: make PYTHON=python3.11")'
	@echo "installing into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY) ## See the main job done, and undone, and done all the same: half a minute, no account, no network
	@$(BIN)/python examples/two-teams/demo.py

run: $(READY) ## Start the hello example in the foreground, until Ctrl-C
	@cd examples/hello && echo "Try:  curl -H 'Content-Type: application/json' -d '{\"say\": \"hello\", \"to\": \"world\"}' http://127.0.0.1:4800/webhook/door" && ../../$(BIN)/orgloop start --force

test: $(READY) ## Run the tests, without the slow ones
	$(BIN)/python -m pytest -m "not slow"

check: lint types coverage wheel-check ## Everything that must hold before a change lands, beside the tests
	$(BIN)/python -m pytest -q tests/test_architecture.py
	$(BIN)/python .ci/fragments.py

lint: $(READY) ## Rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY) ## mypy, strict
	$(BIN)/python -m mypy

coverage: $(READY) ## The supervisors under 50 schedules a case, with 100 % branch coverage or it fails
	SCHEDULE_SEEDS=50 $(BIN)/python -m pytest -m "not slow" tests/supervisors --cov --cov-branch \
	    --cov-report=term-missing:skip-covered --cov-fail-under=100 -q

mutants: $(READY) ## Break the supervisors line by line: do the tests notice?
	$(BIN)/python tests/supervisors/mutants.py

bench: bench-budgets bench-supervisors bench-path bench-http ## All benchmarks

bench-budgets: $(READY) ## The budgets of the design, met or missed, beside what the machine can do
	$(BIN)/python -m tests.bench.budgets

bench-path: $(READY) ## Routing, polling, and the whole way of an event
	$(BIN)/python tests/bench/routing.py
	$(BIN)/python tests/bench/scheduler.py
	$(BIN)/python -m tests.bench.path

bench-http: $(READY) ## The front door, beside an echo server
	$(BIN)/python -m tests.bench.http

bench-supervisors: $(READY) ## Restart, start, memory per child
	$(BIN)/python tests/bench/supervisors.py

leak: $(READY) ## The slow tests: memory over many restarts
	$(BIN)/python -m pytest -m slow tests/supervisors

soak: $(READY) ## The promises of a whole daemon, with figures: reloads, roll-backs, secrets, memory; two minutes
	$(BIN)/python -m pytest -m slow -q -s tests/e2e

crash: $(READY) ## Power cuts, errors, bit flips and kills, of the log and of the whole runtime
	KILLS=500 $(BIN)/python -m pytest -m slow tests/wal tests/delivery tests/runtime

wheel-check: $(READY) ## Build the wheel, install it elsewhere, type-check a user against it
	$(BIN)/python .ci/check_wheel.py

build: $(READY) ## Wheel and sdist into dist/
	$(BIN)/python -m build --no-isolation

clean: ## Remove .venv, dist and every cache
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov
	find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
