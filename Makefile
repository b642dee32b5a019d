# Everything here sets up what it needs: a clone and Python 3.11 or newer are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.DEFAULT_GOAL := help
.PHONY: help demo test lint types coverage bench clean

help:
	@echo "make demo      run a real search: an MLP on handwritten digits, four workers (under two minutes)"
	@echo "make test      run all tests"
	@echo "make lint      ruff and the import contracts"
	@echo "make types     mypy, strict on the core"
	@echo "make coverage  tests with a coverage report"
	@echo "make bench     the benchmarks against other optimisers (takes a while)"

$(READY): pyproject.toml
	@echo "setting up $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/bench-ready: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

demo: $(READY)
	@rm -rf runs/demo
	@$(BIN)/aiohpo run examples/digits_mlp.py --workers 4 --trials 60 --dir runs/demo

test: $(READY)
	@$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(READY)
	@$(BIN)/mypy

coverage: $(READY)
	@$(BIN)/python -m pytest --cov=aiohpo --cov=plugins --cov=transports --cov-report=term-missing:skip-covered

bench: $(VENV)/bench-ready
	@for script in tests/benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script --quick || exit 1; done

clean:
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
