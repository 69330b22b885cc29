# Everything runs from .venv, made on first use and remade in place when pyproject.toml changes.
PYTHON ?= python3

export PIP_DISABLE_PIP_VERSION_CHECK := 1

venv := .venv
python := $(venv)/bin/python
pip := $(python) -m pip install --quiet
sources := $(shell find src -name '*.py')

# An editable install, where there is one, already runs these sources; otherwise install as a user would.
installed := $(firstword $(wildcard $(venv)/.test $(venv)/.bench $(venv)/.docs $(venv)/.notebooks) $(venv)/.plain)

# Apart from the main environment: other Pythons, and the oldest dependencies.
PYTHONS ?= python3.11 python3.12 python3.13
core-needs := beartype bitarray constriction hypothesis mpmath powerlaw pytest
core-tests := tests/test_tree.py tests/test_huffman.py tests/test_mixture.py

# One environment, so one installation at a time, under make -j too.
.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help verify test coverage test-slow test-all test-matrix test-lowest lint notebooks docs bench mutate clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

verify: $(installed) ## Decide the paper's claims and print the ledger
	$(venv)/bin/tokentree verify

test: $(venv)/.test ## Run the tests, without the slow ones
	$(python) -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadgroup

coverage: $(venv)/.test ## The same with branch coverage, which takes about twice as long
	$(python) -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadgroup --cov --cov-branch

test-slow: $(venv)/.test $(venv)/.bench ## Run the slow tests, one at a time: some take many GiB
	$(python) -m pytest -m slow

test-all: test test-slow ## Run every test

test-matrix: ## Run core tests on each supported Python that is installed
	@set -e; for p in $(PYTHONS); do \
	  if ! "$$p" -c '' 2>/dev/null; then echo "== $$p: not here, left out"; continue; fi; \
	  v=.venvs/$$("$$p" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); echo "== $$v"; \
	  "$$p" -m venv $$v; $$v/bin/python -m pip install --quiet --editable . $(core-needs); \
	  $$v/bin/python -m pytest -q -m "not slow" $(core-tests); done

test-lowest: ## Run core tests with the lowest supported dependencies
	$(PYTHON) -m venv .venvs/lowest
	.venvs/lowest/bin/python -m pip install --quiet -c .ci/lowest.txt --editable . $(core-needs)
	.venvs/lowest/bin/python -m pytest -q -m "not slow" $(core-tests) tests/test_springs.py

lint: $(venv)/.test ## Check style, format and types
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy

notebooks: $(venv)/.notebooks ## Open the notebooks in a browser
	$(python) -m jupyter lab notebooks

docs: $(venv)/.docs ## Build the documentation site into docs/_build/html
	$(python) -m sphinx -W --keep-going -n -q docs docs/_build/html

bench: $(venv)/.bench ## Time the main work beside its peers, and draw the curves
	$(python) benchmarks/run.py

mutate: $(venv)/.test ## Break the core in one place at a time: do its tests notice? Takes hours
	for m in information pareto elasticity claims huffman tree mixture; do $(python) .ci/mutate.py $$m; done

clean: ## Remove the environment and everything generated
	rm -rf $(venv) .venvs .coverage htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist out docs/_build docs/tutorials
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(venv)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "tokentree needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)." \
	    "Name another one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(venv)
	@touch $@

$(venv)/.plain: pyproject.toml $(sources) | $(venv)/.created
	$(pip) .
	@rm -f $(venv)/.test $(venv)/.bench $(venv)/.docs $(venv)/.notebooks
	@touch $@

$(venv)/.test $(venv)/.bench $(venv)/.docs $(venv)/.notebooks: $(venv)/.%: pyproject.toml | $(venv)/.created
	$(pip) --editable '.[$*]'
	@rm -f $(venv)/.plain
	@touch $@
