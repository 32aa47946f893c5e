# Development tasks; `make help` lists them.
# Works from any folder (make -C FOLDER), as root and as an unprivileged user; needs python3 and make.

ifeq ($(wildcard pyproject.toml),)
$(error run this as: make -C FOLDER, where FOLDER is the one with this Makefile)
endif
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := opslog otlp_receiver query retention storage config
CODE := $(PACKAGES) tests loadtests
# Test processes; each has its own PostgreSQL. WORKERS=0 runs all in one. The fault tests mostly wait, so
# that three are not too many for two cores.
WORKERS ?= 3

# How long `make fuzz` runs.
SECONDS ?= 60

# An environment is complete when its stamp is newer than its sources.
RUNTIME := $(VENV)/.stamp-runtime
TESTING := $(VENV)/.stamp-testing
LOADING := $(VENV)/.stamp-loading
FUZZING := $(VENV)/.stamp-fuzzing
AUDITING := $(VENV)/.stamp-auditing
RECIPE := pyproject.toml scripts/environment

export PYTHON

.DEFAULT_GOAL := help
.PHONY: help install codec compiled run demo doctor test format-check lint types layers spelling docstrings \
	test-faults test-faults-long test-upgrade soak unit viewer browser suite fix docs load bench bench-sustained profile bench-storage bench-retention bench-query bench-many-packs \
	bench-workers bench-latency bench-flush bench-viewer fuzz lock audit clean

help: ## List the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile \
		| while IFS='|' read -r name text; do printf '  %-16s %s\n' "$$name" "$$text"; done

$(RUNTIME): $(RECIPE)
	@scripts/environment speed,demo,compile
	@touch $@

$(TESTING): $(RECIPE)
	@scripts/environment speed,demo,compile test
	@touch $@ $(RUNTIME)

$(LOADING): $(RECIPE)
	@scripts/environment speed,demo,compile load
	@touch $@ $(RUNTIME)

$(FUZZING): $(RECIPE)
	@scripts/environment speed,demo,compile test fuzz
	@touch $@ $(RUNTIME) $(TESTING)

$(AUDITING): $(RECIPE)
	@scripts/environment speed,demo,compile audit
	@touch $@ $(RUNTIME)

install: $(RUNTIME) codec ## Create .venv with the opslog command in it

codec: $(RUNTIME) ## Compile the codec if there is a C compiler; optional, opslog is slower without
	@$(BIN)/python scripts/compile_codec --if-possible

run: $(RUNTIME) codec ## Start everything; prints the viewer's address, a token and an example
	@exec $(BIN)/opslog up --with-parent

demo: $(RUNTIME) ## Send the telemetry of a demo shop to the running opslog
	@$(BIN)/opslog demo

doctor: $(RUNTIME) ## Check this machine: problems, reasons, fixes
	@$(BIN)/opslog doctor

test: format-check lint types layers spelling docstrings viewer suite compiled ## What CI runs: all checks, all tests

format-check: $(TESTING) ## Check the formatting
	@$(BIN)/ruff format --check --quiet $(CODE)

lint: $(TESTING) ## ruff
	@$(BIN)/ruff check --quiet $(CODE)

types: $(TESTING) ## mypy --strict
	@$(BIN)/mypy --no-error-summary

layers: $(TESTING) ## import-linter: imports go downwards only
	@$(BIN)/lint-imports --no-logo

spelling: $(TESTING) ## codespell
	@$(BIN)/codespell $(CODE) docs scripts Makefile $(wildcard *.md)

docstrings: $(TESTING) ## interrogate: everything public has a docstring
	@$(BIN)/interrogate --quiet $(PACKAGES)

unit: $(TESTING) ## Unit and consistency tests only
	@$(BIN)/pytest -q tests/unit tests/consistency

viewer: ## Check, test and rebuild the viewer; query/static must equal the build (needs Node)
	@scripts/viewer

browser: ## Install the browser of the viewer's tests (as root, with apt-get)
	@scripts/browser

suite: $(TESTING) browser ## All tests, with branch coverage; fails below 90 %
	@$(BIN)/coverage erase
	@OPSLOG_PURE=1 $(BIN)/coverage run -m pytest -q -n $(WORKERS) --dist loadfile
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --skip-covered --skip-empty --fail-under=90

# Tests of the codec; all of them run interpreted as well, for the coverage.
COMPILED := tests/unit/otlp_receiver tests/unit/storage tests/unit/opslog/test_compiled.py \
	tests/integration/otlp_receiver

compiled: $(TESTING) codec ## The codec's tests again, compiled
	@if [ -d .compiled ]; then $(BIN)/pytest -q -n $(WORKERS) --dist loadfile $(COMPILED); \
		else echo 'the codec is not compiled: skipping its compiled tests'; fi

fix: $(TESTING) ## Format, and apply ruff's fixes
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

docs: $(RUNTIME) ## Regenerate the generated pages of docs/reference
	@$(BIN)/python -m opslog.docs.reference

