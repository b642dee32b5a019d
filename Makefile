# Everything here sets up what it needs: a clone and Python 3.11 or newer are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# One more than there are cores: many tests wait for a process or a timer.
PYTEST := $(BIN)/python -m pytest -n $(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 1)') --dist worksteal
SEEDS ?= 3000
FUZZ ?= 600
SEQUENCES ?= 1000000

.DEFAULT_GOAL := help
.PHONY: help demo test cluster browser examples integrations docs soak lint types coverage bench studies studies-reduced clean

help:
	@echo "make demo      run a real search: an MLP on handwritten digits, four workers (under two minutes)"
	@echo "make test      run the tests, on all cores"
	@echo "make cluster   run the tests of workers on several machines: MPI, network namespaces, travelling checkpoints"
	@echo "make browser   open the dashboard in a real browser (Chromium) and look at each view"
	@echo "make examples  run the programs of examples/ and of the README, and check what they print"
	@echo "make integrations  run searches in Jupyter kernels, the notebook of the documentation among them, and MLflow's tests"
	@echo "make docs      build the documentation as a site in site/; a warning is an error"
	@echo "make soak      play SEEDS=3000 simulated swarms and SEQUENCES=1000000 of hostile frames, then fuzz the frame"
	@echo "               decoder for FUZZ=600 seconds"
	@echo "make lint      ruff and the import contracts"
	@echo "make types     mypy, strict on the core"
	@echo "make coverage  tests with a coverage report"
	@echo "make bench     the benchmarks against other optimisers (takes a while)"
	@echo "make studies   the figures of the literature, reproduced (takes hours; goes on where it was interrupted);"
	@echo "               make study-NAME does one, make studies-reduced a few minutes' worth of all, checked"

# What a demonstration needs, and no more: it should begin soon after a first clone. Most of what is installed is
# never imported, so nothing is compiled in advance; the many processes of the tests are worth it.
$(VENV)/demo-ready: pyproject.toml
	@echo "setting up $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --no-compile --editable '.[plot]'
	@touch $@

$(READY): $(VENV)/demo-ready
	@echo "installing what development needs …"
	@$(PIP) --editable '.[dev]'
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

$(VENV)/bench-ready: $(READY)
	@$(PIP) --editable '.[bench]'
	@touch $@

$(VENV)/browser-ready: $(READY)
	@$(PIP) --editable '.[browser]'
	@touch $@

$(VENV)/integrations-ready: $(READY)
	@$(PIP) --editable '.[integrations]'
	@touch $@

$(VENV)/docs-ready: $(READY)
	@$(PIP) --editable '.[docs]'
	@touch $@

$(VENV)/soak-ready: $(READY)
	@$(PIP) --editable '.[fuzz]'
	@touch $@

demo: $(VENV)/demo-ready
	@rm -rf runs/demo
	@$(BIN)/aiohpo run examples/digits_mlp.py --workers 4 --trials 60 --dir runs/demo

test: $(READY)
	@$(PYTEST) -m 'not cluster and not examples and not browser and not notebook'

cluster: $(READY)
	@$(PYTEST) -m cluster tests/smoke

browser: $(VENV)/browser-ready
	@$(BIN)/python -m pytest -m browser tests/browser

examples: $(READY)
	@$(PYTEST) -m examples tests/test_examples.py

integrations: $(VENV)/integrations-ready
	@$(BIN)/python -m pytest tests/test_notebook.py tests/test_mlflow.py

# The theme's makers announce their next product at every build.
docs: $(VENV)/docs-ready
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "the documentation is in site/index.html"

soak: $(VENV)/soak-ready
	@$(PYTEST) tests/swarm --swarm-seeds $(SEEDS)
	@$(BIN)/python tests/fuzz/fuzz_sequences.py --sequences $(SEQUENCES)
	@$(BIN)/python tests/fuzz/fuzz_frames.py -max_total_time=$(FUZZ)

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(READY)
	@$(BIN)/mypy

coverage: $(READY)
	@$(PYTEST) --cov=aiohpo --cov=plugins --cov=transports --cov-report=term-missing:skip-covered

bench: $(VENV)/bench-ready
	@for script in tests/benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script --quick || exit 1; done

studies: $(READY)
	@$(BIN)/python -m studies

study-%: $(READY)
	@$(BIN)/python -m studies $*

studies-reduced: $(READY)
	@$(BIN)/python -m studies --reduced

clean:
	@rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
