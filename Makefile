# Every target calls the tools' own commands and prints them. `make run` and `make test` do all the
# set-up; afterwards, `. .venv/bin/activate` and type dbt's commands as anywhere.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# dbt and the tests find the environment's own commands, activated or not.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.locked ## Set up the environment .venv from the lock file

$(VENV)/.locked: locks/bootstrap.txt locks/core.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || { \
		echo "error: $(PYTHON): expected Python 3.11, 3.12 or 3.13, found" \
			"$$($(PYTHON) --version 2>&1); name another with 'make PYTHON=python3.11 ...'" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { \
		echo "error: $(PYTHON) cannot make virtual environments; install its venv module" \
			"(Debian: python3-venv)" >&2; exit 1; }
	$(BIN)/pip install --quiet --require-hashes --requirement locks/bootstrap.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode --require-hashes locks/core.txt locks/bootstrap.txt
	@touch $@

.PHONY: run
run: setup ## Load what is new, build and test the models, generate the docs
	python -m ingestion
	dbt build --exclude-resource-type unit_test
	dbt --quiet docs generate --no-compile
	@python scripts/summarize_run.py

.PHONY: docs
docs: setup ## Serve the documentation on http://127.0.0.1:8080
	dbt docs serve

.PHONY: lint
lint: setup ## Check the form of SQL and Python
	ruff check .
	ruff format --check .
	sqlfluff lint

.PHONY: test
test: lint ## Check everything: lint, pytest, dbt's unit and data tests, mutants
	pytest

.PHONY: bench
bench: setup ## Measure speed and memory, as ratios to bare DuckDB
	python benchmarks/bench.py

.PHONY: lock
lock: setup ## Resolve the dependencies of pyproject.toml anew into locks/
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml --output-file locks/core.txt

.PHONY: clean
clean: ## Remove what was made: warehouse, dbt's files, environment
	rm -rf warehouse target logs $(VENV)
