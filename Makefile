# Every target calls the tools' own commands and prints them. `make run` and `make test` do all the
# set-up; afterwards, `. .venv/bin/activate` and type dbt's commands as anywhere.

# What is typed reaches the commands as it is, by the environment: neither make nor a shell reads it.
override PYTHON := $(value PYTHON)
override VERSION := $(value VERSION)
override KPI := $(value KPI)
override PERIOD := $(value PERIOD)
override SLICE := $(value SLICE)
export PYTHON VERSION KPI PERIOD SLICE

# The first one of these that is supported; `make PYTHON=...` names another.
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11
VENV := .venv
BIN := $(VENV)/bin

# Not sh: the make of macOS (3.81) would look for simple commands on the PATH that it was started
# with, not on the one below.
SHELL := /bin/bash

# dbt and the tests find the environment's own commands, activated or not.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.locked ## Set up the environment .venv from the lock file

# dbt, where it comes first, makes the warehouse, but no folder for it.
$(VENV)/.locked: locks/bootstrap.txt locks/core.txt
	@test -x $(BIN)/pip || { \
		for python in $${PYTHON:-$(PYTHONS)}; do \
			found="$$found$${found:+, }$$python is $$($$python --version 2>/dev/null || echo not there)"; \
			$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && break; \
			python=; \
		done; \
		test "$$python" || { \
			echo "error: expected Python 3.11, 3.12, 3.13 or 3.14, found: $$found;" \
				"name another with 'make PYTHON=python3.11 ...'" >&2; exit 1; }; \
		$$python -m venv $(VENV) || { \
			echo "error: $$python cannot make virtual environments; install its venv module" \
				"(Debian: python3-venv)" >&2; exit 1; }; }
	$(BIN)/pip install --quiet --require-hashes --requirement locks/bootstrap.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode --require-hashes locks/core.txt locks/bootstrap.txt
	@mkdir -p warehouse
	@touch $@

.PHONY: run
run: setup ## Load what is new, build and test the models, publish, generate report and docs
	python -m ingestion
	dbt build --exclude-resource-type unit_test
	python -m publishing publish
	python -m publishing report
	dbt --quiet docs generate --no-compile
	@python scripts/summarize_run.py

.PHONY: publish
publish: setup ## Publish the latest build, if every test and audit passed
	python -m publishing publish

.PHONY: verify
verify: setup ## Check that warehouse and published files are still what was tested
	python -m publishing verify

.PHONY: rollback
rollback: setup ## Serve the version before again, or another: VERSION=...
	python -m publishing rollback $${VERSION:+"$$VERSION"}

.PHONY: alerts
alerts: setup ## Say what needs a decision
	python -m publishing alerts

.PHONY: report
report: setup ## Write the report of what is published to reports/
	python -m publishing report

.PHONY: trace
trace: setup ## Explain a number: KPI=net_sales PERIOD=2017-06 SLICE=department=GROCERY
	python -m publishing trace $${KPI:+--kpi "$$KPI"} $${PERIOD:+--period "$$PERIOD"} $${SLICE:+--slice "$$SLICE"}

.PHONY: quarantine
quarantine: setup ## Show the rows that broke a rule and were set aside
	python -m ingestion --quarantine

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
	pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

# `mf` itself asks PyPI for a newer version, and goes on without an answer; the comparison does not.
.PHONY: metrics
metrics: setup ## Hold dbt's semantic layer (MetricFlow) against the published KPIs
	dbt --quiet parse --target serving
	python scripts/compare_metrics.py
	DBT_TARGET=serving mf query --metrics net_sales --group-by metric_time__month --order metric_time__month --decimals 2 --quiet

.PHONY: shop-postgres
shop-postgres: setup ## Start PostgreSQL with the sample company's retail_db, to read from: PORT=...
	python -m shop start postgresql $${PORT:+--port "$$PORT"}

.PHONY: shop-mysql
shop-mysql: setup ## Start MariaDB with it, likewise
	python -m shop start mysql $${PORT:+--port "$$PORT"}

.PHONY: shop-stop
shop-stop: setup ## Stop both
	python -m shop stop

.PHONY: bench
bench: setup ## Measure speed and memory, as ratios to bare DuckDB
	python benchmarks/bench.py

.PHONY: reliability
reliability: setup ## Kill 200 times, edit, set clocks, fill disks: nothing may be lost (an hour; goes on after Ctrl-C)
	TALLY_RELIABILITY=full pytest tests/reliability

.PHONY: lock
lock: setup ## Resolve the dependencies of pyproject.toml anew into locks/
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml --output-file locks/core.txt

.PHONY: clean
clean: ## Remove what was made: warehouse, published versions, report, dbt's files, environment
	rm -rf warehouse serving reports target logs .reliability $(VENV)