load: $(LOADING) codec ## A fresh opslog at a fixed rate: nothing lost, nothing stored twice
	@$(BIN)/python -m loadtests.run_load

# The load tool of all benchmarks; it is not part of this repository.
LOAD_TOOL ?= ../shared/tools/otlp_load.py

bench: $(LOADING) codec ## Ingest on a fresh opslog: one table (LOAD_TOOL=path/to/otlp_load.py)
	@$(BIN)/python -m loadtests.bench --load-tool $(LOAD_TOOL)

profile: $(LOADING) codec ## CPU microseconds per record by stage (LOAD_TOOL=path/to/otlp_load.py)
	@$(BIN)/python -m loadtests.profile --load-tool $(LOAD_TOOL)

bench-sustained: $(LOADING) codec ## 70 % of the burst rate for MINUTES=15 with concurrent packing
	@$(BIN)/python -m loadtests.sustain --load-tool $(LOAD_TOOL) --minutes $(or $(MINUTES),15)

bench-storage: $(LOADING) codec ## Bytes per row by table, column and index part; CPU of packing
	@$(BIN)/python -m loadtests.bench_storage --load-tool $(LOAD_TOOL)

bench-retention: $(LOADING) codec ## Dropping 20M rows and 1,000 segments under load, planning with them (30 GB)
	@$(BIN)/python -m loadtests.bench_retention --load-tool $(LOAD_TOOL)

bench-query: $(LOADING) codec ## Queries over HTTP on records of 24 h: one table (ROWS=5000000)
	@$(BIN)/python -m loadtests.bench_query --load-tool $(LOAD_TOOL) --rows $(or $(ROWS),500000) \
		$(if $(NOISE),--noise)

bench-many-packs: $(LOADING) codec ## Queries, memory and start with a billion rows, simulated (12 GB)
	@$(BIN)/python -m loadtests.bench_many_packs --load-tool $(LOAD_TOOL)

bench-workers: $(LOADING) codec ## Requests/s of one query process and of several (ROWS=50000)
	@$(BIN)/python -m loadtests.bench_workers --rows $(or $(ROWS),50000)

bench-latency: $(LOADING) codec ## Latency of a single record: to the 200, and to the API
	@$(BIN)/python -m loadtests.bench_latency

bench-flush: $(LOADING) codec ## The writer's transaction with 500 rows, commit included
	@$(BIN)/python -m loadtests.bench_flush --load-tool $(LOAD_TOOL)

# Sequential per process: each test starts its own installation, and often its own PostgreSQL.
FAULTS := tests/faults tests/durability tests/unit/storage/spool/test_spool.py \
	tests/integration/storage/test_writer.py tests/integration/retention/test_faults.py \
	tests/integration/retention/test_faults_of_postgres.py \
	tests/integration/retention/test_pack_interrupted.py \
	tests/integration/retention/test_pack_refusals.py \
	tests/integration/query/test_packed_damage.py \
	tests/integration/evidence tests/contract/otlp/test_slow_senders.py \
	tests/contract/otlp/test_sizes.py

test-faults: $(TESTING) ## The fault suite only: kills, full disks, corruption, clock jumps
	@$(BIN)/pytest -q -m '' -n $(WORKERS) --dist loadfile $(FAULTS)

# Rounds of kills, and the seed of their times (0: random, printed).
ROUNDS ?= 200
SEED ?= 0

test-faults-long: $(TESTING) ## Kill everything at random moments; prints a table (ROUNDS=200 SEED=7)
	@$(BIN)/python -m tests.faults.rounds --rounds $(ROUNDS) --seed $(SEED)

# The commit from which an installation is upgraded.
SINCE ?= HEAD~1

test-upgrade: $(TESTING) ## Continue the killed installation of an older commit (SINCE=6d19519)
	@$(BIN)/python -m tests.faults.upgrade --since $(SINCE)

soak: $(LOADING) ## MINUTES=30 at 10,000 records/s: memory and files flat, counts balanced
	@$(BIN)/python -m loadtests.soak --minutes $(or $(MINUTES),30)

bench-viewer: $(TESTING) browser ## The viewer with many records: first results, scrolling, live tail (ROWS=5000000)
	@OPSLOG_VIEWER_RECORDS=$(or $(ROWS),120000) $(BIN)/pytest -q -s -m long tests/browser/test_speed.py

fuzz: $(FUZZING) ## Fuzz the receiver's decoders; SECONDS=1200 for longer; keeps its findings
	@$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS)

lock: $(AUDITING) ## Regenerate requirements.lock: all runtime packages, with hashes
	@$(BIN)/uv pip compile pyproject.toml --extra speed --extra demo --quiet --upgrade \
		--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command 'make lock' --output-file requirements.lock

audit: $(AUDITING) ## Check requirements.lock for known vulnerabilities (queries pypi.org)
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement requirements.lock

clean: ## Remove .venv and everything generated (never data)
	@rm -rf .venv .compiled .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache ui/node_modules
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
